//! How a client of Consul is set up.
//!
//! [`ClientConfig`] is plain data with Consul's defaults. The parsers of its parts are public, so that
//! a program with flags, variables and a file of its own can put it together piece by piece, in its
//! own order of precedence; [`ClientConfig::from_environment`] does it for those who have none.
//! Nothing is read or opened before [`Client::new`](crate::Client::new), which refuses what is wrong.

mod address;
mod boolean;
mod environment;
mod error;
mod limits;
mod secret;
mod tls;
mod token;

pub use address::{Address, Scheme, Target};
pub use boolean::parse_go_bool;
pub use error::ConfigError;
pub use limits::{ClientLimits, ClientTimers};
pub use secret::{BasicAuth, Secret};
pub use tls::TlsFiles;
pub use token::TokenSource;

/// Settings of a [`Client`](crate::Client).
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Agents, tried in turn: the one that works is kept until it cannot be reached. At least one.
    pub addresses: Vec<Address>,
    /// Certificates, and whom to trust. Only read for `https`, and where a file is named.
    pub tls: TlsFiles,
    /// Where the ACL token may be, strongest first. None: the agent's own default token counts.
    pub tokens: Vec<TokenSource>,
    /// For a reverse proxy in front of the agent; sent beside the token.
    pub basic_auth: Option<BasicAuth>,
    /// `dc` of every request whose query names none. `None`: the agent's datacenter.
    pub datacenter: Option<String>,
    /// `ns` of every request. Community agents refuse any.
    pub namespace: Option<String>,
    /// `partition` of every request. Community agents refuse any.
    pub partition: Option<String>,
    /// `User-Agent`: `<gateway>/<version>`.
    pub user_agent: String,
    /// How long things may take.
    pub timers: ClientTimers,
    /// How much of everything there may be.
    pub limits: ClientLimits,
}

impl Default for ClientConfig {
    /// The agent at `127.0.0.1:8500`, plain HTTP, no token.
    fn default() -> Self {
        Self {
            addresses: vec![Address::local()],
            tls: TlsFiles::default(),
            tokens: Vec::new(),
            basic_auth: None,
            datacenter: None,
            namespace: None,
            partition: None,
            user_agent: concat!("catalog-client/", env!("CARGO_PKG_VERSION")).to_owned(),
            timers: ClientTimers::default(),
            limits: ClientLimits::default(),
        }
    }
}

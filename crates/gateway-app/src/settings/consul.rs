//! What a gateway needs to know to run from a Consul.

use std::path::PathBuf;
use std::time::Duration;

use catalog_client::ClientConfig;
use catalog_client::config::{Address, BasicAuth, ClientLimits, ClientTimers, TlsFiles, TokenSource};

/// Where a gateway has its services from.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Source {
    /// A file or folder with a static catalog.
    Catalog(PathBuf),
    /// A Consul.
    Consul(Box<ConsulSettings>),
}

/// How to reach a Consul and who the gateway is there. The values fit together.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ConsulSettings {
    /// Agents or servers, tried in turn; never empty.
    pub addresses: Vec<Address>,
    /// Certificates, and whom to trust.
    pub tls: TlsFiles,
    /// Where the token may be, the strongest place first; the first that is not blank holds.
    pub tokens: Vec<TokenSource>,
    /// For a proxy in front of Consul.
    pub basic_auth: Option<BasicAuth>,
    /// Datacenter to ask for; the agent's if not set.
    pub datacenter: Option<String>,
    /// Namespace (Enterprise).
    pub namespace: Option<String>,
    /// Admin partition (Enterprise).
    pub partition: Option<String>,
    /// The gateway's own service.
    pub own: OwnService,
    /// Deadlines and periods.
    pub timers: ConsulTimers,
    /// Bounds.
    pub limits: ConsulLimits,
}

impl ConsulSettings {
    /// How the client of Consul is set up. `program` goes into its `User-Agent`.
    #[must_use]
    pub fn client_config(&self, program: &str) -> ClientConfig {
        let Self { timers, limits, .. } = self;
        ClientConfig {
            addresses: self.addresses.clone(),
            tls: self.tls.clone(),
            tokens: self.tokens.clone(),
            basic_auth: self.basic_auth.clone(),
            datacenter: self.datacenter.clone(),
            namespace: self.namespace.clone(),
            partition: self.partition.clone(),
            user_agent: format!("{program}/{}", env!("CARGO_PKG_VERSION")),
            timers: ClientTimers {
                connect: timers.connect,
                keepalive: timers.keepalive,
                ping: timers.ping,
                ping_answer: timers.ping_answer,
                read: timers.read,
                large_read: timers.read_large,
                blocking_grace: timers.slack,
                place: timers.place,
                idle: timers.idle,
                recovery: timers.recovery,
            },
            limits: ClientLimits {
                connections: limits.connections,
                reserved: limits.reserved,
                idle: limits.idle,
                streams: limits.streams,
                reads: limits.requests,
                answer: limits.answer_bytes,
                queries_per_second: limits.queries_per_second,
                burst: limits.burst,
                resets_per_second: limits.resets_per_second,
                addresses_per_name: limits.addresses_per_name,
            },
        }
    }
}

/// How the gateway's own service comes into Consul.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OwnService {
    /// Somebody registered it, and it is the only one of its kind on the agent.
    #[default]
    OnlyOne,
    /// Somebody registered it with the agent under this ID.
    OfAgent {
        /// ID of the service.
        id: String,
    },
    /// Somebody entered it into the catalog, and no agent knows it.
    OfNode {
        /// ID of the service.
        id: String,
        /// Name of its node.
        node: String,
    },
    /// The gateway registers itself.
    Register(Register),
}

/// What the gateway registers, besides its name and its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Register {
    /// ID of the service.
    pub id: String,
    /// Node to enter into the catalog, where it is not the agent's.
    pub node: Option<String>,
    /// Address for this datacenter.
    pub address: Advertised,
    /// After its check has failed for this long Consul removes the service.
    pub deregister_after_critical: Duration,
    /// Whether the gateway removes it after draining. A node that is entered into the catalog is
    /// always removed, because nobody else would.
    pub deregister_on_exit: bool,
}

/// Address of the gateway as others in its datacenter are told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Advertised {
    /// IP address or host name; the node's address if not set.
    pub host: Option<String>,
    /// Port, never 0.
    pub port: u16,
}

/// Deadlines and periods of the conversation with Consul; [`Timers`](super::Timers) of this part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsulTimers {
    /// How long Consul may hold a read.
    pub wait: Duration,
    /// For connecting, TLS included.
    pub connect: Duration,
    /// Silence before TCP asks whether the other side is still there.
    pub keepalive: Duration,
    /// Silence before HTTP/2 asks.
    pub ping: Duration,
    /// How long that may stay without an answer.
    pub ping_answer: Duration,
    /// For a whole answer that is not held back, and for a write.
    pub read: Duration,
    /// For an answer with the whole catalog.
    pub read_large: Duration,
    /// How much later than `wait` and a sixteenth of it an answer may come.
    pub slack: Duration,
    /// For a place among the connections and requests.
    pub place: Duration,
    /// How long a connection without work is kept.
    pub idle: Duration,
    /// From one step to the next when more connections are tried again.
    pub recovery: Duration,
    /// Longest pause after reads that failed.
    pub backoff_max: Duration,
    /// How often an agent that cannot be reached is tried.
    pub probe: Duration,
    /// Over how long the reads begin again when it is back; zero = at once.
    pub resume: Duration,
    /// How long registering is tried at the start.
    pub register: Duration,
    /// Shortest time between two registrations.
    pub register_pause: Duration,
    /// How often a gateway without an agent renews its check.
    pub agentless_refresh: Duration,
    /// How long an older answer must stay the same before it is believed.
    pub guard: Duration,
    /// How often the names of all datacenters are read.
    pub poll_datacenters: Duration,
    /// When the gateway is ready without services whose reads keep failing.
    pub ready: Duration,
}

/// Bounds of the conversation with Consul; [`Limits`](super::Limits) of this part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsulLimits {
    /// Connections, at least 2.
    pub connections: usize,
    /// How many of them are kept for what cannot wait; less than `connections`.
    pub reserved: usize,
    /// Connections that are kept without work.
    pub idle: usize,
    /// Waiting reads on one connection with HTTP/2.
    pub streams: usize,
    /// Bytes of an answer.
    pub answer_bytes: usize,
    /// Requests a second.
    pub queries_per_second: u32,
    /// Requests that may come at once before that.
    pub burst: u32,
    /// Requests at one time that do not wait.
    pub requests: usize,
    /// Reads at one time of names that are read in turn.
    pub reads: usize,
    /// Requests of HTTP/2 that are given up in a second.
    pub resets_per_second: u32,
    /// Addresses of a host name that are tried.
    pub addresses_per_name: usize,
    /// With more names than this, over HTTP/1.1, each is read in turn.
    pub watched_names: usize,
    /// With no more than this each has a waiting read again; at most `watched_names`.
    pub watched_again: usize,
    /// Whether the number of names decides at all.
    pub mode: ConsulMode,
}

/// How names are followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsulMode {
    /// By protocol and number of names.
    #[default]
    Auto,
    /// By a waiting read for each.
    Block,
    /// By reading each in turn.
    Sweep,
}

impl std::str::FromStr for ConsulMode {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "auto" => Ok(Self::Auto),
            "block" => Ok(Self::Block),
            "sweep" => Ok(Self::Sweep),
            _ => Err(()),
        }
    }
}

impl OwnService {
    /// ID of the service, where it is known without asking Consul.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::OnlyOne => None,
            Self::OfAgent { id } | Self::OfNode { id, .. } | Self::Register(Register { id, .. }) => Some(id),
        }
    }
}

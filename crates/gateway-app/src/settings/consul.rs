//! What a gateway needs to know to run from a Consul.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use catalog_client::ClientConfig;
use catalog_client::config::{Address, BasicAuth, ClientLimits, ClientTimers, TlsFiles, TokenSource};
use catalog_client::planner::PlanConfig;
use catalog_client::registration::RegistrarConfig;

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
    /// Deadlines, periods and bounds.
    pub tuning: ConsulTuning,
}

impl ConsulSettings {
    /// How the client of Consul is set up. `program` goes into its `User-Agent`.
    #[must_use]
    pub fn client_config(&self, program: &str) -> ClientConfig {
        ClientConfig {
            addresses: self.addresses.clone(),
            tls: self.tls.clone(),
            tokens: self.tokens.clone(),
            basic_auth: self.basic_auth.clone(),
            datacenter: self.datacenter.clone(),
            namespace: self.namespace.clone(),
            partition: self.partition.clone(),
            user_agent: format!("{program}/{}", env!("CARGO_PKG_VERSION")),
            timers: self.tuning.timers.clone(),
            limits: self.tuning.limits.clone(),
        }
    }
}

impl fmt::Display for ConsulSettings {
    /// The addresses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for address in &self.addresses {
            write!(f, "{between}{address}")?;
            between = ", ";
        }
        Ok(())
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
    /// `IP:PORT`, `HOST:PORT` or `:PORT` for this datacenter; unset where nobody said.
    pub address: Option<String>,
    /// After its check has failed for this long Consul removes the service.
    pub deregister_after_critical: Duration,
    /// Whether the gateway removes it after draining. A node that is entered into the catalog is
    /// always removed, because nobody else would.
    pub deregister_on_exit: bool,
}

/// Deadlines, periods and bounds of the conversation with Consul.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ConsulTuning {
    /// Of connections and requests.
    pub timers: ClientTimers,
    /// Of connections and requests.
    pub limits: ClientLimits,
    /// Of reads that Consul holds, and of names that are read in turn.
    pub plan: PlanConfig,
    /// Of the registration.
    pub registrar: RegistrarConfig,
    /// How often the names of all datacenters are read.
    pub poll_datacenters: Duration,
    /// How long news that follow other news are collected; the first go on at once.
    pub settle: Duration,
    /// When the gateway is ready without services whose reads keep failing.
    pub ready: Duration,
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

//! Settings while they are being read: each value is right alone, and together they may be wrong.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use catalog_client::config::{BasicAuth, TlsFiles, TokenSource};
use gateway_runtime::access_log::AccessLogMode;
use gateway_runtime::telemetry::LogFormat;
use mesh_endpoints::Ejection;

use super::address::OwnAddress;
use super::consul::ConsulTuning;
use super::origin::{Origin, Shown};
use super::{Limits, Role, TerminatingSettings, Timers};

/// Where the rows of the table put their values.
pub(super) struct Draft {
    pub(super) role: Role,
    pub(super) catalog: PathBuf,
    pub(super) service: String,

    pub(super) http_addr: Vec<String>,
    pub(super) tokens: Vec<TokenSource>,
    pub(super) tls: TlsFiles,
    pub(super) datacenter: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) partition: Option<String>,
    pub(super) http_ssl: bool,
    pub(super) http_auth: Option<BasicAuth>,
    pub(super) register: bool,
    pub(super) proxy_id: Option<String>,
    pub(super) node_name: Option<String>,
    pub(super) deregister_after_critical: Duration,
    pub(super) deregister_on_exit: bool,
    pub(super) tuning: ConsulTuning,

    pub(super) address: OwnAddress,
    pub(super) wan_address: Option<String>,
    pub(super) bind_addresses: Vec<(String, SocketAddr)>,
    pub(super) admin_bind: SocketAddr,
    pub(super) admin_token_file: Option<PathBuf>,
    pub(super) log_level: String,
    pub(super) log_format: LogFormat,
    pub(super) access_log: AccessLogMode,
    pub(super) access_log_file: Option<PathBuf>,
    pub(super) drain_time: Duration,
    pub(super) workers: usize,
    pub(super) panic_threshold: u8,
    pub(super) timers: Timers,
    pub(super) limits: Limits,
    pub(super) ejection: Ejection,
    pub(super) terminating: TerminatingSettings,

    pub(super) shown: Vec<Shown>,
    pub(super) notes: Vec<String>,
    pub(super) warnings: Vec<String>,
}

impl Draft {
    /// Before the defaults have been read.
    pub(super) fn blank(role: Role) -> Self {
        let unset = SocketAddr::from(([0, 0, 0, 0], 0));
        Self {
            role,
            catalog: PathBuf::new(),
            service: String::new(),
            http_addr: Vec::new(),
            tokens: Vec::new(),
            tls: TlsFiles::default(),
            datacenter: None,
            namespace: None,
            partition: None,
            http_ssl: false,
            http_auth: None,
            register: false,
            proxy_id: None,
            node_name: None,
            deregister_after_critical: Duration::ZERO,
            deregister_on_exit: false,
            tuning: ConsulTuning::default(),
            address: OwnAddress::Ip(unset),
            wan_address: None,
            bind_addresses: Vec::new(),
            admin_bind: unset,
            admin_token_file: None,
            log_level: String::new(),
            log_format: LogFormat::Text,
            access_log: AccessLogMode::Problems,
            access_log_file: None,
            drain_time: Duration::ZERO,
            workers: 0,
            panic_threshold: 0,
            timers: Timers::default(),
            limits: Limits::default(),
            ejection: Ejection::default(),
            terminating: TerminatingSettings::default(),
            shown: Vec::new(),
            notes: Vec::new(),
            warnings: Vec::new(),
        }
    }

    pub(super) fn origin(&self, key: &str) -> Origin {
        let shown = self.shown.iter().find(|shown| shown.key == key);
        shown.map_or(Origin::Default, |shown| shown.origin.clone())
    }

    /// Where the gateway listens, given the addresses are right.
    pub(super) fn listen(&self) -> Vec<(String, SocketAddr)> {
        match (&*self.bind_addresses, &self.address) {
            ([], OwnAddress::Ip(address)) => vec![("default".to_owned(), *address)],
            (named, _) => named.to_vec(),
        }
    }
}

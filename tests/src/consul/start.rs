//! How an agent is to be, and its start.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::Value;

use super::tls::ConsulTls;
use super::{Consul, Version, acl};
use crate::child::Child;
use crate::secret::Secret;
use crate::{Fetched, Loopback, Place};

// Ports of its address.
pub(super) const HTTP: u16 = 0;
pub(super) const HTTPS: u16 = 1;
pub(super) const GRPC: u16 = 2;
pub(super) const SERF_LAN: u16 = 3;
pub(super) const SERF_WAN: u16 = 4;
pub(super) const SERVER: u16 = 5;

/// What an agent is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// One of so many servers.
    Server(u32),
    Client,
}

/// How to start an agent. Nothing waits for long in it: it gossips quickly and elects as fast as Consul lets it.
#[derive(Debug, Clone)]
pub struct ConsulBuilder {
    pub(super) name: String,
    pub(super) dir: PathBuf,
    pub(super) datacenter: String,
    pub(super) address: Loopback,
    pub(super) wan: Option<IpAddr>,
    pub(super) place: Place,
    pub(super) version: Version,
    pub(super) role: Role,
    pub(super) join: Vec<SocketAddr>,
    pub(super) join_wan: Vec<SocketAddr>,
    pub(super) primary: Option<String>,
    pub(super) connect: bool,
    pub(super) management: Option<Secret>,
    pub(super) tls: Option<Arc<ConsulTls>>,
    pub(super) verify_clients: bool,
    pub(super) socket: Option<Arc<tempfile::TempDir>>,
    pub(super) further: Vec<Value>,
    program: PathBuf,
}

impl ConsulBuilder {
    pub(super) fn new(name: &str, dir: PathBuf) -> Result<Self> {
        Ok(ConsulBuilder {
            name: name.to_owned(),
            dir,
            datacenter: "dc1".to_owned(),
            address: Loopback::claim()?,
            wan: None,
            place: Place::Here,
            version: Version::of_program()?,
            role: Role::Server(1),
            join: Vec::new(),
            join_wan: Vec::new(),
            primary: None,
            connect: true,
            management: None,
            tls: None,
            verify_clients: false,
            socket: None,
            further: Vec::new(),
            program: Fetched::Consul.need()?,
        })
    }

    /// Its datacenter; `dc1` otherwise.
    #[must_use]
    pub fn datacenter(mut self, datacenter: &str) -> Self {
        self.datacenter = datacenter.to_owned();
        self
    }

    /// The datacenter that has the CA and the config entries of all; its own otherwise.
    #[must_use]
    pub fn primary(mut self, datacenter: &str) -> Self {
        self.primary = Some(datacenter.to_owned());
        self
    }

    /// Its address, known before it starts: those who are to join it need not wait.
    pub fn address(&self) -> &Loopback {
        &self.address
    }

    /// Lives in `place`, alone on `address` there.
    #[must_use]
    pub fn place(mut self, place: impl Into<Place>, address: IpAddr) -> Self {
        self.place = place.into();
        self.address = Loopback::alone(address);
        self
    }

    /// Shows itself to other datacenters at `address`, and to its own at the one of its [`place`](Self::place).
    #[must_use]
    pub fn wan(mut self, address: IpAddr) -> Self {
        self.wan = Some(address);
        self
    }

    /// Where servers of other datacenters [`join_wan`](Self::join_wan).
    pub fn wan_address(&self) -> SocketAddr {
        SocketAddr::new(self.wan.unwrap_or(self.address.ip()), self.address.port(SERF_WAN))
    }

    /// One of `count` servers; one alone otherwise.
    #[must_use]
    pub fn servers(mut self, count: u32) -> Self {
        self.role = Role::Server(count);
        self
    }

    /// A client agent. It needs somebody to [`join`](Self::join).
    #[must_use]
    pub fn client(mut self) -> Self {
        self.role = Role::Client;
        self
    }

    /// Joins the datacenter of the agent at `address`, now or as soon as that one is there.
    #[must_use]
    pub fn join(mut self, address: &Loopback) -> Self {
        self.join.push(address.at(SERF_LAN));
        self
    }

    /// Joins another datacenter by its server's [`wan_address`](Self::wan_address) (plain WAN federation).
    #[must_use]
    pub fn join_wan(mut self, address: SocketAddr) -> Self {
        self.join_wan.push(address);
        self
    }

    /// `connect.enabled = false`.
    #[must_use]
    pub fn without_connect(mut self) -> Self {
        self.connect = false;
        self
    }

    /// ACLs on, default policy deny, with a new management token.
    #[must_use]
    pub fn acls(self) -> Self {
        let token = acl::new_token();
        self.acls_with(&token)
    }

    /// The same with a given management token: the one of the datacenter (or the primary) that it joins.
    #[must_use]
    pub fn acls_with(mut self, management: &str) -> Self {
        self.management = Some(Secret(management.to_owned()));
        self
    }

    /// HTTPS with HTTP/2, with a certificate of a CA of its own, beside plain HTTP.
    ///
    /// # Errors
    /// When the certificates cannot be made or written.
    pub fn https(mut self) -> Result<Self> {
        let tls = ConsulTls::new(&self.dir.join("tls"), &self.datacenter, self.address.ip())?;
        self.tls = Some(Arc::new(tls));
        Ok(self)
    }

    /// HTTPS that lets in only those who have a [client certificate](Consul::client_certificate).
    ///
    /// # Errors
    /// When the certificates cannot be made or written.
    pub fn client_certificates(self) -> Result<Self> {
        let mut built = self.https()?;
        built.verify_clients = true;
        Ok(built)
    }

    /// The HTTP API on a Unix socket as well.
    ///
    /// # Errors
    /// When no folder can be made for it.
    pub fn unix_socket(mut self) -> Result<Self> {
        // Not in the test's folder: a socket's path has 107 bytes at most.
        self.socket = Some(Arc::new(tempfile::Builder::new().prefix("consul").tempdir()?));
        Ok(self)
    }

    /// Further configuration, as in a file of its own that is read after the others.
    #[must_use]
    pub fn configuration(mut self, configuration: Value) -> Self {
        self.further.push(configuration);
        self
    }

    /// Starts it and waits until it has a leader that knows it and can sign leaves.
    ///
    /// # Errors
    /// When it ends, or takes longer than 40 s, with the end of its log.
    pub async fn start(self) -> Result<Consul> {
        Consul::start(self).await
    }

    /// Starts it and waits for nothing: for one that cannot have a leader yet.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn_only(self) -> Result<Consul> {
        let child = self.spawn()?;
        Ok(Consul { built: self, child: child.into() })
    }

    pub(super) fn spawn(&self) -> Result<Child> {
        let mut arguments = vec!["agent".into()];
        std::fs::create_dir_all(self.data_dir())?;
        for (at, configuration) in std::iter::once(self.standard()).chain(self.further.clone()).enumerate() {
            let path = self.dir.join(format!("{at}.json"));
            let text = serde_json::to_vec_pretty(&configuration)?;
            std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            arguments.extend(["-config-file".into(), path.into_os_string()]);
        }
        Child::spawn(&self.name, &self.place, &self.program, arguments, &self.dir.join("consul.log"))
    }

    pub(super) fn is_secondary(&self) -> bool {
        self.primary.as_ref().is_some_and(|primary| *primary != self.datacenter)
    }

    pub(super) fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub(super) fn socket_path(&self) -> Option<PathBuf> {
        self.socket.as_ref().map(|folder| folder.path().join("http.sock"))
    }

    pub(super) fn tls(&self) -> Result<&ConsulTls> {
        self.tls.as_deref().context("built without https()")
    }
}

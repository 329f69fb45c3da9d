//! Envoy as a service's sidecar, at either end of a call, with a static configuration and leaf files: the sidecar that
//! most meshes have, beside a gateway that is not Envoy.

mod bootstrap;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::child::Child;
use crate::{Api, Deadline, Fetched, JsonLines, Lab, MeshIdentity, Place, Upstream};

use bootstrap::Listener;

/// A start takes 0.3 s on a machine with nothing else to do.
const START_WITHIN: Duration = Duration::from_secs(20);

/// How to start an Envoy; one process has as many listeners as are asked for.
#[derive(Debug)]
pub struct EnvoyBuilder {
    name: String,
    dir: PathBuf,
    place: Place,
    listeners: Vec<Listener>,
}

/// A running Envoy; killed when dropped.
#[derive(Debug)]
pub struct Envoy {
    admin: Api,
    listeners: Vec<(String, SocketAddr)>,
    records: JsonLines,
    child: Child,
}

impl Lab {
    /// An Envoy whose configuration and logs are in this test's folder under `name`.
    pub fn envoy(&self, name: &str) -> EnvoyBuilder {
        let dir = self.dir().join(name);
        EnvoyBuilder { name: name.to_owned(), dir, place: Place::Here, listeners: Vec::new() }
    }
}

impl EnvoyBuilder {
    /// Lives in `place`.
    #[must_use]
    pub fn place(mut self, place: impl Into<Place>) -> Self {
        self.place = place.into();
        self
    }

    /// A plain listener `name` on 127.0.0.1 for the service that `identity` is of. What connects there is taken to
    /// `upstream` by way of `via`: a gateway, or the upstream's sidecar itself.
    ///
    /// # Errors
    /// When the files of the identity cannot be written.
    pub fn caller(
        mut self,
        name: &str,
        identity: &MeshIdentity,
        upstream: &Upstream,
        via: SocketAddr,
    ) -> Result<Self> {
        let files = identity.write(&self.dir, name)?;
        let sni = upstream.sni(identity.trust.domain());
        let expected = identity.trust.service_id(&upstream.service, &upstream.datacenter);
        self.listeners.push(Listener::caller(name, &files, &sni, &expected, via));
        Ok(self)
    }

    /// A listener `name` with mutual TLS at `bind` (port 0 lets the kernel choose) in front of `backend`, for the service
    /// that `identity` is of.
    ///
    /// # Errors
    /// When the files of the identity cannot be written.
    pub fn called(
        mut self,
        name: &str,
        identity: &MeshIdentity,
        bind: SocketAddr,
        backend: SocketAddr,
    ) -> Result<Self> {
        let files = identity.write(&self.dir, name)?;
        self.listeners.push(Listener::called(name, &files, bind, backend));
        Ok(self)
    }

    /// A listener `name` at `bind` that is a mesh gateway as Consul's own configuration of Envoy makes one: it looks at
    /// the name in the hello and passes the connection on, untouched. `*.` in front of a name stands for all that end in
    /// the rest.
    #[must_use]
    pub fn gateway(mut self, name: &str, bind: SocketAddr, routes: &[(String, SocketAddr)]) -> Self {
        self.listeners.push(Listener::gateway(name, bind, routes));
        self
    }

    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// When the program is missing, or it ends or takes longer than 20 s, with the end of its log.
    pub async fn start(self) -> Result<Envoy> {
        let program = Fetched::Envoy.need()?;
        let configuration = self.dir.join("envoy.json");
        let admin_file = self.dir.join("admin-address");
        std::fs::create_dir_all(&self.dir)?;
        // Left by an earlier one, it would name a port that is somebody else's now.
        let _ = std::fs::remove_file(&admin_file);
        let bootstrap = bootstrap::whole(&self.listeners, &self.dir.join("access.log"));
        std::fs::write(&configuration, serde_json::to_vec_pretty(&bootstrap)?)?;
        let arguments = [
            Path::new("-c"),
            &configuration,
            Path::new("--admin-address-path"),
            &admin_file,
            Path::new("--disable-hot-restart"),
            Path::new("--concurrency"),
            Path::new("1"),
            Path::new("--log-level"),
            Path::new("warning"),
            // The access log; 10 s otherwise.
            Path::new("--file-flush-interval-msec"),
            Path::new("50"),
        ];
        let child = Child::spawn(&self.name, &self.place, &program, arguments, &self.dir.join("envoy.log"))?;
        let names: Vec<_> = self.listeners.iter().map(|listener| listener.name.clone()).collect();
        let up = async || {
            let text = std::fs::read_to_string(&admin_file).ok()?;
            let admin = Api::new(self.place.clone(), text.trim().parse().ok()?);
            let ready = admin.request("GET", "/ready", b"").await.ok()?;
            let listeners = admin.get("/listeners?format=json").await.ok()?;
            let found = listening(&listeners);
            let all = names.iter().all(|name| found.iter().any(|(found, _)| found == name));
            (ready.status == 200 && all).then_some((admin, found))
        };
        let (admin, listeners) = child.up(Deadline::after(START_WITHIN), "listening", up).await?;
        Ok(Envoy { admin, listeners, records: JsonLines::new(self.dir.join("access.log")), child })
    }
}

impl Envoy {
    /// First line of a test that uses it: `if !Envoy::available() { return; }`.
    ///
    /// # Panics
    /// In CI, when the program is missing.
    #[track_caller]
    pub fn available() -> bool {
        Fetched::Envoy.is_there()
    }

    /// Where a listener is.
    ///
    /// # Errors
    /// When it has none of that name.
    pub fn listener(&self, name: &str) -> Result<SocketAddr> {
        let found = self.listeners.iter().find(|(found, _)| found == name);
        Ok(found.with_context(|| format!("no listener {name}"))?.1)
    }

    /// Its access log: `listener`, `name` (in the hello, of a gateway), `flags` (`-` when all went well), `failure`,
    /// `upstream`, `sent`, `received`.
    pub fn records(&self) -> &JsonLines {
        &self.records
    }

    /// Its admin endpoint, for `/stats` and the like.
    pub fn admin(&self) -> &Api {
        &self.admin
    }

    /// What it logged last.
    pub fn log_tail(&self, lines: usize) -> String {
        self.child.log_tail(lines)
    }
}

fn listening(listeners: &Value) -> Vec<(String, SocketAddr)> {
    let all = listeners["listener_statuses"].as_array().into_iter().flatten();
    all.filter_map(|listener| {
        let address = &listener["local_address"]["socket_address"];
        let ip = address["address"].as_str()?.parse().ok()?;
        let port = u16::try_from(address["port_value"].as_u64()?).ok()?;
        Some((listener["name"].as_str()?.to_owned(), SocketAddr::new(ip, port)))
    })
    .collect()
}

fn socket_address(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}

//! A terminating gateway that follows a folder, services outside the mesh, and callers inside it.

use std::path::PathBuf;
use std::time::Duration;

use gateway_testkit::{
    Backend, CatalogDir, Deadline, Document, Gateway, GatewayBuilder, Hello, Lab, MeshCaller, MeshConnection,
    NoHandshake, Pki, Place, Program, Script, wait_for,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) const DATACENTER: &str = "dc1";
/// What the entry that links services is called.
pub(crate) const GATEWAY: &str = "terminating-gateway";

/// What every change must be seen within: far more than it takes.
pub(crate) fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(15))
}

/// What there is before the gateway starts.
pub(crate) struct Plan {
    pub(crate) pki: Pki,
    pub(crate) catalog: CatalogDir,
    pub(crate) lab: Lab,
    links: Vec<String>,
}

pub(crate) struct World {
    pub(crate) pki: Pki,
    pub(crate) catalog: CatalogDir,
    pub(crate) gateway: Gateway,
    links: Vec<String>,
    // The last one to go: it keeps what the others have written when the test fails.
    pub(crate) lab: Lab,
}

/// A service outside the mesh that says its name as soon as somebody connects, then echoes.
pub(crate) fn external(name: &str) -> Backend {
    Backend::local(greeting(name)).unwrap()
}

pub(crate) fn greeting(name: &str) -> Script {
    Script::Greet(format!("{name}\n").into_bytes())
}

impl Plan {
    /// A mesh in which everything is denied that no intention allows.
    pub(crate) fn new() -> Self {
        Self::with_policy("deny")
    }

    pub(crate) fn with_policy(policy: &str) -> Self {
        let (lab, pki) = (Lab::new().unwrap(), Pki::development().unwrap());
        let catalog = lab.catalog("catalog").unwrap();
        pki.write_root(&lab.dir().join("certs/roots.pem")).unwrap();
        catalog.write("mesh.toml", mesh(&lab, policy)).unwrap();
        Plan { pki, catalog, lab, links: Vec::new() }
    }

    /// The usual one: `billing` and its one instance, which `web` may call.
    pub(crate) fn billing() -> (Self, Backend) {
        let (mut plan, billing) = (Self::new(), external("billing-1"));
        plan.service("billing", Document::new().external("billing", billing.address(), ""));
        plan.allow("web", "billing");
        (plan, billing)
    }

    /// A linked service with its certificate and these instances.
    pub(crate) fn service(&mut self, service: &str, instances: Document) {
        self.link(service, "");
        self.leaf(service);
        self.catalog.write(&format!("{service}.toml"), instances).unwrap();
    }

    /// Links a service; `more` is TOML for the rest of the link's keys.
    pub(crate) fn link(&mut self, service: &str, more: &str) {
        self.links.push(link(service, more));
    }

    /// The identity that the gateway presents as `service`.
    pub(crate) fn leaf(&self, service: &str) {
        let leaf = self.pki.service(service, DATACENTER).unwrap();
        let files = leaf.write(&self.lab.dir().join("certs"), service).unwrap();
        self.catalog.write(&format!("leaf-{service}.toml"), Document::new().leaf(service, &files)).unwrap();
    }

    /// An intention that allows.
    pub(crate) fn allow(&self, source: &str, destination: &str) {
        write_intentions(&self.catalog, destination, &[&rule(source, "allow")]);
    }

    pub(crate) fn intentions(&self, destination: &str, sources: &[&str]) {
        write_intentions(&self.catalog, destination, sources);
    }

    pub(crate) async fn start(self) -> World {
        self.start_with(|gateway| gateway).await
    }

    pub(crate) fn builder(&self, name: &str) -> GatewayBuilder {
        self.write_links();
        self.lab.gateway(name).program(Program::TerminatingGw).catalog(self.catalog.path())
    }

    pub(crate) async fn start_with(self, more: impl FnOnce(GatewayBuilder) -> GatewayBuilder) -> World {
        let gateway = more(self.builder("gateway")).start().await.unwrap();
        let Plan { pki, catalog, lab, links } = self;
        World { pki, catalog, gateway, links, lab }
    }

    /// Starts a gateway whose catalog must be refused; what it says.
    pub(crate) async fn refused(self) -> String {
        let gateway = self.builder("gateway").spawn().unwrap();
        let code = gateway.exit_code(soon()).await.unwrap();
        let log = gateway.log_tail(40);
        assert_eq!(code, 1, "{log}");
        assert!(gateway.address().is_err(), "no socket before the files are good: {log}");
        log
    }

    fn write_links(&self) {
        self.catalog.write("links.toml", Document::new().links(GATEWAY, &self.links)).unwrap();
    }
}

/// `[Mesh]`, whose roots are in `certs/roots.pem`.
pub(crate) fn mesh(lab: &Lab, policy: &str) -> Document {
    let roots = lab.dir().join("certs/roots.pem");
    let more = format!("Roots = [{roots:?}]\nDefaultPolicy = {policy:?}\n");
    let mesh = Document::new().mesh(DATACENTER, Pki::TRUST_DOMAIN);
    Document::new().text(&format!("{}{more}", mesh.as_str()))
}

pub(crate) fn link(service: &str, more: &str) -> String {
    format!("{{ Name = {service:?}{}{more} }}", if more.is_empty() { "" } else { ", " })
}

/// A source of an intention.
pub(crate) fn rule(source: &str, action: &str) -> String {
    format!("{{ Name = {source:?}, Action = {action:?} }}")
}

fn write_intentions(catalog: &CatalogDir, destination: &str, sources: &[&str]) {
    let name = format!("intentions-{}.toml", destination.replace('*', "all"));
    catalog.write(&name, Document::new().intentions(destination, sources)).unwrap();
}

impl World {
    pub(crate) fn sni(&self, service: &str) -> String {
        format!("{service}.default.{DATACENTER}.internal.{}", self.pki.trust_domain())
    }

    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.gateway.address().unwrap()
    }

    pub(crate) fn certs(&self) -> PathBuf {
        self.lab.dir().join("certs")
    }

    /// A caller that is `service` of this datacenter.
    pub(crate) fn caller(&self, service: &str) -> MeshCaller {
        MeshCaller::new(&self.pki, &self.pki.service(service, DATACENTER).unwrap()).unwrap()
    }

    pub(crate) async fn connect(&self, caller: &MeshCaller, service: &str) -> anyhow::Result<MeshConnection> {
        caller.connect(self.address(), &self.sni(service)).await
    }

    /// Calls `service` as `source` and reads the greeting.
    pub(crate) async fn call(&self, source: &str, service: &str) -> anyhow::Result<(MeshConnection, String)> {
        let mut connection = self.connect(&self.caller(source), service).await?;
        let line = connection.line().await?;
        Ok((connection, line))
    }

    /// Who answers `source` now.
    pub(crate) async fn who(&self, source: &str, service: &str) -> String {
        let (connection, line) = self.call(source, service).await.unwrap();
        connection.close().await.unwrap();
        line
    }

    /// Waits until `source` is answered by `name`.
    pub(crate) async fn until_answers(&self, source: &str, service: &str, name: &str) {
        let what = format!("{service} to answer {source} as {name}");
        let caller = self.caller(source);
        let answers = wait_for(soon(), &what, async || {
            let mut connection = self.connect(&caller, service).await.ok()?;
            let line = connection.line().await.ok()?;
            connection.close().await.ok()?;
            (line == name).then_some(())
        });
        answers.await.unwrap();
    }

    /// Waits until `source` is refused in some way, from the beginning: not let in and cut at once by a change.
    pub(crate) async fn until_refused(&self, source: &str, service: &str) {
        let what = format!("{service} to refuse {source}");
        let caller = self.caller(source);
        let refused = wait_for(soon(), &what, async || {
            let local = match self.connect(&caller, service).await {
                Err(error) => error.downcast_ref::<NoHandshake>()?.local,
                Ok(mut connection) => {
                    if connection.line().await.is_ok() {
                        return None;
                    }
                    connection.local
                }
            };
            (self.record_of(local).await["reason"] != "intention_changed").then_some(())
        });
        refused.await.unwrap();
    }

    /// One connection that must be refused without a byte of an answer; its record, and what the caller saw.
    pub(crate) async fn refusal(&self, caller: &MeshCaller, service: &str) -> (Value, String) {
        self.refusal_sni(caller, &self.sni(service)).await
    }

    pub(crate) async fn refusal_sni(&self, caller: &MeshCaller, sni: &str) -> (Value, String) {
        let (local, saw) = match caller.connect(self.address(), sni).await {
            Err(error) => (error.downcast_ref::<NoHandshake>().unwrap().local, format!("{error:#}")),
            Ok(mut connection) => {
                // A TLS 1.3 client is done before the server has looked at its certificate.
                let (bytes, end) = connection.ended().await.unwrap();
                assert_eq!(bytes, b"", "nothing is sent to a caller that is refused");
                let saw = end.map_or_else(|| "an end in order".to_owned(), |error| error.to_string());
                (connection.local, saw)
            }
        };
        let record = self.record_of(local).await;
        let reason = record["reason"].as_str().unwrap().to_owned();
        let labels = [("reason", reason.as_str())];
        let counted = self.gateway.wait_metric(soon(), "gateway_connections_total", &labels, |v| v >= 1.0);
        counted.await.unwrap();
        (record, saw)
    }

    /// Waits until a hello for this name is refused for this reason.
    pub(crate) async fn until_hello_refused(&self, service: &str, reason: &str) {
        let hello = Hello::new(&self.sni(service)).bytes();
        let what = format!("{service} to be refused with {reason}");
        let refused = wait_for(soon(), &what, async || {
            let mut stream = Place::Here.connect(self.address()).await.ok()?;
            let local = stream.local_addr().ok()?;
            stream.write_all(&hello).await.ok()?;
            // A byte is one of TLS: it is still served.
            if stream.read_u8().await.is_ok() {
                return None;
            }
            (self.record_of(local).await["reason"] == reason).then_some(())
        });
        refused.await.unwrap();
    }

    /// Bytes that must be answered by nothing but an end; the record.
    pub(crate) async fn refused_bytes(&self, bytes: &[u8]) -> Value {
        let mut stream = Place::Here.connect(self.address()).await.unwrap();
        let peer = stream.local_addr().unwrap().to_string();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let end = tokio::time::timeout(soon().remaining(), stream.read_to_end(&mut answer)).await;
        assert!(end.is_ok(), "the connection stays open");
        assert_eq!(answer, b"", "nothing is sent to a client that is refused");
        let ours = |record: &Value| record["peer"] == peer;
        self.gateway.wait_record(soon(), "of the refusal", ours).await.unwrap()
    }

    pub(crate) async fn refused_hello(&self, sni: &str) -> Value {
        self.refused_bytes(&Hello::new(sni).bytes()).await
    }

    /// The record of a connection that has ended.
    pub(crate) async fn record_of(&self, local: std::net::SocketAddr) -> Value {
        let local = local.to_string();
        let ours = |record: &Value| record["peer"] == local;
        self.gateway.wait_record(soon(), &format!("of {local}"), ours).await.unwrap()
    }

    /// The row of a connection that is open.
    pub(crate) async fn open_row(&self, local: std::net::SocketAddr) -> Value {
        let local = local.to_string();
        let admin = self.gateway.admin().unwrap();
        let row = wait_for(soon(), "the row in /connections", async || {
            let page = admin.connections().await.ok()?;
            page["connections"].as_array()?.iter().find(|row| row["peer"] == local).cloned()
        });
        row.await.unwrap()
    }

    pub(crate) fn allow(&self, source: &str, destination: &str) {
        self.intentions(destination, &[&rule(source, "allow")]);
    }

    pub(crate) fn intentions(&self, destination: &str, sources: &[&str]) {
        write_intentions(&self.catalog, destination, sources);
    }

    pub(crate) fn forget_intentions(&self, destination: &str) {
        self.catalog.remove(&format!("intentions-{}.toml", destination.replace('*', "all"))).unwrap();
    }

    /// Links another service.
    pub(crate) fn link(&mut self, service: &str, more: &str) {
        self.links.push(link(service, more));
        self.write_links();
    }

    pub(crate) fn unlink(&mut self, service: &str) {
        let start = format!("{{ Name = {service:?}");
        self.links.retain(|link| !link.starts_with(&start));
        self.write_links();
    }

    fn write_links(&self) {
        self.catalog.write("links.toml", Document::new().links(GATEWAY, &self.links)).unwrap();
    }

    pub(crate) async fn snapshot(&self) -> Value {
        self.gateway.admin().unwrap().snapshot().await.unwrap()
    }

    pub(crate) async fn certificates(&self) -> Value {
        self.gateway.admin().unwrap().json("/certs").await.unwrap()
    }

    /// Waits until a page looks as wanted.
    pub(crate) async fn until_page(&self, path: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let admin = self.gateway.admin().unwrap();
        let mut last = Value::Null;
        let found = wait_for(soon(), what, async || {
            last = admin.json(path).await.ok()?;
            wanted(&last).then(|| last.clone())
        });
        let found = found.await;
        assert!(found.is_ok(), "{}; the last was {last:#}", found.unwrap_err());
        found.unwrap()
    }

    /// Waits until something is rejected.
    pub(crate) async fn until_rejected(&self) -> Value {
        let some = |page: &Value| page["rejected"]["total"].as_u64() > Some(0);
        self.until_page("/snapshot", "a rejected document", some).await
    }

    pub(crate) async fn until_nothing_is_rejected(&self) {
        let none = |page: &Value| page["rejected"]["total"] == 0;
        self.until_page("/snapshot", "nothing to be rejected", none).await;
    }

    pub(crate) async fn metric(&self, metric: &str, labels: &[(&str, &str)]) -> f64 {
        self.gateway.admin().unwrap().metrics().await.unwrap().sum(metric, labels)
    }
}

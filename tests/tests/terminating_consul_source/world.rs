//! A Consul of the test's own, and a source that reads it as a terminating gateway does.

use std::sync::Arc;
use std::time::Duration;

use catalog_client::registration::{Flags, GatewayKind, GatewayRegistration, HostNetwork, Place};
use catalog_client::{Client, ClientConfig};
use gateway_state::Reader;
use gateway_state::consul::{ConsulConfig, ConsulHandle, ConsulSource, Own, SourceState};
use gateway_state::terminating::{
    LeafState, LinkedService, NotReady, TerminatingOptions, TerminatingRole, TerminatingSnapshot,
};
use gateway_testkit::{Consul, Deadline, Lab, Version, wait_for};
use intentions::{Protocol, Source, Verdict};
use mesh_id::SpiffeId;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

/// The gateway's service name.
pub(crate) const GATEWAY: &str = "egress";

pub(crate) struct World {
    pub(crate) consul: Consul,
    pub(crate) handle: ConsulHandle,
    reader: Mutex<Reader<TerminatingSnapshot>>,
    source: JoinHandle<()>,
    // Last, so that it goes last.
    _lab: Lab,
}

impl Drop for World {
    fn drop(&mut self) {
        self.source.abort();
    }
}

impl World {
    /// A Consul without ACLs.
    pub(crate) async fn new() -> Self {
        let lab = Lab::new().unwrap();
        let consul = lab.consul("dc1").unwrap().start().await.unwrap();
        Self::on(lab, consul, None, |_| {})
    }

    /// A source that reads `consul` with a token.
    pub(crate) fn on(
        lab: Lab,
        consul: Consul,
        token: Option<&str>,
        change: impl FnOnce(&mut ConsulConfig),
    ) -> Self {
        let environment = |name: &str| match name {
            "CONSUL_HTTP_ADDR" => Some(consul.http().to_string()),
            "CONSUL_HTTP_TOKEN" => token.map(str::to_owned),
            _ => None,
        };
        let client = Client::new(ClientConfig::from_environment(environment).unwrap()).unwrap();
        let flags = Flags {
            service: Some(GATEWAY.to_owned()),
            address: Some("127.0.0.1:8443".to_owned()),
            ..Flags::new(GatewayKind::Terminating)
        };
        let registration = GatewayRegistration::from_flags(&flags, &HostNetwork::read().unwrap()).unwrap();
        let own = Own::Register { registration: registration.into(), place: Place::Agent, deregister: false };
        let mut config = ConsulConfig::new(GatewayKind::Terminating, GATEWAY, own);
        config.datacenter = Some("dc1".to_owned());
        config.registrar.look_after = Duration::from_millis(200);
        change(&mut config);
        let (source, reader, handle) =
            ConsulSource::<TerminatingRole>::new(client, config, TerminatingOptions::default());
        let source = tokio::spawn(source.run());
        World { consul, handle, reader: Mutex::new(reader), source, _lab: lab }
    }

    /// What the source published last.
    pub(crate) async fn now(&self) -> Arc<TerminatingSnapshot> {
        self.reader.lock().await.current()
    }

    /// Waits until a snapshot has what is wanted.
    pub(crate) async fn until<T>(
        &self,
        deadline: Deadline,
        what: &str,
        wanted: impl Fn(&TerminatingSnapshot) -> Option<T>,
    ) -> T {
        let mut reader = self.reader.lock().await;
        loop {
            let snapshot = reader.current();
            if let Some(found) = wanted(&snapshot) {
                return found;
            }
            let changed = tokio::time::timeout(deadline.remaining(), reader.changed()).await;
            if changed.is_err() {
                let view = self.handle.view(20);
                panic!("{what}: not seen; state {}; {snapshot:#?}\n{:#?}", self.handle.state(), view.watches);
            }
        }
    }

    /// Waits until a service is ready.
    pub(crate) async fn ready(&self, name: &str) -> Arc<LinkedService> {
        let what = format!("{name} to be ready");
        let ready = |snapshot: &TerminatingSnapshot| {
            snapshot.service(None, name).filter(|service| service.not_ready.is_none()).cloned()
        };
        self.until(soon(), &what, ready).await
    }

    /// Waits until all is known of a service that has no instances.
    pub(crate) async fn settled(&self, name: &str) {
        let what = format!("{name} to be without instances");
        let settled = |snapshot: &TerminatingSnapshot| {
            (snapshot.service(None, name)?.not_ready == Some(NotReady::NoInstances)).then_some(())
        };
        self.until(soon(), &what, settled).await;
    }

    /// Waits until a service is linked no more.
    pub(crate) async fn gone(&self, name: &str) {
        let what = format!("{name} to be unlinked");
        let gone = |snapshot: &TerminatingSnapshot| snapshot.service(None, name).is_none().then_some(());
        self.until(soon(), &what, gone).await;
    }

    /// Waits until a connection of `from` to `to` is allowed, or denied.
    pub(crate) async fn judged(&self, from: &str, to: &str, allowed: bool) {
        let what = format!("{from} to {to} to be {}", if allowed { "allowed" } else { "denied" });
        let judged = |snapshot: &TerminatingSnapshot| (verdict(snapshot, from, to)? == allowed).then_some(());
        self.until(soon(), &what, judged).await;
    }

    /// Waits until the source says this of itself.
    pub(crate) async fn until_state(&self, wanted: SourceState) {
        let what = format!("the source to be {wanted:?}");
        let state = async || (self.handle.state() == wanted).then_some(());
        wait_for(soon(), &what, state)
            .await
            .unwrap_or_else(|error| panic!("{error}; {:?}", self.handle.state()));
    }

    /// Links services: the gateway's config entry.
    pub(crate) async fn link(&self, services: &Value) {
        self.write(&json!({"Kind": "terminating-gateway", "Name": GATEWAY, "Services": services})).await;
    }

    pub(crate) async fn write(&self, entry: &Value) {
        self.consul.config_write(entry).await.unwrap();
    }

    /// An instance on a node without an agent.
    pub(crate) async fn instance(&self, service: &str, id: &str, port: u16) {
        let registration = json!({
            "Node": format!("external-{service}"), "Address": "127.0.0.1", "NodeMeta": {"external-node": "true"},
            "Service": {"ID": id, "Service": service, "Port": port},
            "Check": {"CheckID": format!("check-{id}"), "Name": "as the test wants it", "Status": "passing", "ServiceID": id},
        });
        self.consul.catalog_register(&registration).await.unwrap();
    }

    pub(crate) async fn remove_instance(&self, service: &str, id: &str) {
        let which = json!({"Node": format!("external-{service}"), "ServiceID": id});
        self.consul.catalog_deregister(&which).await.unwrap();
    }

    /// Writes an intention by whatever way this Consul has.
    pub(crate) async fn intention(&self, source: &str, destination: &str, action: &str) {
        let api = self.consul.api();
        if Consul::version().unwrap() >= Version(1, 9, 0) {
            let path = format!("/v1/connect/intentions/exact?source={source}&destination={destination}");
            api.put(&path, &json!({"SourceType": "consul", "Action": action})).await.unwrap();
            return;
        }
        let body = json!({
            "SourceName": source, "DestinationName": destination, "SourceType": "consul", "Action": action,
        });
        let reply = match self.id(source, destination).await {
            Some(id) => {
                api.request("PUT", &format!("/v1/connect/intentions/{id}"), body.to_string().as_bytes()).await
            }
            None => api.request("POST", "/v1/connect/intentions", body.to_string().as_bytes()).await,
        };
        let reply = reply.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
    }

    pub(crate) async fn delete_intention(&self, source: &str, destination: &str) {
        let api = self.consul.api();
        let path = match self.id(source, destination).await {
            Some(id) if !id.is_empty() => format!("/v1/connect/intentions/{id}"),
            _ => format!("/v1/connect/intentions/exact?source={source}&destination={destination}"),
        };
        api.delete(&path).await.unwrap();
    }

    async fn id(&self, source: &str, destination: &str) -> Option<String> {
        let all = self.consul.api().get("/v1/connect/intentions").await.unwrap();
        let one = |row: &&Value| row["SourceName"] == source && row["DestinationName"] == destination;
        let row = all.as_array().into_iter().flatten().find(one)?;
        Some(row["ID"].as_str().unwrap_or_default().to_owned())
    }

    /// How often questions have been asked whose path begins so, of all that are asked now.
    pub(crate) fn watched(&self, prefix: &str) -> Vec<catalog_client::watch::Row> {
        let rows = self.handle.view(1000).watches;
        rows.into_iter().filter(|row| row.path.starts_with(prefix)).collect()
    }
}

/// Long for anything that works.
pub(crate) fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

/// Whether a connection would be allowed.
pub(crate) fn verdict(snapshot: &TerminatingSnapshot, from: &str, to: &str) -> Option<bool> {
    let domain = &snapshot.mesh.trust_domain;
    let from = SpiffeId::parse(&format!("spiffe://{domain}/ns/default/dc/dc1/svc/{from}")).unwrap();
    let service = snapshot.service(None, to)?;
    match service.rules.check_connection(Source::Direct(&from), Protocol::Tcp) {
        Verdict::Allow(_) => Some(true),
        Verdict::Deny(_) => Some(false),
        Verdict::NeedsRequest(_) => None,
    }
}

/// The serial number of a service's certificate.
pub(crate) fn serial(service: &LinkedService) -> String {
    match &service.leaf {
        LeafState::Ready(leaf) => format!("{:?}", leaf.serial()),
        LeafState::Missing { why } => panic!("no leaf: {why}"),
    }
}

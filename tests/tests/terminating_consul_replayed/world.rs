//! An agent that says what a test wants, and a source that reads it.

use std::sync::Arc;
use std::time::Duration;

use catalog_client::registration::{Flags, GatewayKind, GatewayRegistration, HostNetwork, Place};
use catalog_client::{Client, ClientConfig};
use gateway_state::Reader;
use gateway_state::consul::{ConsulConfig, ConsulHandle, ConsulSource, Own};
use gateway_state::terminating::{LinkedService, TerminatingOptions, TerminatingRole, TerminatingSnapshot};
use gateway_testkit::{Deadline, Leaf, Pki, Replay};
use intentions::{Protocol, Source, Verdict};
use mesh_id::SpiffeId;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

pub(crate) const ROOTS: &str = "/v1/agent/connect/ca/roots";
pub(crate) const LINKS: &str = "/v1/catalog/gateway-services/egress";
pub(crate) const ENTRIES: &str = "/v1/config/";

pub(crate) struct World {
    pub(crate) replay: Replay,
    pub(crate) pki: Pki,
    pub(crate) handle: ConsulHandle,
    reader: Mutex<Reader<TerminatingSnapshot>>,
    source: JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.source.abort();
    }
}

/// What all tests begin with: two services, `billing` and `ledger`, of which everything is known.
pub(crate) fn agent(pki: &Pki) -> Replay {
    let replay = Replay::of_version("1.21").unwrap().without_jitter().start().unwrap();
    replay.set(ROOTS, &roots(&[pki], "first"));
    replay.set(ENTRIES, &json!([]));
    replay.set(LINKS, &links(&["billing", "ledger"]));
    for service in ["billing", "ledger"] {
        replay.set(&instances(service), &rows(service, &["one"]));
        replay.set(&matching(service), &json!({service: null}));
        replay.set(&leaf_path(service), &leaf(service, &pki.service(service, "dc1").unwrap()));
    }
    replay
}

impl World {
    pub(crate) async fn new() -> Self {
        let pki = Pki::development().unwrap();
        Self::on(agent(&pki), pki, |_| {})
    }

    pub(crate) fn on(replay: Replay, pki: Pki, change: impl FnOnce(&mut ConsulConfig)) -> Self {
        let address = replay.http().to_string();
        let environment = |name: &str| (name == "CONSUL_HTTP_ADDR").then(|| address.clone());
        let client = Client::new(ClientConfig::from_environment(environment).unwrap()).unwrap();
        let flags = Flags {
            service: Some("egress".to_owned()),
            address: Some("127.0.0.1:8443".to_owned()),
            ..Flags::new(GatewayKind::Terminating)
        };
        let registration = GatewayRegistration::from_flags(&flags, &HostNetwork::read().unwrap()).unwrap();
        let own = Own::Register { registration: registration.into(), place: Place::Agent, deregister: false };
        let mut config = ConsulConfig::new(GatewayKind::Terminating, "egress", own);
        config.datacenter = Some("dc1".to_owned());
        config.ready_within = Duration::from_secs(1);
        config.registrar.look_after = Duration::from_millis(100);
        config.plan.watch.guard = Duration::from_millis(500);
        config.plan.watch.retry_denied = Duration::from_millis(500);
        change(&mut config);
        let (source, reader, handle) =
            ConsulSource::<TerminatingRole>::new(client, config, TerminatingOptions::default());
        let source = tokio::spawn(source.run());
        World { replay, pki, handle, reader: Mutex::new(reader), source }
    }

    pub(crate) async fn now(&self) -> Arc<TerminatingSnapshot> {
        self.reader.lock().await.current()
    }

    /// Waits until a snapshot has what is wanted.
    pub(crate) async fn until<T>(&self, what: &str, wanted: impl Fn(&TerminatingSnapshot) -> Option<T>) -> T {
        let (mut reader, deadline) = (self.reader.lock().await, soon());
        loop {
            let snapshot = reader.current();
            if let Some(found) = wanted(&snapshot) {
                return found;
            }
            if tokio::time::timeout(deadline.remaining(), reader.changed()).await.is_err() {
                let services: Vec<_> =
                    snapshot.services.iter().map(|it| (it.key.to_string(), it.not_ready.clone())).collect();
                panic!("{what}: not seen; {}; {services:?}; {:?}", self.handle.state(), snapshot.rejected);
            }
        }
    }

    pub(crate) async fn ready(&self, name: &str) -> Arc<LinkedService> {
        let what = format!("{name} to be ready");
        let ready = |snapshot: &TerminatingSnapshot| {
            snapshot.service(None, name).filter(|service| service.not_ready.is_none()).cloned()
        };
        self.until(&what, ready).await
    }

    pub(crate) async fn both_ready(&self) {
        self.ready("billing").await;
        self.ready("ledger").await;
    }

    /// Waits until Consul has shown the gateway itself: then an empty list can be doubted.
    pub(crate) async fn seen(&self) {
        gateway_testkit::eventually(soon(), "the gateway to be seen", async || {
            self.handle.view(0).registration.is_some_and(|own| own.visible == Some(true))
        })
        .await;
    }

    /// Waits until something has been asked twice more: by the second time the first answer was taken in.
    pub(crate) async fn asked_twice_more(&self, target: &str) {
        let count = || self.replay.count(|asked| asked.target.starts_with(target));
        let before = count();
        gateway_testkit::eventually(soon(), "it to be asked again", async || count() >= before + 2).await;
    }
}

pub(crate) fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

pub(crate) fn instances(service: &str) -> String {
    format!("/v1/health/service/{service}")
}

pub(crate) fn matching(service: &str) -> String {
    format!("/v1/connect/intentions/match?by=destination&name={service}")
}

pub(crate) fn leaf_path(service: &str) -> String {
    format!("/v1/agent/connect/ca/leaf/{service}")
}

pub(crate) fn links(names: &[&str]) -> Value {
    names
        .iter()
        .map(|name| json!({"Gateway": {"Name": "egress"}, "Service": {"Name": name}, "GatewayKind": "terminating-gateway"}))
        .collect()
}

pub(crate) fn rows(service: &str, ids: &[&str]) -> Value {
    let row = |(number, id): (usize, &&str)| {
        json!({
            "Node": {"Node": format!("node-of-{service}"), "Address": "127.0.0.1", "Datacenter": "dc1"},
            "Service": {"ID": id, "Service": service, "Port": 4711 + number, "Weights": {"Passing": 1, "Warning": 1}},
            "Checks": [],
        })
    };
    ids.iter().enumerate().map(row).collect()
}

/// What `match` says, and what stands for it in the list of all entries.
pub(crate) fn intention(source: &str, destination: &str, action: &str) -> (Value, Value) {
    let matched = json!({destination: [{
        "SourceName": source, "DestinationName": destination, "SourceNS": "default", "DestinationNS": "default",
        "SourceType": "consul", "Action": action, "Precedence": 9,
    }]});
    let entry = json!([{
        "Kind": "service-intentions", "Name": destination,
        "Sources": [{"Name": source, "Action": action, "Precedence": 9, "Type": "consul"}],
    }]);
    (matched, entry)
}

pub(crate) fn roots(pkis: &[&Pki], active: &str) -> Value {
    let root =
        |(number, pki): (usize, &&Pki)| json!({"ID": format!("root-{number}"), "RootCert": pki.root_pem()});
    let roots: Vec<_> = pkis.iter().enumerate().map(root).collect();
    json!({"ActiveRootID": active, "TrustDomain": Pki::TRUST_DOMAIN, "Roots": roots})
}

pub(crate) fn leaf(service: &str, leaf: &Leaf) -> Value {
    json!({
        "SerialNumber": "01", "Service": service, "CertPEM": leaf.cert_pem, "PrivateKeyPEM": leaf.key_pem,
        "ServiceURI": leaf.uri,
    })
}

/// Whether a connection would be allowed.
pub(crate) fn verdict(snapshot: &TerminatingSnapshot, from: &str, to: &str) -> Option<bool> {
    let from =
        SpiffeId::parse(&format!("spiffe://{}/ns/default/dc/dc1/svc/{from}", Pki::TRUST_DOMAIN)).unwrap();
    let service = snapshot.service(None, to)?;
    match service.rules.check_connection(Source::Direct(&from), Protocol::Tcp) {
        Verdict::Allow(_) => Some(true),
        Verdict::Deny(_) => Some(false),
        Verdict::NeedsRequest(_) => None,
    }
}

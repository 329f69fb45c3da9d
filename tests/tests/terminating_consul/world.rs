//! A Consul, a gateway that runs from it, services outside of the mesh, and callers with leaves of that Consul.

use std::net::SocketAddr;
use std::time::Duration;

use gateway_testkit::{
    Backend, Consul, Deadline, Gateway, GatewayBuilder, Lab, MeshCaller, MeshConnection, Program, Script,
    Trust, Version, wait_for,
};
use serde_json::{Value, json};

pub(crate) const GATEWAY: &str = "egress";
/// All that the gateway needs for `billing` and `search`.
const LEAST: &str = r#"
service "egress" { policy = "write" }
service "billing" { policy = "write" }
service "search" { policy = "write" }
service "secure" { policy = "write" }
node_prefix "" { policy = "read" }
"#;

pub(crate) fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

/// Whether a token is needed for everything.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Acls {
    /// None is asked for; what no intention is about is allowed.
    Off,
    /// One is, and what no intention is about is denied.
    On,
}

pub(crate) struct World {
    pub(crate) gateway: Gateway,
    pub(crate) consul: Consul,
    // The last one to go: it keeps what the others have written when the test fails.
    pub(crate) lab: Lab,
}

/// A service outside the mesh that says its name as soon as somebody connects, then echoes.
pub(crate) fn external(name: &str) -> Backend {
    Backend::local(Script::Greet(format!("{name}\n").into_bytes())).unwrap()
}

impl World {
    pub(crate) async fn start(acls: Acls) -> World {
        Self::start_with(acls, |gateway| gateway).await
    }

    pub(crate) async fn start_with(
        acls: Acls,
        adapt: impl FnOnce(GatewayBuilder) -> GatewayBuilder,
    ) -> World {
        let lab = Lab::new().unwrap();
        let builder = lab.consul("dc1").unwrap();
        let builder = if acls == Acls::On { builder.acls() } else { builder };
        let consul = builder.start().await.unwrap();
        let mut gateway = lab.gateway("gateway").program(Program::TerminatingGw).consul(&consul).register();
        gateway = gateway.flag("service", GATEWAY).flag("datacenter", "dc1");
        if acls == Acls::On {
            let token = consul.token(LEAST).await.unwrap();
            let file = lab.dir().join("token");
            std::fs::write(&file, token).unwrap();
            gateway = gateway.flag("token-file", file.to_str().unwrap());
        }
        let gateway = adapt(gateway).start().await.unwrap();
        World { gateway, consul, lab }
    }

    /// A gateway for `billing`, which `web` may call.
    pub(crate) async fn billing(acls: Acls) -> (World, Backend) {
        let world = Self::start(acls).await;
        let billing = external("billing-1");
        world.instance("billing", billing.address()).await;
        world.intention("web", "billing", "allow").await;
        world.link(&json!([{"Name": "billing"}])).await;
        world.until_answers("web", "billing", "billing-1").await;
        (world, billing)
    }

    /// An instance on a node without an agent.
    pub(crate) async fn instance(&self, service: &str, address: SocketAddr) {
        let registration = json!({
            "Node": format!("external-{service}"), "Address": address.ip().to_string(),
            "NodeMeta": {"external-node": "true"},
            // No address of its own: the node's counts (row 20).
            "Service": {"ID": format!("{service}-1"), "Service": service, "Port": address.port()},
        });
        self.consul.catalog_register(&registration).await.unwrap();
    }

    pub(crate) async fn link(&self, services: &Value) {
        let entry = json!({"Kind": "terminating-gateway", "Name": GATEWAY, "Services": services});
        self.consul.config_write(&entry).await.unwrap();
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
        let (method, path) = match self.intention_id(source, destination).await {
            Some(id) => ("PUT", format!("/v1/connect/intentions/{id}")),
            None => ("POST", "/v1/connect/intentions".to_owned()),
        };
        let reply = api.request(method, &path, body.to_string().as_bytes()).await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
    }

    pub(crate) async fn delete_intention(&self, source: &str, destination: &str) {
        let path = match self.intention_id(source, destination).await {
            Some(id) if !id.is_empty() => format!("/v1/connect/intentions/{id}"),
            _ => format!("/v1/connect/intentions/exact?source={source}&destination={destination}"),
        };
        self.consul.api().delete(&path).await.unwrap();
    }

    async fn intention_id(&self, source: &str, destination: &str) -> Option<String> {
        let all = self.consul.api().get("/v1/connect/intentions").await.unwrap();
        let one = |row: &&Value| row["SourceName"] == source && row["DestinationName"] == destination;
        let row = all.as_array().into_iter().flatten().find(one)?;
        Some(row["ID"].as_str().unwrap_or_default().to_owned())
    }

    /// Another root: the leaves that Consul signs from now on are of that one.
    pub(crate) async fn rotate(&self) {
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let configuration = json!({"Provider": "consul", "Config": {"PrivateKey": key, "RootCert": ""}});
        self.consul.api().put("/v1/connect/ca/configuration", &configuration).await.unwrap();
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.gateway.address().unwrap()
    }

    /// A caller with the leaf that Consul gives it now.
    pub(crate) async fn caller(&self, service: &str) -> MeshCaller {
        let identity = self.consul.identity(service).await.unwrap();
        MeshCaller::new(&identity.trust, &identity.leaf).unwrap()
    }

    pub(crate) fn sni(&self, trust: &Trust, service: &str) -> String {
        format!("{service}.default.dc1.internal.{}", trust.domain())
    }

    pub(crate) async fn connect(&self, caller: &MeshCaller, service: &str) -> anyhow::Result<MeshConnection> {
        // The trust domain of a Consul does not change while it lives; its API may be away.
        let page = self.gateway.admin()?.snapshot().await?;
        let domain = page["mesh"]["trust_domain"].as_str().unwrap_or_default().to_owned();
        caller.connect(self.address(), &format!("{service}.default.dc1.internal.{domain}")).await
    }

    /// One call; the greeting.
    pub(crate) async fn who(&self, caller: &MeshCaller, service: &str) -> anyhow::Result<String> {
        let mut connection = self.connect(caller, service).await?;
        let line = connection.line().await?;
        connection.close().await?;
        Ok(line)
    }

    pub(crate) async fn until_answers(&self, source: &str, service: &str, name: &str) {
        let caller = self.caller(source).await;
        let what = format!("{service} to answer {source} as {name}");
        let answers = async || self.who(&caller, service).await.ok().filter(|who| who == name).map(drop);
        wait_for(soon(), &what, answers).await.unwrap();
    }

    pub(crate) async fn until_refused(&self, source: &str, service: &str) {
        let caller = self.caller(source).await;
        let what = format!("{service} to refuse {source}");
        // From the beginning: not let in and cut at once by a change.
        let refused = async || {
            let Ok(mut connection) = self.connect(&caller, service).await else { return Some(()) };
            if connection.line().await.is_ok() {
                return None;
            }
            (self.record_of(connection.local).await["reason"] != "intention_changed").then_some(())
        };
        wait_for(soon(), &what, refused).await.unwrap();
    }

    /// Whether a call is allowed; `false` only by a verdict, which the record names.
    pub(crate) async fn is_allowed(&self, caller: &MeshCaller, service: &str) -> bool {
        let mut connection = self.connect(caller, service).await.unwrap();
        if connection.line().await.is_ok() {
            connection.close().await.unwrap();
            return true;
        }
        let record = self.record_of(connection.local).await;
        assert_eq!((&record["reason"], &record["verdict"]), (&"denied".into(), &"deny".into()), "{record}");
        false
    }

    pub(crate) async fn record_of(&self, local: SocketAddr) -> Value {
        let local = local.to_string();
        let ours = |record: &Value| record["peer"] == local;
        self.gateway.wait_record(soon(), &format!("of {local}"), ours).await.unwrap()
    }
}

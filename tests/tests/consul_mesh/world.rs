//! A gateway that runs from a Consul, services in it, and somebody who calls them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway_testkit::{
    Admin, Call, ClientSidecar, Consul, Deadline, Gateway, GatewayBuilder, Instance, Lab, MeshIdentity,
    ServerSidecar, Sidecar, Upstream, Via, wait_for,
};
use serde_json::Value;

use crate::server::{Of, Server};

pub(crate) const DATACENTER: &str = "dc1";

/// What every change must be seen within: far more than it takes.
pub(crate) fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(15))
}

/// The gateway of one test, with the shared server.
pub(crate) struct World {
    pub(crate) server: Arc<Server>,
    pub(crate) gateway: Gateway,
    pub(crate) frontend: ClientSidecar,
    pub(crate) identity: MeshIdentity,
    registered: Mutex<Vec<String>>,
    // The last one to go: it keeps what the others have written when the test fails.
    pub(crate) lab: Lab,
}

impl World {
    /// A gateway that registers itself under the ID `gateway-<test>`.
    pub(crate) async fn start(test: &str) -> World {
        Self::start_with(test, GatewayBuilder::register).await
    }

    /// A gateway of that ID, and what else `adapt` says.
    pub(crate) async fn start_with(
        test: &str,
        adapt: impl FnOnce(GatewayBuilder) -> GatewayBuilder,
    ) -> World {
        let lab = Lab::new().unwrap();
        let server = Server::shared(Of::All).await;
        let gateway = lab.gateway("gateway").flag("proxy-id", &id(test));
        Self::on(lab, server, adapt(gateway)).await
    }

    /// The given gateway on a given server.
    pub(crate) async fn on(lab: Lab, server: Arc<Server>, gateway: GatewayBuilder) -> World {
        let gateway = gateway.consul(&server).start().await.unwrap();
        let identity = server.identity("frontend").await.unwrap();
        let frontend = ClientSidecar::with(&identity.trust, identity.leaf.clone());
        World { server, gateway, frontend, identity, registered: Mutex::default(), lab }
    }

    pub(crate) fn admin(&self) -> &Admin {
        self.gateway.admin().unwrap()
    }

    /// An instance with a sidecar that Consul has signed for, passing.
    pub(crate) async fn instance(
        &self,
        service: &str,
        id: &str,
        adapt: impl FnOnce(Instance) -> Instance,
    ) -> ServerSidecar {
        let sidecar = sidecar(&self.server, service, id).await;
        self.register(id, &adapt(Instance::new(service, id, sidecar.address()))).await;
        sidecar
    }

    pub(crate) async fn register(&self, id: &str, instance: &Instance) {
        self.server.register_instance(instance).await.unwrap();
        self.registered.lock().unwrap().push(id.to_owned());
    }

    /// Takes out what this test has registered, for the others' sake.
    pub(crate) async fn end(self) {
        let registered = std::mem::take(&mut *self.registered.lock().unwrap());
        for id in registered {
            // The test itself may have done so.
            let _ = self.server.deregister_instance(&id).await;
        }
    }

    pub(crate) fn sni(&self, service: &str) -> String {
        upstream(service).sni(self.server.trust.domain())
    }

    /// Calls `service`, or `subset.service`.
    pub(crate) async fn call(&self, service: &str) -> anyhow::Result<Call> {
        call(&self.frontend, &self.gateway, service).await
    }

    /// Which instance of `service` answers now.
    pub(crate) async fn who(&self, service: &str) -> String {
        who(self.call(service).await.unwrap()).await.unwrap()
    }

    /// Who answers `count` calls, one after the other, in the order of names.
    pub(crate) async fn whos(&self, service: &str, count: usize) -> Vec<String> {
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(self.who(service).await);
        }
        all.sort();
        all
    }

    /// Waits until `service` is answered by `instance`.
    pub(crate) async fn until_answers(&self, service: &str, instance: &str) {
        let what = format!("{service} to be answered by {instance}");
        let answers = wait_for(soon(), &what, async || {
            let found = who(self.call(service).await.ok()?).await.ok()?;
            (found == instance).then_some(())
        });
        answers.await.unwrap();
    }

    /// The row of `/endpoints` for `service` or `subset.service`.
    pub(crate) async fn set(&self, service: &str) -> Option<Value> {
        let path = format!("/endpoints?name={}", self.sni(service));
        let page = self.admin().json(&path).await.unwrap();
        page["services"].as_array().unwrap().first().cloned()
    }

    /// Waits until the IDs of the sidecars that get calls to `service` are these.
    pub(crate) async fn until_used(&self, service: &str, ids: &[&str]) {
        let mut last = None;
        let what = format!("{service} to be served by {ids:?}");
        let used = wait_for(soon(), &what, async || {
            last = self.set(service).await;
            let rows = last.as_ref().map_or(&[][..], |set| set["endpoints"].as_array().unwrap());
            let healthy = rows.iter().filter(|row| row["healthy"] == true);
            let mut found: Vec<_> = healthy.filter_map(|row| row["instance"].as_str()).collect();
            found.sort_unstable();
            let wanted: Vec<_> = ids.iter().map(|id| format!("{id}-sidecar-proxy")).collect();
            (found == wanted).then_some(())
        });
        let used = used.await;
        assert!(used.is_ok(), "{used:?}, the last seen was {last:#?}");
    }

    /// Waits until there is no name of `service`.
    pub(crate) async fn until_gone(&self, service: &str) {
        let what = format!("{service} to be gone");
        let gone = async || self.set(service).await.is_none().then_some(());
        wait_for(soon(), &what, gone).await.unwrap();
    }

    /// Waits until `/snapshot` looks as wanted.
    pub(crate) async fn until_snapshot(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until_snapshot(&self.gateway, what, wanted).await
    }

    /// What the agent says of the gateway's own service.
    pub(crate) async fn own(&self, test: &str) -> anyhow::Result<Value> {
        self.server.api().get(&format!("/v1/agent/service/{}", id(test))).await
    }
}

/// The ID of a test's gateway.
pub(crate) fn id(test: &str) -> String {
    format!("gateway-{test}")
}

/// `service` or `subset.service` of this datacenter.
pub(crate) fn upstream(service: &str) -> Upstream {
    match service.split_once('.') {
        Some((subset, service)) => {
            Upstream { subset: Some(subset.to_owned()), ..Upstream::new(service, DATACENTER) }
        }
        None => Upstream::new(service, DATACENTER),
    }
}

/// A sidecar that Consul has signed for; it is not registered.
pub(crate) async fn sidecar(consul: &Consul, service: &str, id: &str) -> ServerSidecar {
    let identity = consul.identity(service).await.unwrap();
    let sidecar = Sidecar::new(service, id, DATACENTER);
    ServerSidecar::start_with(&identity.trust, &identity.leaf, sidecar).unwrap()
}

/// Calls `service`, or `subset.service`, through a gateway.
pub(crate) async fn call(frontend: &ClientSidecar, gateway: &Gateway, service: &str) -> anyhow::Result<Call> {
    let upstream = upstream(service);
    let call = frontend.call(&upstream, Via::Local(gateway.address()?));
    tokio::time::timeout(soon().remaining(), call).await?
}

/// Which instance has answered.
pub(crate) async fn who(call: Call) -> anyhow::Result<String> {
    let instance = call.greeting.instance.clone();
    call.close().await?;
    Ok(instance)
}

/// Waits until `/snapshot` of a gateway looks as wanted.
pub(crate) async fn until_snapshot(gateway: &Gateway, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let admin = gateway.admin().unwrap();
    let mut last = Value::Null;
    let found = wait_for(soon(), what, async || {
        last = admin.snapshot().await.ok()?;
        wanted(&last).then(|| last.clone())
    });
    let found = found.await;
    assert!(found.is_ok(), "{}; the last was {last:#}", found.unwrap_err());
    found.unwrap()
}

//! A gateway that runs from a recorded Consul, a service that is called all the time, and what a person sees of both.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway_testkit::{
    ClientSidecar, Deadline, Gateway, GatewayBuilder, Instance, Lab, On, Pki, Replay, ReplayBuilder,
    ServerSidecar, Sidecar, Steady, Upstream, Via, wait_for,
};
use serde_json::Value;

/// The service that is called.
pub(crate) const SERVICE: &str = "accounts";
/// How soon the first watch must be current, and a change be seen, once Consul answers again.
pub(crate) const BACK_WITHIN: Duration = Duration::from_secs(2);

pub(crate) fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(15))
}

pub(crate) struct World {
    pub(crate) replay: Replay,
    pub(crate) gateway: Gateway,
    pub(crate) pki: Pki,
    pub(crate) frontend: Arc<ClientSidecar>,
    _servers: Vec<ServerSidecar>,
    // The last one to go: it keeps what the others have written when the test fails.
    _lab: Lab,
}

impl World {
    /// A gateway on a recorded Consul of a version, where two instances of [`SERVICE`] are.
    pub(crate) async fn of(version: &str, adapt: impl FnOnce(GatewayBuilder) -> GatewayBuilder) -> World {
        let replay = Replay::of_version(version).unwrap().without_jitter();
        Self::on(Lab::new().unwrap(), replay, |_| {}, adapt).await
    }

    /// The same on any Consul; `prepare` it before anybody asks.
    pub(crate) async fn on(
        lab: Lab,
        replay: ReplayBuilder,
        prepare: impl FnOnce(&Replay),
        adapt: impl FnOnce(GatewayBuilder) -> GatewayBuilder,
    ) -> World {
        let replay = replay.start().unwrap();
        let pki = pki(&replay);
        let servers: Vec<_> =
            (1..=2).map(|at| server(&replay, &pki, SERVICE, &format!("accounts-{at}"))).collect();
        prepare(&replay);
        let gateway = lab.gateway("gateway").register().flag("proxy-id", "replayed");
        let gateway = adapt(gateway.flag("http-addr", &replay.http().to_string()));
        let gateway = gateway.start().await.unwrap();
        let frontend = Arc::new(ClientSidecar::new(&pki, "frontend", "dc1").unwrap());
        let world = World { replay, gateway, pki, frontend, _servers: servers, _lab: lab };
        world.until_healthy(2, soon()).await;
        world
    }

    /// Waits until so many instances of [`SERVICE`] get calls; how long that took.
    pub(crate) async fn until_healthy(&self, wanted: usize, deadline: Deadline) -> Duration {
        let began = Instant::now();
        let what = format!("{wanted} instances of {SERVICE} in use");
        let found = wait_for(deadline, &what, async || (self.healthy().await? == wanted).then_some(()));
        if let Err(timeout) = found.await {
            panic!("{timeout}\n{:#}", self.snapshot().await["consul"]);
        }
        began.elapsed()
    }

    async fn healthy(&self) -> Option<usize> {
        let page = self.gateway.admin().ok()?.json(&format!("/endpoints?service={SERVICE}")).await.ok()?;
        let rows = page["services"][0]["endpoints"].as_array()?;
        Some(rows.iter().filter(|row| row["healthy"] == true).count())
    }

    pub(crate) async fn snapshot(&self) -> Value {
        self.gateway.admin().unwrap().snapshot().await.unwrap()
    }

    /// Waits until `/snapshot` looks as wanted.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let found = wait_for(soon(), what, async || {
            last = self.gateway.admin().ok()?.snapshot().await.ok()?;
            wanted(&last).then_some(())
        });
        let found = found.await;
        assert!(
            found.is_ok(),
            "{}; the last was {:#}, asked was {:#?}, said was {:#?}",
            found.unwrap_err(),
            last["consul"],
            self.asked(),
            self.said(0)
        );
        last
    }

    /// Ends the wait of a path early; it must wait first.
    pub(crate) async fn wake(&self, path: &str) {
        let waits = async || (self.replay.waiting(path) > 0).then_some(());
        let waits = wait_for(soon(), &format!("{path} to wait"), waits).await;
        assert!(waits.is_ok(), "{}, asked was {:#?}", waits.unwrap_err(), self.asked());
        self.replay.wake(On::path(path));
    }

    /// The last questions, for messages.
    fn asked(&self) -> Vec<String> {
        let asked = self.replay.asked();
        let line = |it: &gateway_testkit::Asked| {
            let ago = |at: Option<Instant>| at.map(|at| at.elapsed().as_millis());
            format!("{} {:?} {:?} {:?}", it.target, it.status, ago(Some(it.at)), ago(it.end))
        };
        asked.iter().rev().take(40).rev().map(line).collect()
    }

    pub(crate) async fn is_ready(&self) -> bool {
        self.gateway.admin().unwrap().is_ready().await.unwrap()
    }

    pub(crate) async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.gateway.admin().unwrap().metrics().await.unwrap().sum(name, labels)
    }

    /// What is said about a failure, or its end, since `from` lines: message and path, as often as it was said.
    pub(crate) fn said(&self, from: usize) -> Vec<String> {
        let lines = self.gateway.log().all();
        lines.iter().skip(from).map(line).collect()
    }

    /// Waits until something was said since `from` lines, and gives it.
    pub(crate) async fn heard(&self, from: usize) -> Vec<String> {
        let said = async || Some(self.said(from)).filter(|said| !said.is_empty());
        wait_for(soon(), "a line of the log", said).await.unwrap()
    }

    pub(crate) fn logged(&self) -> usize {
        self.gateway.log().count()
    }

    /// Which instance answers a call.
    pub(crate) async fn who(&self, service: &str) -> anyhow::Result<String> {
        who(&self.frontend, service, self.gateway.address()?).await
    }
}

/// A line of the log without what differs between two of one kind.
fn line(line: &Value) -> String {
    let text = |key: &str| line[key].as_str().unwrap_or_default();
    [text("level"), text("message"), text("name"), text("path"), text("error")].join(" | ")
}

/// Identities of the trust domain of a recorded Consul: a gateway takes nobody's TLS apart.
pub(crate) fn pki(replay: &Replay) -> Pki {
    Pki::new(replay.get("/v1/agent/connect/ca/roots")["TrustDomain"].as_str().unwrap()).unwrap()
}

/// A sidecar that runs and is registered.
pub(crate) fn server(replay: &Replay, pki: &Pki, service: &str, id: &str) -> ServerSidecar {
    let server = ServerSidecar::start(pki, Sidecar::new(service, id, "dc1")).unwrap();
    replay.register_instance(&Instance::new(service, id, server.address()));
    server
}

/// The watches on `/snapshot` whose path begins so.
pub(crate) fn rows(page: &Value, prefix: &str) -> Vec<Value> {
    let rows = page["consul"]["watches"]["rows"].as_array().unwrap();
    rows.iter().filter(|row| row["path"].as_str().unwrap().starts_with(prefix)).cloned().collect()
}

/// All that can be called, with its endpoints.
pub(crate) fn names(page: &Value) -> Vec<String> {
    page["names"]["rows"].as_array().unwrap().iter().map(Value::to_string).collect()
}

/// `service`, or `subset.service`.
pub(crate) fn upstream(service: &str) -> Upstream {
    match service.split_once('.') {
        Some((subset, service)) => {
            Upstream { subset: Some(subset.to_owned()), ..Upstream::new(service, "dc1") }
        }
        None => Upstream::new(service, "dc1"),
    }
}

pub(crate) async fn who(
    frontend: &ClientSidecar,
    service: &str,
    via: std::net::SocketAddr,
) -> anyhow::Result<String> {
    let (upstream, via) = (upstream(service), Via::Local(via));
    let mut call = tokio::time::timeout(Duration::from_secs(10), frontend.call(&upstream, via)).await??;
    call.echo(b"hello").await?;
    let instance = call.greeting.instance.clone();
    call.close().await?;
    Ok(instance)
}

/// Calls of a service that go on until they are ended.
pub(crate) fn steady(world: &World) -> Steady {
    let (frontend, via) = (world.frontend.clone(), world.gateway.address().unwrap());
    Steady::start(Duration::from_millis(20), move || {
        let frontend = frontend.clone();
        async move { who(&frontend, SERVICE, via).await }
    })
}

//! A datacenter with a server of its own, which a test may do everything to, and calls that never stop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway_testkit::{
    ClientSidecar, Consul, Deadline, Gateway, GatewayBuilder, Instance, Lab, ServerSidecar, Sidecar, Steady,
    Upstream, Via, wait_for,
};
use serde_json::Value;

/// How soon the first watch must be current, and a change be seen, once Consul answers again.
pub(crate) const BACK_WITHIN: Duration = Duration::from_secs(2);
pub(crate) const GONE: &str = "cannot be reached";
pub(crate) const BACK: &str = "answers again";

pub(crate) fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(15))
}

pub(crate) struct World {
    pub(crate) consul: Consul,
    pub(crate) gateway: Gateway,
    pub(crate) frontend: Arc<ClientSidecar>,
    pub(crate) lab: Lab,
}

impl World {
    /// A server, and a gateway that is registered there.
    pub(crate) async fn start(adapt: impl FnOnce(GatewayBuilder) -> GatewayBuilder) -> World {
        let lab = Lab::new().unwrap();
        let consul = lab.consul("dc1").unwrap().start().await.unwrap();
        let gateway = adapt(lab.gateway("gateway").consul(&consul).register()).start().await.unwrap();
        let frontend = frontend(&consul).await;
        World { consul, gateway, frontend, lab }
    }

    pub(crate) async fn instance(&self, service: &str, id: &str) -> ServerSidecar {
        let sidecar = sidecar(&self.consul, service, id).await;
        let instance = Instance::new(service, id, sidecar.address());
        self.consul.register_instance(&instance).await.unwrap();
        sidecar
    }

    /// Which instance answers a call.
    pub(crate) async fn who(&self, service: &str) -> anyhow::Result<String> {
        who(&self.frontend, service, self.gateway.address()?).await
    }

    pub(crate) async fn until_answers(&self, service: &str, instance: &str) {
        until_answers(&self.gateway, &self.frontend, service, instance).await;
    }

    pub(crate) async fn snapshot(&self) -> Value {
        self.gateway.admin().unwrap().json("/snapshot").await.unwrap()
    }

    pub(crate) fn lines(&self, words: &str) -> usize {
        lines(&self.gateway, words)
    }

    /// Waits until it has been logged `count` times.
    pub(crate) async fn until_logged(&self, words: &str, count: usize) {
        let what = format!("{count} lines {words:?}");
        wait_for(soon(), &what, async || (self.lines(words) >= count).then_some(())).await.unwrap();
        assert_eq!(self.lines(words), count, "one line for each change of state");
    }

    /// Asserts that what is shown gets older, and that the gateway stays ready.
    pub(crate) async fn assert_ages_grow(&self) {
        let first = self.snapshot().await;
        assert_eq!(first["consul"]["agent"]["answers"], false, "{:#}", first["consul"]["agent"]);
        assert!(!first["consul"]["agent"]["error"].is_null());
        tokio::time::sleep(Duration::from_millis(300)).await;
        let second = self.snapshot().await;
        let (before, after) = (ages(&first), ages(&second));
        assert!(before.len() >= 6, "{:#}", first["consul"]["watches"]);
        let older = before.iter().zip(&after).all(|(before, after)| *after >= before + 0.25);
        assert!(older && before.len() == after.len(), "{before:?} {after:?}");
        let admin = self.gateway.admin().unwrap();
        assert!(admin.is_ready().await.unwrap() && admin.get("/live").await.unwrap().status == 200);
    }

    /// Waits until some watch has been answered after `back`; how long that took.
    pub(crate) async fn until_current(&self, back: Instant) -> Duration {
        let current = async || {
            let page = self.snapshot().await;
            let youngest = ages(&page).into_iter().fold(f64::MAX, f64::min);
            (youngest < back.elapsed().as_secs_f64() - 0.002).then(|| back.elapsed())
        };
        wait_for(soon(), "a watch that is current", current).await.unwrap()
    }

    /// Makes a subset of `service`, as soon as Consul takes it, and waits until it can be called; how long that took
    /// once it was written.
    pub(crate) async fn until_change(&self, service: &str, subset: &str) -> Duration {
        let entry = serde_json::json!({"Kind": "service-resolver", "Name": service, "Subsets": {subset: {}}});
        let written = async || self.consul.config_write(&entry).await.ok();
        wait_for(soon(), "a write that is taken", written).await.unwrap();
        let written = Instant::now();
        let called = async || self.who(&format!("{subset}.{service}")).await.ok();
        wait_for(soon(), "a call to the subset", called).await.unwrap();
        written.elapsed()
    }
}

fn ages(page: &Value) -> Vec<f64> {
    let rows = page["consul"]["watches"]["rows"].as_array().unwrap();
    rows.iter().filter_map(|row| row["answer_age_seconds"].as_f64()).collect()
}

pub(crate) fn lines(gateway: &Gateway, words: &str) -> usize {
    let has = |line: &&Value| line["message"].as_str().is_some_and(|text| text.contains(words));
    gateway.log().all().iter().filter(has).count()
}

pub(crate) async fn frontend(consul: &Consul) -> Arc<ClientSidecar> {
    let identity = consul.identity("frontend").await.unwrap();
    Arc::new(ClientSidecar::with(&identity.trust, identity.leaf))
}

/// A sidecar that Consul has signed for.
pub(crate) async fn sidecar(consul: &Consul, service: &str, id: &str) -> ServerSidecar {
    let identity = consul.identity(service).await.unwrap();
    let sidecar = Sidecar::new(service, id, "dc1");
    ServerSidecar::start_with(&identity.trust, &identity.leaf, sidecar).unwrap()
}

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
    let upstream = upstream(service);
    let call = tokio::time::timeout(Duration::from_secs(10), frontend.call(&upstream, Via::Local(via)));
    let mut call = call.await??;
    call.echo(b"hello").await?;
    let instance = call.greeting.instance.clone();
    call.close().await?;
    Ok(instance)
}

pub(crate) async fn until_answers(
    gateway: &Gateway,
    frontend: &ClientSidecar,
    service: &str,
    instance: &str,
) {
    let what = format!("{service} to be answered by {instance}");
    let answers = async || {
        let found = who(frontend, service, gateway.address().ok()?).await.ok()?;
        (found == instance).then_some(())
    };
    wait_for(soon(), &what, answers).await.unwrap();
}

/// Calls of a service that go on until they are ended.
pub(crate) fn steady(world: &World, service: &'static str) -> Steady {
    let (frontend, via) = (world.frontend.clone(), world.gateway.address().unwrap());
    Steady::start(Duration::from_millis(10), move || {
        let frontend = frontend.clone();
        async move { who(&frontend, service, via).await }
    })
}

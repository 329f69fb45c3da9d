//! One datacenter whose catalog changes.

use std::time::Duration;

use gateway_testkit::{
    Call, CatalogDir, ClientSidecar, Deadline, Document, Gateway, GatewayBuilder, Lab, Pki, ServerSidecar,
    Sidecar, Upstream, Via, wait_for,
};
use serde_json::Value;

pub(crate) const DATACENTER: &str = "dc1";

/// A gateway that follows a folder, and somebody who calls through it.
pub(crate) struct World {
    pub(crate) pki: Pki,
    pub(crate) catalog: CatalogDir,
    pub(crate) gateway: Gateway,
    pub(crate) frontend: ClientSidecar,
    // The last one to go: it keeps what the others have written when the test fails.
    _lab: Lab,
}

/// What there is before the gateway starts.
pub(crate) struct Plan {
    pub(crate) pki: Pki,
    pub(crate) catalog: CatalogDir,
    pub(crate) lab: Lab,
}

impl Plan {
    /// A catalog folder with nothing but `mesh.toml`.
    pub(crate) fn new() -> Self {
        let lab = Lab::new().unwrap();
        let pki = Pki::development().unwrap();
        let catalog = lab.catalog("catalog").unwrap();
        catalog.write("mesh.toml", mesh(&pki)).unwrap();
        Plan { pki, catalog, lab }
    }

    /// The instance `id` of `service`.
    pub(crate) fn instance(&self, service: &str, id: &str) -> ServerSidecar {
        ServerSidecar::start(&self.pki, Sidecar::new(service, id, DATACENTER)).unwrap()
    }

    pub(crate) async fn start(self) -> World {
        self.start_with(|gateway| gateway).await
    }

    pub(crate) async fn start_with(self, more: impl FnOnce(GatewayBuilder) -> GatewayBuilder) -> World {
        let Plan { pki, catalog, lab } = self;
        let gateway = more(lab.gateway("gateway").catalog(catalog.path())).start().await.unwrap();
        let frontend = ClientSidecar::new(&pki, "frontend", DATACENTER).unwrap();
        World { pki, catalog, gateway, frontend, _lab: lab }
    }
}

impl World {
    pub(crate) fn instance(&self, service: &str, id: &str) -> ServerSidecar {
        ServerSidecar::start(&self.pki, Sidecar::new(service, id, DATACENTER)).unwrap()
    }

    /// Calls `service` once.
    pub(crate) async fn call(&self, service: &str) -> anyhow::Result<Call> {
        self.call_subset(None, service).await
    }

    pub(crate) async fn call_subset(&self, subset: Option<&str>, service: &str) -> anyhow::Result<Call> {
        let mut upstream = Upstream::new(service, DATACENTER);
        upstream.subset = subset.map(str::to_owned);
        let call = self.frontend.call(&upstream, Via::Local(self.gateway.address().unwrap()));
        tokio::time::timeout(soon().remaining(), call).await?
    }

    /// Which instance of `service` answers now.
    pub(crate) async fn who(&self, service: &str) -> String {
        let call = self.call(service).await.unwrap();
        let instance = call.greeting.instance.clone();
        call.close().await.unwrap();
        instance
    }

    /// Waits until `service` is answered by `instance`.
    pub(crate) async fn until_answers(&self, service: &str, instance: &str) {
        let what = format!("{service} to be answered by {instance}");
        let answers = wait_for(soon(), &what, async || {
            let call = self.call(service).await.ok()?;
            let found = call.greeting.instance == instance;
            call.close().await.ok()?;
            found.then_some(())
        });
        answers.await.unwrap();
    }

    pub(crate) async fn snapshot(&self) -> Value {
        self.gateway.admin().unwrap().snapshot().await.unwrap()
    }

    /// Waits until `/snapshot` looks as wanted.
    pub(crate) async fn until_snapshot(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        wait_for(soon(), what, async || Some(self.snapshot().await).filter(|page| wanted(page)))
            .await
            .unwrap()
    }

    pub(crate) async fn until_rejected(&self, count: u64) -> Value {
        let what = format!("{count} rejected documents");
        self.until_snapshot(&what, |page| page["rejected"]["total"] == count).await
    }

    /// The log lines with this message that have come so far.
    pub(crate) fn lines(&self, message: &str) -> Vec<Value> {
        self.gateway.log().all().into_iter().filter(|line| line["message"] == message).collect()
    }
}

/// `[Mesh]` of this datacenter.
pub(crate) fn mesh(pki: &Pki) -> Document {
    Document::new().mesh(DATACENTER, pki.trust_domain())
}

/// A document with one instance behind a sidecar.
pub(crate) fn one(service: &str, sidecar: &ServerSidecar, id: &str) -> Document {
    Document::new().sidecar(service, id, sidecar.address())
}

/// What every change must be seen within: far more than it takes.
pub(crate) fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(15))
}

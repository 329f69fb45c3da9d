//! The two datacenters that tests share, one test at a time: the gateways of a datacenter are everybody's.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use gateway_testkit::{
    Backend, Call, ClientSidecar, Consul, ConsulBuilder, Deadline, Gateway, Instance, Lab, MeshIdentity,
    Place, ServerSidecar, Sidecar, Signal, TwoConsuls, Upstream, Via, target_dir, wait_for,
};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

pub(crate) fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

struct Shared {
    consuls: TwoConsuls,
    dir: std::path::PathBuf,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Of a test that failed their logs stay.
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

static SHARED: Mutex<Weak<Shared>> = Mutex::const_new(Weak::new());
static TURN: Mutex<()> = Mutex::const_new(());

async fn shared() -> Arc<Shared> {
    let mut shared = SHARED.lock().await;
    if let Some(both) = shared.upgrade() {
        return both;
    }
    let dir = target_dir().unwrap().join("test-logs/consul_scenes/servers");
    let _ = std::fs::remove_dir_all(&dir);
    let server = |dc: &str| -> ConsulBuilder {
        Consul::builder(&format!("server-{dc}"), dir.join(dc)).unwrap().datacenter(dc).primary("dc1")
    };
    let consuls = TwoConsuls::start(server("dc1"), server("dc2")).await.unwrap();
    let both = Arc::new(Shared { consuls, dir });
    *shared = Arc::downgrade(&both);
    both
}

/// Both datacenters, for one test.
pub(crate) struct Both {
    // Dropped before the turn ends.
    shared: Arc<Shared>,
    pub(crate) lab: Lab,
    pub(crate) trust_domain: String,
    _turn: MutexGuard<'static, ()>,
}

/// A gateway with its addresses.
pub(crate) struct Edge {
    pub(crate) gateway: Gateway,
    pub(crate) lan: SocketAddr,
    pub(crate) wan: SocketAddr,
    // Its ports, which nobody else can get.
    _held: [Backend; 2],
}

impl Both {
    pub(crate) async fn take() -> Both {
        // Servers first: they live on for the next one in the queue.
        let shared = shared().await;
        let turn = TURN.lock().await;
        // Of a test that failed its services are left.
        for consul in [&shared.consuls.dc1, &shared.consuls.dc2] {
            let left = consul.api().get("/v1/agent/services").await.unwrap();
            for id in left.as_object().unwrap().keys() {
                consul.deregister(id).await.unwrap();
            }
        }
        let trust_domain = shared.consuls.dc1.trust().await.unwrap().domain().to_owned();
        Both { shared, lab: Lab::new().unwrap(), trust_domain, _turn: turn }
    }

    pub(crate) fn consul(&self, datacenter: &str) -> &Consul {
        let TwoConsuls { dc1, dc2 } = &self.shared.consuls;
        if datacenter == "dc1" { dc1 } else { dc2 }
    }

    /// A gateway of a datacenter, with an address for its own and one for others; it takes itself out at its end.
    pub(crate) async fn edge(&self, datacenter: &str, id: &str) -> Edge {
        self.edge_as(datacenter, id, None).await
    }

    /// The same with a registration that somebody else makes, with these options, and takes out.
    pub(crate) async fn edge_registered(&self, datacenter: &str, id: &str, options: &Value) -> Edge {
        self.edge_as(datacenter, id, Some(options)).await
    }

    async fn edge_as(&self, datacenter: &str, id: &str, options: Option<&Value>) -> Edge {
        // A port that is held like this may be listened on all the same.
        let held = || Backend::refusing(&Place::Here, ([127, 0, 0, 1], 0).into()).unwrap();
        let held = [held(), held()];
        let [lan, wan] = [held[0].address(), held[1].address()];
        let gateway =
            self.lab.gateway(&format!("{datacenter}-{id}-{}", lan.port())).consul(self.consul(datacenter));
        let gateway = gateway.flag("proxy-id", id);
        let gateway = match options {
            None => {
                let gateway = gateway.register().argument("--deregister-on-exit");
                gateway.address(lan).flag("wan-address", &wan.to_string())
            }
            Some(options) => {
                let tagged = |at: SocketAddr| json!({"Address": at.ip().to_string(), "Port": at.port()});
                let mut config = options.clone();
                config["envoy_gateway_bind_tagged_addresses"] = true.into();
                let document = json!({
                    "Kind": "mesh-gateway", "Name": "mesh-gateway", "ID": id, "Port": lan.port(),
                    "Address": lan.ip().to_string(), "Proxy": {"Config": config},
                    "TaggedAddresses": {"lan": tagged(lan), "wan": tagged(wan)},
                });
                self.consul(datacenter).register(&document).await.unwrap();
                gateway.address_as_registered()
            }
        };
        let gateway = gateway.start().await.unwrap();
        Edge { gateway, lan, wan, _held: held }
    }

    pub(crate) async fn identity(&self, datacenter: &str, service: &str) -> MeshIdentity {
        self.consul(datacenter).identity(service).await.unwrap()
    }

    pub(crate) async fn caller(&self, datacenter: &str, service: &str) -> ClientSidecar {
        let identity = self.identity(datacenter, service).await;
        ClientSidecar::with(&identity.trust, identity.leaf)
    }

    /// An instance `<service>-1` behind a sidecar of ours, registered.
    pub(crate) async fn service(&self, datacenter: &str, service: &str) -> ServerSidecar {
        let identity = self.identity(datacenter, service).await;
        let sidecar = Sidecar::new(service, &format!("{service}-1"), datacenter);
        let sidecar = ServerSidecar::start_with(&identity.trust, &identity.leaf, sidecar).unwrap();
        self.register(datacenter, service, sidecar.address()).await;
        sidecar
    }

    pub(crate) async fn register(&self, datacenter: &str, service: &str, sidecar: SocketAddr) {
        let instance = Instance::new(service, &format!("{service}-1"), sidecar);
        self.consul(datacenter).register_instance(&instance).await.unwrap();
    }

    pub(crate) async fn deregister(&self, datacenter: &str, services: &[&str]) {
        for service in services {
            self.consul(datacenter).deregister_instance(&format!("{service}-1")).await.unwrap();
        }
    }

    /// The name of all that is in a datacenter.
    pub(crate) fn all_of(&self, datacenter: &str) -> String {
        format!("*.{datacenter}.internal.{}", self.trust_domain)
    }

    /// Waits until a gateway sends what is for `datacenter` to these addresses: all that pass their checks, or all
    /// there are while none does. Consul looks at a new one for the first time within 10 s.
    pub(crate) async fn until_leads(&self, edge: &Edge, datacenter: &str, to: &[SocketAddr]) {
        let path = format!("/endpoints?name={}", self.all_of(datacenter));
        let mut wanted: Vec<_> = to.iter().map(ToString::to_string).collect();
        wanted.sort();
        let (mut last, what) = (Value::Null, format!("a way to {datacenter}"));
        let leads = wait_for(soon(), &what, async || {
            last = edge.gateway.admin().unwrap().json(&path).await.unwrap();
            let rows = last["services"][0]["endpoints"].as_array()?;
            let mut found: Vec<_> = rows
                .iter()
                .filter(|row| row["eligible"] == true)
                .filter_map(|row| row["address"].as_str())
                .collect();
            found.sort_unstable();
            (found == wanted).then_some(())
        });
        let leads = leads.await;
        assert!(leads.is_ok(), "{leads:?} {wanted:?}, the last seen was {last:#}");
    }

    /// The same, and until all of them pass their checks.
    pub(crate) async fn until_leads_well(&self, edge: &Edge, datacenter: &str, to: &[SocketAddr]) {
        let path = format!("/endpoints?name={}", self.all_of(datacenter));
        let well = async || {
            let page = edge.gateway.admin().unwrap().json(&path).await.unwrap();
            let rows = page["services"][0]["endpoints"].as_array()?.clone();
            let passes = |at: &SocketAddr| {
                rows.iter().any(|row| row["address"] == at.to_string() && row["healthy"] == true)
            };
            to.iter().all(passes).then_some(())
        };
        wait_for(soon(), "passing checks", well).await.unwrap();
        self.until_leads(edge, datacenter, to).await;
    }

    /// Waits until a gateway knows a service of its own datacenter.
    pub(crate) async fn until_knows(&self, edge: &Edge, datacenter: &str, service: &str) {
        let sni = Upstream::new(service, datacenter).sni(&self.trust_domain);
        let path = format!("/endpoints?name={sni}");
        let known = async || {
            let page = edge.gateway.admin().unwrap().json(&path).await.unwrap();
            (page["services"][0]["endpoints_total"].as_u64() >= Some(1)).then_some(())
        };
        wait_for(soon(), &sni, known).await.unwrap();
    }
}

impl Edge {
    /// Ends it in order, so that nobody is sent here afterwards.
    pub(crate) async fn end(self) {
        self.gateway.signal(Signal::TERM).unwrap();
        assert_eq!(self.gateway.exit_code(soon()).await.unwrap(), 0);
    }

    /// The record of the connection that came from `peer`.
    pub(crate) async fn record(&self, peer: SocketAddr) -> Value {
        let peer = peer.to_string();
        self.gateway.wait_record(soon(), &format!("of {peer}"), |it| it["peer"] == *peer).await.unwrap()
    }
}

/// One call, which has to succeed in reasonable time.
pub(crate) async fn call(
    client: &ClientSidecar,
    service: &str,
    datacenter: &str,
    via: Via,
) -> anyhow::Result<Call> {
    let upstream = Upstream::new(service, datacenter);
    let mut call = tokio::time::timeout(Duration::from_secs(10), client.call(&upstream, via)).await??;
    call.echo(b"hello").await?;
    Ok(call)
}

//! A gateway in the test's own process: certificates, a catalog, an external server, clients, and what
//! was recorded.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway_app::live::Live;
use gateway_app::parts::{Dialling, HelloMemory, Parts};
use gateway_app::reconcile::Reconciler;
use gateway_app::role::AppRole;
use gateway_app::settings::{Role, Settings, Sources};
use gateway_app::terminating::{TerminatingGateway, TerminatingKept};
use gateway_runtime::listener::{Accepted, Handler};
use gateway_runtime::metrics::{Metrics, ServiceMetrics};
use gateway_runtime::reason::Reason;
use gateway_runtime::record::{ConnRecord, Verdict};
use gateway_runtime::registry::{RecordSink, Registry, SweepLimits};
use gateway_runtime::telemetry::LineLimiter;
use gateway_state::terminating::{TerminatingRole, TerminatingSnapshot};
use gateway_state::{FileSource, SourceConfig};
use mesh_endpoints::SetPolicy;
use mesh_forward::dns::{Names, NamesConfig};
use mesh_forward::tcp::RelayConfig;
use mesh_forward::tcp::dial::OwnAddresses;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

use crate::flow::{Flow, Gateway};

pub(crate) const TRUST_DOMAIN: &str = "11111111-2222-3333-4444-555555555555.consul";
/// How long a test waits for something that is bound to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn spiffe(service: &str) -> String {
    format!("spiffe://{TRUST_DOMAIN}/ns/default/dc/dc1/svc/{service}")
}

pub(crate) fn sni(service: &str) -> String {
    format!("{service}.default.dc1.internal.{TRUST_DOMAIN}")
}

/// A certificate authority.
pub(crate) struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

/// A certificate with its key.
pub(crate) struct Issued {
    pub(crate) pem: String,
    pub(crate) key_pem: String,
    pub(crate) der: CertificateDer<'static>,
    pub(crate) key: Arc<KeyPair>,
}

impl Issued {
    pub(crate) fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).unwrap()
    }
}

impl Ca {
    pub(crate) fn new(uri: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        // Each has a name of its own, or a stranger's would be taken for it until its signature is looked at.
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        params.distinguished_name.push(DnType::CommonName, format!("CA {number} of a test"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        let certificate = params.self_signed(&key).unwrap();
        Self { pem: certificate.pem(), issuer: Issuer::new(params, key) }
    }

    pub(crate) fn issue(&self, names: Vec<SanType>) -> Issued {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued {
            pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            der: certificate.der().clone(),
            key: Arc::new(key),
        }
    }

    pub(crate) fn leaf(&self, service: &str) -> Issued {
        self.issue(vec![SanType::URI(spiffe(service).as_str().try_into().unwrap())])
    }
}

/// What was recorded of a connection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recorded {
    pub(crate) reason: Reason,
    pub(crate) service: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) intention: Option<String>,
    pub(crate) attempts: u8,
    pub(crate) detail: Option<String>,
    pub(crate) up: u64,
    pub(crate) down: u64,
}

#[derive(Clone, Default)]
pub(crate) struct Records(Arc<Mutex<Vec<Recorded>>>);

impl RecordSink for Records {
    fn finished(&self, record: &ConnRecord<'_>, service: Option<&ServiceMetrics>) {
        if let Some(service) = service {
            service.finished(record);
        }
        let owned = |text: Option<&str>| text.map(str::to_owned);
        self.0.lock().unwrap().push(Recorded {
            reason: record.reason,
            service: owned(record.service),
            source: owned(record.source),
            verdict: record.verdict,
            intention: owned(record.intention),
            attempts: record.attempts,
            detail: owned(record.detail),
            up: record.bytes_up,
            down: record.bytes_down,
        });
    }
}

/// A catalog: linked services by name, with what their documents say.
pub(crate) struct Catalog {
    folder: TempDir,
    pub(crate) ca: Ca,
    services: BTreeMap<String, Vec<SocketAddr>>,
    link: BTreeMap<String, String>,
    more: String,
}

impl Catalog {
    pub(crate) fn new() -> Self {
        let catalog = Self {
            folder: tempfile::tempdir().unwrap(),
            ca: Ca::new(&format!("spiffe://{TRUST_DOMAIN}")),
            services: BTreeMap::new(),
            link: BTreeMap::new(),
            more: String::new(),
        };
        catalog.write("roots.pem", &catalog.ca.pem);
        catalog
    }

    /// `billing` with these instances, which `web` may call.
    pub(crate) fn billing(instances: &[SocketAddr]) -> Self {
        let mut catalog = Self::new();
        catalog.service("billing", instances);
        catalog.allow("web");
        catalog
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    pub(crate) fn service(&mut self, name: &str, instances: &[SocketAddr]) {
        self.services.insert(name.to_owned(), instances.to_vec());
        self.new_leaf(name);
    }

    pub(crate) fn new_leaf(&self, name: &str) {
        let leaf = self.ca.leaf(name);
        self.write(&format!("{name}.pem"), &leaf.pem);
        self.write(&format!("{name}.key"), &leaf.key_pem);
    }

    /// Says of the link of a service, such as `CAFile = "ca.pem"`.
    pub(crate) fn link(&mut self, name: &str, text: &str) {
        self.link.insert(name.to_owned(), text.to_owned());
    }

    pub(crate) fn unlink(&mut self, name: &str) {
        self.services.remove(name);
    }

    /// Further documents.
    pub(crate) fn also(&mut self, text: &str) {
        self.more.push_str(text);
    }

    /// From now on `source` alone may call `billing`.
    pub(crate) fn allow(&self, source: &str) {
        let text = format!(
            "Kind = \"service-intentions\"\nName = \"billing\"\n[[Sources]]\nName = \"{source}\"\nAction = \"allow\"\n"
        );
        self.write("billing-intentions.toml", &text);
    }

    /// As a terminating gateway with these settings reads it.
    pub(crate) fn load(&self, settings: &Settings) -> Arc<TerminatingSnapshot> {
        let mut text = format!(
            "[Mesh]\nDatacenter = \"dc1\"\nTrustDomain = \"{TRUST_DOMAIN}\"\nRoots = [\"roots.pem\"]\n"
        );
        for (name, instances) in &self.services {
            text.push_str(&format!(
                "[[Leaf]]\nService = \"{name}\"\nCertFile = \"{name}.pem\"\nKeyFile = \"{name}.key\"\n"
            ));
            for (number, address) in instances.iter().enumerate() {
                text.push_str(&format!(
                    "[[Instance]]\nID = \"{name}-{number}\"\nService = \"{name}\"\nAddress = \"{}\"\nPort = {}\n",
                    address.ip(),
                    address.port()
                ));
            }
        }
        text.push_str("[[Entry]]\nKind = \"terminating-gateway\"\nName = \"terminating-gateway\"\n");
        for name in self.services.keys() {
            let link = self.link.get(name).map(String::as_str).unwrap_or_default();
            text.push_str(&format!("[[Entry.Services]]\nName = \"{name}\"\n{link}\n"));
        }
        text.push_str(&self.more);
        self.write("catalog.toml", &text);
        let config = SourceConfig {
            service: "terminating-gateway".to_owned(),
            role: TerminatingGateway::options(settings),
            ..SourceConfig::default()
        };
        let loaded = FileSource::<TerminatingRole>::load(self.folder.path(), &config);
        loaded.unwrap_or_else(|problems| panic!("{problems}")).reader.current()
    }
}

/// Settings of the role with these keys, as in the environment without their prefix.
pub(crate) fn settings(keys: &[(&str, &str)]) -> Settings {
    let mut sources = Sources::default();
    sources.environment =
        keys.iter().map(|(key, value)| (format!("GATEWAY_{key}").into(), (*value).into())).collect();
    Settings::load(Role::Terminating, &sources).unwrap()
}

/// A gateway that listens.
pub(crate) struct World {
    pub(crate) catalog: Catalog,
    pub(crate) settings: Settings,
    pub(crate) gateway: Arc<Parts<TerminatingSnapshot>>,
    pub(crate) kept: Arc<TerminatingKept>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) records: Records,
    pub(crate) address: SocketAddr,
    reconciler: Reconciler,
}

impl World {
    pub(crate) async fn new(catalog: Catalog) -> Self {
        Self::with(catalog, &[]).await
    }

    pub(crate) async fn with(catalog: Catalog, keys: &[(&str, &str)]) -> Self {
        let settings = settings(keys);
        let snapshot = catalog.load(&settings);
        let metrics = Arc::new(Metrics::new(100));
        let kept = Arc::new(TerminatingGateway::keep(&settings, &metrics, 1));
        TerminatingGateway::prepare(&kept, &snapshot);
        let mut reconciler = Reconciler::new(Names::new(NamesConfig::default()), SetPolicy::default());
        let live = Arc::new(Live::new(reconciler.first(snapshot)));
        let dialling = Dialling {
            connect_timeout: settings.timers.connect,
            remote_keepalive: None,
            own: Arc::new(OwnAddresses::default()),
        };
        let parts = Arc::new(Parts {
            live,
            metrics: Arc::clone(&metrics),
            relay: Arc::new(RelayConfig::default()),
            hello_limits: sni_peek::Limits { max_bytes: settings.limits.hello_bytes },
            hello_timeout: settings.terminating.handshake,
            hello_memory: HelloMemory::new(settings.limits.hello_memory),
            dialling: arc_swap::ArcSwap::from_pointee(dialling),
            lines: LineLimiter::new(settings.timers.log_quiet, 16, metrics.log_suppressed.clone()),
        });
        let records = Records::default();
        let registry = Arc::new(Registry::new(1, Box::new(records.clone())));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let flow = Flow::new(Gateway { parts: Arc::clone(&parts), kept: Arc::clone(&kept) });
        let registered = Arc::clone(&registry);
        tokio::spawn(async move {
            let name: Arc<str> = "default".into();
            loop {
                let (stream, peer) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let socket = stream.into_std().unwrap().into();
                let guard = registered.register(0, &name, peer).unwrap();
                flow.accept(Accepted { socket, guard });
            }
        });
        Self { catalog, settings, gateway: parts, kept, registry, records, address, reconciler }
    }

    /// Takes the catalog over as it is now, as the control thread does.
    pub(crate) fn reload(&mut self) {
        let snapshot = self.catalog.load(&self.settings);
        self.publish(&snapshot);
    }

    pub(crate) fn publish(&mut self, snapshot: &Arc<TerminatingSnapshot>) {
        TerminatingGateway::prepare(&self.kept, snapshot);
        self.reconciler.apply(&self.gateway.live, Arc::clone(snapshot));
        TerminatingGateway::applied(&self.kept, snapshot, &self.registry);
    }

    pub(crate) fn sweep(&self) -> usize {
        self.registry.sweep(SweepLimits::default())
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    /// The first record, within a deadline.
    pub(crate) async fn record(&self) -> Recorded {
        self.record_number(0).await
    }

    pub(crate) async fn record_number(&self, number: usize) -> Recorded {
        eventually("a connection is recorded", || self.records.0.lock().unwrap().len() > number).await;
        self.records.0.lock().unwrap()[number].clone()
    }

    /// The value of a metric by its name with labels.
    pub(crate) fn metric(&self, name: &str) -> Option<u64> {
        let text = self.gateway.metrics.encode();
        let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        Some(rest.parse().unwrap())
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_nonblocking(true).unwrap();
    TcpStream::from_std(stream).unwrap()
}

/// What comes of something that is bound to end.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("nothing within {PATIENCE:?}"))
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// An external server, and whether anybody has come.
pub(crate) struct Outside {
    pub(crate) listener: TcpListener,
    /// The same socket, asked without waiting for news of it.
    queue: std::net::TcpListener,
    pub(crate) address: SocketAddr,
}

impl Outside {
    pub(crate) async fn new() -> Self {
        let queue = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        queue.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(queue.try_clone().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, queue, address }
    }

    pub(crate) async fn accept(&self) -> TcpStream {
        within(self.listener.accept()).await.unwrap().0
    }

    /// Whether nobody has connected. On loopback a connection is in the queue as soon as it is made, and the
    /// kernel is asked for it: nothing that was made before is missed.
    pub(crate) fn nobody_came(&self) -> bool {
        matches!(self.queue.accept(), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

#[tokio::test]
async fn an_outside_server_that_was_called_says_so() {
    let outside = Outside::new().await;
    assert!(outside.nobody_came());
    let _caller = std::net::TcpStream::connect(outside.address).unwrap();
    assert!(!outside.nobody_came());
}

//! Mutual TLS: what a handshake costs the gateway, and what a change of roots costs with many services.
//!
//! Both ends run on one thread over memory, and what is measured is the processor's time of that thread. The time of
//! `accept` is that of polling the server's future alone, so the client's work is not in it; `connect` is the same for our
//! client.

#![allow(missing_docs, reason = "criterion's macros make public items without docs")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up ends")]

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use gateway_benches::cpu::{self, CpuTime};
use gateway_benches::mesh::{Anyone, Authority, TRUST_DOMAIN};
use mesh_id::SpiffeId;
use mtls::{
    Acceptor, CertStore, ConnectTarget, Connector, Leaf, LeafKey, StoreOptions, TrustBundle, TrustSet,
    Trusts, UnixTime,
};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

/// Adds the processor's time that polling takes.
struct Timed<F> {
    future: Pin<Box<F>>,
    spent: Duration,
}

impl<F: Future> Timed<F> {
    fn new(future: F) -> Self {
        Self { future: Box::pin(future), spent: Duration::ZERO }
    }
}

impl<F: Future> Future for Timed<F> {
    type Output = (Duration, F::Output);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let start = cpu::now();
        let polled = self.future.as_mut().poll(cx);
        self.spent += cpu::now().saturating_sub(start);
        polled.map(|output| (self.spent, output))
    }
}

struct Bench {
    authority: Authority,
    store: CertStore,
    acceptor: Acceptor,
    connector: Connector,
    runtime: tokio::runtime::Runtime,
}

fn key(name: &str) -> LeafKey {
    LeafKey::new(name.parse().expect("a name"))
}

fn trust(authorities: &[&Authority]) -> TrustSet {
    let pems = authorities.iter().map(|one| one.pem());
    let bundle = TrustBundle::build(TRUST_DOMAIN.parse().expect("a name"), pems, UnixTime::now());
    TrustSet::new(bundle.expect("good roots"))
}

impl Bench {
    fn new() -> Self {
        let authority = Authority::new();
        let (mut store, watch) = CertStore::new(StoreOptions::default());
        let published = store.update(|edit| {
            edit.set_trust(trust(&[&authority]));
            edit.set_leaf(key("web"), authority.leaf("web"), Trusts::OwnOnly);
        });
        published.expect("a good state");
        let acceptor = watch.acceptor(&key("web")).expect("ready");
        let target = ConnectTarget {
            server_name: "web.default.dc1.internal.test".to_owned(),
            expected: vec![authority.id("web")],
            alpn: Vec::new(),
        };
        let connector = watch.connector(key("web"), target).expect("a good target");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        Self { authority, store, acceptor, connector, runtime }
    }

    fn client(
        &self,
        version: &'static SupportedProtocolVersion,
        post_quantum: bool,
        resume: bool,
    ) -> Arc<ClientConfig> {
        let mut provider = aws_lc_rs::default_provider();
        if !post_quantum {
            provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
        }
        let (chain, key) = self.authority.pair("api");
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[version])
            .expect("a version")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone))
            .with_client_auth_cert(chain, key)
            .expect("a good certificate");
        if !resume {
            config.resumption = Resumption::disabled();
        }
        Arc::new(config)
    }

    fn server(&self, resume: bool) -> Arc<ServerConfig> {
        let (chain, key) = self.authority.pair("web");
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .expect("a version")
            .with_client_cert_verifier(Arc::new(Anyone))
            .with_single_cert(chain, key)
            .expect("a good certificate");
        config.send_tls13_tickets = usize::from(resume);
        Arc::new(config)
    }

    /// rustls alone: one fixed configuration that verifies a chain and nothing else.
    fn plain(&self) -> tokio_rustls::TlsAcceptor {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der()).expect("a good root");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .clear_root_hint_subjects()
            .build()
            .expect("a verifier");
        let (chain, key) = self.authority.pair("web");
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("versions")
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .expect("a good certificate");
        config.send_tls13_tickets = 1;
        tokio_rustls::TlsAcceptor::from(Arc::new(config))
    }

    /// Time in rustls alone.
    fn accept_plain(
        &self,
        acceptor: &tokio_rustls::TlsAcceptor,
        client: &Arc<ClientConfig>,
        resumed: bool,
    ) -> Duration {
        self.runtime.block_on(async {
            let (near, far) = duplex(1 << 16);
            let name = ServerName::try_from("web.default.dc1.internal.test").expect("a name");
            let connect = async {
                let mut stream = tokio_rustls::TlsConnector::from(Arc::clone(client))
                    .connect(name, far)
                    .await
                    .expect("connects");
                let _ = stream.read_u8().await;
            };
            let accept = async {
                let (spent, stream) = Timed::new(acceptor.accept(near)).await;
                let mut stream = stream.expect("accepts");
                assert_eq!(stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed), resumed);
                stream.write_all(b"x").await.expect("writes");
                stream.flush().await.expect("writes");
                spent
            };
            tokio::join!(accept, connect).0
        })
    }

    /// Time in the acceptor.
    fn accept(&self, client: &Arc<ClientConfig>, resumed: bool) -> Duration {
        self.runtime.block_on(async {
            let (near, far) = duplex(1 << 16);
            let accept = Timed::new(self.acceptor.accept(near));
            let name = ServerName::try_from("web.default.dc1.internal.test").expect("a name");
            let connect = async {
                let mut stream = tokio_rustls::TlsConnector::from(Arc::clone(client))
                    .connect(name, far)
                    .await
                    .expect("connects");
                let _ = stream.read_u8().await;
            };
            let accept = async {
                let (spent, accepted) = accept.await;
                let mut accepted = accepted.expect("accepts");
                assert_eq!(accepted.facts.resumed, resumed);
                accepted.stream.write_all(b"x").await.expect("writes");
                accepted.stream.flush().await.expect("writes");
                spent
            };
            tokio::join!(accept, connect).0
        })
    }

    /// Time in the connector.
    fn connect(&self, server: &Arc<ServerConfig>, resumed: bool) -> Duration {
        self.runtime.block_on(async {
            let (near, far) = duplex(1 << 16);
            let accept = async {
                let mut stream =
                    tokio_rustls::TlsAcceptor::from(Arc::clone(server)).accept(far).await.expect("accepts");
                stream.write_all(b"x").await.expect("writes");
                stream.flush().await.expect("writes");
            };
            let connect = async {
                let (spent, connected) = Timed::new(self.connector.connect(near)).await;
                let mut connected = connected.expect("connects");
                assert_eq!(connected.facts.resumed, resumed);
                let _ = connected.stream.read_u8().await;
                spent
            };
            tokio::join!(connect, accept).0
        })
    }
}

fn handshakes(c: &mut Criterion<CpuTime>) {
    let bench = Bench::new();
    let mut group = c.benchmark_group("handshakes");
    group.sample_size(50);
    for (case, version, post_quantum, resume) in [
        ("accept-13-full-x25519", &TLS13, false, false),
        ("accept-13-full-post-quantum", &TLS13, true, false),
        ("accept-13-resumed-x25519", &TLS13, false, true),
        ("accept-13-resumed-post-quantum", &TLS13, true, true),
        ("accept-12-full", &TLS12, false, false),
        ("accept-12-resumed", &TLS12, false, true),
    ] {
        let client = bench.client(version, post_quantum, resume);
        if resume {
            bench.accept(&client, false);
        }
        group.bench_function(case, |b| {
            b.iter_custom(|rounds| (0..rounds).map(|_| bench.accept(&client, resume)).sum());
        });
    }
    let plain = bench.plain();
    for (case, resume) in [("rustls-alone-13-full-x25519", false), ("rustls-alone-13-resumed-x25519", true)] {
        let client = bench.client(&TLS13, false, resume);
        if resume {
            bench.accept_plain(&plain, &client, false);
        }
        group.bench_function(case, |b| {
            b.iter_custom(|rounds| (0..rounds).map(|_| bench.accept_plain(&plain, &client, resume)).sum());
        });
    }
    for (case, resume) in [("connect-13-full-post-quantum", false), ("connect-13-resumed-post-quantum", true)]
    {
        let server = bench.server(resume);
        if resume {
            bench.connect(&server, false);
        }
        group.bench_function(case, |b| {
            b.iter_custom(|rounds| (0..rounds).map(|_| bench.connect(&server, resume)).sum());
        });
    }
    group.finish();
}

/// A thousand services: one leaf changes, all roots change.
fn changes(c: &mut Criterion<CpuTime>) {
    let mut bench = Bench::new();
    let leaf = |name: &str| -> Leaf { bench.authority.leaf(name) };
    let leaves: Vec<_> =
        (0..1000).map(|index| format!("service-{index}")).map(|name| (key(&name), leaf(&name))).collect();
    let more = Authority::new();
    let sets = [trust(&[&bench.authority]), trust(&[&bench.authority, &more])];
    let two = [bench.authority.leaf("web"), bench.authority.leaf("web")];
    let published = bench.store.update(|edit| {
        leaves.into_iter().for_each(|(key, leaf)| edit.set_leaf(key, leaf, Trusts::OwnOnly));
    });
    published.expect("a good state");
    let mut group = c.benchmark_group("changes-with-1000-services");
    group.sample_size(20);
    let mut round = 0;
    group.bench_function("roots", |b| {
        b.iter_batched(
            || {
                round += 1;
                sets[round % 2].clone()
            },
            |trust| bench.store.update(|edit| edit.set_trust(trust)).map(|published| published.rebuilt.len()),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("one-leaf", |b| {
        b.iter_batched(
            || {
                round += 1;
                two[round % 2].clone()
            },
            |leaf| {
                let set = bench.store.update(|edit| edit.set_leaf(key("web"), leaf, Trusts::OwnOnly));
                set.map(|published| published.rebuilt.len())
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// Reading documents: a leaf with its key, and roots.
fn documents(c: &mut Criterion<CpuTime>) {
    let authority = Authority::new();
    let (chain, secret) = authority.pems("web");
    let id: SpiffeId = authority.id("web");
    let mut group = c.benchmark_group("documents");
    group.bench_function("leaf", |b| {
        b.iter(|| {
            Leaf::build(chain.as_bytes(), secret.as_bytes(), &id, UnixTime::now())
                .map(|leaf| leaf.age(UnixTime::now()))
        });
    });
    group.bench_function("roots", |b| b.iter(|| trust(&[&authority]).fingerprint()));
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = handshakes, changes, documents
}
criterion_main!(benches);

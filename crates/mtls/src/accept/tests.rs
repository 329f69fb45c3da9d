//! What guards sessions even if two states of a service ever came to share a scope.

use mesh_id::{ServiceName, SpiffeId, TrustDomain};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::ClientConfig;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::version::TLS13;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use super::*;
use crate::store::Versioned;
use crate::{CertStore, StoreOptions, TrustBundle, provider};

const NOW: u64 = 1_800_000_000;

fn now() -> UnixTime {
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOW))
}

#[derive(Debug)]
struct StandingClock;

impl rustls::time_provider::TimeProvider for StandingClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(now())
    }
}

struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn leaf(&self, trust_domain: &str, service: &str) -> Leaf {
        let uri = format!("spiffe://{trust_domain}/ns/default/dc/dc1/svc/{service}");
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(uri.as_str().try_into().unwrap())];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap().pem();
        let expected = SpiffeId::parse(&uri).unwrap();
        Leaf::build(certificate.as_bytes(), key.serialize_pem().as_bytes(), &expected, now()).unwrap()
    }

    fn trust(&self, trust_domain: &str) -> TrustSet {
        let trust_domain = TrustDomain::parse(trust_domain).unwrap();
        TrustSet::new(TrustBundle::build(trust_domain, [self.0.pem()], now()).unwrap())
    }
}

/// Everything that an acceptor is made of.
#[derive(Clone)]
struct Parts {
    key: LeafKey,
    leaf: Versioned<Leaf>,
    trust: Versioned<TrustSet>,
}

impl Parts {
    fn acceptor(&self, common: &Arc<Common>, scope: &Arc<SessionScope>) -> Acceptor {
        let Self { key, leaf, trust } = self;
        let tls = Versioned::default();
        Acceptor::build(common, key, leaf, trust, &tls, Trusts::OwnOnly, Arc::clone(scope)).unwrap()
    }
}

fn versioned<T>(value: T, generation: u64) -> Versioned<T> {
    Versioned { value: Arc::new(value), generation }
}

async fn meet(acceptor: &Acceptor, client: &Arc<ClientConfig>) -> Result<bool, &'static str> {
    let (near, far) = duplex(1 << 16);
    let connect = async {
        let name = ServerName::try_from("web.test").unwrap();
        let mut stream =
            tokio_rustls::TlsConnector::from(Arc::clone(client)).connect(name, far).await.unwrap();
        // The ticket comes before the byte.
        let _ = stream.read_u8().await;
    };
    let accept = async {
        let mut accepted = acceptor.accept(near).await.map_err(|error| error.reason())?;
        accepted.stream.write_all(b"x").await.unwrap();
        accepted.stream.flush().await.unwrap();
        Ok(accepted.facts.resumed)
    };
    tokio::join!(accept, connect).0
}

fn client(identity: &Leaf) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_details(Arc::clone(provider::get()), Arc::new(StandingClock))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(identity.certified()))));
    Arc::new(config)
}

/// Resumes with `after` a session of `before`, both of which use the same scope.
async fn resume(before: &Parts, after: &Parts, identity: &Leaf) -> Result<bool, &'static str> {
    let (_, watch) =
        CertStore::new(StoreOptions { time: Arc::new(StandingClock), ..StoreOptions::default() });
    let common = &watch.shared().common;
    let scope = common.sessions.scope();
    let client = client(identity);
    assert_eq!(meet(&before.acceptor(common, &scope), &client).await, Ok(false));
    meet(&after.acceptor(common, &scope), &client).await
}

#[tokio::test]
async fn a_session_of_another_service_leaf_or_roots_is_refused_even_in_the_same_scope() {
    let (ca, td) = (Ca::new(), "a.consul");
    let web = LeafKey::new(ServiceName::parse("web").unwrap());
    let parts = Parts { key: web, leaf: versioned(ca.leaf(td, "web"), 1), trust: versioned(ca.trust(td), 2) };
    let identity = ca.leaf(td, "api");
    assert_eq!(resume(&parts, &parts, &identity).await, Ok(true), "nothing changed");
    let other = LeafKey::new(ServiceName::parse("other").unwrap());
    for after in [
        Parts { key: other, ..parts.clone() },
        Parts { leaf: versioned(ca.leaf(td, "web"), 3), ..parts.clone() },
        Parts { trust: versioned(ca.trust(td), 3), ..parts.clone() },
    ] {
        assert_eq!(resume(&parts, &after, &identity).await, Err("stale_session"));
    }
    let moved = Parts { trust: versioned(ca.trust("b.consul"), 2), ..parts.clone() };
    assert_eq!(resume(&parts, &moved, &identity).await, Err("stale_session"));
}

#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    signature_checks!();
}

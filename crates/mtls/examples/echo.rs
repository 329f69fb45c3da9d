//! Two services of a mesh talk over memory: in full, resumed, and after a rotation of the roots.
//!
//! ```text
//! cargo run -p mtls --example echo
//! ```
#![expect(clippy::print_stdout, reason = "printing is what the example is for")]

use std::error::Error;

use mesh_id::{ServiceName, SpiffeId};
use mtls::{
    CertStore, CertWatch, ConnectTarget, Connector, HandshakeFacts, Leaf, LeafKey, StoreOptions, TrustBundle,
    TrustSet, Trusts, UnixTime,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

const TRUST_DOMAIN: &str = "11111111-2222-3333-4444-555555555555.consul";

type Authority = CertifiedIssuer<'static, KeyPair>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (old, new) = (authority()?, authority()?);
    let (web, billing) = (name("web")?, name("billing")?);
    let (mut store, watch) = CertStore::new(StoreOptions::default());
    let (trust, leaves) = (trust(&[&old])?, [leaf(&old, "web")?, leaf(&old, "billing")?]);
    store.update(|edit| {
        edit.set_trust(trust);
        let [one, other] = leaves;
        edit.set_leaf(web.clone(), one, Trusts::OwnOnly);
        edit.set_leaf(billing.clone(), other, Trusts::OwnOnly);
    })?;

    let target = ConnectTarget {
        server_name: format!("billing.default.fra1.internal.{TRUST_DOMAIN}"),
        expected: vec![id("billing")?],
        alpn: Vec::new(),
    };
    let connector = watch.connector(web, target)?;
    print("first", &echo(&watch, &billing, &connector).await?);
    print("second", &echo(&watch, &billing, &connector).await?);

    let trust = self::trust(&[&old, &new])?;
    let published = store.update(|edit| edit.set_trust(trust))?;
    println!("a new root: state {}, {} services built anew", published.generation, published.rebuilt.len());
    print("third", &echo(&watch, &billing, &connector).await?);
    Ok(())
}

/// One connection: the client says something, the server says it again.
async fn echo(
    watch: &CertWatch,
    service: &LeafKey,
    connector: &Connector,
) -> Result<HandshakeFacts, Box<dyn Error>> {
    let acceptor = watch.acceptor(service)?;
    let (near, far) = duplex(1 << 16);
    let serve = async {
        let mut accepted = acceptor.accept(near).await?;
        println!("  {} is called by {}", service, accepted.peer.id());
        let mut said = [0; 5];
        accepted.stream.read_exact(&mut said).await?;
        accepted.stream.write_all(&said).await?;
        accepted.stream.shutdown().await?;
        Ok::<_, Box<dyn Error>>(accepted.facts)
    };
    let call = async {
        let mut connected = connector.connect(far).await?;
        println!("  {} answers", connected.peer.id());
        connected.stream.write_all(b"hello").await?;
        connected.stream.flush().await?;
        let mut heard = Vec::new();
        connected.stream.read_to_end(&mut heard).await?;
        if heard == b"hello" { Ok(()) } else { Err("the echo is wrong".into()) }
    };
    let (facts, called): (_, Result<(), Box<dyn Error>>) = tokio::join!(serve, call);
    called?;
    facts
}

fn print(which: &str, facts: &HandshakeFacts) {
    let how = if facts.resumed { "resumed" } else { "in full" };
    let group = facts.group.map_or_else(|| "none".to_owned(), |group| format!("{group:?}"));
    println!("{which} connection {how}, key exchange {group}, post-quantum {}", facts.is_post_quantum());
}

fn authority() -> Result<Authority, Box<dyn Error>> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

fn trust(roots: &[&Authority]) -> Result<TrustSet, Box<dyn Error>> {
    let pems = roots.iter().map(|root| root.pem());
    Ok(TrustSet::new(TrustBundle::build(TRUST_DOMAIN.parse()?, pems, UnixTime::now())?))
}

fn leaf(authority: &Authority, service: &str) -> Result<Leaf, Box<dyn Error>> {
    let id = id(service)?;
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(id.to_string().try_into()?)];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, authority)?;
    Ok(Leaf::build(certificate.pem().as_bytes(), key.serialize_pem().as_bytes(), &id, UnixTime::now())?)
}

fn id(service: &str) -> Result<SpiffeId, Box<dyn Error>> {
    Ok(SpiffeId::parse(&format!("spiffe://{TRUST_DOMAIN}/ns/default/dc/fra1/svc/{service}"))?)
}

fn name(service: &str) -> Result<LeafKey, Box<dyn Error>> {
    Ok(LeafKey::new(ServiceName::parse(service)?))
}

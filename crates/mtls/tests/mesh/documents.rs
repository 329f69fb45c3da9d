//! Documents and files: what is bad is refused with its own reason, and the last good certificates stay.

use mtls::{Error, Leaf, LeafDocument, MAX_PEM_BYTES, RootsDocument, SecretPem, TrustBundle};

use crate::support::{Ca, Issued, Mesh, Spec, T0, TD, at, id, key, leaf_uri};

fn roots(pems: &[String]) -> Result<TrustBundle, Error> {
    TrustBundle::from_document(&RootsDocument::from_pem(TD, pems.iter().cloned()), at(T0))
}

fn leaf(issued: &Issued) -> Result<Leaf, Error> {
    let document = LeafDocument::from_pem(issued.chain_pem.clone(), issued.key_pem.clone());
    Leaf::from_document(&document, &id(&leaf_uri("web")), at(T0))
}

#[test]
fn row_39_an_empty_list_of_roots_is_not_ready() {
    for text in [
        r#"{"ActiveRootID":"","TrustDomain":"x.consul","Roots":[]}"#,
        r#"{"TrustDomain":"x.consul","Roots":null,"More":{}}"#,
    ] {
        let document: RootsDocument = serde_json::from_str(text).unwrap();
        let error = TrustBundle::from_document(&document, at(T0)).unwrap_err();
        assert_eq!(error.reason(), "no_usable_root");
        assert!(error.to_string().contains("is the CA of the mesh ready?"), "{error}");
    }
    // No service of a store without roots accepts anything.
    let root = Ca::root("root");
    let mut mesh = Mesh::empty(T0);
    mesh.leaf("web", &root.leaf("web"));
    assert_eq!(mesh.watch.acceptor(&key("web")).unwrap_err().reason(), "no_roots");
    assert_eq!(mesh.watch.acceptor(&key("unlinked")).unwrap_err().reason(), "no_roots");
    mesh.trust(&[&root]);
    assert!(mesh.watch.acceptor(&key("web")).is_ok());
    assert_eq!(mesh.watch.acceptor(&key("unlinked")).unwrap_err().reason(), "no_leaf");
}

#[test]
fn rubbish_among_roots() {
    let good = Ca::root("root").pem();
    let leaf = Ca::root("root").leaf("web");
    let cut = good.get(..good.len() - 40).unwrap().to_owned();
    let broken = good.replace("MII", "AAA");
    let letters = good.replace("MII", "M_I");
    for (text, reason) in [
        (String::new(), "no_certificate"),
        ("not found".to_owned(), "no_certificate"),
        (cut, "pem_malformed"),
        (letters, "pem_malformed"),
        (broken, "certificate_malformed"),
        (format!("{good}{}", leaf.key_pem), "foreign_pem_block"),
        (leaf.key_pem, "foreign_pem_block"),
        (leaf.chain_pem, "no_usable_root"),
        ("x".repeat(MAX_PEM_BYTES + 1), "pem_too_large"),
        (good.repeat(4097), "too_many_certificates"),
    ] {
        // One bad text spoils the bundle, wherever it stands.
        let error = roots(std::slice::from_ref(&text)).unwrap_err();
        assert_eq!(error.reason(), reason, "{error}");
        if reason != "no_usable_root" {
            assert_eq!(roots(&[good.clone(), text]).unwrap_err().reason(), reason);
        }
    }
    // What is no PEM may stand around a certificate, as openssl and people write it.
    assert!(
        roots(&[format!("# our root\r\nsubject=CN = root\n{}\n\n-- \n", good.replace('\n', "\r\n"))]).is_ok()
    );
    assert_eq!(roots(&[good]).unwrap().anchors(at(T0)).count(), 1);
}

#[test]
fn a_certificate_that_is_no_ca_is_no_root() {
    let root = Ca::root("root");
    let both = roots(&[root.pem(), root.leaf("web").chain_pem]).unwrap();
    assert_eq!(both.left_out().iter().map(|one| one.why.reason()).collect::<Vec<_>>(), ["root_is_no_ca"]);
    assert_eq!(both.anchors(at(T0)).count(), 1);
}

#[test]
fn a_trust_domain_that_is_no_host_name() {
    let document = RootsDocument::from_pem("spiffe://x.consul", [Ca::root("root").pem()]);
    assert_eq!(TrustBundle::from_document(&document, at(T0)).unwrap_err().reason(), "bad_trust_domain");
}

#[test]
fn row_42_a_key_of_another_certificate() {
    let root = Ca::root("root");
    let (web, other) = (root.leaf("web"), root.leaf("web"));
    let error = leaf(&Issued { key_pem: other.key_pem, ..web }).unwrap_err();
    assert_eq!(error.reason(), "key_mismatch");
}

#[test]
fn row_43_a_leaf_of_another_service() {
    let root = Ca::root("root");
    let error = leaf(&root.leaf("api")).unwrap_err();
    assert_eq!(error.reason(), "wrong_identity");
    assert!(error.to_string().contains("/svc/api") && error.to_string().contains("/svc/web"), "{error}");
}

#[test]
fn rubbish_in_place_of_a_leaf() {
    let root = Ca::root("root");
    let good = root.leaf("web");
    let with = |chain: &str, key: &str| Issued {
        chain_pem: chain.to_owned(),
        key_pem: key.to_owned(),
        ..good.clone()
    };
    let issue = |spec: &Spec| root.issue(spec);
    let (chain, key) = (good.chain_pem.as_str(), good.key_pem.as_str());
    let p224 = include_str!("../samples/openssl/p224-leaf.key");
    for (issued, reason) in [
        (with("", key), "no_certificate"),
        (with(chain, ""), "no_private_key"),
        (with(chain, chain), "no_private_key"),
        (with(chain, &key.repeat(2)), "several_private_keys"),
        (
            with(chain, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
            "unusable_private_key",
        ),
        (with(chain, p224), "key_mismatch"),
        (with(&format!("{chain}{key}"), key), "foreign_pem_block"),
        (with(&chain.repeat(17), key), "too_many_certificates"),
        (with(&chain.replace("MII", "AAA"), key), "certificate_malformed"),
        (issue(&Spec::service("web").valid(0, T0 - 1)), "certificate_expired"),
        (issue(&Spec::service("web").valid(T0 + 301, T0 + 400)), "certificate_not_yet_valid"),
        (issue(&Spec::uris(&[])), "no_spiffe_id"),
        (issue(&Spec::uris(&[&leaf_uri("web"), &leaf_uri("api")])), "several_uri_sans"),
        (issue(&Spec::uri(&format!("spiffe://{TD}"))), "wrong_identity"),
        (issue(&Spec::uri("spiffe://other.consul/ns/default/dc/dc1/svc/web")), "wrong_identity"),
        (issue(&Spec::uri(&leaf_uri("web").to_uppercase())), "bad_spiffe_id"),
    ] {
        let error = leaf(&issued).unwrap_err();
        assert_eq!(error.reason(), reason, "{error}");
    }
    assert!(
        leaf(&with(&format!("{chain}\n"), &format!("{chain}{key}"))).is_ok(),
        "key and certificate in one file"
    );
}

#[test]
fn keys_of_every_form() {
    use std::process::Command;
    // EC PRIVATE KEY (SEC 1) is what Consul gives; see the samples. Here are the others.
    let rsa = include_str!("../samples/openssl/rsa2048-leaf.pem");
    let key = include_str!("../samples/openssl/rsa2048-leaf.key");
    assert!(key.contains("EC PRIVATE KEY") && !rsa.is_empty());
    let folder = tempfile::tempdir().unwrap();
    let openssl = |arguments: &str| {
        let output = Command::new("openssl").args(arguments.split(' ')).current_dir(&folder).output();
        output.is_ok_and(|output| output.status.success())
    };
    if !openssl("version") {
        println!("NOT RUN: keys_of_every_form: there is no openssl");
        return;
    }
    let uri = leaf_uri("web");
    assert!(openssl("genrsa -traditional -out pkcs1.pem 2048"));
    assert!(openssl(&format!(
        "req -x509 -new -key pkcs1.pem -days 36500 -subj /CN=web -addext subjectAltName=URI:{uri} -out cert.pem"
    )));
    assert!(openssl("pkcs8 -topk8 -nocrypt -in pkcs1.pem -out pkcs8.pem"));
    assert!(openssl("pkcs8 -topk8 -in pkcs1.pem -out encrypted.pem -passout pass:x"));
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    // The certificate begins when openssl ran.
    let now = at(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs());
    for (name, label, expected) in [
        ("pkcs1.pem", "BEGIN RSA PRIVATE KEY", None),
        ("pkcs8.pem", "BEGIN PRIVATE KEY", None),
        ("encrypted.pem", "BEGIN ENCRYPTED PRIVATE KEY", Some("no_private_key")),
    ] {
        assert!(String::from_utf8(read(name)).unwrap().contains(label));
        let leaf = Leaf::build(&read("cert.pem"), &read(name), &id(&uri), now);
        assert_eq!(leaf.err().map(|error| error.reason()), expected, "{name}");
    }
}

/// Bad documents change nothing, since a bundle or leaf that was not built cannot be published.
#[tokio::test]
async fn the_last_good_certificates_stay() {
    let root = Ca::root("root");
    let mut mesh = Mesh::new(&[&root]);
    let serving = mesh.watch.leaf(&key("web")).unwrap().fingerprint();
    let generation = mesh.watch.generation();
    assert!(roots(&["rubbish".to_owned()]).is_err());
    assert!(leaf(&root.leaf("api")).is_err());
    let published = mesh.store.update(|_| {}).unwrap();
    assert_eq!((published.changed, published.generation), (false, generation));
    assert_eq!(mesh.watch.leaf(&key("web")).unwrap().fingerprint(), serving);
    assert_eq!(mesh.verdict(&root.leaf("api")).await, Ok(leaf_uri("api")));
}

#[test]
fn no_key_is_shown() {
    let issued = Ca::root("root").leaf("web");
    let secret = issued.key_pem.lines().nth(1).unwrap();
    let document = LeafDocument::from_pem(issued.chain_pem.clone(), issued.key_pem.clone());
    let client = mtls::ClientPem { certificate: Vec::new(), key: SecretPem::new(issued.key_pem.clone()) };
    let settings =
        mtls::OriginationSettings { client: Some(client), ..mtls::OriginationSettings::new(Vec::new()) };
    let leaf = leaf(&issued).unwrap();
    for text in [
        format!("{document:?}"),
        format!("{leaf:?}"),
        format!("{settings:?}"),
        format!("{:?}", settings.client),
    ] {
        assert!(!text.contains(secret), "{text}");
    }
    assert_eq!(document.private_key_pem.expose(), issued.key_pem);
}

//! Versions and cipher suites of the mesh entry.

use mtls::{CipherSuite, Error, MeshTls, ProtocolVersion, TlsDirectionDocument, TlsParameters};

use crate::support::{Ca, Client, Mesh, meet};

fn parameters(min: &str, max: &str, suites: &[&str]) -> Result<TlsParameters, Error> {
    TlsParameters::from_document(&TlsDirectionDocument {
        tls_min_version: min.to_owned(),
        tls_max_version: max.to_owned(),
        cipher_suites: suites.iter().map(|&name| name.to_owned()).collect(),
    })
}

fn warnings(parameters: &TlsParameters) -> Vec<String> {
    parameters.warnings().iter().map(ToString::to_string).collect()
}

fn mesh(root: &Ca, incoming: TlsParameters) -> Mesh {
    let mut mesh = Mesh::new(&[root]);
    mesh.store.update(|edit| edit.set_mesh_tls(MeshTls { incoming, ..MeshTls::default() })).unwrap();
    mesh
}

#[tokio::test]
async fn row_47_a_client_of_tls_12_where_13_is_the_lowest() {
    let root = Ca::root("root");
    let mesh = mesh(&root, parameters("TLSv1_3", "", &[]).unwrap());
    let api = root.leaf("api");
    assert_eq!(meet(&mesh.acceptor(), &Client::tls12(&api)).await.reason(), "tls_incompatible");
    assert_eq!(meet(&mesh.acceptor(), &Client::tls13(&api)).await.reason(), "accepted");
}

#[tokio::test]
async fn tls_12_as_the_highest() {
    let root = Ca::root("root");
    let mesh = mesh(&root, parameters("TLS_AUTO", "TLSv1_2", &[]).unwrap());
    let accepted = meet(&mesh.acceptor(), &Client::new(Some(&root.leaf("api")))).await.accepted.unwrap();
    assert_eq!(accepted.facts.version, Some(ProtocolVersion::TLSv1_2));
}

#[test]
fn row_48_suites_of_which_none_is_supported() {
    let cbc = ["TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "TLS_RSA_WITH_AES_128_GCM_SHA256"];
    let error = parameters("", "", &cbc).unwrap_err();
    assert_eq!(error.reason(), "bad_cipher_suites");
    assert!(error.to_string().contains(cbc[0]), "{error}");
    // Those of TLS 1.3 cannot be chosen, so naming them alone leaves TLS 1.2 without any.
    assert!(parameters("", "", &["TLS_AES_128_GCM_SHA256"]).is_err());
}

#[tokio::test]
async fn suites_of_tls_12_are_chosen_and_others_skipped_with_a_warning() {
    let root = Ca::root("root");
    let set = [
        "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_AES_128_GCM_SHA256",
    ];
    let parameters = parameters("", "", &set).unwrap();
    let warnings = warnings(&parameters);
    assert_eq!(warnings.len(), 2);
    assert!(warnings[0].starts_with("cipher suite TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA is skipped: only"));
    assert!(warnings[1].ends_with("those of TLS 1.3 are always on"));
    let mesh = mesh(&root, parameters);
    let accepted = meet(&mesh.acceptor(), &Client::tls12(&root.leaf("api"))).await.accepted.unwrap();
    assert_eq!(accepted.facts.cipher_suite, Some(CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256));
    let accepted = meet(&mesh.acceptor(), &Client::tls13(&root.leaf("api"))).await.accepted.unwrap();
    assert_eq!(accepted.facts.version, Some(ProtocolVersion::TLSv1_3));
}

#[test]
fn old_versions() {
    for old in ["TLSv1_0", "TLSv1_1"] {
        let raised = parameters(old, "", &[]).unwrap();
        assert_eq!(raised, TlsParameters::default());
        assert_eq!(warnings(&raised).len(), 1);
        assert_eq!(parameters("", old, &[]).unwrap_err().reason(), "bad_tls_versions");
        assert_eq!(parameters("TLSv1_0", old, &[]).unwrap_err().reason(), "bad_tls_versions");
    }
}

#[test]
fn what_makes_no_sense() {
    assert_eq!(parameters("TLSv1_3", "TLSv1_2", &[]).unwrap_err().reason(), "bad_tls_versions");
    assert_eq!(parameters("TLSv1_4", "", &[]).unwrap_err().reason(), "bad_tls_versions");
    assert_eq!(parameters("tlsv1_2", "", &[]).unwrap_err().reason(), "bad_tls_versions");
    let suite = ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"];
    assert_eq!(parameters("TLSv1_3", "", &suite).unwrap_err().reason(), "bad_cipher_suites");
}

#[test]
fn every_suite_of_the_specification_is_known() {
    for key in ["ECDSA", "RSA"] {
        for cipher in ["AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256"] {
            let name = format!("TLS_ECDHE_{key}_WITH_{cipher}");
            assert!(warnings(&parameters("", "", &[&name]).unwrap()).is_empty(), "{name}");
        }
    }
}

#[test]
fn the_entry_of_a_real_consul() {
    let text = include_str!("../samples/consul-1.21/config_mesh_all-fields.json");
    let entry: serde_json::Value = serde_json::from_str(text).unwrap();
    let direction =
        |name: &str| -> TlsDirectionDocument { serde_json::from_value(entry["TLS"][name].clone()).unwrap() };
    let [incoming, outgoing] = [direction("Incoming"), direction("Outgoing")];
    assert_eq!(incoming.tls_min_version, "TLSv1_3");
    assert_eq!(TlsParameters::from_document(&incoming), TlsParameters::from_document(&outgoing));
}

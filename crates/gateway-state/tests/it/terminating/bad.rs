//! Catalogs that a terminating gateway does not start with.

use super::{
    pki::{Ca, now, uri},
    shared::{Egress, outside, own_entry},
};

#[test]
fn every_mistake_of_an_entry_has_its_message() {
    // [terminating-gateway 2, 12: 41]
    let cases = [
        ("Services = [{ Name = \"\" }]\n", "Services[0].Name: Service name cannot be blank."),
        ("Services = [{}]\n", "Services[0].Name: missing; it must be set"),
        (
            "Services = [{ Name = \"a\" }, { Name = \"a\" }]\n",
            "Services[1].Name: Service \"a\" was specified more than once within a namespace",
        ),
        (
            "Services = [{ Name = \"a\", CAFile = \"x\", CertFile = \"y\" }]\n",
            "Services[0].CertFile: Service \"a\" must have a CertFile, CAFile, and KeyFile specified for TLS origination",
        ),
        (
            "Services = [{ Name = \"a\", CAFile = \"x\", KeyFile = \"y\" }]\n",
            "Services[0].KeyFile: Service \"a\" must have a CertFile, CAFile, and KeyFile specified for TLS origination",
        ),
        (
            "Services = [{ Name = \"a\", CertFile = \"x\", KeyFile = \"y\" }]\n",
            "Services[0].CertFile: Service \"a\" must have a CertFile, CAFile, and KeyFile specified for TLS origination",
        ),
        (
            "Services = [{ Name = \"a\", Namespace = \"*\" }]\n",
            "Services[0].Namespace: a namespace that services",
        ),
        ("Services = [{ Name = \"a\", CaFille = \"x\" }]\n", "unknown key (did you mean CAFile?)"),
    ];
    for (entry, expected) in cases {
        let problems = Egress::with_entry(&["a"], entry, "").problems();
        assert!(
            problems.contains(&format!("egress.toml:4: Entry[0].{expected}")) || problems.contains(expected),
            "{entry}\n{problems}"
        );
    }
}

#[test]
fn every_mistake_of_a_destination_has_its_message() {
    // [terminating-gateway 9]
    let entry = |rest: &str| format!("[[Entry]]\nKind = \"service-defaults\"\nName = \"www\"\n{rest}\n");
    let cases = [
        ("Destination = { Port = 443 }", "Destination.Addresses: a destination needs at least one address"),
        ("Destination = { Addresses = [\"a\", \"A\"], Port = 443 }", "address \"A\" is there twice"),
        ("Destination = { Addresses = [\"*.a\"], Port = 443 }", "an address has no wildcard"),
        ("Destination = { Addresses = [\"a b\"], Port = 443 }", "neither an IP address nor a DNS name"),
        ("Destination = { Addresses = [\"a\"] }", "Destination.Port: missing; it must be set"),
        ("Destination = { Addresses = [\"a\"], Port = 0 }", "0 is not between 1 and 65535"),
        (
            "Destination = { Addresses = [\"a\"], Port = 1 }\nUpstreamConfig = { Defaults = {} }",
            "UpstreamConfig cannot be set together with Destination",
        ),
    ];
    for (text, expected) in cases {
        let problems = Egress::new(&["www"], &entry(text)).problems();
        assert!(problems.contains(expected), "{text}\n{problems}");
    }
}

#[test]
fn a_linked_service_without_a_leaf_is_an_error() {
    // [static-catalog S14]
    let egress = Egress::new(&["billing"], &outside("billing", "10.0.0.1:80", ""));
    egress
        .catalog
        .write("egress.toml", &own_entry("Services = [{ Name = \"billing\" }, { Name = \"db\" }]\n"));
    assert_eq!(
        egress.problems(),
        "egress.toml:4: Entry[0].Services[1].Name: service db: there is no [[Leaf]] for it"
    );
}

#[test]
fn certificates_that_are_wrong_are_errors_that_name_both_sides() {
    // [static-catalog S5, bad input]
    let problems = |change: &dyn Fn(&Egress)| {
        let egress = Egress::new(&["billing"], &outside("billing", "10.0.0.1:80", ""));
        change(&egress);
        egress.problems()
    };
    let billing = uri("billing");
    let (from, to) = (now() - 60, now() + 3_600);
    let issue = |uris: &[&str]| {
        let uris: Vec<String> = uris.iter().map(|uri| (*uri).to_owned()).collect();
        problems(&move |egress: &Egress| {
            let uris: Vec<&str> = uris.iter().map(String::as_str).collect();
            egress.leaf("billing", &egress.ca.issue(&uris, from, to));
        })
    };
    for other in [
        billing.replace("fra1", "ams2"),
        billing.replace("billing", "db"),
        billing.replace("6f1c2a4e", "99999999"),
        billing.replace("/ns/default", "/ns/team"),
        billing.replace("/ns/", "/ap/fin/ns/"),
    ] {
        assert_eq!(
            issue(&[&other]),
            format!("leaves.toml:1: Leaf[0].CertFile: the leaf certificate names {other}, not {billing}")
        );
    }
    assert!(issue(&[]).contains("no URI name"));
    assert!(issue(&[&billing, &billing.replace("billing", "db")]).contains("2 URI names"));
    let text =
        problems(&|egress| egress.leaf("billing", &egress.ca.issue(&[&uri("billing")], from - 9_000, from)));
    assert!(
        text.contains("leaves.toml:1: Leaf[0].CertFile: the leaf certificate of spiffe://")
            && text.contains("ended"),
        "{text}"
    );
    let text = problems(&|egress| egress.private("certs/billing-key.pem", &egress.ca.leaf("billing").key));
    assert!(text.contains("the private key belongs to none of the certificates"), "{text}");
    let text = problems(&|egress| egress.leaf("billing", &Ca::new("stranger").leaf("billing")));
    assert!(text.contains("the roots of the mesh would not accept the certificate"), "{text}");
    let text = problems(&|egress| std::fs::remove_file(egress.catalog.path("certs/billing.pem")).unwrap());
    assert!(text.contains("certs/billing.pem cannot be read"), "{text}");
}

#[test]
fn roots_that_are_wrong_are_errors() {
    let problems = |roots: &str| {
        let egress = Egress::new(&["billing"], "");
        egress.catalog.write("ca/roots.pem", roots);
        egress.problems()
    };
    let old = Ca::valid("old", now() - 9_000, now() - 60).pem();
    assert!(problems(&old).contains("mesh.toml:1: Mesh.Roots: the root certificates: none can be used"));
    assert!(problems("rubbish").contains("holds no PEM CERTIFICATE"));
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(
        problems(broken)
            .contains("mesh.toml:1: Mesh.Roots: the root certificates: certificate 1 cannot be read")
    );
    let egress = Egress::new(&["billing"], "");
    egress.catalog.write("mesh.toml", crate::support::MESH);
    assert!(
        egress.problems().contains("mesh.toml:1: Mesh.Roots: there are no roots: nobody could be verified")
    );
}

#[test]
fn files_for_tls_that_are_wrong_are_errors() {
    let entry = "Services = [{ Name = \"billing\", CAFile = \"tls/ca.pem\", SNI = \"a.example\" }]\n";
    let egress = Egress::with_entry(&["billing"], entry, "");
    let text = egress.problems();
    assert!(text.starts_with("egress.toml:4: Entry[0].Services[0].CAFile: service billing: "), "{text}");
    assert!(text.contains("tls/ca.pem cannot be read"), "{text}");
    egress.catalog.write("tls/ca.pem", "rubbish");
    assert!(egress.problems().contains("the CA certificates (CAFile): there is no PEM block"));
}

#[test]
fn tls_settings_of_the_mesh_that_mean_nothing_are_errors() {
    let mesh = |rest: &str| format!("[[Entry]]\nKind = \"mesh\"\n[Entry.TLS.Incoming]\n{rest}\n");
    let egress = Egress::new(&["billing"], &mesh("TLSMaxVersion = \"TLSv1_1\""));
    assert!(egress.problems().contains("rest.toml:1: Entry[0].TLS: TLS.Incoming: TLS versions"));
    let cbc = mesh("CipherSuites = [\"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA\"]");
    assert!(Egress::new(&["billing"], &cbc).problems().contains("none of them is supported"));
    let snapshot = Egress::new(&["billing"], &mesh("TLSMinVersion = \"TLSv1_3\"")).snapshot();
    assert_ne!(*snapshot.tls, mtls::MeshTls::default());
}

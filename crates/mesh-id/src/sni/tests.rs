//! Every form there and back, names that are called like the fixed labels, and what each error points at.

use proptest::prelude::*;

use super::*;

const TD: &str = "6f1c2a4e-93b7-4d0e-8a55-1b7d2c9e0f43.consul";

fn service(
    subset: Option<&str>,
    service: &str,
    namespace: &str,
    partition: &str,
    datacenter: &str,
    td: &str,
) -> MeshSni {
    MeshSni::Service {
        service: ServiceName::parse(service).unwrap(),
        namespace: Namespace::parse(namespace).unwrap(),
        partition: Partition::parse(partition).unwrap(),
        datacenter: Datacenter::parse(datacenter).unwrap(),
        trust_domain: TrustDomain::parse(td).unwrap(),
        subset: subset.map(|subset| SubsetName::parse(subset).unwrap()),
    }
}

fn gateways(partition: &str, datacenter: &str, td: &str) -> MeshSni {
    MeshSni::Gateways {
        datacenter: Datacenter::parse(datacenter).unwrap(),
        partition: Partition::parse(partition).unwrap(),
        trust_domain: TrustDomain::parse(td).unwrap(),
    }
}

fn wan(node: Option<&str>, datacenter: &str, domain: &str) -> MeshSni {
    MeshSni::WanServer {
        node: node.map(|node| NodeName::parse(node).unwrap()),
        datacenter: Datacenter::parse(datacenter).unwrap(),
        domain: DnsDomain::parse(domain).unwrap(),
    }
}

fn check(name: &str, expected: &MeshSni) {
    assert_eq!(MeshSni::parse(name, "consul."), Ok(expected.clone()), "{name}");
    assert_eq!(expected.to_string(), name);
}

#[test]
fn every_form_there_and_back() {
    check(
        &format!("billing.default.fra1.internal.{TD}"),
        &service(None, "billing", "default", "default", "fra1", TD),
    );
    check(
        &format!("v2.billing.default.fra1.internal.{TD}"),
        &service(Some("v2"), "billing", "default", "default", "fra1", TD),
    );
    check(
        &format!("billing.pay.fin.fra1.internal-v1.{TD}"),
        &service(None, "billing", "pay", "fin", "fra1", TD),
    );
    check(
        &format!("v2.billing.pay.fin.fra1.internal-v1.{TD}"),
        &service(Some("v2"), "billing", "pay", "fin", "fra1", TD),
    );
    check(&format!("ams2.internal.{TD}"), &gateways("default", "ams2", TD));
    check(&format!("fin.fra1.internal-v1.{TD}"), &gateways("fin", "fra1", TD));
    check(
        &format!("billing.default.default.east.external.{TD}"),
        &MeshSni::Peered {
            service: ServiceName::parse("billing").unwrap(),
            namespace: Namespace::default(),
            partition: Partition::default(),
            peer: PeerName::parse("east").unwrap(),
            trust_domain: TrustDomain::parse(TD).unwrap(),
        },
    );
    check("fra1-srv-2.server.fra1.consul", &wan(Some("fra1-srv-2"), "fra1", "consul"));
    check("server.fra1.consul", &wan(None, "fra1", "consul"));
    check(
        &format!("server.fra1.peering.{TD}"),
        &MeshSni::PeeringServer {
            datacenter: Datacenter::parse("fra1").unwrap(),
            trust_domain: TrustDomain::parse(TD).unwrap(),
        },
    );
    check(
        &format!("geo-db.default.fra1.query.{TD}"),
        &MeshSni::PreparedQuery {
            query: QueryName::parse("geo-db").unwrap(),
            datacenter: Datacenter::parse("fra1").unwrap(),
            trust_domain: TrustDomain::parse(TD).unwrap(),
        },
    );
}

#[test]
fn names_that_are_called_like_the_marks() {
    check(
        &format!("internal.default.fra1.internal.{TD}"),
        &service(None, "internal", "default", "default", "fra1", TD),
    );
    check(&format!("x.internal.fra1.internal.{TD}"), &service(None, "x", "internal", "default", "fra1", TD));
    check(
        &format!("server.fra1.peering.dc.internal.{TD}"),
        &service(Some("server"), "fra1", "peering", "default", "dc", TD),
    );
    // Five labels and `internal` are a subset; five labels and `internal-v1` a partition.
    check(
        &format!("billing.pay.fin.fra1.internal.{TD}"),
        &service(Some("billing"), "pay", "fin", "default", "fra1", TD),
    );
    check(
        &format!("a.external.internal-v1.peering.internal-v1.{TD}"),
        &service(None, "a", "external", "internal-v1", "peering", TD),
    );
    check("internal.internal.internal.consul", &gateways("default", "internal", "internal.consul"));
    check("server.server.server.consul", &wan(Some("server"), "server", "consul"));
}

#[test]
fn trust_domains_of_other_lengths() {
    check("billing.default.dc1.internal.TD", &service(None, "billing", "default", "default", "dc1", "TD"));
    check(
        "billing.default.dc1.internal.mesh.corp.example",
        &service(None, "billing", "default", "default", "dc1", "mesh.corp.example"),
    );
    // Two labels win over one and over many.
    check("a.b.c.internal.internal.consul", &service(None, "a", "b", "default", "c", "internal.consul"));
}

#[test]
fn the_dns_domain_is_the_agents_own() {
    let name = "node-1.server.dc1.corp.example";
    assert_eq!(MeshSni::parse(name, "corp.example."), Ok(wan(Some("node-1"), "dc1", "corp.example")));
    assert_eq!(MeshSni::parse(name, "consul"), Err(SniError::Foreign));
    assert_eq!(MeshSni::parse("server.dc1.notconsul", "consul"), Err(SniError::Foreign));
    // Node names do not hold dots, so this is nobody's.
    assert_eq!(MeshSni::parse("a.b.server.dc1.consul", "consul"), Err(SniError::Foreign));
}

#[test]
fn the_error_names_the_part() {
    let error = |name: &str| MeshSni::parse(name, "consul").unwrap_err();
    assert_eq!(error(""), SniError::Host(NameError::Empty));
    assert_eq!(error("10.0.0.1"), SniError::Host(NameError::IpLiteral));
    assert_eq!(error(&format!("a.default.fra1.internal.{TD}.")), SniError::Host(NameError::TrailingDot));
    assert_eq!(error("www.example.com"), SniError::Foreign);
    // A bypass of the match in the reference proxy: names of its own endpoint sets.
    assert_eq!(error("local_agent"), SniError::Foreign);
    assert_eq!(error(&format!("billing.default.fra1.INTERNAL.{TD}")), SniError::Foreign);
    assert!(matches!(
        error(&format!("a.b.c.d.e.ams2.internal.{TD}")),
        SniError::Labels { marker: "internal", found: 6, .. }
    ));
    assert!(matches!(
        error(&format!("a.default.ams2.internal-v1.{TD}")),
        SniError::Labels { marker: "internal-v1", found: 3, .. }
    ));
    assert!(matches!(
        error(&format!("a.default.east.external.{TD}")),
        SniError::Labels { marker: "external", found: 3, .. }
    ));
    assert_eq!(error(&format!("a.default.default.fra1.internal-v1.{TD}")), SniError::DefaultPartition);
    assert_eq!(error(&format!("default.fra1.internal-v1.{TD}")), SniError::DefaultPartition);
    assert!(matches!(
        error(&format!("srv.fra1.peering.{TD}")),
        SniError::Fixed { part: "first label", expected: "server", .. }
    ));
    let query = error(&format!("geo.pay.fra1.query.{TD}"));
    assert!(matches!(query, SniError::Fixed { part: "namespace", expected: "default", .. }));
    assert_eq!(
        query.to_string(),
        "the namespace is \"pay\", in names with \"query\" it is always \"default\""
    );
}

#[test]
fn parts_for_people() {
    let parts = |name: &str| explain_parts(&MeshSni::parse(name, "consul").unwrap());
    let pairs =
        |list: &[(&'static str, &str)]| list.iter().map(|&(k, v)| (k, v.to_owned())).collect::<Vec<_>>();
    assert_eq!(
        parts("v2.billing.default.fra1.internal.a.consul"),
        pairs(&[
            ("form", "service subset"),
            ("service", "billing"),
            ("subset", "v2"),
            ("namespace", "default"),
            ("partition", "default"),
            ("datacenter", "fra1"),
            ("trust_domain", "a.consul"),
        ])
    );
    assert_eq!(
        parts("n1.server.fra1.consul"),
        pairs(&[("form", "one server"), ("node", "n1"), ("datacenter", "fra1"), ("domain", "consul")])
    );
}

/// Names from a hostile vocabulary as often as ordinary ones.
fn label() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9_-]{1,10}",
        proptest::sample::select(vec![
            "internal",
            "internal-v1",
            "external",
            "peering",
            "query",
            "server",
            "default",
            "consul",
            "corp",
            "example",
        ])
        .prop_map(str::to_owned),
    ]
}

/// Consul's own trust domains have two labels; only then is every reading unique.
fn trust_domain() -> impl Strategy<Value = String> {
    (label(), "[a-z]{1,8}").prop_map(|(first, last)| format!("{first}.{last}"))
}

fn any_sni() -> impl Strategy<Value = (MeshSni, String)> {
    let domain = proptest::sample::select(vec!["consul", "corp.example", "x"]).prop_map(str::to_owned);
    let parts = (label(), label(), label(), label(), proptest::option::of(label()));
    (parts, trust_domain(), domain, 0..6u8).prop_map(|((a, b, c, d, e), td, domain, form)| {
        let td = TrustDomain::parse(&td).unwrap();
        let datacenter = Datacenter::parse(&d).unwrap();
        let sni = match form {
            0 => service(e.as_deref(), &a, &b, &c, &d, td.as_str()),
            1 => gateways(&c, &d, td.as_str()),
            2 => MeshSni::Peered {
                service: ServiceName::parse(&a).unwrap(),
                namespace: Namespace::parse(&b).unwrap(),
                partition: Partition::parse(&c).unwrap(),
                peer: PeerName::parse(&d).unwrap(),
                trust_domain: td,
            },
            3 => wan(e.as_deref(), &d, &domain),
            4 => MeshSni::PeeringServer { datacenter, trust_domain: td },
            _ => {
                MeshSni::PreparedQuery { query: QueryName::parse(&a).unwrap(), datacenter, trust_domain: td }
            }
        };
        (sni, domain)
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back((sni, domain) in any_sni()) {
        let name = sni.to_string();
        prop_assert_eq!(crate::is_valid_sni_host(&name), Ok(()));
        prop_assert_eq!(MeshSni::parse(&name, &domain), Ok(sni));
    }

    #[test]
    fn what_is_read_is_written_back(labels in proptest::collection::vec(label(), 1..9)) {
        let name = labels.join(".");
        if let Ok(sni) = MeshSni::parse(&name, "consul") {
            prop_assert_eq!(sni.to_string(), name);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(name in "\\PC{0,60}", domain in "\\PC{0,8}") {
        let _ = MeshSni::parse(&name, &domain);
    }

    #[test]
    fn names_with_dots_are_refused(a in "[a-z0-9_-]{0,5}", b in "[a-z0-9_-]{0,5}") {
        let name = format!("{a}.{b}");
        let dot = NameError::Dot { position: a.len() };
        prop_assert_eq!(ServiceName::parse(&name), Err(dot.clone()));
        prop_assert_eq!(Datacenter::parse(&name), Err(dot.clone()));
        prop_assert_eq!(PeerName::parse(&name), Err(dot.clone()));
        prop_assert_eq!(SubsetName::parse(&name), Err(dot));
    }
}

//! What is read, what is refused, and that writing undoes reading.

use proptest::prelude::*;

use super::*;

fn element(text: &str) -> Element {
    Element::new(text).unwrap()
}

fn domain() -> TrustDomain {
    TrustDomain::parse("1234.consul").unwrap()
}

#[test]
fn reads_every_kind() {
    let service = |partition: &str, namespace: &str, datacenter: &str, service: &str| SpiffeId::Service {
        trust_domain: domain(),
        partition: element(partition),
        namespace: element(namespace),
        datacenter: element(datacenter),
        service: element(service),
    };
    let cases = [
        ("spiffe://1234.consul/ns/default/dc/dc01/svc/web", service("default", "default", "dc01", "web")),
        ("spiffe://1234.consul/ap/fin/ns/default/dc/dc01/svc/web", service("fin", "default", "dc01", "web")),
        (
            "spiffe://1234.consul/ap/biz%2Fqux/ns/foo%2Fbar/dc/bar%2Fbaz/svc/baz%2Fqux",
            service("biz/qux", "foo/bar", "bar/baz", "baz/qux"),
        ),
        ("spiffe://1234.consul/ns/a.b/dc/dc01/svc/ns", service("default", "a.b", "dc01", "ns")),
        (
            "spiffe://1234.consul/agent/client/dc/dc1/id/n.1",
            SpiffeId::Agent {
                trust_domain: domain(),
                partition: element("default"),
                datacenter: element("dc1"),
                node: element("n.1"),
            },
        ),
        (
            "spiffe://1234.consul/ap/fin/agent/client/dc/dc1/id/n1",
            SpiffeId::Agent {
                trust_domain: domain(),
                partition: element("fin"),
                datacenter: element("dc1"),
                node: element("n1"),
            },
        ),
        (
            "spiffe://1234.consul/agent/server/dc/dc1",
            SpiffeId::Server { trust_domain: domain(), datacenter: element("dc1") },
        ),
        (
            "spiffe://1234.consul/gateway/mesh/dc/dc1",
            SpiffeId::MeshGateway {
                trust_domain: domain(),
                partition: element("default"),
                datacenter: element("dc1"),
            },
        ),
        ("spiffe://1234.consul", SpiffeId::Signing { trust_domain: domain() }),
    ];
    for (uri, id) in cases {
        assert_eq!(SpiffeId::parse(uri).as_ref(), Ok(&id), "{uri}");
        assert_eq!(id.to_string(), uri);
        assert!(id.matches_uri(uri));
    }
}

#[test]
fn refuses_what_consul_would_not_write() {
    use SpiffeError as E;
    let long = format!("spiffe://a.b/ns/default/dc/d/svc/{}", "s".repeat(2048));
    let cases = [
        ("", E::Scheme),
        ("http://1234.consul", E::Scheme),
        ("SPIFFE://1234.consul", E::Scheme),
        ("spiffe:1234.consul", E::Scheme),
        ("spiffe://", E::TrustDomain(NameError::Empty)),
        ("spiffe:///ns/a/dc/b/svc/c", E::TrustDomain(NameError::Empty)),
        ("spiffe://u@1234.consul", E::TrustDomain(NameError::Character { character: '@', position: 1 })),
        ("spiffe://1234.consul:80", E::TrustDomain(NameError::Character { character: ':', position: 11 })),
        ("spiffe://1234.consul.", E::TrustDomain(NameError::TrailingDot)),
        ("spiffe://10.0.0.1", E::TrustDomain(NameError::IpLiteral)),
        ("spiffe://consul", E::NoPath),
        ("spiffe://1234.consul/", E::Path),
        ("spiffe://1234.consul?", E::Character { character: '?', position: 20 }),
        ("spiffe://1234.consul#", E::Character { character: '#', position: 20 }),
        ("spiffe://1234.consul/ns/a/dc/b/svc/c?q", E::Character { character: '?', position: 36 }),
        ("spiffe://1234.consul/ns/a/dc/b/svc/c d", E::Character { character: ' ', position: 36 }),
        ("spiffe://1234.consul/ns/a/dc/b/svc/é", E::Character { character: 'é', position: 35 }),
        ("spiffe://1234.consul/ns/a/dc/b/svc/c/", E::Path),
        ("spiffe://1234.consul/ns/a/dc/b/svc/c/d", E::Path),
        ("spiffe://1234.consul//ns/a/dc/b/svc/c", E::Path),
        ("spiffe://1234.consul/ns//dc/b/svc/c", E::Path),
        ("spiffe://1234.consul/NS/a/dc/b/svc/c", E::Path),
        ("spiffe://1234.consul/ns%2Fa/dc/b/svc/c", E::Path),
        ("spiffe://1234.consul/dc/b/svc/c", E::Path),
        ("spiffe://1234.consul/ap/a/ap/b/ns/a/dc/b/svc/c", E::Path),
        ("spiffe://1234.consul/ap/a/agent/server/dc/b", E::Path),
        ("spiffe://1234.consul/ap/a", E::Path),
        ("spiffe://1234.consul/gateway/ingress/dc/b", E::Path),
        ("spiffe://1234.consul/ns/a/dc/b/svc/%", E::Encoding { element: "service" }),
        ("spiffe://1234.consul/ns/a/dc/b/svc/%4", E::Encoding { element: "service" }),
        ("spiffe://1234.consul/ns/a/dc/b/svc/%+1", E::Encoding { element: "service" }),
        ("spiffe://1234.consul/ns/a/dc/%FF/svc/c", E::Encoding { element: "datacenter" }),
        ("spiffe://1234.consul/ns/%00/dc/b/svc/c", E::Encoding { element: "namespace" }),
        (long.as_str(), E::TooLong { length: long.len() }),
    ];
    for (uri, why) in cases {
        assert_eq!(SpiffeId::parse(uri), Err(why), "{uri}");
    }
}

#[test]
fn a_decision_compares_the_text_not_the_meaning() {
    let web = SpiffeId::parse("spiffe://1234.consul/ns/default/dc/dc1/svc/web").unwrap();
    for same_meaning in [
        "spiffe://1234.consul/ns/default/dc/dc1/svc/w%65b",
        "spiffe://1234.consul/ap/default/ns/default/dc/dc1/svc/web",
    ] {
        assert_eq!(SpiffeId::parse(same_meaning).as_ref(), Ok(&web));
        assert!(!web.matches_uri(same_meaning), "{same_meaning}");
        assert!(!SpiffeId::parse(same_meaning).unwrap().is_exact(), "{same_meaning}");
    }
    assert!(web.is_exact());
    assert!(!web.matches_uri("spiffe://1234.CONSUL/ns/default/dc/dc1/svc/web"));
}

#[test]
fn partitions_are_written_in_lower_case() {
    let (partition, namespace) = (Partition::parse("Fin").unwrap(), Namespace::default());
    let (dc, service) = (Datacenter::parse("dc1").unwrap(), ServiceName::parse("Web").unwrap());
    let id = SpiffeId::service(domain(), &partition, &namespace, &dc, &service);
    assert_eq!(id.to_string(), "spiffe://1234.consul/ap/fin/ns/default/dc/dc1/svc/Web");
    let gateway = SpiffeId::mesh_gateway(domain(), &Partition::default(), &dc);
    assert_eq!(gateway.to_string(), "spiffe://1234.consul/gateway/mesh/dc/dc1");
}

/// The expected text is what Go's `(&url.URL{Path: …}).String()` gives, with the slash escaped in addition.
#[test]
fn escapes_like_go() {
    let every: String = (' '..='~').collect();
    let id = SpiffeId::Agent {
        trust_domain: domain(),
        partition: element("default"),
        datacenter: element("dé"),
        node: element(&every),
    };
    let expected = "%20%21%22%23$%25&%27%28%29%2A+,-.%2F0123456789:;%3C=%3E%3F@ABCDEFGHIJKLMNOPQRSTUVWXYZ\
                    %5B%5C%5D%5E_%60abcdefghijklmnopqrstuvwxyz%7B%7C%7D~";
    assert_eq!(id.to_string(), format!("spiffe://1234.consul/agent/client/dc/d%C3%A9/id/{expected}"));
}

fn any_element() -> impl Strategy<Value = Element> {
    prop_oneof![
        "[a-z0-9-]{1,12}",
        "[ -~]{1,8}",
        "\\PC{1,6}",
        Just("default".to_owned()),
        Just("ap".to_owned())
    ]
    .prop_filter_map("elements hold no control characters", |text| Element::new(&text))
}

fn any_id() -> impl Strategy<Value = SpiffeId> {
    let domain = "[a-z][a-z0-9-]{0,8}\\.[a-z]{1,6}".prop_map(|text| TrustDomain::parse(&text).unwrap());
    (domain, any_element(), any_element(), any_element(), any_element(), 0..5u8).prop_map(
        |(trust_domain, partition, namespace, datacenter, service, kind)| match kind {
            0 => SpiffeId::Service { trust_domain, partition, namespace, datacenter, service },
            1 => SpiffeId::Agent { trust_domain, partition, datacenter, node: service },
            2 => SpiffeId::Server { trust_domain, datacenter },
            3 => SpiffeId::MeshGateway { trust_domain, partition, datacenter },
            _ => SpiffeId::Signing { trust_domain },
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(id in any_id()) {
        let uri = id.to_string();
        prop_assert_eq!(SpiffeId::parse(&uri), Ok(id));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(spiffe://)?[a-c./%0-9#?@:-]{0,40}") {
        if let Ok(id) = SpiffeId::parse(&text) {
            prop_assert_eq!(id.is_exact(), id.to_string() == text);
            prop_assert_eq!(SpiffeId::parse(&id.to_string()), Ok(id));
        }
    }
}

//! Tests of `explain`, on a catalog of files.

use super::*;
use crate::admin_client::fake::{FakeAdmin, closed_port};
use crate::settings::Role;
use crate::testing::{Catalog, TRUST_DOMAIN, printed, sni};

fn explained(catalog: &Catalog, name: &str) -> Explanation {
    explain_name(&catalog.settings(&[]), &catalog.snapshot(), name)
}

fn because(catalog: &Catalog, name: &str) -> (&'static str, String) {
    let refusal = explained(catalog, name).refused.expect("it is refused");
    (refusal.reason, refusal.because)
}

#[test]
fn a_service_is_explained_part_by_part_with_its_endpoints() {
    let catalog = Catalog::example();
    let explanation = explained(&catalog, &sni("Billing.default.fra1"));
    assert_eq!(explanation.name, sni("billing.default.fra1"), "it is looked up in lower case");
    let parts: Vec<_> = explanation.parts.iter().map(|part| (part.part, part.value.as_str())).collect();
    assert_eq!(
        parts,
        [
            ("form", "service"),
            ("service", "billing"),
            ("namespace", "default"),
            ("partition", "default"),
            ("datacenter", "fra1"),
            ("trust_domain", TRUST_DOMAIN),
        ]
    );
    let routed = explanation.routed.unwrap();
    assert_eq!((routed.rule, routed.service.as_str()), ("service", "billing"));
    assert_eq!(routed.connect_timeout, Sourced::new("7s", "service-resolver billing"));
    assert_eq!(routed.max_connections, Sourced::new("none", "limits.connections_per_service, default"));
    let endpoints: Vec<_> =
        routed.endpoints.iter().map(|e| (e.address.as_str(), e.healthy, e.used)).collect();
    assert_eq!(endpoints, [("10.10.3.7:21000", true, true), ("10.10.3.8:21000", false, false)]);
    assert!(explanation.refused.is_none() && explanation.notes.is_empty());
}

#[test]
fn an_unhealthy_set_is_used_as_the_balancer_would() {
    let catalog = Catalog::example();
    let subset = explained(&catalog, &sni("v2.billing.default.fra1")).routed.unwrap();
    assert_eq!((subset.rule, subset.endpoints.len()), ("subset", 1));
    assert!(subset.endpoints[0].used && subset.endpoints[0].why.contains("so are all"), "{subset:?}");

    let settings = catalog.settings(&[("GATEWAY_EJECTION_PANIC_THRESHOLD", "51")]);
    let panicking =
        explain_name(&settings, &catalog.snapshot(), &sni("billing.default.fra1")).routed.unwrap();
    assert!(panicking.endpoints[1].used && panicking.endpoints[1].why.contains("panic_threshold"));
}

#[test]
fn wildcards_say_which_rule_took_the_name() {
    let catalog = Catalog::example();
    let remote = explained(&catalog, &sni("anything.default.ams2")).routed.unwrap();
    assert_eq!((remote.rule, remote.name), ("remote_datacenter", sni("*.ams2")));
    assert_eq!(remote.because, "all names of datacenter ams2 go to its mesh gateways");
    assert_eq!(remote.connect_timeout, Sourced::new("5s", "timers.connect, default"));
    let route = explained(&catalog, "shop.legacy.example.com");
    assert!(route.not_of_the_mesh.is_some() && route.parts.is_empty());
    assert_eq!(route.routed.unwrap().because, "the catalog has a [[Route]] for *.legacy.example.com");
}

#[test]
fn settings_show_where_their_limits_come_from() {
    let catalog = Catalog::with(
        "Kind = \"service-defaults\"\nName = \"mesh-gateway\"\n[UpstreamConfig.Defaults.Limits]\nMaxConnections = 9\n",
    );
    let settings = catalog.settings(&[("GATEWAY_LIMITS_PENDING_PER_SERVICE", "5")]);
    let routed = explain_name(&settings, &catalog.snapshot(), &sni("billing.default.fra1")).routed.unwrap();
    assert_eq!(routed.max_connections, Sourced::new("9", "service-defaults mesh-gateway"));
    let origin = "limits.pending_per_service, environment GATEWAY_LIMITS_PENDING_PER_SERVICE";
    assert_eq!(routed.max_pending, Sourced::new("5", origin));
}

#[test]
fn a_refused_name_is_told_what_is_missing() {
    let catalog = Catalog::example();
    let unknown = |front: &str| {
        let (reason, because) = because(&catalog, &sni(front));
        assert_eq!(reason, "unknown_sni", "{front}");
        because
    };
    assert!(unknown("ledger.default.fra1").contains("no instance of ledger"));
    assert!(unknown("v9.billing.default.fra1").contains("service-resolver of billing has no subset v9"));
    assert!(unknown("v9.ledger.default.fra1").contains("no instance of ledger"));
    assert!(unknown("billing.default.use1").contains("no usable mesh gateway of datacenter use1"));
    let other =
        because(&catalog, "billing.default.fra1.internal.99999999-2222-3333-4444-555555555555.consul");
    assert!(other.1.contains("its trust domain is 99999999"), "{other:?}");
    assert!(
        because(&catalog, &format!("geo.default.fra1.query.{TRUST_DOMAIN}")).1.contains("prepared queries")
    );
    assert!(because(&catalog, "www.example.com").1.contains("no [[Route]]"));
    assert!(because(&catalog, "server.fra1.consul").1.contains("not made from a static catalog"));

    let near = explained(&catalog, &sni("biling.default.fra1")).refused.unwrap().near;
    assert_eq!(near.first(), Some(&sni("billing.default.fra1")));
}

#[test]
fn a_name_that_no_hello_can_carry_is_told_from_an_unknown_one() {
    let catalog = Catalog::example();
    assert_eq!(because(&catalog, "").0, "no_sni");
    for name in ["a..b", ".a", "bücher.example", "a b", &"x".repeat(64), &"x.".repeat(128)] {
        assert_eq!(because(&catalog, name).0, "hello_malformed", "{name}");
    }
    for name in ["10.0.0.1", &format!("{}.", sni("billing.default.fra1"))] {
        assert_eq!(because(&catalog, name).0, "unknown_sni", "valid TLS, but no route: {name}");
    }
}

#[test]
fn an_endpoint_that_is_the_gateway_itself_is_noted() {
    let catalog = Catalog::example();
    let settings = catalog.settings(&[("GATEWAY_WAN_ADDRESS", "198.51.100.20:443")]);
    let remote = explain_name(&settings, &catalog.snapshot(), &sni("x.default.ams2"));
    assert!(remote.notes.iter().any(|note| note.contains("forwarding_loop")), "{:?}", remote.notes);
    let settings = catalog.settings(&[("GATEWAY_ADDRESS", "10.10.3.7:21000")]);
    let local = explain_name(&settings, &catalog.snapshot(), &sni("billing.default.fra1"));
    assert_eq!(local.notes.len(), 1);
}

#[test]
fn text_and_json_say_the_same_and_the_code_says_whether_it_is_routed() {
    let catalog = Catalog::example();
    let settings = catalog.settings(&[]);
    let name = sni("billing.default.fra1");
    let (good, text) = printed(|out| explain(&settings, &name, Options::default(), out));
    assert!(good && text.contains("not used  10.10.3.8:21000"), "{text}");
    assert!(text.contains("connect timeout  7s  (service-resolver billing)"), "{text}");

    let json = Options { json: true, ..Options::default() };
    let (good, text) = printed(|out| explain(&settings, &name, json, out));
    let page: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(good);
    assert_eq!(page["routed"]["endpoints"][1]["used"], false);
    assert_eq!(page["refused"], serde_json::Value::Null);

    let (good, text) = printed(|out| explain(&settings, "nobody", Options::default(), out));
    assert!(!good && text.contains("unknown_sni: "), "{text}");
}

#[test]
fn live_figures_are_asked_for_and_their_absence_is_no_failure() {
    let catalog = Catalog::example();
    let mut settings = catalog.settings(&[]);
    let row = r#"{"name":"x","open":3,"pending":1,"ejections":2,"endpoints":[{"address":"10.10.3.7:21000","in_flight":3,"consecutive_failures":4,"ejected_for_seconds":12.5}]}"#;
    let admin = FakeAdmin::answering(format!("HTTP/1.0 200 OK\r\n\r\n{{\"services\":[{row}]}}"));
    settings.admin_bind = admin.address;
    let live = Options { live: true, json: false };
    let (good, text) = printed(|out| explain(&settings, &sni("x.default.ams2"), live, out));
    assert!(good && text.contains("live: open 3, pending 1, ejections 2"), "{text}");
    assert!(text.contains("in flight 3, failures in a row 4, ejected for another 12 s"), "{text}");
    assert_eq!(admin.asked(), format!("GET /endpoints?name=*.ams2.internal.{TRUST_DOMAIN} HTTP/1.0"));

    settings.admin_bind = closed_port();
    let (good, text) = printed(|out| explain(&settings, &sni("x.default.ams2"), live, out));
    assert!(good && text.contains("note: no live figures: no gateway answers"), "{text}");
}

#[test]
fn a_broken_catalog_explains_nothing() {
    let catalog = Catalog::with("Servce = 1");
    let (good, text) = printed(|out| explain(&catalog.settings(&[]), "x", Options::default(), out));
    assert!(!good && text.contains("more.toml:1"), "{text}");
}

#[test]
fn a_long_list_of_endpoints_is_cut_and_says_so() {
    let to: Vec<_> = (0..1_200).map(|i| format!("\"10.{}.{}.1:443\"", i / 256, i % 256)).collect();
    let catalog = Catalog::with(&format!("[[Route]]\nSNI = \"many.example\"\nTo = [{}]\n", to.join(",")));
    let routed = explained(&catalog, "many.example").routed.unwrap();
    assert_eq!((routed.endpoints.len(), routed.endpoints_total), (1_000, 1_200));
    let settings = catalog.settings(&[]);
    let (_, text) = printed(|out| explain(&settings, "many.example", Options::default(), out));
    assert!(text.contains("endpoints: 1200, healthy 1200") && text.contains("… and 200 more"), "{text}");
}

/// The same mesh, as if it had been read from a Consul.
fn from_consul(catalog: &Catalog, change: impl FnOnce(&mut MeshSnapshot), name: &str) -> Explanation {
    let settings = Settings::defaults(Role::Mesh).unwrap();
    assert!(settings.consul().is_some());
    let mut snapshot = (*catalog.snapshot()).clone();
    change(&mut snapshot);
    explain_name(&settings, &snapshot, name)
}

#[test]
fn the_registration_decides_where_no_resolver_does() {
    let catalog = Catalog::example();
    let time = |name: &str| {
        let own = |snapshot: &mut MeshSnapshot| snapshot.own.connect_timeout = Some(Duration::from_secs(9));
        from_consul(&catalog, own, &sni(name)).routed.unwrap().connect_timeout
    };
    assert_eq!(time("billing.default.fra1"), Sourced::new("7s", "service-resolver billing"));
    assert_eq!(time("any.default.ams2"), Sourced::new("9s", "connect_timeout_ms of the registration"));
}

#[test]
fn where_the_gateway_is_registered_is_itself() {
    let catalog = Catalog::example();
    let own =
        |snapshot: &mut MeshSnapshot| snapshot.own.advertised = vec!["198.51.100.20:443".parse().unwrap()];
    let notes = from_consul(&catalog, own, &sni("x.default.ams2")).notes;
    assert!(notes.iter().any(|note| note.contains("forwarding_loop")), "{notes:?}");
}

#[test]
fn a_consul_is_not_told_to_be_a_catalog_of_files() {
    let catalog = Catalog::example();
    let because = |name: &str| from_consul(&catalog, |_| {}, name).refused.unwrap().because;
    assert_eq!(because("www.example.com"), "it is not a name of the mesh");
    assert!(
        because(&sni("x.default.use1")).starts_with("Consul has no usable mesh gateway of datacenter use1")
    );
    assert!(because(&sni("ledger.default.fra1")).starts_with("Consul has no instance of ledger"));
    assert!(because("server.fra1.consul").contains("are not routed"));
}

//! Which names there are, and what is behind each.

use super::{
    pki::uri,
    shared::{Egress, behind, outside, service, sni, warnings},
};
use crate::support::TD;
use gateway_state::{
    Rule, Snapshot,
    terminating::{LinkKind, Lookup, ServiceOptions, TerminatingOptions},
};
use mesh_endpoints::Balancer;
use std::time::Duration;

fn resolver(name: &str, rest: &str) -> String {
    format!("[[Entry]]\nKind = \"service-resolver\"\nName = \"{name}\"\n{rest}\n")
}

const V1: &str = "Meta = { version = \"v1\" }";
const V2: &str = "Meta = { version = \"v2\" }";
const SUBSETS: &str = "Subsets.v1.Filter = 'Service.Meta.version == \"v1\"'\n\
                       Subsets.v2 = { Filter = 'Service.Meta.version == \"v2\"', OnlyPassing = true }\n";

#[test]
fn a_linked_service_has_its_name_its_certificate_and_its_instances() {
    // [terminating-gateway 12: 1, 3, 4, 6, 7]
    let rest = outside("billing", "10.0.0.1:80", "") + &outside("billing", "10.0.0.2:80", "");
    let egress = Egress::new(&["billing"], &rest);
    let snapshot = egress.snapshot();
    assert_eq!(behind(&snapshot, &sni("billing")), "10.0.0.1:80 w1, 10.0.0.2:80 w1");
    let Lookup::Found(found) = snapshot.lookup(&sni("billing")) else { panic!("{snapshot:#?}") };
    assert_eq!((found.rule, &**found.name), (Rule::Service, &*sni("billing")));
    assert_eq!(found.target, &snapshot.targets()[found.index]);
    let billing = service(&snapshot, "billing");
    assert!(matches!(&billing.leaf, gateway_state::terminating::LeafState::Ready(leaf)
        if leaf.id().to_string() == uri("billing")));
    assert_eq!((&*billing.protocol, billing.kind, billing.from_wildcard), ("tcp", LinkKind::Service, false));
    assert_eq!(billing.targets[..], [sni("billing").into()]);
    let elsewhere = sni("billing").replace("fra1", "ams2");
    let foreign = format!("billing.default.fra1.internal.{}", TD.replace('6', "7"));
    let suffix = format!("default.fra1.internal.{TD}");
    for unknown in
        [&sni("zzz"), "", &elsewhere, &foreign, &sni("v9.billing"), &suffix, &format!("{}.", sni("billing"))]
    {
        assert_eq!(behind(&snapshot, unknown), "unknown", "{unknown:?}");
    }
    assert_eq!(warnings(&snapshot), "");
}

#[test]
fn names_are_in_lower_case_whatever_the_service_is_called() {
    // [terminating-gateway 12: 2]
    let egress = Egress::new(&["Billing"], &outside("billing", "10.0.0.1:80", ""));
    assert_eq!(behind(&egress.snapshot(), &sni("billing")), "10.0.0.1:80 w1");
}

#[test]
fn another_partition_has_its_own_form_of_names() {
    // [terminating-gateway 4.2]
    let egress = Egress::new(&["billing"], &outside("billing", "10.0.0.1:80", ""));
    let mesh = super::shared::MESH.to_owned() + "Partition = \"fin\"\n";
    egress.catalog.write("mesh.toml", &mesh);
    let id = format!("spiffe://{TD}/ap/fin/ns/default/dc/fra1/svc/billing");
    let now = super::pki::now();
    egress.leaf("billing", &egress.ca.issue(&[&id], now - 60, now + 3_600));
    let snapshot = egress.snapshot();
    let name = format!("billing.default.fin.fra1.internal-v1.{TD}");
    assert_eq!(behind(&snapshot, &name), "10.0.0.1:80 w1");
    assert_eq!(behind(&snapshot, &sni("billing")), "unknown");
}

#[test]
fn health_and_weights_are_those_of_the_instances() {
    // [terminating-gateway 6.1, 12: 16 to 20]
    let rows = [
        ("10.0.0.1:1", "Weights = { Passing = 10, Warning = 2 }"),
        ("10.0.0.2:1", "Status = \"warning\"\nWeights = { Passing = 10, Warning = 2 }"),
        ("10.0.0.3:1", "Status = \"critical\""),
        ("10.0.0.4:1", "Status = \"warning\"\nWeights = { Warning = 0 }"),
        ("10.0.0.5:1", "Weights = { Passing = 1000 }"),
    ];
    let rest: String = rows.iter().map(|(address, more)| outside("db", address, more)).collect();
    let rest = rest + &outside("down", "10.0.1.1:1", "Status = \"critical\"");
    let snapshot = Egress::new(&["db", "down"], &rest).snapshot();
    let expected = "10.0.0.1:1 w10, 10.0.0.2:1 w2, 10.0.0.3:1 w1 down, 10.0.0.4:1 w1 down, 10.0.0.5:1 w128";
    assert_eq!(behind(&snapshot, &sni("db")), expected);
    assert_eq!(behind(&snapshot, &sni("down")), "10.0.1.1:1 w1 down", "still tried");
}

#[test]
fn names_and_addresses_are_used_together() {
    // [static-catalog S12, terminating-gateway 6.3]
    let rest =
        outside("db", "10.0.0.1:1", "") + &outside("db", "DB.example.com:2", "Weights = { Passing = 3 }");
    let snapshot = Egress::new(&["db"], &rest).snapshot();
    assert_eq!(behind(&snapshot, &sni("db")), "10.0.0.1:1 w1, db.example.com:2 w3");
    let Lookup::Found(found) = snapshot.lookup(&sni("db")) else { panic!("{snapshot:#?}") };
    assert!(!found.target.only_first_name);
}

#[test]
fn only_plain_instances_of_this_datacenter_are_outside() {
    let rest = [
        outside("db", "10.0.0.1:1", ""),
        outside("db", "10.0.0.2:1", "Kind = \"connect-proxy\""),
        outside("db", "10.0.0.3:1", "Datacenter = \"ams2\""),
        outside("db", "10.0.0.4:1", "Peer = \"east\""),
        outside("db", "10.0.0.5:1", "Native = true"),
        outside("db", "10.0.0.6:1", "Partition = \"other\""),
        outside("db", "10.0.0.7:1", "Namespace = \"team\""),
    ];
    let snapshot = Egress::new(&["db"], &rest.concat()).snapshot();
    assert_eq!(behind(&snapshot, &sni("db")), "10.0.0.1:1 w1, 10.0.0.5:1 w1");
}

#[test]
fn a_service_without_instances_is_known_and_not_ready() {
    // [terminating-gateway 4.4, 12: 15]
    let egress = Egress::new(&["billing", "empty"], &outside("billing", "10.0.0.1:80", ""));
    let snapshot = egress.snapshot();
    assert_eq!(behind(&snapshot, &sni("empty")), "not ready: it has no instance");
    assert_eq!(behind(&snapshot, &sni("billing")), "10.0.0.1:80 w1");
    let said = egress.plain(&warnings(&snapshot));
    assert!(
        said.contains("egress.toml:4: Entry[0].Services[1]: service empty: the service has no instance"),
        "{said}"
    );
}

#[test]
fn subsets_have_names_and_the_default_one_stands_for_the_service() {
    // [terminating-gateway 6.4, 12: 7, 30 to 32]
    let rest = outside("inv", "10.0.0.1:1", V1)
        + &outside("inv", "10.0.0.2:1", &format!("{V2}\nStatus = \"warning\""))
        + &outside("inv", "db.example.com:1", V1);
    let with =
        |more: &str| Egress::new(&["inv"], &(rest.clone() + &resolver("inv", &(SUBSETS.to_owned() + more))));
    let snapshot = with("").snapshot();
    assert_eq!(behind(&snapshot, &sni("v1.inv")), "10.0.0.1:1 w1, db.example.com:1 w1");
    assert_eq!(behind(&snapshot, &sni("v2.inv")), "10.0.0.2:1 w1 down", "OnlyPassing, and still tried");
    assert_eq!(behind(&snapshot, &sni("inv")), "10.0.0.1:1 w1, 10.0.0.2:1 w1, db.example.com:1 w1");
    assert_eq!(behind(&snapshot, &sni("v3.inv")), "unknown");
    let Lookup::Found(found) = snapshot.lookup(&sni("v1.inv")) else { panic!("{snapshot:#?}") };
    assert_eq!((found.rule, &*found.target.service), (Rule::Subset, "inv"));
    assert_eq!(found.service.targets.len(), 3);

    let snapshot = with("DefaultSubset = \"v1\"\n").snapshot();
    assert_eq!(behind(&snapshot, &sni("inv")), "10.0.0.1:1 w1, db.example.com:1 w1", "also with host names");
    let snapshot = with("Redirect = { Service = \"other\" }\n").snapshot();
    assert_eq!(behind(&snapshot, &sni("inv")), "10.0.0.1:1 w1, 10.0.0.2:1 w1, db.example.com:1 w1");
}

#[test]
fn a_resolver_says_how_instances_are_chosen_and_how_long_connecting_may_take() {
    // [terminating-gateway 6.2]
    let target = |rest: &str| {
        let rest = outside("db", "10.0.0.1:1", "") + &resolver("db", rest);
        let snapshot = Egress::new(&["db"], &rest).snapshot();
        let Lookup::Found(found) = snapshot.lookup(&sni("db")) else { panic!("{snapshot:#?}") };
        (found.target.policy.balancer, found.target.connect_timeout)
    };
    assert_eq!(target(""), (Balancer::RoundRobin, None));
    assert_eq!(target("ConnectTimeout = \"7s\""), (Balancer::RoundRobin, Some(Duration::from_secs(7))));
    let least = "LoadBalancer = { Policy = \"least_request\", LeastRequestConfig = { ChoiceCount = 3 } }";
    assert_eq!(target(least), (Balancer::LeastRequest { choice_count: 3 }, None));
    for hashing in ["ring_hash", "maglev"] {
        let policy = format!("LoadBalancer.Policy = \"{hashing}\"");
        assert_eq!(target(&policy), (Balancer::Random, None), "there is nothing to hash in TCP");
    }
}

#[test]
fn limits_are_those_of_the_gateways_own_entry() {
    let limits = "[[Entry]]\nKind = \"service-defaults\"\nName = \"egress\"\n\
        UpstreamConfig.Defaults.Limits = { MaxConnections = 7, MaxPendingRequests = 3 }\n";
    let snapshot = Egress::new(&["db"], &(outside("db", "10.0.0.1:1", "") + limits)).snapshot();
    let Lookup::Found(found) = snapshot.lookup(&sni("db")) else { panic!("{snapshot:#?}") };
    let limits = found.target.policy.limits;
    assert_eq!((limits.max_connections, limits.max_pending), (Some(7), Some(3)));
}

#[test]
fn the_protocol_is_that_of_service_defaults_or_else_of_proxy_defaults() {
    // [discovery-chain 2.1]
    let defaults = |name: &str, rest: &str| {
        format!("[[Entry]]\nKind = \"service-defaults\"\nName = \"{name}\"\n{rest}\n")
    };
    let proxy = "[[Entry]]\nKind = \"proxy-defaults\"\nName = \"global\"\nConfig = { protocol = \"HTTP\", other = 1 }\n";
    let rest = defaults("grpc", "Protocol = \"GRPC\"") + &defaults("empty", "") + proxy;
    let egress = Egress::new(&["grpc", "empty", "none"], &rest);
    let snapshot = egress.snapshot();
    let protocol =
        |name: &str| (service(&snapshot, name).protocol.to_string(), service(&snapshot, name).is_http());
    assert_eq!(protocol("grpc"), ("grpc".to_owned(), true));
    assert_eq!(
        protocol("empty"),
        ("tcp".to_owned(), false),
        "proxy-defaults do not count where there is an entry"
    );
    assert_eq!(protocol("none"), ("http".to_owned(), true));
}

#[test]
fn a_wildcard_takes_every_service_outside_the_mesh_and_an_explicit_link_inherits_nothing() {
    // [terminating-gateway 2.1, 12: 49]
    let rest = [
        outside("billing", "10.0.0.1:1", ""),
        outside("banner", "10.0.0.2:1", ""),
        outside("consul", "10.0.0.3:8300", ""),
        outside("native", "10.0.0.4:1", "Native = true"),
        outside("side", "10.0.0.5:1", "Kind = \"connect-proxy\""),
        "[[Entry]]\nKind = \"service-defaults\"\nName = \"www\"\n\
         Destination = { Addresses = [\"www.example.com\"], Port = 443 }\n"
            .to_owned(),
        "[[Entry]]\nKind = \"service-defaults\"\nName = \"banner\"\n\
         Destination = { Addresses = [\"192.0.2.1\"], Port = 443 }\n"
            .to_owned(),
    ];
    let entry = "Services = [{ Name = \"*\", CAFile = \"ca/outside.pem\", SNI = \"fallback.example\" }, { Name = \"billing\" }, { Name = \"gone\" }]\n";
    let egress = Egress::with_entry(&["billing", "banner", "www", "gone"], entry, &rest.concat());
    egress.catalog.write("ca/outside.pem", &egress.ca.pem());
    let snapshot = egress.snapshot();
    let names: Vec<_> = snapshot
        .services
        .iter()
        .map(|it| (&*it.key.name, it.from_wildcard, it.kind, it.origination.is_some()))
        .collect();
    assert_eq!(
        names,
        [
            ("banner", true, LinkKind::Service, true),
            ("billing", false, LinkKind::Service, false),
            ("gone", false, LinkKind::Service, false),
            ("www", true, LinkKind::Destination, true),
        ]
    );
}

#[test]
fn a_service_that_a_wildcard_takes_in_without_a_leaf_is_a_warning() {
    let rest = outside("billing", "10.0.0.1:1", "") + &outside("web", "10.0.0.2:1", "");
    let egress = Egress::with_entry(&["billing"], "Services = [{ Name = \"*\" }]\n", &rest);
    let snapshot = egress.snapshot();
    assert_eq!(behind(&snapshot, &sni("billing")), "10.0.0.1:1 w1");
    assert!(behind(&snapshot, &sni("web")).starts_with("not ready: it has no certificate"), "{snapshot:#?}");
    assert!(warnings(&snapshot).contains("there is no [[Leaf]]"), "{}", warnings(&snapshot));
}

#[test]
fn a_destination_has_a_name_for_each_address() {
    // [terminating-gateway 9, 12: 50]
    let rest = "[[Entry]]\nKind = \"service-defaults\"\nName = \"www\"\n\
        Destination = { Addresses = [\"WWW.example.com\", \"192.168.0.1\", \"www-example.com\", \"2001:db8::1\"], Port = 443 }\n\
        [[Entry]]\nKind = \"service-resolver\"\nName = \"www\"\nSubsets.v1 = {}\n";
    let egress = Egress::new(&["www"], rest);
    let snapshot = egress.snapshot();
    assert_eq!(
        behind(&snapshot, &sni("destination.www-example-com.www")),
        "www.example.com:443 w1",
        "the first has it"
    );
    assert_eq!(behind(&snapshot, &sni("destination.192-168-0-1.www")), "192.168.0.1:443 w1");
    assert_eq!(behind(&snapshot, &sni("destination.2001-db8--1.www")), "[2001:db8::1]:443 w1");
    assert!(warnings(&snapshot).contains("www-example.com"), "{}", warnings(&snapshot));
    for unknown in ["www", "v1.www", "destination.other.www"] {
        assert_eq!(behind(&snapshot, &sni(unknown)), "unknown", "{unknown}");
    }
    let Lookup::Found(found) = snapshot.lookup(&sni("destination.192-168-0-1.www")) else { panic!() };
    assert_eq!((found.rule, &*found.target.service), (Rule::Destination, "www"));
    assert!(!service(&snapshot, "www").host_rewrite, "never for destinations");
}

#[test]
fn a_key_that_others_can_read_is_a_warning() {
    let entry = "Services = [{ Name = \"billing\", CAFile = \"tls/ca.pem\", CertFile = \"tls/cert.pem\", \
                 KeyFile = \"tls/key.pem\", SNI = \"a.example\" }]\n";
    let egress = Egress::with_entry(&["billing"], entry, &outside("billing", "10.0.0.1:1", ""));
    let client = egress.ca.leaf("billing");
    egress.catalog.write("tls/ca.pem", &egress.ca.pem());
    egress.catalog.write("tls/cert.pem", &client.cert);
    egress.private("tls/key.pem", &client.key);
    assert_eq!(warnings(&egress.snapshot()), "");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o640);
    std::fs::set_permissions(egress.catalog.path("tls/key.pem"), open).unwrap();
    let said = egress.plain(&warnings(&egress.snapshot()));
    assert!(said.starts_with("egress.toml:4: Entry[0].Services[0].KeyFile: the key "), "{said}");
    assert!(said.contains("has mode 0640"), "{said}");
}

#[test]
fn settings_are_by_service() {
    let rest = outside("billing", "10.0.0.1:1", "") + &outside("web", "10.0.0.2:1", "");
    let egress = Egress::new(&["billing", "web"], &rest);
    let address = "192.0.2.7".parse().unwrap();
    let mut options = TerminatingOptions::default();
    let dry = ServiceOptions { dry_run: true, source_address: Some(address) };
    options.services.insert("Billing".to_owned(), dry.clone());
    options.services.insert("billng".to_owned(), dry);
    let snapshot = egress.load_with(options).unwrap();
    let of = |name: &str| (service(&snapshot, name).dry_run, service(&snapshot, name).source_address);
    assert_eq!((of("billing"), of("web")), ((true, Some(address)), (false, None)));
    let said = warnings(&snapshot);
    assert!(
        said.contains("settings for service \"billng\", which is not linked (did you mean billing?)"),
        "{said}"
    );
}

#[test]
fn without_an_entry_of_its_name_a_gateway_links_nothing_and_says_so() {
    let egress = Egress::new(&[], "");
    egress.catalog.write("egress.toml", "[[Entry]]\nKind = \"terminating-gateway\"\nName = \"egres\"\n");
    let snapshot = egress.snapshot();
    assert!(snapshot.services.is_empty() && snapshot.roots.is_some());
    assert!(
        warnings(&snapshot).contains("\"egress\": no service is linked (did you mean egres?)"),
        "{}",
        warnings(&snapshot)
    );
}

#[test]
fn one_catalog_serves_every_gateway() {
    // [static-catalog S2]
    let egress = Egress::new(
        &["billing"],
        &(outside("billing", "10.0.0.1:80", "")
            + &crate::support::sidecar("web", "10.0.0.9:1")
            + &outside("egress", "10.0.0.7:8443", "Kind = \"terminating-gateway\"")
            + "[[Route]]\nSNI = \"a.example\"\nTo = [\"10.0.0.1:1\"]\n"),
    );
    let mesh = egress.catalog.load().unwrap_or_else(|problems| panic!("{problems}"));
    assert!(mesh.table.lookup(&sni("web")).is_some() && mesh.table.lookup(&sni("billing")).is_some());
    assert_eq!(mesh.warnings, []);
    let snapshot = egress.snapshot();
    assert_eq!(snapshot.table.len(), 1, "{:?}", snapshot.table);
    assert_eq!(warnings(&snapshot), "");
}

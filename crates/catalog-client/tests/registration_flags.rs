//! Flags -> registration, compared with what Consul's own command line sends.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where its support fails")]

use catalog_client::registration::{
    Bind, Flags, GatewayKind, GatewayRegistration, HostNetwork, InterfaceAddress, Place,
};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A line of tests/registration/<kind>.json.
#[derive(Deserialize)]
struct Case {
    name: String,
    flags: Given,
    #[serde(rename = "1.8.7")]
    old: Outcome,
    #[serde(rename = "1.21")]
    new: Outcome,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
struct Given {
    service: Option<String>,
    proxy_id: Option<String>,
    address: Option<String>,
    wan_address: Option<String>,
    bind_address: Vec<String>,
    expose_servers: bool,
    deregister_after_critical: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Body(Value),
    Refused(#[allow(dead_code, reason = "for the reader of the file")] String),
}

/// Refused by us, although the command line sends it: what the agent would answer with 400, or what
/// cannot be listened on.
const STRICTER: [&str; 4] = ["address-port-0", "address-port-bad", "bind-name-host", "dereg-bad"];
/// Accepted by us only: there is but one way to mean it.
const LOOSER: [&str; 1] = ["address-v6-brackets-no-port"];

fn host() -> HostNetwork {
    let own = |interface: &str, address: &str, prefix| InterfaceAddress {
        interface: interface.to_owned(),
        address: address.parse().unwrap(),
        prefix,
    };
    HostNetwork {
        addresses: vec![own("lo", "127.0.0.1", 8), own("lo", "::1", 128), own("eth0", "10.0.0.7", 24)],
        default_interface: Some("eth0".to_owned()),
    }
}

fn flags(kind: GatewayKind, given: Given) -> Flags {
    Flags {
        kind,
        service: given.service,
        proxy_id: given.proxy_id,
        address: given.address,
        wan_address: given.wan_address,
        bind_addresses: given.bind_address,
        expose_servers: given.expose_servers,
        deregister_after_critical: given.deregister_after_critical,
    }
}

fn body(it: &GatewayRegistration) -> Value {
    let write = Place::Agent.register(it, None);
    assert_eq!(write.path, "/v1/agent/service/register?replace-existing-checks=true");
    serde_json::from_slice(&write.body.unwrap()).unwrap()
}

/// Consul 1.8 took port 443 where none is given, later ones 8443, as we do.
fn same_but_for_the_default_port(old: &Value, ours: &Value) -> bool {
    match (old, ours) {
        (Value::Object(old), Value::Object(ours)) => {
            old.len() == ours.len()
                && old.iter().all(|(key, old)| {
                    ours.get(key).is_some_and(|ours| same_but_for_the_default_port(old, ours))
                })
        }
        (Value::Number(old), Value::Number(ours)) => {
            old == ours || (old.as_u64() == Some(443) && ours.as_u64() == Some(8443))
        }
        (Value::String(old), Value::String(ours)) => {
            old == ours || old.strip_suffix(":443").is_some_and(|host| *ours == format!("{host}:8443"))
        }
        (old, ours) => old == ours,
    }
}

fn compare(kind: GatewayKind, file: &str) -> usize {
    let cases: Vec<Case> = serde_json::from_str(file).unwrap();
    let count = cases.len();
    for Case { name, flags: given, old, new } in cases {
        let ours = GatewayRegistration::from_flags(&flags(kind, given), &host());
        match (ours, old, new) {
            (Ok(ours), Outcome::Body(old), Outcome::Body(new)) => {
                let ours = body(&ours);
                assert_eq!(ours, new, "{name}");
                assert!(same_but_for_the_default_port(&old, &ours), "{name}: {old} or {ours}");
            }
            (Err(error), Outcome::Body(_), Outcome::Body(_)) => {
                assert!(STRICTER.contains(&name.as_str()), "{name}: {error}");
            }
            (Ok(ours), Outcome::Refused(_), Outcome::Refused(_)) => {
                assert!(LOOSER.contains(&name.as_str()), "{name}: {ours:?}");
            }
            (Err(error), Outcome::Refused(_), Outcome::Refused(_)) => {
                assert!(error.to_string().starts_with("--"), "{name}: {error}");
            }
            _ => panic!("{name}: the two versions differ"),
        }
    }
    count
}

#[test]
fn the_comparison_is_no_rubber_stamp() {
    let same = |old: &str, ours: &str| same_but_for_the_default_port(&old.into(), &ours.into());
    assert!(same("a", "a") && same("a:443", "a:8443"));
    assert!(!same("a", "b") && !same("a:443", "b:8443") && !same("a:8443", "a:443"));
    let port = |old: u16, ours: u16| same_but_for_the_default_port(&old.into(), &ours.into());
    assert!(port(1, 1) && port(443, 8443) && !port(8443, 443) && !port(443, 444));
}

#[test]
fn mesh_gateways_are_registered_as_consul_does() {
    assert!(compare(GatewayKind::Mesh, include_str!("registration/mesh.json")) >= 40);
}

#[test]
fn ingress_gateways_are_registered_as_consul_does() {
    assert!(compare(GatewayKind::Ingress, include_str!("registration/ingress.json")) >= 8);
}

#[test]
fn terminating_gateways_are_registered_as_consul_does() {
    assert!(compare(GatewayKind::Terminating, include_str!("registration/terminating.json")) >= 3);
}

fn registration(edit: impl FnOnce(&mut Flags)) -> Result<GatewayRegistration, String> {
    let mut flags = Flags::new(GatewayKind::Mesh);
    edit(&mut flags);
    GatewayRegistration::from_flags(&flags, &host()).map_err(|error| error.to_string())
}

#[test]
fn names_default_to_the_kind_and_ids_to_the_name() {
    let named = |service: Option<&str>, id: Option<&str>| {
        let it = registration(|flags| {
            flags.service = service.map(str::to_owned);
            flags.proxy_id = id.map(str::to_owned);
        })
        .unwrap();
        (it.name, it.id)
    };
    let pair = |name: &str, id: &str| (name.to_owned(), id.to_owned());
    assert_eq!(named(None, None), pair("mesh-gateway", "mesh-gateway"));
    assert_eq!(named(Some("mgw"), None), pair("mgw", "mgw"));
    assert_eq!(named(None, Some("mgw-1")), pair("mesh-gateway", "mgw-1"));
    assert_eq!(named(Some("mgw"), Some("mgw-1")), pair("mgw", "mgw-1"));
    assert!(registration(|flags| flags.service = Some(String::new())).is_err());
}

#[test]
fn without_an_address_the_check_goes_to_the_loopback() {
    let it = registration(|_| {}).unwrap();
    assert_eq!((it.address, it.port, it.bind), (None, 8443, Bind::Default));
    assert_eq!(it.check.to_string(), "127.0.0.1:8443");
    assert!(it.tagged.is_empty());
}

#[test]
fn both_addresses_local_bind_the_tagged_ones() {
    let it = registration(|flags| {
        flags.address = Some("127.0.0.1:8443".to_owned());
        flags.wan_address = Some("10.0.0.7:8444".to_owned());
    })
    .unwrap();
    assert_eq!(it.bind, Bind::Tagged);
    let it = registration(|flags| {
        flags.address = Some("127.0.0.1:8443".to_owned());
        flags.wan_address = Some("198.51.100.7:443".to_owned());
    })
    .unwrap();
    assert_eq!((it.bind, it.tagged["wan"].to_string().as_str()), (Bind::Default, "198.51.100.7:443"));
}

#[test]
fn an_address_of_another_host_needs_bind_addresses() {
    let with = |bind: &[&str]| {
        registration(|flags| {
            flags.address = Some("198.51.100.8:8443".to_owned());
            flags.bind_addresses = bind.iter().map(|&text| text.to_owned()).collect();
        })
    };
    let error = with(&[]).unwrap_err();
    assert!(error.contains("--address \"198.51.100.8:8443\"") && error.contains("--bind-address"), "{error}");
    assert!(matches!(with(&["default=0.0.0.0:8443"]).unwrap().bind, Bind::Addresses(_)));
}

#[test]
fn templates_become_addresses() {
    let it = registration(|flags| flags.address = Some("{{ GetPrivateIP }}:9443".to_owned())).unwrap();
    assert_eq!((it.address.as_deref(), it.port), (Some("10.0.0.7"), 9443));
    let template = "{{ GetAllInterfaces | attr \"address\" }}:8443";
    let error = registration(|flags| flags.address = Some(template.to_owned())).unwrap_err();
    assert!(error.contains("GetPrivateIP") && error.contains("give the address itself"), "{error}");
}

#[test]
fn ipv6_goes_in_brackets_and_comes_out_without() {
    let it = registration(|flags| flags.address = Some("[::1]:8443".to_owned())).unwrap();
    assert_eq!((it.address.as_deref(), it.check.to_string().as_str()), (Some("::1"), "[::1]:8443"));
    let error = registration(|flags| flags.address = Some("::1".to_owned())).unwrap_err();
    assert!(error.contains("in brackets"), "{error}");
}

#[test]
fn servers_are_exposed_by_mesh_gateways_only() {
    assert!(registration(|flags| flags.expose_servers = true).unwrap().wan_federation);
    for kind in [GatewayKind::Ingress, GatewayKind::Terminating] {
        let flags = Flags { expose_servers: true, ..Flags::new(kind) };
        let error = GatewayRegistration::from_flags(&flags, &host()).unwrap_err();
        assert_eq!(error.flag, "expose-servers");
    }
}

#[test]
fn bodies_of_the_catalog_have_the_fields_of_1_8_only() {
    let it = registration(|flags| {
        flags.address = Some("127.0.0.1:8443".to_owned());
        flags.wan_address = Some("10.0.0.7:8444".to_owned());
        flags.expose_servers = true;
    })
    .unwrap();
    let place = Place::Catalog {
        node: "gw \"1\"".to_owned(),
        address: "10.0.0.7".to_owned(),
        node_meta: BTreeMap::new(),
    };
    let write = place.register(&it, Some("not ready"));
    assert_eq!(write.path, "/v1/catalog/register");
    let expected = r#"{"Node":"gw \"1\"","Address":"10.0.0.7","Service":{"Kind":"mesh-gateway","ID":"mesh-gateway",
        "Service":"mesh-gateway","Address":"127.0.0.1","Port":8443,
        "TaggedAddresses":{"lan":{"Address":"127.0.0.1","Port":8443},"wan":{"Address":"10.0.0.7","Port":8444}},
        "Meta":{"consul-wan-federation":"1"},
        "Proxy":{"Config":{"envoy_gateway_bind_tagged_addresses":true,"envoy_gateway_no_default_bind":true},
                 "MeshGateway":{},"Expose":{}}},
        "Checks":[{"Node":"gw \"1\"","CheckID":"service:mesh-gateway","Name":"mesh-gateway listening",
                   "Status":"critical","Output":"not ready","ServiceID":"mesh-gateway"}]}"#;
    let sent: Value = serde_json::from_slice(&write.body.unwrap()).unwrap();
    assert_eq!(sent, serde_json::from_str::<Value>(expected).unwrap());

    let sent: Value = serde_json::from_slice(&place.register(&it, None).body.unwrap()).unwrap();
    assert_eq!(sent["Checks"][0]["Status"], "passing");
    let removal = place.deregister(&it);
    let sent: Value = serde_json::from_slice(&removal.body.unwrap()).unwrap();
    assert_eq!(sent, serde_json::json!({"Node": "gw \"1\"", "ServiceID": "mesh-gateway"}));
}

#[test]
fn ids_are_encoded_in_paths() {
    let it = registration(|flags| flags.proxy_id = Some("a/b ?".to_owned())).unwrap();
    assert_eq!(Place::Agent.deregister(&it).path, "/v1/agent/service/deregister/a%2Fb%20%3F");
}

//! What the agent says about the own service, and the listeners made of it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where its support fails")]

use catalog_client::{
    Query,
    query::AgentService,
    registration::{
        DnsDiscovery, FindError, Flags, GatewayKind, GatewayRegistration, HostNetwork, InterfaceAddress,
        Listeners, OwnService, SkipReason, gateways_of_kind, listeners, only_one,
    },
};
use serde_json::{Value, json};
use std::{net::IpAddr, time::Duration};

fn read(value: Value) -> OwnService {
    serde_json::from_value(value).unwrap()
}

fn sample(text: &str) -> OwnService {
    AgentService::<OwnService>::new("mesh-gateway").decode(&text.to_owned().into()).unwrap()
}

fn local(address: IpAddr) -> bool {
    ["127.0.0.1", "10.0.0.7", "10.0.0.8", "::1"].iter().any(|own| own.parse::<IpAddr>().unwrap() == address)
}

fn bound(listeners: &Listeners) -> Vec<String> {
    listeners.bind.iter().map(|listener| format!("{} {}", listener.name, listener.address)).collect()
}

fn skipped(listeners: &Listeners) -> Vec<(&str, &SkipReason, bool)> {
    listeners.skipped.iter().map(|it| (it.name.as_str(), &it.reason, it.warn)).collect()
}

#[test]
fn answers_of_every_version_are_read() {
    let table = [
        (include_str!("registration/agent-service-1.8.7.json"), "", None, "tcp"),
        (include_str!("registration/agent-service-1.10.1.json"), "dc1", None, "http"),
        (include_str!("registration/agent-service-1.21.json"), "dc1", Some(3), "http"),
    ];
    for (text, datacenter, timeout, protocol) in table {
        let own = sample(text);
        assert_eq!(
            (own.kind.as_str(), own.id.as_str(), own.name.as_str()),
            ("mesh-gateway", "mesh-gateway", "mesh-gateway")
        );
        assert_eq!(
            (own.address.as_str(), own.port, own.datacenter.as_str()),
            ("127.0.0.1", 8443, datacenter)
        );
        assert_eq!(own.tagged["wan"].to_string(), "127.0.0.1:8444");
        assert_eq!(own.config.connect_timeout, timeout.map(Duration::from_secs));
        assert_eq!(own.config.protocol, protocol);
        assert!(!own.serves_wan_federation());
        // Not lan_ipv4 and wan_ipv4 once more, which Consul added.
        let listeners = listeners(&own, local);
        assert_eq!(bound(&listeners), ["lan 127.0.0.1:8443", "wan 127.0.0.1:8444"]);
        assert!(listeners.skipped.is_empty());
    }
    let own = sample(include_str!("registration/agent-service-1.21.json"));
    assert_eq!(own.config.dns_discovery, Some(DnsDiscovery::Strict));
    assert_eq!(own.config.ignored, ["envoy_stats_tags"]);
}

#[test]
fn nulls_and_missing_fields_are_nothing() {
    let nothing = read(json!({}));
    assert_eq!(nothing, OwnService::default());
    let nulls = json!({"Kind": null, "ID": null, "Service": null, "Address": null, "Port": null,
        "TaggedAddresses": null, "Meta": null, "Datacenter": null, "Proxy": null, "New": {"field": 1}});
    assert_eq!(read(nulls), nothing);
    assert_eq!(
        read(json!({"Proxy": {"Config": null}, "TaggedAddresses": {"lan": {"Address": null}}})).tagged.len(),
        1
    );
    assert!(serde_json::from_str::<OwnService>("[1]").is_err());
}

#[test]
fn what_was_registered_listens_as_what_the_agent_says() {
    let host = HostNetwork {
        addresses: vec![InterfaceAddress {
            interface: "lo".to_owned(),
            address: "127.0.0.1".parse().unwrap(),
            prefix: 8,
        }],
        default_interface: None,
    };
    let flags = Flags {
        address: Some("127.0.0.1:8443".to_owned()),
        wan_address: Some("127.0.0.1:8444".to_owned()),
        ..Flags::new(GatewayKind::Mesh)
    };
    let registered = OwnService::from(&GatewayRegistration::from_flags(&flags, &host).unwrap());
    let said = sample(include_str!("registration/agent-service-1.8.7.json"));
    assert_eq!(listeners(&registered, local), listeners(&said, local));
    assert_eq!(registered.config, said.config);
}

#[test]
fn by_default_the_own_address_is_bound() {
    let own = |address: &str| {
        read(
            json!({"Address": address, "Port": 8443, "TaggedAddresses": {"wan": {"Address": "10.0.0.8", "Port": 1}}}),
        )
    };
    assert_eq!(bound(&listeners(&own(""), local)), ["default 0.0.0.0:8443"]);
    assert_eq!(bound(&listeners(&own("10.0.0.7"), local)), ["default 10.0.0.7:8443"]);
    assert_eq!(bound(&listeners(&own("::1"), local)), ["default [::1]:8443"]);
    let elsewhere = listeners(&own("198.51.100.1"), local);
    assert!(elsewhere.bind.is_empty());
    assert_eq!(skipped(&elsewhere), [("default", &SkipReason::NotLocal, true)]);
}

#[test]
fn tagged_addresses_that_are_not_here_are_skipped() {
    let own = read(json!({"Address": "10.0.0.7", "Port": 8443,
        "TaggedAddresses": {
            "lan": {"Address": "10.0.0.7", "Port": 8443}, "lan_ipv4": {"Address": "10.0.0.7", "Port": 8443},
            "wan": {"Address": "gw.example.net", "Port": 443}, "wan_ipv4": {"Address": "198.51.100.1", "Port": 443},
            "nat": {"Address": "198.51.100.1", "Port": 443}, "none": {"Address": "10.0.0.7", "Port": 0},
            "consul-virtual": {"Address": "240.0.0.3", "Port": 8443}},
        "Proxy": {"Config": {"envoy_gateway_no_default_bind": true, "envoy_gateway_bind_tagged_addresses": true}}}));
    let listeners = listeners(&own, local);
    assert_eq!(bound(&listeners), ["lan 10.0.0.7:8443"]);
    let expected = [
        ("consul-virtual", &SkipReason::NotLocal, false),
        ("nat", &SkipReason::NotLocal, true),
        ("none", &SkipReason::NoPort, true),
        ("wan", &SkipReason::NotAnAddress, true),
        ("wan_ipv4", &SkipReason::NotLocal, false),
    ];
    assert_eq!(skipped(&listeners), expected);
    assert!(
        listeners.skipped[3].to_string().contains("wan (gw.example.net:443)"),
        "{}",
        listeners.skipped[3]
    );
}

#[test]
fn of_equal_addresses_the_first_name_is_bound() {
    let own = read(json!({"Address": "10.0.0.7", "Port": 8443,
        "TaggedAddresses": {"lan": {"Address": "10.0.0.7", "Port": 8443}},
        "Proxy": {"Config": {"envoy_gateway_bind_tagged_addresses": true, "envoy_gateway_bind_addresses": {
            "abc": {"Address": "10.0.0.7", "Port": 8443}, "other": {"Address": "10.0.0.8", "Port": 8443}}}}}));
    assert_eq!(bound(&listeners(&own, local)), ["abc 10.0.0.7:8443", "other 10.0.0.8:8443"]);
}

#[test]
fn what_all_addresses_cover_is_not_bound_again() {
    let own = read(json!({"Address": "", "Port": 8443,
        "Proxy": {"Config": {"envoy_gateway_bind_addresses": {
            "one": {"Address": "10.0.0.7", "Port": 8443}, "port": {"Address": "10.0.0.7", "Port": 8444},
            "six": {"Address": "::1", "Port": 8443}, "any": {"Address": "", "Port": 9000}}}}}));
    let listeners = listeners(&own, local);
    assert_eq!(
        bound(&listeners),
        ["any 0.0.0.0:9000", "default 0.0.0.0:8443", "port 10.0.0.7:8444", "six [::1]:8443"]
    );
    assert_eq!(skipped(&listeners), [("one", &SkipReason::Covered("default".to_owned()), false)]);
}

#[test]
fn the_one_gateway_of_a_kind_is_found() {
    let table = [
        (
            include_str!("registration/agent-services-1.8.7.json"),
            ["mesh-gateway", "mgw-bind", "mgw-wan"].as_slice(),
        ),
        (include_str!("registration/agent-services-1.10.1.json"), ["mesh-gateway", "mesh-wan"].as_slice()),
        (
            include_str!("registration/agent-services-1.21.json"),
            ["mesh-gateway", "mgw-bind", "mgw-wan"].as_slice(),
        ),
    ];
    for (text, ids) in table {
        let mut services = gateways_of_kind(GatewayKind::Mesh).decode(&text.to_owned().into()).unwrap();
        let error = only_one(GatewayKind::Mesh, services.values()).unwrap_err();
        assert_eq!(
            error,
            FindError::Several {
                kind: GatewayKind::Mesh,
                ids: ids.iter().map(|&id| id.to_owned()).collect()
            }
        );
        assert!(error.to_string().contains("multiple are registered with the agent"), "{error}");
        assert!(error.to_string().contains("--proxy-id"), "{error}");
        services.retain(|id, _| &**id == "mesh-gateway");
        assert_eq!(only_one(GatewayKind::Mesh, services.values()).unwrap().id, "mesh-gateway");
        // An agent that ignores the filter shows others too.
        assert_eq!(
            only_one(GatewayKind::Ingress, services.values()),
            Err(FindError::None { kind: GatewayKind::Ingress })
        );
    }
    let path = gateways_of_kind(GatewayKind::Mesh).path();
    assert_eq!(path, "/v1/agent/services?filter=Kind%20%3D%3D%20%60mesh-gateway%60");
    let none = FindError::None { kind: GatewayKind::Mesh }.to_string();
    assert!(none.contains("no mesh-gateway services registered with this agent"), "{none}");
}

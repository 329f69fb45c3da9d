use super::*;
use serde_json::json;

fn read(value: &Value) -> GatewayProxyConfig {
    GatewayProxyConfig::read(value.as_object().unwrap())
}

#[test]
fn nothing_is_the_default() {
    let config = GatewayProxyConfig::default();
    assert_eq!(config.connect_timeout, None);
    assert_eq!((config.no_default_bind, config.bind_tagged_addresses), (false, false));
    assert_eq!((config.protocol.as_str(), config.dns_discovery), ("tcp", None));
    assert_eq!((config.remote_keepalive, config.max_inbound_connections), (None, None));
    assert!(config.ignored.is_empty() && config.problems.is_empty());
}

#[test]
fn types_are_weak_and_names_have_no_case() {
    for yes in [json!(true), json!("true"), json!("1"), json!(1), json!("T")] {
        assert!(read(&json!({"Envoy_Gateway_No_Default_Bind": yes})).no_default_bind, "{yes}");
    }
    for no in [json!(false), json!("false"), json!(""), json!(0), json!(null)] {
        let config = read(&json!({"envoy_gateway_no_default_bind": no}));
        assert!(!config.no_default_bind && config.problems.is_empty(), "{no}");
    }
    let table = [
        (json!(1500), Some(1500)),
        (json!("1500"), Some(1500)),
        (json!(1500.9), Some(1500)),
        (json!(0), None),
        (json!("0"), None),
        (json!(-3), None),
        (json!(""), None),
        (json!(null), None),
    ];
    for (value, expected) in table {
        let config = read(&json!({ "connect_timeout_ms": value }));
        assert_eq!(config.connect_timeout, expected.map(Duration::from_millis), "{value}");
        assert!(config.problems.is_empty());
    }
}

#[test]
fn older_names_are_read_and_the_newer_wins() {
    let config = read(&json!({
        "envoy_mesh_gateway_bind_tagged_addresses": "true",
        "envoy_mesh_gateway_no_default_bind": true,
        "envoy_mesh_gateway_bind_addresses": {"a": {"address": "10.0.0.1", "port": "8443"}},
    }));
    assert!(config.bind_tagged_addresses && config.no_default_bind);
    assert_eq!(config.bind_addresses["a"].to_string(), "10.0.0.1:8443");
    let config = read(&json!({
        "envoy_mesh_gateway_no_default_bind": true, "envoy_gateway_no_default_bind": false,
    }));
    assert!(!config.no_default_bind && config.ignored.is_empty());
}

#[test]
fn the_rest_is_read() {
    let config = read(&json!({
        "envoy_dns_discovery_type": "STRICT_DNS",
        "envoy_gateway_remote_tcp_enable_keepalive": "true",
        "envoy_gateway_remote_tcp_keepalive_time": "300",
        "envoy_gateway_remote_tcp_keepalive_interval": 0,
        "envoy_gateway_remote_tcp_keepalive_probes": 3,
        "max_inbound_connections": "99",
        "protocol": "HTTP",
    }));
    let keepalive = config.remote_keepalive.unwrap();
    assert_eq!((keepalive.time, keepalive.interval), (Some(Duration::from_secs(300)), None));
    assert_eq!(keepalive.probes, Some(3));
    assert_eq!((config.max_inbound_connections, config.protocol.as_str()), (Some(99), "http"));
    assert_eq!(config.dns_discovery, Some(DnsDiscovery::Strict));
    // Values without the switch are no keepalive.
    assert_eq!(read(&json!({"envoy_gateway_remote_tcp_keepalive_time": 300})).remote_keepalive, None);
}

#[test]
fn what_is_not_ours_is_listed_and_what_cannot_be_meant_is_said() {
    let config = read(&json!({
        "xds_fetch_timeout_ms": 1, "envoy_listener_json": "{}", "envoy_stats_tags": [], "mine": 1,
        "connect_timeout_ms": "soon", "envoy_gateway_no_default_bind": "maybe",
        "envoy_gateway_bind_addresses": {"good": {"Address": "10.0.0.1", "Port": 1}, "bad": {"Address": "x"},
                                         "large": {"Address": "10.0.0.1", "Port": 70000}, "odd": 3},
    }));
    assert_eq!(config.ignored, ["envoy_listener_json", "envoy_stats_tags", "mine", "xds_fetch_timeout_ms"]);
    assert_eq!(config.problems.len(), 5, "{:?}", config.problems);
    assert_eq!(config.bind_addresses.len(), 1);
    assert_eq!(config.connect_timeout, None);
    let config = read(&json!({"envoy_gateway_bind_addresses": [1]}));
    assert_eq!(
        config.problems,
        ["envoy_gateway_bind_addresses is a map of name to address, which [1] is not"]
    );
}

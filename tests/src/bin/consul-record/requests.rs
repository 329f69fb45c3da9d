//! What is asked. Names that nobody has (`no-such-...`) are asked for each endpoint as well: a replay answers every name
//! that it does not know as that version answered those.

/// Kinds of config entries that some version knows.
const KINDS: [&str; 22] = [
    "proxy-defaults",
    "service-defaults",
    "service-router",
    "service-splitter",
    "service-resolver",
    "ingress-gateway",
    "terminating-gateway",
    "service-intentions",
    "mesh",
    "exported-services",
    "sameness-group",
    "api-gateway",
    "bound-api-gateway",
    "http-route",
    "tcp-route",
    "inline-certificate",
    "file-system-certificate",
    "jwt-provider",
    "control-plane-request-limit",
    "rate-limit-ip",
    "namespace",
    "no-such-kind",
];

const SERVICES: [&str; 8] =
    ["billing", "web", "legacy", "frontend", "mesh-gateway", "egress", "consul", "no-such-thing"];

const OTHERS: [&str; 65] = [
    "/v1/status/leader",
    "/v1/status/peers",
    "/v1/agent/self",
    "/v1/agent/version",
    "/v1/agent/services",
    "/v1/agent/services?filter=Kind%20%3D%3D%20%22mesh-gateway%22",
    "/v1/agent/service/mesh-gateway",
    "/v1/agent/service/billing-1-sidecar-proxy",
    "/v1/agent/service/no-such-thing",
    "/v1/agent/checks",
    "/v1/agent/connect/ca/roots",
    "/v1/agent/connect/ca/leaf/mesh-gateway",
    "/v1/agent/connect/ca/leaf/frontend",
    "/v1/connect/ca/roots",
    "/v1/connect/ca/roots?pem=true",
    "/v1/acl/token/self",
    "/v1/catalog/datacenters",
    "/v1/catalog/nodes",
    "/v1/catalog/services",
    "/v1/catalog/services?dc=dc2",
    "/v1/catalog/services?dc=no-such-dc",
    "/v1/health/connect/no-such-thing?dc=no-such-dc",
    "/v1/health/service/no-such-thing?dc=no-such-dc",
    "/v1/config/?dc=no-such-dc",
    "/v1/catalog/services?filter=ServiceKind%20%3D%3D%20%22mesh-gateway%22",
    "/v1/catalog/services?ns=default",
    "/v1/catalog/services?ns=",
    "/v1/catalog/services?partition=default",
    "/v1/catalog/services?stale&consistent",
    "/v1/catalog/services?index=1&wait=10",
    "/v1/catalog/services?index=one",
    "/v1/catalog/node-services/server-dc1",
    "/v1/catalog/gateway-services/egress",
    "/v1/catalog/gateway-services/mesh-gateway",
    "/v1/catalog/gateway-services/no-such-thing",
    "/v1/health/state/critical",
    "/v1/health/state/any",
    "/v1/health/connect/billing?passing",
    "/v1/health/connect/billing?filter=Service.Meta.version%20%3D%3D%20%221%22",
    "/v1/health/connect/billing?filter=Service.Nope%20%3D%3D%201",
    "/v1/health/connect/no-such-thing?peer=no-such-peer",
    "/v1/health/connect/billing?dc=dc2",
    "/v1/health/connect/accounts?dc=dc2",
    "/v1/health/service/mesh-gateway?dc=dc2",
    "/v1/health/ingress/no-such-thing",
    "/v1/config/",
    "/v1/config",
    "/v1/config/?dc=dc2",
    "/v1/config/no-such-kind/no-such-thing",
    "/v1/config/service-resolver/billing",
    "/v1/config/service-defaults/billing",
    "/v1/config/proxy-defaults/global",
    "/v1/config/terminating-gateway/egress",
    "/v1/config/mesh/mesh",
    "/v1/connect/intentions",
    "/v1/connect/intentions/match?by=destination&name=billing",
    "/v1/connect/intentions/match?by=destination&name=no-such-thing",
    "/v1/internal/federation-states",
    "/v1/internal/federation-states/mesh-gateways",
    "/v1/internal/federation-state/dc2",
    "/v1/internal/federation-state/no-such-thing",
    "/v1/peerings",
    "/v1/peering/no-such-thing",
    "/v1/exported-services",
    "/v1/no-such-endpoint",
];

/// Method, target and body of every request, in order: those that write come last.
pub(crate) fn all() -> Vec<(&'static str, String, String)> {
    let get = |target: &str| ("GET", target.to_owned(), String::new());
    let mut all: Vec<_> = OTHERS.iter().map(|target| get(target)).collect();
    for kind in KINDS {
        all.push(get(&format!("/v1/config/{kind}")));
        all.push(get(&format!("/v1/config/{kind}/no-such-thing")));
    }
    for service in SERVICES {
        all.push(get(&format!("/v1/catalog/service/{service}")));
        all.push(get(&format!("/v1/health/service/{service}")));
        all.push(get(&format!("/v1/health/connect/{service}")));
        all.push(get(&format!("/v1/discovery-chain/{service}")));
    }
    let put = |target: &str, body: &str| ("PUT", target.to_owned(), body.to_owned());
    all.extend([
        put("/v1/agent/service/register", r#"{"Name": "no-such-thing", "NoSuchField": 1}"#),
        put(
            "/v1/agent/service/register?replace-existing-checks=true",
            r#"{"Kind": "mesh-gateway", "Name": "no-port"}"#,
        ),
        put("/v1/agent/service/deregister/no-such-thing", ""),
        put("/v1/agent/service/maintenance/no-such-thing?enable=true&reason=drain", ""),
        put("/v1/agent/check/update/no-such-thing", r#"{"Status": "passing"}"#),
        ("POST", "/v1/catalog/services".to_owned(), String::new()),
    ]);
    all
}

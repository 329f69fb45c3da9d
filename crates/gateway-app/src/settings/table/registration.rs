//! The gateway's own service in Consul.

use super::*;

pub(super) static REGISTRATION: &[Key] = &[
    key!(
        "register",
        Bool(|s, v| s.register = v),
        "false",
        "Registers the gateway's service with Consul before serving, and again when the agent has forgotten it."
    ),
    key!(
        "proxy_id",
        Text(|s, v| name(v).map(|v| s.proxy_id = Some(v))),
        "",
        "ID of the gateway's service. With `register` the default is the service's name; without, the only service of the kind on the agent is taken.",
        "CONNECT_PROXY_ID"
    ),
    key!(
        "node_name",
        Text(|s, v| name(v).map(|v| s.node_name = Some(v))),
        "",
        "Node of a service that no agent knows. With `register` the gateway enters node and service into the catalog by itself, keeps its check alive and takes them out at the end; without, `proxy_id` names a service that is there already."
    ),
    key!(
        "deregister_after_critical",
        Time(
            span(MINUTE, YEAR, "Consul looks for such services every half minute and takes no less than one"),
            |s, v| s.deregister_after_critical = v
        ),
        "6h",
        "Consul removes the service after its check has failed for this long."
    ),
    key!(
        "deregister_on_exit",
        Bool(|s, v| s.deregister_on_exit = v),
        "false",
        "Takes the service out of Consul after draining. Otherwise it stays, and its check fails."
    ),
];

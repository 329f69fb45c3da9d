//! The gateway's own service: what would be registered, and what is.

use std::collections::BTreeMap;
use std::net::IpAddr;

use catalog_client::Query;
use catalog_client::health::HealthEntry;
use catalog_client::query::{AgentService, HealthService};
use catalog_client::registration::{
    GatewayRegistration, OwnService as Registered, gateways_of_kind, only_one,
};

use super::super::report::Report;
use crate::catalog::once::Asking;
use crate::consul;
use crate::settings::{ConsulSettings, OwnService, Settings};

const WHAT: &str = "registration";
/// Gateways of the same name that are named.
const MOST: usize = 8;

/// What the gateway would register. `None` where it does not, or cannot.
pub(super) fn wanted(
    settings: &Settings,
    consul: &ConsulSettings,
    report: &mut Report<'_>,
) -> Option<GatewayRegistration> {
    let OwnService::Register(register) = &consul.own else { return None };
    match consul::registration(settings, register, &BTreeMap::new()) {
        Ok(wanted) => {
            report.ok(WHAT, shown(&wanted, register.node.as_deref()));
            Some(wanted)
        }
        Err(error) => {
            report.fail(WHAT, error);
            None
        }
    }
}

fn shown(it: &GatewayRegistration, node: Option<&str>) -> String {
    let place = node.map_or_else(|| "with the agent".to_owned(), |node| format!("on node {node:?}"));
    let own = match &it.address {
        Some(address) => format!("{address} port {}", it.port),
        None => format!("the node's address, port {}", it.port),
    };
    let wan = it.tagged.get("wan").map_or_else(
        || "; other datacenters dial that, too, because there is no --wan-address".to_owned(),
        |wan| format!(", for other datacenters {} port {}", wan.address, wan.port),
    );
    format!(
        "would be made {place}: service {:?}, ID {:?}, at {own}{wan}; its check dials {} port {}",
        it.name, it.id, it.check.address, it.check.port
    )
}

/// Looks for what is registered. Nothing is changed. `agents_node`: the agent's own, if it is known.
pub(super) fn look(
    asking: &Asking<'_>,
    settings: &Settings,
    consul: &ConsulSettings,
    wanted: Option<&GatewayRegistration>,
    agents_node: Option<&str>,
    report: &mut Report<'_>,
) {
    let rows = match asking.ask_all(&<HealthService>::new(&settings.service)) {
        Ok((rows, _)) => rows,
        Err(error) => return report.fail(WHAT, error.to_string()),
    };
    match &consul.own {
        OwnService::Register(register) => {
            let Some(wanted) = wanted else { return };
            match &register.node {
                Some(node) => on_node(wanted, node, &rows, report),
                None => with_agent(asking, wanted, agents_node, &rows, report),
            }
            others(wanted, register.node.as_deref().or(agents_node), &rows, report);
        }
        OwnService::OfAgent { id } => match registered(asking, id, report) {
            Some(Some(own)) => elsewhere(settings, &own, agents_node, &rows, report),
            Some(None) => report.fail(
                WHAT,
                format!("service ID {id:?} is not registered with this agent; register it, or run with --register"),
            ),
            None => {}
        },
        OwnService::OfNode { id, node } => match rows.iter().find(|row| is(row, id, Some(node))) {
            Some(row) => report.ok(WHAT, format!("service ID {id:?} is on node {node:?}, at {}", at(row))),
            None => report.fail(
                WHAT,
                format!(
                    "service {:?} with ID {id:?} is not in the catalog on node {node:?}: enter it, or run with --register",
                    settings.service
                ),
            ),
        },
        OwnService::OnlyOne => match asking.ask_all(&gateways_of_kind(consul::kind(settings.role))) {
            Ok((services, _)) => match only_one(consul::kind(settings.role), services.values()) {
                Ok(own) => elsewhere(settings, own, agents_node, &rows, report),
                Err(error) => report.fail(WHAT, error.to_string()),
            },
            Err(error) => report.fail(WHAT, error.to_string()),
        },
    }
}

/// What the agent has under an ID. `None`: it does not say, which is reported.
fn registered(asking: &Asking<'_>, id: &str, report: &mut Report<'_>) -> Option<Option<Registered>> {
    let query = AgentService::<Registered>::new(id);
    match asking.ask(&query) {
        Ok(own) => Some(own),
        Err(error) => {
            report.fail(WHAT, format!("{error} (asked for {})", query.path()));
            None
        }
    }
}

fn with_agent(
    asking: &Asking<'_>,
    wanted: &GatewayRegistration,
    agents_node: Option<&str>,
    rows: &[HealthEntry],
    report: &mut Report<'_>,
) {
    let Some(own) = registered(asking, &wanted.id, report) else { return };
    compare(wanted, own.as_ref(), report);
    if own.is_some() {
        visible(&wanted.id, agents_node, rows, report);
    }
}

/// What is there under the ID that is wanted.
fn compare(wanted: &GatewayRegistration, own: Option<&Registered>, report: &mut Report<'_>) {
    let Some(own) = own else {
        return report.ok(WHAT, format!("ID {:?} is free on this agent", wanted.id));
    };
    let address = wanted.address.as_deref().unwrap_or_default();
    if own.kind != wanted.kind.as_str() || own.name != wanted.name {
        let kind = if own.kind.is_empty() { "ordinary service" } else { own.kind.as_str() };
        report.fail(
            WHAT,
            format!(
                "ID {:?} belongs to the {kind} {:?} on this agent, which registering would replace: give another \
                 --proxy-id",
                wanted.id, own.name
            ),
        );
    } else if (own.address.as_str(), own.port) == (address, wanted.port) {
        report.ok(WHAT, format!("ID {:?} is registered with this agent as it is to be", wanted.id));
    } else {
        report.warn(
            WHAT,
            format!(
                "ID {:?} is registered with this agent at {:?} port {}: this gateway would move it; if that is another \
                 gateway, give another --proxy-id",
                wanted.id, own.address, own.port
            ),
        );
    }
}

/// A registration that somebody else keeps.
fn elsewhere(
    settings: &Settings,
    own: &Registered,
    agents_node: Option<&str>,
    rows: &[HealthEntry],
    report: &mut Report<'_>,
) {
    let kind = consul::kind(settings.role).as_str();
    if own.kind != kind {
        return report.fail(
            WHAT,
            format!("service ID {:?} is no {kind}: name one with --proxy-id, or run with --register", own.id),
        );
    }
    report.ok(
        WHAT,
        format!(
            "this gateway is service {:?}, ID {:?}, at {:?} port {}",
            own.name, own.id, own.address, own.port
        ),
    );
    for problem in &own.config.problems {
        report.warn(WHAT, problem);
    }
    if own.name == settings.service {
        visible(&own.id, agents_node, rows, report);
    } else {
        report.warn(
            WHAT,
            format!(
                "it is registered as {:?}, and --service is {:?}: gateways of other datacenters are looked for under \
                 the latter",
                own.name, settings.service
            ),
        );
    }
}

/// Whether the token sees the gateway's own row: a read that may not be is answered with less.
fn visible(id: &str, node: Option<&str>, rows: &[HealthEntry], report: &mut Report<'_>) {
    if !rows.iter().any(|row| is(row, id, node)) {
        report.fail(
            WHAT,
            format!(
                "the agent has ID {id:?}, but the catalog does not show it to this token: it lacks \
                 service_prefix \"\" {{ policy = \"read\" }} or node_prefix \"\" {{ policy = \"read\" }}, or the agent's \
                 own token may not sync (look at its log)"
            ),
        );
    }
}

fn on_node(wanted: &GatewayRegistration, node: &str, rows: &[HealthEntry], report: &mut Report<'_>) {
    match rows.iter().find(|row| is(row, &wanted.id, Some(node))) {
        None => report.ok(WHAT, format!("the catalog has no such service on node {node:?} yet")),
        Some(row) => {
            report.warn(
                WHAT,
                format!(
                    "the catalog has ID {:?} on node {node:?} already, at {}: unless that is a gateway that has ended, \
                     give another --node-name",
                    wanted.id,
                    at(row)
                ),
            );
        }
    }
}

/// Other gateways under the same name; two at one address are one too many.
fn others(wanted: &GatewayRegistration, node: Option<&str>, rows: &[HealthEntry], report: &mut Report<'_>) {
    let others: Vec<_> = rows.iter().filter(|row| !is(row, &wanted.id, node)).collect();
    if others.is_empty() {
        return;
    }
    let show = |row: &&HealthEntry| format!("{:?} on {:?} at {}", row.service.id, row.node.name, at(row));
    let named: Vec<_> = others.iter().take(MOST).map(show).collect();
    report.ok(WHAT, format!("{} more under the name {:?}: {}", others.len(), wanted.name, named.join(", ")));
    let same = |row: &&&HealthEntry| {
        let wanted = wanted.address.as_deref().map(|host| (host, wanted.port));
        // Each host has a loopback of its own.
        let shared = wanted.filter(|(host, _)| host.parse::<IpAddr>().is_ok_and(|ip| !ip.is_loopback()));
        shared.is_some() && row.lan().map(|lan| (lan.host, lan.port)) == shared
    };
    for row in others.iter().filter(same) {
        report.warn(
            WHAT,
            format!(
                "{} has the same address as this gateway: one of them cannot be reached; give another --address",
                show(row)
            ),
        );
    }
}

fn is(row: &HealthEntry, id: &str, node: Option<&str>) -> bool {
    &*row.service.id == id && node.is_none_or(|node| &*row.node.name == node)
}

fn at(row: &HealthEntry) -> String {
    row.lan().map_or_else(|| "no address".to_owned(), |lan| format!("{} port {}", lan.host, lan.port))
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::reported;
    use super::*;
    use catalog_client::registration::{Flags, GatewayKind, HostNetwork, InterfaceAddress};

    fn registration(address: &str) -> GatewayRegistration {
        let own = |text: &str| InterfaceAddress {
            interface: "eth0".to_owned(),
            address: text.parse().unwrap(),
            prefix: 24,
        };
        let network =
            HostNetwork { addresses: vec![own("10.0.0.1"), own("127.0.0.1")], default_interface: None };
        let flags = Flags { address: Some(address.to_owned()), ..Flags::new(GatewayKind::Mesh) };
        GatewayRegistration::from_flags(&flags, &network).unwrap()
    }

    fn row(node: &str, id: &str, address: &str, port: u16) -> HealthEntry {
        serde_json::from_value(serde_json::json!({
            "Node": { "Node": node, "Address": "10.0.0.9" },
            "Service": { "Kind": "mesh-gateway", "Service": "mesh-gateway", "ID": id, "Address": address, "Port": port },
        }))
        .unwrap()
    }

    #[test]
    fn what_would_be_registered_is_shown() {
        let text = shown(&registration("10.0.0.1:8443"), None);
        assert!(text.starts_with("would be made with the agent: service \"mesh-gateway\""), "{text}");
        assert!(text.contains("at 10.0.0.1 port 8443; other datacenters dial that, too"), "{text}");
        assert!(text.ends_with("its check dials 10.0.0.1 port 8443"), "{text}");
    }

    #[test]
    fn an_id_is_free_taken_over_moved_or_somebody_elses() {
        let wanted = registration("10.0.0.1:8443");
        let said = |own: Option<&Registered>| reported(|report| compare(&wanted, own, report));
        assert!(said(None).1.contains("is free on this agent"));
        let mut own = Registered::from(&wanted);
        assert!(said(Some(&own)).1.starts_with("OK    registration: ID \"mesh-gateway\" is registered"));
        own.port = 9443;
        let (good, text) = said(Some(&own));
        assert!(
            good && text.starts_with("WARN") && text.contains("port 9443: this gateway would move it"),
            "{text}"
        );
        own.kind = String::new();
        let (good, text) = said(Some(&own));
        assert!(!good && text.contains("belongs to the ordinary service"), "{text}");
    }

    #[test]
    fn other_gateways_are_named_and_two_at_one_address_are_warned_of() {
        let wanted = registration("10.0.0.1:8443");
        let rows = [
            row("n1", "mesh-gateway", "10.0.0.1", 8443),
            row("n2", "mesh-gateway", "10.0.0.2", 8443),
            row("n3", "gw", "10.0.0.1", 8443),
        ];
        let said = |node| reported(|report| others(&wanted, node, &rows, report)).1;
        let text = said(Some("n1"));
        assert!(text.starts_with("OK    registration: 2 more under the name"), "{text}");
        assert_eq!(text.matches("has the same address").count(), 1, "{text}");
        assert!(text.contains("\"gw\" on \"n3\" at 10.0.0.1 port 8443 has the same address"), "{text}");
        assert!(
            said(None).contains("1 more"),
            "which agent it is is not known: the ID is taken for the own one"
        );

        let loopback = registration("127.0.0.1:8443");
        let rows = [row("n2", "gw", "127.0.0.1", 8443)];
        let text = reported(|report| others(&loopback, Some("n1"), &rows, report)).1;
        assert!(!text.contains("same address"), "{text}");
    }

    #[test]
    fn a_registration_that_the_token_does_not_see_fails() {
        let rows = [row("n1", "mesh-gateway", "10.0.0.1", 8443)];
        let said = |node, rows| reported(|report| visible("mesh-gateway", node, rows, report));
        assert!(said(Some("n1"), &rows).0 && said(None, &rows).0);
        let (good, text) = said(Some("n2"), &rows);
        assert!(!good && text.contains("node_prefix \"\" { policy = \"read\" }"), "{text}");
        assert!(!said(None, &[]).0);
    }
}

//! Who the gateway is in Consul, and how it gets there: what the values for it mean together.

use catalog_client::config::Address;

use super::address::OwnAddress;
use super::consul::{ConsulSettings, ConsulTuning, OwnService, Register};
use super::draft::Draft;
use super::keys::Key;
use super::origin::Origin;
use super::problem::SettingProblem;

/// The settings for Consul, and what is wrong with them together.
pub(super) fn consul(draft: &mut Draft, problems: &mut Vec<SettingProblem>) -> ConsulSettings {
    let mut wrong = Vec::new();
    let own = own_service(draft, &mut wrong);
    match (&draft.tls.client_cert, &draft.tls.client_key) {
        (Some(_), None) => {
            wrong.push(("client_cert", "a certificate is of no use without its key: give client_key, too"));
        }
        (None, Some(_)) => {
            wrong.push(("client_key", "a key is of no use without its certificate: give client_cert, too"));
        }
        _ => {}
    }
    let ConsulTuning { limits, plan, .. } = &draft.tuning;
    if limits.reserved >= limits.connections {
        wrong.push(("limits.consul_reserved", "it must be less than limits.consul_connections"));
    }
    if plan.block_down > plan.block_up {
        wrong.push(("limits.consul_watched_again", "it is more than limits.consul_watched_names"));
    }
    if plan.rounds.few > plan.rounds.some {
        wrong.push(("limits.consul_few_names", "it is more than limits.consul_some_names"));
    }
    for (key, message) in wrong {
        problems.push(SettingProblem::new(draft.origin(key), key, message));
    }
    if !draft.tls.verify {
        draft.warnings.push(format!(
            "Consul's certificate is not verified ({}): whoever is between it and this gateway can read the token and change what is served",
            draft.origin("http_ssl_verify")
        ));
    }
    // They have been read before; only whether it is TLS depends on another value.
    let address = |text: &String| Address::parse(text, Some(draft.http_ssl)).ok();
    let addresses = draft.http_addr.iter().filter_map(address).collect();
    ConsulSettings {
        addresses,
        tls: draft.tls.clone(),
        tokens: draft.tokens.clone(),
        basic_auth: draft.http_auth.clone(),
        datacenter: draft.datacenter.clone(),
        namespace: draft.namespace.clone(),
        partition: draft.partition.clone(),
        own,
        tuning: draft.tuning.clone(),
    }
}

/// With a catalog of files nothing may ask for Consul.
pub(super) fn no_consul(draft: &Draft, problems: &mut Vec<SettingProblem>) {
    for key in Key::all(draft.role).filter(|key| key.asks_for_consul()) {
        let Some(shown) = draft.shown.iter().find(|shown| shown.key == key.name) else { continue };
        if shown.origin != Origin::Default && shown.value != key.default {
            let message = format!(
                "this asks for Consul, and there is a catalog of files ({}): give one of the two",
                draft.origin("catalog")
            );
            problems.push(SettingProblem::new(shown.origin.clone(), key.name, message));
        }
    }
}

fn own_service(draft: &Draft, wrong: &mut Vec<(&'static str, &'static str)>) -> OwnService {
    let (id, node) = (draft.proxy_id.clone(), draft.node_name.clone());
    if draft.register {
        let address = (draft.origin("address") != Origin::Default).then(|| match &draft.address {
            // Nobody can dial it; Consul knows the node's address.
            OwnAddress::Ip(address) if address.ip().is_unspecified() => format!(":{}", address.port()),
            address => address.to_string(),
        });
        // Of what is listened on, the port that the kernel chose is registered.
        let listened_on = matches!(draft.address, OwnAddress::Ip(_)) && draft.bind_addresses.is_empty();
        if draft.address.port() == 0 && !listened_on {
            wrong.push((
                "address",
                "nobody can dial port 0, and nothing listens on this address: give the port",
            ));
        }
        return OwnService::Register(Register {
            id: id.unwrap_or_else(|| draft.service.clone()),
            node,
            address,
            deregister_after_critical: draft.deregister_after_critical,
            deregister_on_exit: draft.deregister_on_exit,
        });
    }
    if draft.deregister_on_exit {
        wrong.push(("deregister_on_exit", "it needs register: who registered the service removes it"));
    }
    match (id, node) {
        (Some(id), Some(node)) => OwnService::OfNode { id, node },
        (Some(id), None) => OwnService::OfAgent { id },
        (None, None) => OwnService::OnlyOne,
        (None, Some(_)) => {
            wrong.push((
                "node_name",
                "it needs proxy_id, or register: which service of that node is the gateway?",
            ));
            OwnService::OnlyOne
        }
    }
}

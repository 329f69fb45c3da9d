//! Rules between settings, after each one alone has been found right.

use std::collections::HashMap;

use super::Origin;
use super::address::OwnAddress;
use super::draft::Draft;
use super::problem::SettingProblem;

/// Resolves what depends on other values or on the machine, and adds what does not fit together.
pub(super) fn check(draft: &mut Draft, problems: &mut Vec<SettingProblem>) {
    if draft.workers == 0 {
        draft.workers = std::thread::available_parallelism().map_or(1, usize::from);
    }
    let mut wrong = Vec::new();
    let Draft { limits, timers, ejection, .. } = &*draft;
    if limits.hello_memory / 4 < limits.hello_bytes {
        wrong.push((
            "limits.hello_memory",
            "it is less than four times limits.hello_bytes: no ClientHello of that size would fit into a quarter".to_owned(),
        ));
    }
    if limits.pipe_memory > 0 && limits.pipe_memory < limits.pipe_size {
        wrong.push(("limits.pipe_memory", "it is less than limits.pipe_size; 0 turns pipes off".to_owned()));
    }
    if ejection.max < ejection.base {
        wrong.push(("ejection.max", "it is less than ejection.base".to_owned()));
    }
    if timers.catalog_settle > timers.catalog_poll {
        wrong.push(("timers.catalog_settle", "it is longer than timers.catalog_poll".to_owned()));
    }
    listeners(draft, &mut wrong);
    for (key, message) in wrong {
        problems.push(SettingProblem::new(draft.origin(key), key, message));
    }
}

fn listeners(draft: &Draft, wrong: &mut Vec<(&'static str, String)>) {
    if let (OwnAddress::Name(host, _), []) = (&draft.address, &*draft.bind_addresses) {
        wrong.push((
            "address",
            format!("nothing can listen on the name \"{host}\": give an IP address, or say with bind_address where to listen"),
        ));
    }
    let listen = if draft.origin("bind_address") == Origin::Default { "address" } else { "bind_address" };
    let mut names = HashMap::new();
    let mut addresses = HashMap::new();
    let listeners = draft.listen();
    for (name, address) in &listeners {
        if names.insert(name, ()).is_some() {
            wrong.push((listen, format!("two listeners are called \"{name}\"")));
        }
        // The kernel chooses another port for each 0.
        if address.port() != 0
            && let Some(other) = addresses.insert(address, name)
        {
            wrong.push((
                listen,
                format!("listeners \"{other}\" and \"{name}\" have the same address {address}"),
            ));
        }
    }
    if draft.admin_bind.port() != 0 && addresses.contains_key(&draft.admin_bind) {
        wrong.push(("admin_bind", format!("{} is the address of a listener", draft.admin_bind)));
    }
}

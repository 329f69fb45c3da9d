//! Rules between settings, after each one alone has been found right.

use std::collections::HashMap;

use super::problem::SettingProblem;
use super::{Origin, Settings};

/// Resolves what depends on other values or on the machine, and adds what does not fit together.
pub(super) fn check(settings: &mut Settings, problems: &mut Vec<SettingProblem>) {
    if settings.workers == 0 {
        settings.workers = std::thread::available_parallelism().map_or(1, usize::from);
    }
    let mut wrong = Vec::new();
    let Settings { limits, timers, ejection, .. } = &*settings;
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
    listeners(settings, &mut wrong);
    for (key, message) in wrong {
        let origin = settings.origin(key).cloned().unwrap_or(Origin::Default);
        problems.push(SettingProblem::new(origin, key, message));
    }
}

fn listeners(settings: &Settings, wrong: &mut Vec<(&'static str, String)>) {
    let listen =
        if settings.origin("bind_address") == Some(&Origin::Default) { "address" } else { "bind_address" };
    let mut names = HashMap::new();
    let mut addresses = HashMap::new();
    for (name, address) in &settings.listen {
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
    if settings.admin_bind.port() != 0 && addresses.contains_key(&settings.admin_bind) {
        wrong.push(("admin_bind", format!("{} is the address of a listener", settings.admin_bind)));
    }
}

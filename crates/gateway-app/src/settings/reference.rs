//! The reference of all settings, for the documentation.

use std::fmt::Write as _;

use super::Role;
use super::keys::Key;

/// All settings of a role as a Markdown table: name in the file, type and range, default, meaning. The
/// documentation of a gateway holds exactly this text.
#[must_use]
pub fn settings_reference(role: Role) -> String {
    let mut text = String::from("| key | type | allowed | default | meaning |\n|---|---|---|---|---|\n");
    for key in Key::all(role) {
        let default = match key.default_in(role) {
            "" => String::new(),
            default => format!("`{default}`"),
        };
        let range = key.kind.range();
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| `{}` | {} | {range} | {default} | {}{} |",
            key.name,
            key.kind.name(),
            key.meaning,
            variables(key)
        );
    }
    text
}

/// The variables of Consul's own commands, the strongest first.
fn variables(key: &Key) -> String {
    let names: Vec<_> = key.consul.iter().rev().map(|name| format!("`{name}`")).collect();
    if names.is_empty() { String::new() } else { format!(" Consul's own: {}.", names.join(", ")) }
}

//! `explain NAME`: where a connection with this server name would go, and which document decides.
//!
//! What would happen is computed as for a connection (the same table, the same reasons), put into a
//! plain value, and only then written as text or JSON.

use std::io::Write;
use std::time::Duration;

use gateway_state::mesh::MeshSnapshot;

use crate::admin_client::ask;
use crate::catalog;
use crate::role::MeshGateway;
use crate::settings::{Settings, Source};
pub use model::{ExplainedEndpoint, Explanation, Part, Refusal, Routed, Sourced};

pub(crate) mod compute;
mod consul;
pub(crate) use consul::has_token;
mod diagnose;
mod model;
#[cfg(test)]
mod tests;
pub(crate) mod text;

/// How long the running gateway may take for one step of its answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// What else is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Ask the running gateway for open connections and ejections.
    pub live: bool,
    /// Answer in JSON.
    pub json: bool,
}

/// Explains `name` from what the settings name, files or a Consul; true if a connection would be routed.
pub fn explain(settings: &Settings, name: &str, options: Options, out: &mut dyn Write) -> bool {
    let explained = match &settings.source {
        Source::Catalog(path) => catalog::load::<MeshGateway>(settings, path)
            .map(|snapshot| explain_name(settings, &snapshot, name))
            .map_err(|problems| {
                format!("the catalog has problems; `check` shows its warnings, too\n{problems}")
            }),
        Source::Consul(of_consul) => consul::explanation(settings, of_consul, name)
            .map_err(|why| format!("Consul does not tell; `doctor` looks at all it may be\n{why}")),
    };
    let mut explanation = match explained {
        Ok(explanation) => explanation,
        Err(why) => {
            // Who asks from a script may read the code only.
            let _ = writeln!(out, "{why}");
            return false;
        }
    };
    if let (true, Some(routed)) = (options.live, explanation.routed.as_mut()) {
        match live(settings, &routed.name) {
            Ok(live) => routed.live = Some(live),
            Err(why) => explanation.notes.push(format!("no live figures: {why}")),
        }
    }
    let routed = explanation.routed.is_some();
    // Who asks from a script may read the code only.
    let _ = if options.json {
        serde_json::to_string_pretty(&explanation)
            .map_err(std::io::Error::other)
            .and_then(|json| writeln!(out, "{json}"))
    } else {
        text::write(&explanation, out)
    };
    routed
}

/// What a connection with this server name meets in a snapshot.
#[must_use]
pub fn explain_name(settings: &Settings, snapshot: &MeshSnapshot, name: &str) -> Explanation {
    compute::explanation(settings, snapshot, name)
}

/// The row of `/endpoints` for a name of the table.
pub(crate) fn live(settings: &Settings, name: &str) -> Result<serde_json::Value, String> {
    // `*` may stand in a query as it is, and the rest are letters, digits, dots and hyphens.
    let answer = ask(settings.admin_bind, &format!("/endpoints?name={name}"), PATIENCE)
        .map_err(|error| error.to_string())?;
    if answer.status != 200 {
        return Err(format!("/endpoints answered {}", answer.status));
    }
    let page: serde_json::Value =
        serde_json::from_str(&answer.body).map_err(|error| format!("/endpoints is not JSON: {error}"))?;
    let row = page.get("services").and_then(|rows| rows.get(0)).cloned();
    row.ok_or_else(|| "the running gateway does not have this name; it may serve another catalog".to_owned())
}

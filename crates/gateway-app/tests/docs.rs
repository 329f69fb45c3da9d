//! The documentation says what the code does: settings, reasons, metrics.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where its support fails")]

use std::path::Path;
use std::sync::Arc;

use gateway_app::settings::{Role, Settings, settings_reference};
use gateway_app::terminating::TerminatingKept;
use gateway_runtime::metrics::Metrics;
use gateway_runtime::reason::Reason;
use gateway_runtime::record::Verdict;

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// To bring the documents up to date: `UPDATE_DOCS=1 cargo test -p gateway-app --test docs`.
#[test]
fn the_settings_are_those_of_the_table() {
    const BEGIN: &str = "<!-- settings: made from the code -->\n";
    const END: &str = "<!-- end of settings -->\n";
    for role in [Role::Mesh, Role::Terminating] {
        let name = format!("{}.md", role.program());
        let text = document(&name);
        let (before, rest) = text.split_once(BEGIN).unwrap();
        let (documented, after) = rest.split_once(END).unwrap();
        let reference = format!("\n{}\n", settings_reference(role).trim());
        if std::env::var_os("UPDATE_DOCS").is_some() {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(&name);
            std::fs::write(path, format!("{before}{BEGIN}{reference}\n{END}{after}")).unwrap();
            continue;
        }
        assert_eq!(documented.trim(), reference.trim(), "{name}: run with UPDATE_DOCS=1");
    }
}

#[test]
fn every_reason_has_its_row() {
    let text = document("reasons.md");
    for reason in Reason::ALL {
        let row = format!("| `{reason}` | {} |", reason.describe());
        assert!(text.contains(&row), "docs/reasons.md lacks {row}");
    }
    let rows = text.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, Reason::COUNT, "docs/reasons.md has a reason that does not exist");
}

#[test]
fn every_metric_is_documented() {
    let metrics = Metrics::new(10);
    metrics.set_build_info("0", "mesh-gw");
    metrics.service("web").opened();
    documents("mesh-gw.md", &metrics);
    metrics.service("web").judged(Verdict::Allow, "intention");
    let settings = Settings::defaults(Role::Terminating).unwrap();
    let metrics = Arc::new(metrics);
    let _kept = TerminatingKept::new(&settings.terminating, &metrics, 1);
    documents("terminating-gw.md", &metrics);
}

fn documents(name: &str, metrics: &Metrics) {
    let text = document(name);
    for line in metrics.encode().lines() {
        if let Some(metric) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split(' ').next()) {
            assert!(text.contains(&format!("`{metric}")), "docs/{name} lacks {metric}");
        }
    }
}

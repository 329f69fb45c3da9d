//! `/snapshot`: what the gateway knows and how it is set.

use gateway_state::{Problem, Snapshot, Target};
use serde_json::{Map, Value, json};

use super::query::Query;
use crate::settings::Settings;
use crate::settings::format::show_duration;

/// The page.
#[must_use]
pub fn snapshot(snapshot: &impl Snapshot, settings: &Settings, query: &Query) -> Value {
    let mesh = snapshot.mesh();
    let (rejected, warnings, files) = (snapshot.rejected(), snapshot.warnings(), snapshot.files());
    let limit = query.limit;
    let wanted = |target: &&Target| {
        query.service.as_ref().is_none_or(|service| *service == *target.service)
            && query.name.as_ref().is_none_or(|name| name.eq_ignore_ascii_case(&target.id))
    };
    let matching = snapshot.targets().iter().map(|target| &**target).filter(wanted);
    json!({
        "generation": snapshot.generation(),
        "compiled": snapshot.compiled(),
        "mesh": {
            "datacenter": *mesh.datacenter,
            "trust_domain": *mesh.trust_domain,
            "partition": *mesh.partition,
            "namespace": *mesh.namespace,
            "domain": *mesh.domain,
        },
        "names": list(matching.clone().count(), matching.take(limit).map(name)),
        "rejected": list(rejected.len(), rejected.iter().take(limit).map(|rejected| json!({
            "document": rejected.document,
            "last_good_in_use": rejected.kept,
            "problem": problem(&rejected.problem),
        }))),
        "warnings": list(warnings.len(), warnings.iter().take(limit).map(problem)),
        "files": list(files.len(), files.iter().take(limit).map(|file| json!({
            "path": file.path.display().to_string(),
            "documents": file.documents,
            "problems": file.problems,
        }))),
        "limit": limit,
        "gateway": {
            "program": settings.role.program(),
            "version": env!("CARGO_PKG_VERSION"),
            "service": settings.service,
            "catalog": settings.catalog_path().map(|path| path.display().to_string()),
        },
        "settings": settings.shown().iter().map(|shown| {
            (shown.key.to_owned(), json!({ "value": shown.value, "origin": shown.origin.to_string() }))
        }).collect::<Map<_, _>>(),
    })
}

pub(crate) fn list(total: usize, rows: impl Iterator<Item = Value>) -> Value {
    json!({ "total": total, "rows": rows.collect::<Vec<_>>() })
}

fn name(target: &Target) -> Value {
    json!({
        "name": *target.id,
        "rule": target.rule.as_str(),
        "service": *target.service,
        "remote": target.remote,
        "endpoints": target.endpoints.len(),
        "healthy": target.endpoints.iter().filter(|endpoint| endpoint.healthy).count(),
        "connect_timeout": target.connect_timeout.map(show_duration),
    })
}

fn problem(problem: &Problem) -> Value {
    json!({
        "file": problem.file.display().to_string(),
        "line": problem.line,
        "path": problem.path,
        "message": problem.message,
        "hint": problem.hint,
    })
}

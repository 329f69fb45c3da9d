//! The part of `/snapshot` about Consul: whether it answers, what it can, each watch with its age, how
//! services are followed, the gateway's registration.

use std::time::Instant;

use catalog_client::planner::{FamilyStatus, Mode};
use catalog_client::registration::RegistrationStatus;
use catalog_client::watch::{AgentState, Row};
use gateway_state::consul::{ConsulView, SourceState};
use serde_json::{Map, Value, json};

use super::connections::seconds;

/// The value. `watches` rows are shown at most.
#[must_use]
pub fn consul(view: &ConsulView, watches: usize, now: Instant) -> Value {
    let client = &view.client;
    let counted = client.totals.requests.iter().map(|(result, count)| ((*result).to_owned(), json!(count)));
    json!({
        "ready": matches!(view.state, SourceState::Ready),
        "state": view.state.to_string(),
        "agent": view.agent.as_ref().map(|(state, since, error)| json!({
            "address": client.address,
            "answers": *state != AgentState::Down,
            "since_seconds": seconds(*since),
            "error": error,
        })),
        "protocol": client.protocol.map(|protocol| protocol.as_str()),
        "connections": {
            "open": client.open, "parked": client.parked, "most": client.most,
            "streams": client.streams, "in_flight": client.in_flight, "waiting": client.waiting,
        },
        "requests": counted.collect::<Map<_, _>>(),
        "bounds_hit": {
            "rate": client.totals.rate_capped,
            "connections": client.totals.budget_limited,
            "budget_lowered": client.totals.budget_lowered,
        },
        "features": view.capabilities.iter().map(|row| {
            (row.name.to_owned(), json!({ "can": row.verdict, "detail": row.detail }))
        }).collect::<Map<_, _>>(),
        "registration": view.registration.as_ref().map(|status| registration(status, now)),
        "families": view.families.iter().map(family).collect::<Vec<_>>(),
        "watches": {
            "total": view.watches.len(),
            "rows": view.watches.iter().take(watches).map(watch).collect::<Vec<_>>(),
        },
        "queued_answers": view.queued_events,
    })
}

fn watch(row: &Row) -> Value {
    json!({
        "path": row.path,
        "how": row.how.as_str(),
        "state": row.state.as_str(),
        "index": row.index,
        "answer_age_seconds": row.answer_age.map(seconds),
        "change_age_seconds": row.change_age.map(seconds),
        "answers": row.answers,
        "changes": row.changes,
        "failures": row.failures,
        "error": row.error,
    })
}

fn family(status: &FamilyStatus) -> Value {
    json!({
        "endpoint": status.endpoint,
        "mode": status.mode.map(Mode::as_str),
        "why": status.reason,
        "names": status.names,
        "idle": status.idle,
        "failing": status.failing,
        "blocking": status.blocking,
        "reading": status.reading,
        "queued": status.queued,
        "round_seconds": seconds(status.round),
        "oldest_answer_seconds": status.oldest.map(seconds),
        "fast_rounds": status.counts.fast_rounds,
        "sweep_reads": status.counts.sweep_reads,
        "mode_changes": status.counts.mode_changes,
        "refused_names": status.counts.refused,
    })
}

fn registration(status: &RegistrationStatus, now: Instant) -> Value {
    let ago = |at: Option<Instant>| at.map(|at| seconds(now.saturating_duration_since(at)));
    let ahead = |at: Option<Instant>| at.map(|at| seconds(at.saturating_duration_since(now)));
    json!({
        "id": status.id,
        "state": status.state.as_str(),
        "registered_for_seconds": ago(status.registered_since),
        "last_try_seconds_ago": ago(status.last_try),
        "next_try_in_seconds": ahead(status.next_try),
        "error": status.last_error.as_ref().map(ToString::to_string),
        "maintenance": status.maintenance,
        "seen_in_catalog": status.visible,
        "registrations": status.counts.registered,
        "tries": status.counts.tries,
    })
}

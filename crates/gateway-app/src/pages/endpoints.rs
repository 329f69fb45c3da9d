//! `/endpoints`: each name of the table with its endpoints as they stand.

use std::time::Instant;

use mesh_endpoints::EndpointStatus;
use serde_json::{Value, json};

use super::connections::seconds;
use super::query::Query;
use gateway_state::Snapshot;

use crate::live::{LiveRoute, LiveState};

/// The page. The limit counts endpoints, and each name shows at least its figures.
#[must_use]
pub fn endpoints<S: Snapshot>(live: &LiveState<S>, now: Instant, query: &Query) -> Value {
    let wanted = |route: &&LiveRoute| {
        let target = route.target();
        query.service.as_ref().is_none_or(|service| *service == *target.service)
            && query.name.as_ref().is_none_or(|name| name.eq_ignore_ascii_case(&target.id))
    };
    let matching = live.routes().iter().map(|route| &**route).filter(wanted);
    let total = matching.clone().count();
    let mut left = query.limit;
    let services: Vec<_> = matching.take(query.limit).map(|route| service(route, now, &mut left)).collect();
    json!({
        "generation": live.snapshot().generation(),
        "names": total,
        "shown": services.len(),
        "limit": query.limit,
        "services": services,
    })
}

fn service(route: &LiveRoute, now: Instant, left: &mut usize) -> Value {
    let target = route.target();
    let status = route.set().status(now);
    let shown = status.endpoints.len().min(*left);
    *left -= shown;
    json!({
        "name": *target.id,
        "service": *target.service,
        "rule": target.rule.as_str(),
        "remote": target.remote,
        "open": status.open,
        "pending": status.pending,
        "ejections": status.ejections,
        "endpoints_total": status.endpoints.len(),
        "endpoints": status.endpoints.iter().take(shown).map(endpoint).collect::<Vec<_>>(),
    })
}

fn endpoint(status: &EndpointStatus) -> Value {
    json!({
        "address": status.address.to_string(),
        "instance": status.label.as_deref(),
        "weight": status.weight,
        "healthy": status.healthy,
        "eligible": status.eligible,
        "ejected": status.ejected_for.is_some(),
        "ejected_for_seconds": status.ejected_for.map(seconds),
        "in_flight": status.in_flight,
        "consecutive_failures": status.consecutive_failures,
        "failures": status.failures,
    })
}

//! What the admin pages show of a terminating gateway. Never a key.

use gateway_state::terminating::{LeafState, LinkedService, Origination, TerminatingSnapshot};
use mtls::{Anchor, CertWatch, Leaf, LeafAge, UnixTime};
use serde_json::{Value, json};

use crate::live::why_not_served;
use crate::pages::{Query, list};

/// Adds the linked services to `/snapshot`.
pub(super) fn add_to_snapshot(page: &mut Value, snapshot: &TerminatingSnapshot, query: &Query) {
    let wanted = |service: &&LinkedService| wants(query, &service.key.to_string());
    let matching = snapshot.services.iter().map(|service| &**service).filter(wanted);
    page["services"] = list(matching.clone().count(), matching.take(query.limit).map(service));
    page["default_policy"] = json!(snapshot.default_policy.to_string());
}

fn wants(query: &Query, service: &str) -> bool {
    query.service.as_ref().is_none_or(|wanted| wanted == service)
}

fn service(service: &LinkedService) -> Value {
    let why = why_not_served(service);
    json!({
        "service": service.key.to_string(),
        "served": why.is_none(),
        "why_not": why,
        "protocol": *service.protocol,
        "from_wildcard": service.from_wildcard,
        "names": service.targets.iter().map(|name| &**name).collect::<Vec<_>>(),
        "tls": match &service.origination {
            None => json!("none"),
            Some(Origination::Ready(_)) => json!("originated"),
            Some(Origination::Broken { why }) => json!({ "broken": **why }),
        },
        "dry_run": service.dry_run,
        "source_address": service.source_address.map(|address| address.to_string()),
        "default_policy": service.rules.default_policy().to_string(),
        "intention_problems":
            service.rules.problems().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "intention_precedence_shadowed": service.rules.shadowed().iter().map(|pair| json!({
            "wins": pair.wins.to_string(), "hidden": pair.hidden.to_string(),
        })).collect::<Vec<_>>(),
    })
}

/// `/certs`.
pub(super) fn certificates(certificates: &CertWatch, snapshot: &TerminatingSnapshot, query: &Query) -> Value {
    let now = certificates.now().unwrap_or_else(|| UnixTime::since_unix_epoch(std::time::Duration::ZERO));
    let leaves = certificates.leaves();
    let wanted = |(service, _): &(&String, _)| wants(query, service);
    let named: Vec<_> = leaves.iter().map(|(key, leaf)| (key.to_string(), leaf)).collect();
    let matching = named.iter().map(|(key, leaf)| (key, *leaf)).filter(wanted);
    let missing = snapshot.services.iter().filter_map(|service| match &service.leaf {
        LeafState::Missing { why } => Some(json!({ "service": service.key.to_string(), "why": **why })),
        LeafState::Ready(_) => None,
    });
    let missing: Vec<_> = missing.collect();
    let roots = certificates.trust().map(|trust| {
        let own = trust.own();
        json!({
            "trust_domain": own.trust_domain().as_str(),
            "certificates": own.anchors(now).map(|anchor| anchor_row(anchor, now)).collect::<Vec<_>>(),
            "left_out": own.left_out().iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    });
    json!({
        "generation": certificates.generation(),
        "leaves": list(
            matching.clone().count(),
            matching.take(query.limit).map(|(service, leaf)| leaf_row(service, leaf, now)),
        ),
        "missing": list(missing.len(), missing.iter().take(query.limit).cloned()),
        "roots": roots,
        "limit": query.limit,
    })
}

fn leaf_row(service: &str, leaf: &Leaf, now: UnixTime) -> Value {
    let validity = leaf.validity();
    json!({
        "service": service,
        "spiffe_id": leaf.id().to_string(),
        "serial": leaf.serial().to_string(),
        "not_before": validity.not_before.as_secs(),
        "not_after": validity.not_after.as_secs(),
        "expires_in_seconds": left(validity.not_after, now),
        "state": match leaf.age(now) {
            LeafAge::Fresh => "fresh",
            LeafAge::RenewalOverdue => "renewal_overdue",
            LeafAge::Expired => "expired",
            _ => "unknown",
        },
        "chain": leaf.chain().len(),
        "fingerprint": leaf.fingerprint().to_string(),
    })
}

fn anchor_row(anchor: &Anchor, now: UnixTime) -> Value {
    json!({
        "subject": anchor.subject,
        "serial": anchor.serial.to_string(),
        "not_after": anchor.validity.not_after.as_secs(),
        "expires_in_seconds": left(anchor.validity.not_after, now),
    })
}

fn left(until: UnixTime, now: UnixTime) -> i64 {
    let seconds = |time: UnixTime| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    seconds(until) - seconds(now)
}

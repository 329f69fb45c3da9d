//! From a name to its explanation: pure.

use std::net::SocketAddr;

use gateway_runtime::reason::Reason;
use gateway_state::mesh::{Matched, MeshSnapshot};
use gateway_state::{Host, OwnOptions, Rule, Target};
use mesh_endpoints::{AllDown, Balancer};
use mesh_id::MeshSni;

use super::diagnose::{diagnose, unsendable};
use super::model::{ExplainedEndpoint, Explanation, Part, Refusal, Routed, Sourced};
use crate::settings::Settings;
use crate::settings::format::show_duration;

/// Known names that are shown beside an unknown one.
const NEAR: usize = 5;
/// Nobody reads more.
const MOST_ENDPOINTS: usize = 1000;

pub(super) fn explanation(settings: &Settings, snapshot: &MeshSnapshot, asked: &str) -> Explanation {
    let name = asked.to_ascii_lowercase();
    let parsed = MeshSni::parse(&name, &snapshot.mesh.domain);
    let mut explanation = Explanation {
        asked: asked.to_owned(),
        parts: match &parsed {
            Ok(sni) => {
                mesh_id::explain_parts(sni).into_iter().map(|(part, value)| Part { part, value }).collect()
            }
            Err(_) => Vec::new(),
        },
        not_of_the_mesh: parsed.as_ref().err().map(ToString::to_string),
        routed: None,
        refused: None,
        notes: Vec::new(),
        name,
    };
    let name = explanation.name.as_str();
    if let Some((reason, because)) = unsendable(name) {
        explanation.refused = Some(refusal(reason, because, Vec::new()));
        return explanation;
    }
    match snapshot.table.lookup(name) {
        Some(found) => {
            let routed =
                routed(settings, &snapshot.own, found.name, found.rule, because(&found), found.target);
            if found.target.endpoints.is_empty() {
                explanation.notes.push(format!(
                    "it has no endpoint: a connection is closed with reason {}",
                    Reason::NoEndpoint
                ));
            }
            explanation.notes.extend(loops(settings, &snapshot.own, found.target));
            explanation.routed = Some(routed);
        }
        None => {
            let near = snapshot.table.near(name, NEAR);
            let because = diagnose(snapshot, parsed.as_ref().ok(), settings.consul().is_some());
            explanation.refused = Some(refusal(Reason::UnknownSni, because, near));
        }
    }
    explanation
}

fn refusal(reason: Reason, because: String, near: Vec<String>) -> Refusal {
    Refusal { reason: reason.as_str(), meaning: reason.describe(), because, near }
}

/// A target as a name leads to it by `rule`.
pub(crate) fn routed(
    settings: &Settings,
    own: &OwnOptions,
    name: &str,
    rule: Rule,
    because: String,
    target: &Target,
) -> Routed {
    let policy = &target.policy;
    let documents = || format!("service-defaults {}", settings.service);
    let limit = |own: Option<u32>, key: &'static str, default: u32| match own {
        Some(limit) => Sourced::new(limit.to_string(), documents()),
        None if default > 0 => Sourced::new(default.to_string(), origin(settings, key)),
        None => Sourced::new("none", origin(settings, key)),
    };
    let limits = &settings.limits;
    Routed {
        name: name.to_owned(),
        rule: rule.as_str(),
        because,
        service: target.service.to_string(),
        balancer: match policy.balancer {
            Balancer::RoundRobin => "weighted round robin".to_owned(),
            Balancer::Random => "random".to_owned(),
            Balancer::LeastRequest { choice_count } => format!("least busy of {}", choice_count.max(2)),
        },
        connect_timeout: match (target.connect_timeout, own.connect_timeout) {
            (Some(time), _) => {
                Sourced::new(show_duration(time), format!("service-resolver {}", target.service))
            }
            (None, Some(time)) => Sourced::new(show_duration(time), "connect_timeout_ms of the registration"),
            (None, None) => {
                Sourced::new(show_duration(settings.timers.connect), origin(settings, "timers.connect"))
            }
        },
        max_connections: limit(
            policy.limits.max_connections,
            "limits.connections_per_service",
            limits.connections_per_service,
        ),
        max_pending: limit(
            policy.limits.max_pending,
            "limits.pending_per_service",
            limits.pending_per_service,
        ),
        ejection: ejection(settings),
        endpoints: endpoints(settings, target),
        endpoints_total: target.endpoints.len(),
        endpoints_healthy: target.endpoints.iter().filter(|endpoint| endpoint.healthy).count(),
        live: None,
    }
}

fn origin(settings: &Settings, key: &'static str) -> String {
    let origin = settings.origin(key).map(ToString::to_string).unwrap_or_default();
    format!("{key}, {origin}")
}

fn because(found: &Matched<'_>) -> String {
    let service = &found.target.service;
    let place = service.split_once(':').map_or(&**service, |(_, place)| place);
    match found.rule {
        Rule::Service => format!("{service} is a service of this datacenter"),
        Rule::Subset => format!("a subset of {service}, which is a service of this datacenter"),
        Rule::RemoteDatacenter => format!("all names of datacenter {place} go to its mesh gateways"),
        Rule::RemotePartition => format!("all names of partition {place} go to its mesh gateways"),
        Rule::StaticRoute => format!("the catalog has a [[Route]] for {}", found.name),
        _ => found.rule.as_str().to_owned(),
    }
}

fn ejection(settings: &Settings) -> String {
    let ejection = &settings.ejection;
    match ejection.consecutive_failures {
        0 => "never".to_owned(),
        failures => format!(
            "after {failures} failed connects in a row, for {} at first and {} at most, {} % of the endpoints \
             but always one",
            show_duration(ejection.base),
            show_duration(ejection.max),
            ejection.max_percent
        ),
    }
}

/// Health as `mesh-endpoints` sees it.
fn endpoints(settings: &Settings, target: &Target) -> Vec<ExplainedEndpoint> {
    let all = target.endpoints.len();
    let healthy = target.endpoints.iter().filter(|endpoint| endpoint.healthy).count();
    let panic = healthy > 0 && healthy * 100 < all * usize::from(settings.panic_threshold);
    let verdict = |one_is_healthy: bool| match one_is_healthy {
        true => (true, "healthy"),
        false if panic => (true, "unhealthy, but so few are healthy that all are used (panic_threshold)"),
        false if healthy > 0 => (false, "unhealthy, and others are healthy"),
        false if target.policy.all_down == AllDown::TryAll => {
            (true, "unhealthy, but so are all: each is tried")
        }
        false => (false, "unhealthy, as are all"),
    };
    target
        .endpoints
        .iter()
        .take(MOST_ENDPOINTS)
        .map(|endpoint| {
            let (used, why) = verdict(endpoint.healthy);
            ExplainedEndpoint {
                address: endpoint.to_string(),
                instance: endpoint.label.to_string(),
                weight: endpoint.weight,
                healthy: endpoint.healthy,
                used,
                why,
            }
        })
        .collect()
}

/// Endpoints that are this gateway itself, as far as settings and registration alone can tell.
pub(crate) fn loops(settings: &Settings, options: &OwnOptions, target: &Target) -> Vec<String> {
    let bound = options.listeners.iter().flatten().map(|(_, address)| address);
    let known: Vec<_> = bound.chain(&options.advertised).collect();
    let listens = |address: SocketAddr| {
        settings.listen.iter().any(|(_, own)| *own == address) || known.contains(&&address)
    };
    let own = target.endpoints.iter().filter(|endpoint| {
        let advertised = settings.wan_address.as_deref() == Some(endpoint.to_string().as_str());
        let bound = match endpoint.host {
            Host::Ip(ip) => listens(SocketAddr::new(ip, endpoint.port)),
            Host::Name(_) => false,
        };
        advertised || bound
    });
    own.map(|endpoint| {
        format!(
            "endpoint {endpoint} is this gateway itself: dialling it is refused ({})",
            Reason::ForwardingLoop
        )
    })
    .collect()
}

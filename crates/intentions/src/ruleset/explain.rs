//! How a decision is reached, step by step and without the index.

use std::sync::Arc;

use mesh_id::SpiffeId;

use super::RuleSet;
use super::caller::{Caller, Service, own_partition};
use super::matcher::{Matcher, Miss};
use super::order::Covers;
use super::rule::{Judge, Rule};
use crate::decision::Decision;
use crate::intention::{Intention, ServiceSource};
use crate::mesh::Protocol;
use crate::request::RequestHead;
use crate::source::Source;

/// How a decision is reached.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The intentions for the destination in the order in which they are looked at, up to and with the one that decides.
    pub steps: Vec<Step>,
    /// What is decided; `None`: it depends on the request, and none was given.
    pub decision: Option<Arc<Decision>>,
}

/// One intention that was looked at.
#[derive(Debug, Clone)]
pub struct Step {
    /// Which one.
    pub intention: Arc<Intention>,
    /// What came of it.
    pub look: Look,
    /// For an intention with permissions that covers the source: each of those that were looked at, in order, and why it
    /// does or does not match: `permission 1 (allow): no match, the path`.
    pub permissions: Vec<String>,
}

/// What came of looking at an intention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Look {
    /// It covers the source, and decides.
    Decides,
    /// It does not cover the source; the text says why.
    NoMatch(&'static str),
}

pub(super) fn explain(
    rules: &RuleSet,
    source: Source<'_>,
    protocol: Protocol,
    request: Option<&RequestHead<'_>>,
) -> Explanation {
    let caller = Caller::of(source, protocol, &rules.mesh);
    let mut steps = Vec::new();
    if !caller.is_exact() {
        return Explanation { steps, decision: Some(Arc::clone(&rules.fallback.not_exact)) };
    }
    for rule in &rules.rules {
        let intention = Arc::clone(&rule.intention);
        if let Err(why) = covers(rules, rule, &caller, source.certificate(), protocol) {
            steps.push(Step { intention, look: Look::NoMatch(why), permissions: Vec::new() });
            continue;
        }
        let (decision, permissions) = match (protocol, request) {
            (Protocol::Tcp, _) => (Some(&rule.on_connection), Vec::new()),
            (Protocol::Http, Some(request)) => {
                (Some(rule.on_request.decide(request)), permissions(rule, request))
            }
            (Protocol::Http, None) => match &rule.on_request {
                Judge::Always(decision) => (Some(decision), Vec::new()),
                Judge::First { .. } => (None, Vec::new()),
            },
        };
        steps.push(Step { intention, look: Look::Decides, permissions });
        return Explanation { steps, decision: decision.cloned() };
    }
    let fallback = &rules.fallback;
    let decision = if caller.is_service() { &fallback.default } else { &fallback.no_service };
    Explanation { steps, decision: Some(Arc::clone(decision)) }
}

fn covers(
    rules: &RuleSet,
    rule: &Rule,
    caller: &Caller<'_>,
    certificate: &SpiffeId,
    protocol: Protocol,
) -> Result<(), &'static str> {
    match &rule.covers {
        Covers::Everyone => Ok(()),
        Covers::Local { source, partition } => {
            let Some(service) = caller.local else {
                return Err(match certificate {
                    SpiffeId::Service { .. } => "the caller is of another trust domain",
                    _ => "the caller is no service",
                });
            };
            same(source, partition, service)
        }
        Covers::OfPeer(source) => {
            let mut why = "the trust bundle of the peer is not known";
            for bundle in rule.covers.bundles(&rules.mesh) {
                let Some(service) = caller.of_peer else {
                    return Err(match protocol {
                        Protocol::Http => "the request did not come from a peer through a mesh gateway",
                        Protocol::Tcp => "the caller is no service",
                    });
                };
                let found = if *service.trust_domain == bundle.trust_domain {
                    same(source, own_partition(&bundle.partition).as_str(), service)
                } else {
                    Err("the caller is not of the peer's trust domain")
                };
                match found {
                    Ok(()) => return Ok(()),
                    Err(reason) => why = reason,
                }
            }
            Err(why)
        }
    }
}

fn same(source: &ServiceSource, partition: &str, service: Service<'_>) -> Result<(), &'static str> {
    if service.partition.as_str() != partition {
        Err("another partition")
    } else if !source.namespace.covers(service.namespace.as_str()) {
        Err("another namespace")
    } else if !source.name.covers(service.name.as_str()) {
        Err("another name")
    } else {
        Ok(())
    }
}

fn permissions(rule: &Rule, request: &RequestHead<'_>) -> Vec<String> {
    let Judge::First { permissions, .. } = &rule.on_request else { return Vec::new() };
    let mut lines = Vec::new();
    for (index, permission) in permissions.iter().enumerate() {
        let action = match &rule.intention.rule {
            crate::intention::Rule::Permissions(all) => all.get(index).map(|permission| permission.action),
            _ => None,
        };
        let action = action.map(|action| format!(" ({action})")).unwrap_or_default();
        let found = permission.matcher.check(request);
        let text = match found {
            Ok(()) if matches!(permission.matcher, Matcher::Always) => {
                "match, as it is not understood".to_owned()
            }
            Ok(()) => "match".to_owned(),
            Err(Miss::NotUnderstood) => "no match, as it is not understood".to_owned(),
            Err(Miss::Path) => "no match, the path".to_owned(),
            Err(Miss::Method) => "no match, the method".to_owned(),
            Err(Miss::Header(index)) => format!("no match, header {}", index + 1),
        };
        lines.push(format!("permission {}{action}: {text}", index + 1));
        if found.is_ok() {
            break;
        }
    }
    lines
}

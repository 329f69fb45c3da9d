//! Documents -> the table of a mesh gateway, with everything that did not change taken from the
//! table before.
//!
//! Each target is laid out in memory that is used again and again, and compared with the one of the
//! same name in the older table; only a difference costs an allocation and counts as compiled. So
//! there is no list of what depends on what that could be wrong.

pub(super) mod answers;
mod gateways;
mod routes;
mod services;

use super::{MeshIdentity, MeshTable, Rule, SetPolicy, Target, TargetEndpoint};
use crate::{
    catalog::{Merged, problem_at},
    document::{Body, Instance, Status},
    filter::Filter,
    mesh::{Rejected, row::Row},
};
use std::{sync::Arc, time::Duration};

/// What does not come from documents.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The service name of this gateway: a `service-defaults` of that name sets its limits.
    pub(crate) service: String,
    /// What every set starts from.
    pub(crate) policy: SetPolicy,
}

/// What came out.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) table: MeshTable,
    /// How many targets are new or differ from before.
    pub(crate) compiled: u64,
    pub(crate) rejected: Vec<Rejected>,
}

/// Compiles everything that is in use. `own` is the `[Mesh]` in use.
pub(crate) fn compile(
    merged: &Merged<'_>,
    own: &MeshIdentity,
    options: &Options,
    before: &MeshTable,
) -> Compiled {
    let mut compiler = Compiler::new(own, before, policy(merged, own, options));
    compiler.targets.reserve(before.targets().len());
    services::compile(merged, &mut compiler);
    gateways::compile(merged, &mut compiler);
    routes::compile(merged, &mut compiler);
    let Compiler { targets, compiled, rejected, .. } = compiler;
    Compiled { table: MeshTable::after(before, targets), compiled, rejected }
}

/// Limits come from the `service-defaults` that is named like the gateway, field by field.
fn policy(merged: &Merged<'_>, own: &MeshIdentity, options: &Options) -> SetPolicy {
    let mut policy = options.policy.clone();
    for entry in &merged.entries {
        let entry = entry.document;
        if let Body::Defaults(defaults) = &entry.body
            && entry.name.eq_ignore_ascii_case(&options.service)
            && is(entry.partition.as_ref(), &own.partition)
        {
            let limits = &mut policy.limits;
            limits.max_connections = defaults.max_connections.or(limits.max_connections);
            limits.max_pending = defaults.max_pending.or(limits.max_pending);
        }
    }
    policy
}

struct Compiler<'a> {
    own: &'a MeshIdentity,
    before: &'a MeshTable,
    policy: SetPolicy,
    /// Of the names of a gateway only the first is used, where its registration asks for that.
    only_first_name: bool,
    /// The endpoints of the target at hand.
    endpoints: Vec<TargetEndpoint>,
    /// Members without an address that can be dialled, and why.
    unusable: Vec<String>,
    targets: Vec<Arc<Target>>,
    /// Where the next target stood in the older table, if nothing came or went before it.
    next: usize,
    compiled: u64,
    rejected: Vec<Rejected>,
}

/// What a target is besides its endpoints.
struct Layout<'a> {
    id: &'a str,
    service: Label<'a>,
    rule: Rule,
    connect_timeout: Option<Duration>,
    policy: &'a SetPolicy,
    only_first_name: bool,
}

/// A word for metrics, kept as it is or put together.
#[derive(Clone, Copy)]
enum Label<'a> {
    Shared(&'a Arc<str>),
    Joined(&'a str, &'a str),
}

impl PartialEq<str> for Label<'_> {
    fn eq(&self, other: &str) -> bool {
        match self {
            Label::Shared(text) => ***text == *other,
            Label::Joined(a, b) => other.strip_prefix(a) == Some(b),
        }
    }
}

impl<'a> Compiler<'a> {
    fn new(own: &'a MeshIdentity, before: &'a MeshTable, policy: SetPolicy) -> Self {
        Self {
            own,
            before,
            policy,
            only_first_name: false,
            endpoints: Vec::new(),
            unusable: Vec::new(),
            targets: Vec::new(),
            next: 0,
            compiled: 0,
            rejected: Vec::new(),
        }
    }

    /// Adds the endpoint of a member.
    fn endpoint(&mut self, member: &impl Member, wan: bool, only_passing: bool) {
        match member.endpoint(wan, only_passing) {
            Ok(endpoint) => self.endpoints.push(endpoint),
            Err(problem) => self.unusable.push(problem),
        }
    }

    /// Whether the older table has a target of this id.
    fn knows(&mut self, id: &str) -> bool {
        self.older(id).is_some()
    }

    /// The target of this id in the older table. Targets come in the order of that table for the
    /// most part, so it is nearly always the one after the last.
    fn older(&mut self, id: &str) -> Option<&'a Arc<Target>> {
        let before: &'a MeshTable = self.before;
        let targets = before.targets();
        let is = |index: usize| targets.get(index).is_some_and(|target| *target.id == *id);
        self.next = match self.next {
            next if is(next) => next,
            next if is(next + 1) => next + 1,
            _ => before.position(id)?,
        };
        targets.get(self.next)
    }

    /// Makes a target of the endpoints at hand, or takes the one from before that is equal.
    fn finish(&mut self, id: Option<&Arc<str>>, layout: &Layout<'_>) {
        // The order of files must not show.
        self.endpoints.sort_by(|a, b| {
            (&a.host, a.port, !a.healthy, &a.label).cmp(&(&b.host, b.port, !b.healthy, &b.label))
        });
        self.endpoints.dedup_by(|later, earlier| later.host == earlier.host && later.port == earlier.port);
        let before = self.older(layout.id);
        let target = match before.filter(|before| layout.describes(before, &self.endpoints)) {
            Some(before) => before.clone(),
            None => {
                self.compiled += 1;
                Arc::new(Target {
                    id: id.cloned().unwrap_or_else(|| layout.id.into()),
                    service: match layout.service {
                        Label::Shared(text) => text.clone(),
                        Label::Joined(a, b) => format!("{a}{b}").into(),
                    },
                    rule: layout.rule,
                    endpoints: self.endpoints.clone(),
                    connect_timeout: layout.connect_timeout,
                    policy: layout.policy.clone(),
                    remote: layout.rule.is_remote(),
                    only_first_name: layout.only_first_name,
                })
            }
        };
        self.endpoints.clear();
        self.targets.push(target);
    }
}

impl Layout<'_> {
    fn describes(&self, target: &Target, endpoints: &[TargetEndpoint]) -> bool {
        let Target { id, service, rule, endpoints: old, connect_timeout, policy, remote: _, only_first_name } =
            target;
        **id == *self.id
            && self.service == **service
            && *rule == self.rule
            && *connect_timeout == self.connect_timeout
            && policy == self.policy
            && *only_first_name == self.only_first_name
            && old == endpoints
    }
}

/// Something that stands behind a name: a row of a file, or of an answer of Consul.
pub(super) trait Member {
    /// Where it is and how good: `wan` by the address that it has for other datacenters, `only_passing`
    /// if a warning makes it unhealthy. `Err` with what is wrong with its address.
    fn endpoint(&self, wan: bool, only_passing: bool) -> Result<TargetEndpoint, String>;

    /// Whether a subset with this filter takes it in. What the filter cannot answer it does not.
    fn matches(&self, filter: &Filter, own: &MeshIdentity) -> bool;
}

impl Member for Instance {
    fn endpoint(&self, wan: bool, only_passing: bool) -> Result<TargetEndpoint, String> {
        let (host, port) = if wan { self.wan() } else { (&self.host, self.port) };
        let weight = match self.status {
            Status::Warning => self.weights.warning,
            Status::Passing | Status::Critical => self.weights.passing,
        };
        let up = match self.status {
            Status::Passing => true,
            Status::Warning => !only_passing,
            Status::Critical => false,
        };
        Ok(TargetEndpoint {
            host: host.clone(),
            port,
            weight: weight.clamp(1, mesh_endpoints::MAX_WEIGHT),
            healthy: up && weight > 0,
            label: self.id.as_ref().unwrap_or(&self.service).clone(),
        })
    }

    fn matches(&self, filter: &Filter, own: &MeshIdentity) -> bool {
        filter.matches(&Row::new(self, Some(own))).unwrap_or(false)
    }
}

/// Whether a name that may be left out is this one.
fn is(given: Option<&Arc<str>>, own: &str) -> bool {
    given.is_none_or(|given| given.eq_ignore_ascii_case(own))
}

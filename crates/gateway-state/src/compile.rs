//! Documents -> targets, with everything that did not change taken from before: what all roles share.
//!
//! Each target is laid out in memory that is used again and again, and compared with the one of the
//! same id from before; only a difference costs an allocation and counts as compiled.

mod member;
mod names;
mod row;
mod service;

use crate::{
    snapshot::{MeshIdentity, Rejected},
    target::{Rule, Target, TargetEndpoint},
};
pub(crate) use member::Member;
use mesh_endpoints::{Balancer, SetPolicy};
pub use names::NameMode;
pub(crate) use row::{check_filter, check_filter_of_answers};
pub(crate) use service::{Named, here, no_host_name, service};
use std::{sync::Arc, time::Duration};

/// The targets of the snapshot before.
pub(crate) trait Before {
    /// Sorted by id.
    fn targets(&self) -> &[Arc<Target>];
    /// Where the target of exactly this id stands.
    fn position(&self, id: &str) -> Option<usize>;
}

/// Lays targets out, one after the other.
pub(crate) struct Compiler<'a> {
    pub(crate) own: &'a MeshIdentity,
    before: &'a dyn Before,
    pub(crate) policy: SetPolicy,
    /// What stands for a choice by hash, where there is no request to hash.
    pub(crate) hashing: Balancer,
    /// How names among addresses are used.
    pub(crate) names: NameMode,
    /// Of the names of a gateway only the first is used, where its registration asks for that.
    pub(crate) only_first_name: bool,
    /// The endpoints of the target at hand.
    pub(crate) endpoints: Vec<TargetEndpoint>,
    /// Members without an address that can be dialled, and why.
    pub(crate) unusable: Vec<String>,
    pub(crate) targets: Vec<Arc<Target>>,
    /// Where the next target stood in the older table, if nothing came or went before it.
    next: usize,
    pub(crate) compiled: u64,
    pub(crate) rejected: Vec<Rejected>,
}

/// What a target is besides its endpoints.
pub(crate) struct Layout<'a> {
    pub(crate) id: &'a str,
    pub(crate) service: Label<'a>,
    pub(crate) rule: Rule,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) policy: &'a SetPolicy,
    pub(crate) only_first_name: bool,
}

/// A word for metrics, kept as it is or put together.
#[derive(Clone, Copy)]
pub(crate) enum Label<'a> {
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
    pub(crate) fn new(own: &'a MeshIdentity, before: &'a dyn Before, policy: SetPolicy) -> Self {
        Self {
            own,
            before,
            policy,
            hashing: Balancer::RoundRobin,
            names: NameMode::All,
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
    pub(crate) fn endpoint(&mut self, member: &impl Member, wan: bool, only_passing: bool) {
        match member.endpoint(wan, only_passing) {
            Ok(endpoint) => self.endpoints.push(endpoint),
            Err(problem) => self.unusable.push(problem),
        }
    }

    /// Whether the older table has a target of this id.
    pub(crate) fn knows(&mut self, id: &str) -> bool {
        self.older(id).is_some()
    }

    /// The target of this id in the older table. Targets come in the order of that table for the
    /// most part, so it is nearly always the one after the last.
    fn older(&mut self, id: &str) -> Option<&'a Arc<Target>> {
        let before: &'a dyn Before = self.before;
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
    pub(crate) fn finish(&mut self, id: Option<&Arc<str>>, layout: &Layout<'_>) {
        if self.names.drops_addresses(&mut self.endpoints) {
            self.unusable.push(NameMode::WARNING.to_owned());
        }
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

/// Whether a name that may be left out is this one.
pub(crate) fn is(given: Option<&Arc<str>>, own: &str) -> bool {
    given.is_none_or(|given| given.eq_ignore_ascii_case(own))
}

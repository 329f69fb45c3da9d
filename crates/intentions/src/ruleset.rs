//! The intentions of one destination, ready to be asked.
//!
//! Rules stand in the order of precedence, and an index by source finds the first that covers a caller: three lookups by
//! hash for a local source, the same again for a peer's, whatever the number of rules.

use std::sync::Arc;

use crate::decision::Decision;
use crate::intention::Intention;
use crate::mesh::{DefaultPolicy, Destination, LocalMesh, Protocol};
use crate::permit::{ConnPermit, Denial, Outlook, RequestPermit, Verdict};
use crate::problem::Problem;
use crate::request::RequestHead;
use crate::source::Source;

mod caller;
mod compile;
mod explain;
mod headers;
mod index;
mod matcher;
mod order;
mod patterns;
mod rule;
mod shadow;

use caller::Caller;
use index::Index;
use rule::{Judge, Rule};

pub use explain::{Explanation, Look, Step};
pub use shadow::Shadowed;

/// The intentions that decide about one destination.
#[derive(Debug)]
pub struct RuleSet {
    destination: Arc<Destination>,
    default: DefaultPolicy,
    mesh: LocalMesh,
    /// By precedence, the highest first.
    rules: Vec<Rule>,
    index: Index,
    /// Where no rule decides.
    fallback: Fallback,
    problems: Vec<Problem>,
    shadowed: Vec<Shadowed>,
    shadowed_count: usize,
}

/// Decisions without an intention.
#[derive(Debug)]
struct Fallback {
    default: Arc<Decision>,
    no_service: Arc<Decision>,
    not_exact: Arc<Decision>,
}

impl RuleSet {
    /// Picks the intentions of `destination` out of `intentions` (exact name or wildcard), orders them by precedence and
    /// indexes them by source. All intentions of a datacenter may be handed in, in any order.
    #[must_use]
    pub fn compile<'a>(
        destination: &Destination,
        intentions: impl IntoIterator<Item = &'a Arc<Intention>>,
        default: DefaultPolicy,
        mesh: &LocalMesh,
    ) -> Self {
        compile::compile(destination, intentions, default, mesh)
    }

    /// Judges a connection, right after the handshake and before anything is connected or read. For [`Protocol::Http`]
    /// the answer is always [`Verdict::NeedsRequest`].
    pub fn check_connection(&self, source: Source<'_>, protocol: Protocol) -> Verdict {
        match protocol {
            Protocol::Tcp => {
                let decision = match self.find(&Caller::of(source, protocol, &self.mesh)) {
                    Ok(rule) => &rule.on_connection,
                    Err(decision) => decision,
                };
                match ConnPermit::of(decision) {
                    Ok(permit) => Verdict::Allow(permit),
                    Err(denial) => Verdict::Deny(denial),
                }
            }
            Protocol::Http => Verdict::NeedsRequest(self.outlook(source)),
        }
    }

    /// Judges a request. `source` is that of this request: each has an `x-forwarded-client-cert` of its own.
    ///
    /// # Errors
    /// That it is denied, and why.
    pub fn check_request(
        &self,
        source: Source<'_>,
        request: &RequestHead<'_>,
    ) -> Result<RequestPermit, Denial> {
        let decision = match self.find(&Caller::of(source, Protocol::Http, &self.mesh)) {
            Ok(rule) => rule.on_request.decide(request),
            Err(decision) => decision,
        };
        RequestPermit::of(decision)
    }

    /// How a decision is reached: for people. It takes time and memory proportional to the number of intentions.
    #[must_use]
    pub fn explain(
        &self,
        source: Source<'_>,
        protocol: Protocol,
        request: Option<&RequestHead<'_>>,
    ) -> Explanation {
        explain::explain(self, source, protocol, request)
    }

    /// The first rule that covers the caller, or the decision where there is none.
    fn find(&self, caller: &Caller<'_>) -> Result<&Rule, &Arc<Decision>> {
        if !caller.is_exact() {
            return Err(&self.fallback.not_exact);
        }
        match self.index.find(caller).and_then(|place| self.rules.get(place)) {
            Some(rule) => Ok(rule),
            None if caller.is_service() => Err(&self.fallback.default),
            None => Err(&self.fallback.no_service),
        }
    }

    fn outlook(&self, source: Source<'_>) -> Outlook {
        let caller = Caller::of(source, Protocol::Http, &self.mesh);
        match self.find(&caller) {
            Ok(Rule { on_request: Judge::Always(decision), .. }) => Outlook::certain(decision),
            Ok(_) => Outlook::open(),
            // Each of its requests may be another service's.
            Err(_) if caller.is_own_gateway() && self.index.has_peers() => Outlook::open(),
            Err(decision) => Outlook::certain(decision),
        }
    }

    /// The service that it is about.
    #[must_use]
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// What is done where no intention decides.
    #[must_use]
    pub fn default_policy(&self) -> DefaultPolicy {
        self.default
    }

    /// The intentions in it, in the order in which they are looked at.
    pub fn intentions(&self) -> impl ExactSizeIterator<Item = &Arc<Intention>> {
        self.rules.iter().map(|rule| &rule.intention)
    }

    /// What is wrong with the intentions in it.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Pairs about which Envoy would decide otherwise (`intention_precedence_shadowed`); at most 100 of
    /// [`RuleSet::shadowed_count`].
    #[must_use]
    pub fn shadowed(&self) -> &[Shadowed] {
        &self.shadowed
    }

    /// How many such pairs there are.
    #[must_use]
    pub fn shadowed_count(&self) -> usize {
        self.shadowed_count
    }
}

/// Whether they decide alike in everything and for the same reasons: nothing needs to be judged again where an update
/// brings an equal set. The order in which the intentions came does not count.
impl PartialEq for RuleSet {
    fn eq(&self, other: &Self) -> bool {
        self.destination == other.destination
            && self.default == other.default
            && self.mesh == other.mesh
            && self.intentions().eq(other.intentions())
    }
}

impl Eq for RuleSet {}

//! The intentions of one destination, ready to be asked.

use std::sync::Arc;

use crate::decision::{Decision, Why};
use crate::intention::Intention;
use crate::mesh::{DefaultPolicy, Destination, LocalMesh, Protocol};
use crate::permit::{Denial, Outlook, RequestPermit, Verdict};
use crate::problem::Problem;
use crate::request::RequestHead;
use crate::source::Source;

/// The intentions that decide about one destination.
#[derive(Debug)]
pub struct RuleSet {
    destination: Arc<Destination>,
    default: DefaultPolicy,
    mesh: LocalMesh,
    problems: Vec<Problem>,
    shadowed: Vec<Shadowed>,
    closed: Arc<Decision>,
}

/// Two intentions about which Consul's API and the rules that it generates for Envoy disagree: the first covers the
/// sources of the second, stands higher by its destination, and says something else. Here as in the API the first wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadowed {
    /// The one that decides.
    pub wins: Arc<Intention>,
    /// The one that Envoy would follow.
    pub hidden: Arc<Intention>,
}

/// How a decision is reached.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// Every intention for the destination in the order it is looked at, up to and with the one that decides.
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
    /// For an intention with permissions that covers the source: why each of those looked at did or did not match.
    pub permissions: Vec<String>,
}

/// What came of looking at an intention.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Look {
    /// It covers the source, and decides.
    Decides,
    /// It does not cover the source; the text says why.
    NoMatch(&'static str),
}

impl RuleSet {
    /// Picks the intentions of `destination` out of `intentions` (exact name or wildcard), orders them by precedence and
    /// indexes them by source. All intentions of a datacenter may be handed in.
    #[must_use]
    pub fn compile<'a>(
        destination: &Destination,
        intentions: impl IntoIterator<Item = &'a Arc<Intention>>,
        default: DefaultPolicy,
        mesh: &LocalMesh,
    ) -> Self {
        let _ = intentions;
        let destination = Arc::new(destination.clone());
        let closed =
            Decision { allowed: false, destination: Arc::clone(&destination), why: Why::DefaultPolicy };
        Self {
            destination,
            default,
            mesh: mesh.clone(),
            problems: Vec::new(),
            shadowed: Vec::new(),
            closed: Arc::new(closed),
        }
    }

    /// Judges a connection, right after the handshake. For [`Protocol::Http`] the answer is always
    /// [`Verdict::NeedsRequest`].
    pub fn check_connection(&self, source: Source<'_>, protocol: Protocol) -> Verdict {
        let _ = source;
        match protocol {
            Protocol::Tcp => Verdict::Deny(Denial::of(&self.closed)),
            Protocol::Http => Verdict::NeedsRequest(Outlook::open()),
        }
    }

    /// Judges a request.
    ///
    /// # Errors
    /// That it is denied, and why.
    pub fn check_request(
        &self,
        source: Source<'_>,
        request: &RequestHead<'_>,
    ) -> Result<RequestPermit, Denial> {
        let _ = (source, request);
        Err(Denial::of(&self.closed))
    }

    /// How a decision is reached: for people. It takes time and memory proportional to the number of intentions.
    #[must_use]
    pub fn explain(
        &self,
        source: Source<'_>,
        protocol: Protocol,
        request: Option<&RequestHead<'_>>,
    ) -> Explanation {
        let _ = (source, protocol, request);
        Explanation { steps: Vec::new(), decision: Some(Arc::clone(&self.closed)) }
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

    /// What is wrong with the intentions in it.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Pairs about which Envoy would decide otherwise (`intention_precedence_shadowed`); at most 100.
    #[must_use]
    pub fn shadowed(&self) -> &[Shadowed] {
        &self.shadowed
    }
}

/// Whether they decide alike in everything: nothing needs to be judged again where an update brings an equal set.
impl PartialEq for RuleSet {
    fn eq(&self, other: &Self) -> bool {
        self.destination == other.destination && self.default == other.default && self.mesh == other.mesh
    }
}

impl Eq for RuleSet {}

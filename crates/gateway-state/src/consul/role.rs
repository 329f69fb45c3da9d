//! What differs between the gateways: which questions each asks, and what it makes of the answers.

use super::{driver::Core, own, readiness::Question, state::Traffic};
use crate::{role::Role, snapshot::MeshIdentity};
use std::{collections::BTreeSet, fmt, sync::Arc, time::Instant};

/// A role that can run from a Consul.
pub trait ConsulRole: Role {
    #[doc(hidden)]
    type Part: Part<Self>;

    /// What is known before anything was read: generation 0, no name.
    fn nothing() -> Self::Snapshot;
}

/// The questions of a role, and the snapshots that it makes of the answers. Everything else, from the gateway's own
/// registration to the token, is alike for all roles and in [`Core`].
pub trait Part<R: ConsulRole>: Send + Sized + 'static {
    /// What its questions are answered with.
    type Answer: fmt::Debug + Send + 'static;
    /// What has to be known before anything is served.
    const QUESTIONS: &'static [Question];
    /// Whether that Consul shows the gateway itself proves that the token sees nodes. Where it has rights service by
    /// service it may not see Consul's own servers; elsewhere it may see itself and nothing else.
    const SEES_ITSELF: bool = false;

    /// Nothing asked, nothing known.
    fn new(core: &Core<Self::Answer>, options: R::Options) -> Self;

    /// Asks what is always asked.
    fn start(&mut self, core: &mut Core<Self::Answer>);

    /// Takes in an answer.
    fn take(&mut self, core: &mut Core<Self::Answer>, answer: Self::Answer);

    /// More is known of what this Consul can do, or of where the gateway is.
    fn learned(&mut self, core: &mut Core<Self::Answer>);

    /// What the gateway's registration asks of it.
    fn set_own(&mut self, read: own::Read);

    /// Who and where the gateway is, once that is known.
    fn set_identity(&mut self, identity: Option<MeshIdentity>);

    /// Services that something is held back of, where the token has rights service by service: they are asked for.
    fn doubted(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    /// The token sees nodes, and may read these of [`doubted`](Self::doubted): what was held back is what it says.
    fn let_go(&mut self, core: &mut Core<Self::Answer>, granted: &BTreeSet<Arc<str>>);

    /// So many lists of instances are held back.
    fn held_back(&self) -> usize;

    /// Services with connections, and services that fail.
    fn traffic(&mut self, core: &mut Core<Self::Answer>, traffic: Traffic);

    /// Looks at the clock.
    fn tick(&mut self, _core: &mut Core<Self::Answer>, _now: Instant) {}

    /// When it wants to.
    fn due(&self) -> Option<Instant> {
        None
    }

    /// Services that have not been answered for, and are waited for at the start.
    fn waiting(&self) -> usize;

    /// The last snapshot that was built; the first knows nothing and has generation 0.
    fn snapshot(&self) -> &Arc<R::Snapshot>;

    /// Whether [`build`](Self::build) has something to do.
    fn is_touched(&self) -> bool;

    /// The next snapshot, if anything in it differs.
    fn build(&mut self) -> Option<Arc<R::Snapshot>>;

    /// How the names of one snapshot differ from those of another.
    fn names(before: &R::Snapshot, after: &R::Snapshot) -> NameChanges;
}

/// Names that traffic asks for, from one snapshot to the next.
#[derive(Debug, Default)]
pub struct NameChanges {
    /// All there are.
    pub(super) total: usize,
    pub(super) come: usize,
    /// Those that are gone.
    pub(super) gone: Vec<Arc<str>>,
}

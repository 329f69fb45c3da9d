//! What a watch says.

use crate::Error;
use std::sync::Arc;

/// What a watch says. Between two of them everything is as it was.
///
/// A failure never takes a document away: what came last stays true until the next
/// [`Changed`](Self::Changed). After [`Failed`](Self::Failed), `Changed` or [`Recovered`](Self::Recovered)
/// says that it works again.
#[derive(Debug)]
pub enum Update<D> {
    /// The first document, or another than before.
    Changed {
        /// `None`: Consul says that the object is absent.
        document: Option<Arc<D>>,
        /// What the answer says beside its body.
        facts: Facts,
    },
    /// The same document; the answer says something else beside its body.
    Facts(Facts),
    /// It fails since now, or for another reason than before. Not said again for the same reason.
    Failed(Error),
    /// It works again and nothing has changed.
    Recovered,
}

impl<D> Clone for Update<D> {
    fn clone(&self) -> Self {
        match self {
            Self::Changed { document, facts } => Self::Changed { document: document.clone(), facts: *facts },
            Self::Facts(facts) => Self::Facts(*facts),
            Self::Failed(error) => Self::Failed(error.clone()),
            Self::Recovered => Self::Recovered,
        }
    }
}

/// What an answer says beside its body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// `X-Consul-Index`; 1 if there was none. A change of the index alone is no update.
    pub index: u64,
    /// The token may not see all there is.
    pub filtered: bool,
    /// The ACL default is `deny` (`Some(true)`) or `allow`; `None` where Consul does not say.
    pub default_deny: Option<bool>,
    /// Taken from any server because the leader did not answer at the start: may be old.
    pub degraded: bool,
}

impl Facts {
    /// Whether they differ in more than the index.
    pub(crate) fn differ(&self, other: &Self) -> bool {
        Self { index: 0, ..*self } != Self { index: 0, ..*other }
    }
}

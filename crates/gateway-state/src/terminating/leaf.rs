//! The certificate of one linked service, with its last good version.

use super::{About, LeafState, ServiceKey, Trouble, input::LeafInput, trouble::Weight};
use mesh_id::SpiffeId;
use mtls::{Error, Leaf, LeafAge, LeafWarning, MAX_CLOCK_SKEW, TrustBundle, UnixTime};
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct LeafSlot {
    input: LeafInput,
    /// The last one that was good, and may have ended since.
    good: Option<Arc<Leaf>>,
    /// What is wrong with the input.
    problem: Option<Arc<str>>,
    /// When it may be good: it begins in the future.
    good_at: Option<UnixTime>,
    /// The input, and whose name it must bear, have been looked at.
    seen: Option<SpiffeId>,
    /// Whether these roots accept it: the answer for one leaf and one bundle.
    chain: Option<(Arc<Leaf>, Arc<TrustBundle>, Option<String>)>,
}

impl Default for LeafSlot {
    fn default() -> Self {
        Self { input: LeafInput::Unknown, good: None, problem: None, good_at: None, seen: None, chain: None }
    }
}

impl LeafSlot {
    /// Takes another input. True if it is another one.
    pub(super) fn set(&mut self, input: LeafInput) -> bool {
        let same = match (&self.input, &input) {
            (LeafInput::Pem { cert, key }, LeafInput::Pem { cert: new_cert, key: new_key }) => {
                cert.is_same(new_cert) && key.is_same(new_key)
            }
            (one, other) => one == other,
        };
        if !same {
            self.input = input;
            self.seen = None;
        }
        !same
    }

    /// What can be presented now, as `expected`.
    pub(super) fn refresh(&mut self, expected: &SpiffeId, now: UnixTime) -> LeafState {
        let begins = self.good_at.is_some_and(|at| at.as_secs() <= now.as_secs());
        if self.seen.as_ref() != Some(expected) || begins {
            self.read(expected, now);
            self.seen = Some(expected.clone());
        }
        // The trust domain or the datacenter may be another one now.
        if self.good.as_ref().is_some_and(|leaf| leaf.id() != expected) {
            self.good = None;
        }
        match &self.good {
            Some(leaf) if leaf.age(now) != LeafAge::Expired => LeafState::Ready(leaf.clone()),
            Some(leaf) => {
                let ago = leaf.validity().ended_for(now).as_secs();
                LeafState::Missing { why: format!("its certificate ended {ago} s ago").into() }
            }
            None => {
                let why = self.problem.clone().unwrap_or_else(|| "it is not known yet".into());
                LeafState::Missing { why }
            }
        }
    }

    fn read(&mut self, expected: &SpiffeId, now: UnixTime) {
        self.problem = None;
        self.good_at = None;
        match &self.input {
            LeafInput::Unknown => {}
            LeafInput::Gone(why) => {
                self.good = None;
                self.problem = Some(why.clone());
            }
            LeafInput::Failed(why) => self.problem = Some(why.clone()),
            LeafInput::Pem { cert, key } => match Leaf::build(cert.expose(), key.expose(), expected, now) {
                Ok(leaf) => {
                    let same =
                        self.good.as_ref().is_some_and(|good| good.fingerprint() == leaf.fingerprint());
                    if !same {
                        self.good = Some(Arc::new(leaf));
                    }
                }
                Err(error) => {
                    if let Error::NotYetValid { by, .. } = &error {
                        let wait = by.saturating_sub(MAX_CLOCK_SKEW).as_secs().max(1);
                        self.good_at = Some(second(now.as_secs().saturating_add(wait)));
                    }
                    self.problem = Some(error.to_string().into());
                }
            },
        }
    }

    /// What there is to say of it.
    pub(super) fn troubles(
        &mut self,
        key: &ServiceKey,
        from_wildcard: bool,
        roots: &Arc<TrustBundle>,
        now: UnixTime,
        into: &mut Vec<Trouble>,
    ) {
        let about = || About::Leaf(key.clone());
        if let Some(why) = &self.problem {
            let kept = self.good.as_ref().is_some_and(|leaf| leaf.age(now) != LeafAge::Expired);
            // Nobody named a service that `*` has taken in, so that it has no certificate is no mistake.
            let unnamed = from_wildcard && matches!(self.input, LeafInput::Gone(_));
            let weight = if unnamed { Weight::Warning } else { Weight::Rejected { kept } };
            into.push(Trouble { about: about(), weight, message: why.to_string() });
        }
        let Some(leaf) = self.good.clone() else { return };
        match leaf.age(now) {
            LeafAge::Expired => {
                let message =
                    format!("the certificate of {} has ended: the service accepts nobody", leaf.id());
                into.push(Trouble::rejected(about(), false, message));
                return;
            }
            LeafAge::RenewalOverdue => {
                let seconds = leaf.validity().not_after.as_secs().saturating_sub(now.as_secs());
                let message = format!(
                    "nine tenths of the life of the certificate are over: it ends in {}",
                    for_people(seconds)
                );
                into.push(Trouble::warning(about(), message));
            }
            _ => {}
        }
        if let Some(LeafWarning::NotYetValidBy(by)) = leaf.warning() {
            let message = format!(
                "the certificate began in the future when it came, by {} s: compare the clocks",
                by.as_secs()
            );
            into.push(Trouble::warning(about(), message));
        }
        if let Some(why) = self.refused(&leaf, roots, now) {
            let message = format!("the roots of the mesh would not accept the certificate: {why}");
            into.push(Trouble { about: about(), weight: Weight::NotAtStart, message });
        }
    }

    fn refused(&mut self, leaf: &Arc<Leaf>, roots: &Arc<TrustBundle>, now: UnixTime) -> Option<String> {
        match &self.chain {
            Some((of, by, why)) if Arc::ptr_eq(of, leaf) && Arc::ptr_eq(by, roots) => why.clone(),
            _ => {
                let why = roots.check_leaf(leaf, now).err().map(|error| error.to_string());
                self.chain = Some((leaf.clone(), roots.clone(), why.clone()));
                why
            }
        }
    }

    /// When something about it becomes different by time alone.
    pub(super) fn next_change(&self, now: UnixTime) -> Option<UnixTime> {
        let of_leaf = self.good.iter().flat_map(|leaf| {
            [leaf.renewal_alarm(), second(leaf.validity().not_after.as_secs().saturating_add(1))]
        });
        of_leaf.chain(self.good_at).filter(|at| at.as_secs() > now.as_secs()).min()
    }
}

fn second(second: u64) -> UnixTime {
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(second))
}

/// `3 days`, `5 hours`, `40 s`.
fn for_people(seconds: u64) -> String {
    match seconds {
        0..7_200 => format!("{seconds} s"),
        7_200..172_800 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

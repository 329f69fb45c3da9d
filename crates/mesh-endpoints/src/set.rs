//! The set that workers share: picks, updates, ejection, status.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;

use crate::balance::{Request, choose};
use crate::counts::Counts;
use crate::members::Members;
use crate::state::State;
use crate::{EjectionNotice, Endpoint, EndpointStatus, Pick, Refused, SetPolicy, SetStatus};

/// The endpoints of one service, shared by all that connect to it.
///
/// A set of one endpoint takes about 300 bytes in all, so ten thousand services are 3 MB.
pub struct EndpointSet {
    members: ArcSwap<Members>,
    counts: Counts,
    /// Position of the round robin, kept across updates. Wraps.
    cursor: AtomicUsize,
    ejections: AtomicU64,
    /// Held by what changes who may be picked. Never by a pick.
    change: Mutex<()>,
}

impl EndpointSet {
    /// A set with these rules and endpoints. A list may be empty; picks are then refused.
    #[must_use]
    pub fn new(policy: SetPolicy, endpoints: Vec<Endpoint>) -> Arc<Self> {
        Arc::new(Self {
            members: ArcSwap::from_pointee(Members::new(policy, endpoints, None)),
            counts: Counts::default(),
            cursor: AtomicUsize::new(0),
            ejections: AtomicU64::new(0),
            change: Mutex::new(()),
        })
    }

    /// Replaces rules and endpoints for the picks that follow; picks in hand are not disturbed.
    ///
    /// An address that stays keeps its connections, failures and ejection, whatever else changes
    /// about it. One that leaves and comes back later begins anew. Rules that switch ejection off
    /// bring back at once what is ejected.
    pub fn update(&self, policy: SetPolicy, endpoints: Vec<Endpoint>) {
        let _change = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let members = Members::new(policy, endpoints, Some(&self.members.load()));
        if !members.policy.ejection.is_on() {
            members.rows().iter().for_each(|row| row.state.forgive());
        }
        self.members.store(Arc::new(members));
    }

    /// Chooses an endpoint that is not among `tried`, for one connection.
    ///
    /// `random` is any uniformly distributed number; `tried` are the addresses that this connection
    /// was refused by before (a few: it is searched linearly).
    ///
    /// # Errors
    ///
    /// [`Refused`] says whether the set is empty, exhausted for this connection, or at a limit.
    pub fn pick(
        self: &Arc<Self>,
        now: Instant,
        random: u64,
        tried: &[std::net::SocketAddr],
    ) -> Result<Pick, Refused> {
        let members = self.members.load();
        let limits = &members.policy.limits;
        // First a look, so that what is refused at a limit takes no turn of the round robin: the
        // turns must fall to those that are admitted.
        if !members.eligible().is_empty() {
            self.counts.check(limits)?;
        }
        let row = choose(&members, &self.cursor, &Request { now, random, tried })?;
        self.counts.admit(limits)?;
        Ok(Pick::new(Arc::clone(self), Arc::clone(&row.state)))
    }

    /// Connections open or being opened.
    #[must_use]
    pub fn open(&self) -> u32 {
        self.counts.open()
    }

    /// Connections being opened.
    #[must_use]
    pub fn pending(&self) -> u32 {
        self.counts.pending()
    }

    /// The set at this moment.
    #[must_use]
    pub fn status(&self, now: Instant) -> SetStatus {
        let members = self.members.load();
        let eligible = members.eligible().len();
        let mut endpoints: Vec<EndpointStatus> = members
            .rows()
            .iter()
            .enumerate()
            .map(|(index, row)| EndpointStatus {
                address: row.state.address,
                label: row.label.clone(),
                weight: row.weight,
                healthy: row.healthy,
                eligible: index < eligible,
                ejected_for: row.state.ejected_for(now),
                in_flight: row.state.active(),
                consecutive_failures: row.state.consecutive(),
                failures: row.state.failures(),
            })
            .collect();
        endpoints.sort_by_key(|endpoint| endpoint.address);
        SetStatus {
            open: self.counts.open(),
            pending: self.counts.pending(),
            ejections: self.ejections.load(Relaxed),
            endpoints,
        }
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Counts a failed connect and ejects the endpoint if the rules say so.
    pub(crate) fn connect_failed(&self, state: &Arc<State>, now: Instant) -> Option<EjectionNotice> {
        if !state.failed(now, &self.members.load().policy.ejection) {
            return None;
        }
        // One at a time: two threads that each see two endpoints left must not take one each.
        let _change = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let members = self.members.load();
        let rules = &members.policy.ejection;
        let still_due = rules.is_on() && state.consecutive() >= rules.consecutive_failures;
        if !still_due || !may_eject(&members, state, now) {
            return None;
        }
        let duration = state.eject(now, rules);
        self.ejections.fetch_add(1, Relaxed);
        Some(EjectionNotice { address: state.address, duration })
    }
}

/// Whether the caps allow `state` to go: it is still in the set, the percentage is not used up, and
/// another one that may be picked remains.
fn may_eject(members: &Members, state: &Arc<State>, now: Instant) -> bool {
    let is_other = |other: &Arc<State>| !Arc::ptr_eq(other, state);
    let out = |other: &Arc<State>| other.is_ejected(now);
    let rows = members.rows();
    let present = rows.iter().any(|row| !is_other(&row.state));
    let allowed = (rows.len() * usize::from(members.policy.ejection.max_percent) / 100).max(1);
    let ejected = rows.iter().filter(|row| out(&row.state)).count();
    let another = members.eligible().iter().any(|row| is_other(&row.state) && !out(&row.state));
    present && !out(state) && ejected < allowed && another
}

impl fmt::Debug for EndpointSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointSet")
            .field("open", &self.open())
            .field("pending", &self.pending())
            .field("members", &self.members.load())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::mem::size_of;

    use super::*;
    use crate::members::Row;

    /// What a set of one endpoint allocates, the heads of the `Arc`s included.
    #[test]
    fn a_set_of_one_endpoint_is_small() {
        const ARC: usize = 2 * size_of::<usize>();
        let total = ARC
            + size_of::<EndpointSet>()
            + ARC
            + size_of::<Members>()
            + size_of::<Row>()
            + ARC
            + size_of::<State>();
        println!(
            "set {} + members {} + row {} + state {} + 3 heads = {total}",
            size_of::<EndpointSet>(),
            size_of::<Members>(),
            size_of::<Row>(),
            size_of::<State>()
        );
        assert!(total <= 300, "{total} bytes");
        assert!(size_of::<Pick>() <= 24, "{} bytes", size_of::<Pick>());
    }
}

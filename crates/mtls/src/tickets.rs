//! Sessions that we may resume as a client, with one target each.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::time_provider::TimeProvider;
use rustls_pki_types::ServerName;

use crate::sessions::SessionLimits;

/// Most tickets of TLS 1.3 kept for one target: each works once, and a pool dials few connections at a time.
const MAX_TICKETS: usize = 8;

/// The sessions with one target. There is one store for each target, leaf, roots and choice of parameters, so the server
/// name says nothing more and is not looked at.
pub(crate) struct Tickets {
    time: Arc<dyn TimeProvider>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    group: Option<NamedGroup>,
    /// Each with the second from which on it is not used.
    tls12: Option<(u64, Tls12ClientSessionValue)>,
    /// From the oldest on.
    tls13: VecDeque<(u64, Tls13ClientSessionValue)>,
}

impl Tickets {
    pub(crate) fn new(time: Arc<dyn TimeProvider>) -> Self {
        Self { time, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        // Without a clock nothing is resumed: whatever is held ends before that.
        self.time.current_time().map_or(u64::MAX, |now| now.as_secs())
    }

    fn end(&self) -> u64 {
        self.now().saturating_add(SessionLimits::MAX_LIFETIME.as_secs())
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets")
    }
}

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.held().group = Some(group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.held().group
    }

    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        let end = self.end();
        self.held().tls12 = Some((end, value));
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        let now = self.now();
        self.held().tls12.as_ref().filter(|(end, _)| now < *end).map(|(_, value)| value.clone())
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.held().tls12 = None;
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        let end = self.end();
        let mut held = self.held();
        if held.tls13.len() >= MAX_TICKETS {
            held.tls13.pop_front();
        }
        held.tls13.push_back((end, value));
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        let now = self.now();
        let mut held = self.held();
        held.tls13.retain(|(end, _)| now < *end);
        // The youngest: servers keep the younger ones longer.
        held.tls13.pop_back().map(|(_, value)| value)
    }
}

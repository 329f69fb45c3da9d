//! Which services have traffic, and which of them failed, since the last look: what the source of
//! documents reads first. Taken from the figures that are counted anyway, so that connections pay
//! nothing for it.

use std::collections::HashMap;
use std::sync::Arc;

use gateway_runtime::reason::Reason;
use gateway_state::Rule;
use gateway_state::consul::Traffic;

use crate::live::LiveState;

/// What was counted at the last look.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    seen: HashMap<Arc<str>, Seen>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    ended: u64,
    failed: u64,
}

/// Ends that say that the documents about a service may be old.
const FAILURES: [Reason; 4] =
    [Reason::ConnectRefused, Reason::ConnectTimeout, Reason::ConnectFailed, Reason::NoEndpoint];

impl Activity {
    /// Services with connections now or since the last look, and those of them that could not be
    /// reached.
    pub(crate) fn since_last<S>(&mut self, live: &LiveState<S>) -> Traffic {
        let mut traffic = Traffic::default();
        let local = |rule| matches!(rule, Rule::Service | Rule::Subset);
        let mut now = HashMap::with_capacity(self.seen.len());
        for route in live.routes().iter().filter(|route| local(route.target().rule)) {
            let Some(figures) = route.used_figures() else { continue };
            let service = &route.target().service;
            // Subsets share the figures of their service.
            if now.contains_key(service) {
                continue;
            }
            let seen = Seen { ended: figures.ended(), failed: figures.ended_by(&FAILURES) };
            let before = self.seen.get(service).copied().unwrap_or_default();
            if seen.ended != before.ended || figures.open() > 0 {
                traffic.used.push(Arc::clone(service));
            }
            if seen.failed > before.failed {
                traffic.failing.push(Arc::clone(service));
            }
            now.insert(Arc::clone(service), seen);
        }
        self.seen = now;
        traffic
    }
}

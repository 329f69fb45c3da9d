//! The places for connections: who holds which, what may take one, how many are to be made. Pure: it
//! knows no socket and no clock.
//!
//! The rules (consul-api 4.1, 4.2):
//!
//! * Connections of any kind count, those being made and those without work included.
//! * A connection that a blocking read holds, or held until its reader went, counts for the blocking
//!   ones; these never take the reserved rest.
//! * On HTTP/2 blocking reads fill one connection before they take the next, up to a bound below the
//!   agent's; other reads use the room above it. None queues behind a full connection.

use std::time::Duration;
use tokio::time::Instant;

pub(super) type PlaceId = u64;

/// What a request does with its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// It is answered at once: a read without index, a write.
    Read,
    /// It may be held for a minute.
    Blocking,
}

/// How many there may be, at this moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// The setting.
    pub(super) configured: usize,
    /// What the agent lets us have, at most the setting.
    pub(super) connections: usize,
    pub(super) reserved: usize,
    pub(super) streams: usize,
}

impl Bounds {
    /// Connections that blocking reads may hold.
    pub(super) fn blocking(&self) -> usize {
        self.connections.saturating_sub(self.reserved)
    }

    /// Streams on one connection, of any kind.
    pub(super) fn room(&self) -> usize {
        self.streams.saturating_add(self.streams / 4).max(self.streams.saturating_add(1))
    }
}

#[derive(Debug)]
pub(super) struct Places {
    list: Vec<(PlaceId, Load)>,
    next: PlaceId,
}

#[derive(Debug, PartialEq, Eq)]
enum Load {
    Dialling,
    Single(Hold),
    Shared { blocking: usize, reads: usize, room: usize, ended: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    Idle(Instant),
    By(Want),
    /// A blocking read whose reader has gone.
    Parked,
    /// Given up; the socket is not closed yet.
    Closing,
}

/// Counts for whoever looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) open: usize,
    pub(super) dialling: usize,
    pub(super) parked: usize,
    pub(super) streams: usize,
    /// Requests at work, on connections of either kind.
    pub(super) in_flight: usize,
    /// Connections that blocking reads hold.
    pub(super) blocking: usize,
}

impl Places {
    pub(super) fn new() -> Self {
        Self { list: Vec::new(), next: 0 }
    }

    /// A connection that the request can use now. It is taken.
    pub(super) fn take(&mut self, want: Want, bounds: &Bounds) -> Option<PlaceId> {
        // Whether a connection that no blocking read holds may become one that does.
        let may_hold = want == Want::Read || self.counts().blocking < bounds.blocking();
        let chosen = self
            .list
            .iter_mut()
            .filter_map(|place| Some((place.1.preference(want, may_hold, bounds)?, place)))
            .max_by_key(|(preference, _)| *preference);
        let (id, load) = chosen?.1;
        match load {
            Load::Single(hold) => *hold = Hold::By(want),
            Load::Shared { blocking, reads, .. } => match want {
                Want::Blocking => *blocking += 1,
                Want::Read => *reads += 1,
            },
            Load::Dialling => return None,
        }
        Some(*id)
    }

    /// How many connections to make for those who wait. `multiplexed` is `None` as long as it is not
    /// known what the agent speaks: then one is made to find out.
    pub(super) fn missing(
        &self,
        reads: usize,
        blocking: usize,
        multiplexed: Option<bool>,
        bounds: &Bounds,
    ) -> usize {
        let counts = self.counts();
        let (open, dialling) = (counts.open, counts.dialling);
        let free = bounds.connections.saturating_sub(open);
        // Where the budget is lower than what is held, others are not shut out until that ends.
        let reserve = bounds.reserved.saturating_sub(open - counts.blocking);
        let free_reads = free.max(reserve.min(bounds.configured.saturating_sub(open)));
        // Those being made serve the reads first.
        let for_blocking = dialling.saturating_sub(reads);
        let free_blocking = bounds.blocking().saturating_sub(counts.blocking + for_blocking).min(free);
        match multiplexed {
            None => usize::from(reads + blocking > 0 && dialling == 0).min(free_reads),
            Some(false) => {
                let reading = reads.saturating_sub(dialling).min(free_reads);
                let waiting = blocking.saturating_sub(for_blocking).min(free_blocking);
                reading + waiting.min(free.saturating_sub(reading))
            }
            Some(true) => {
                let waiting = blocking.div_ceil(bounds.streams.max(1));
                let free_blocking = bounds.blocking().saturating_sub(counts.blocking).min(free + dialling);
                let reading = usize::from(reads > 0).saturating_sub(dialling).min(free_reads);
                waiting.min(free_blocking).saturating_sub(dialling).max(reading)
            }
        }
    }

    /// Takes a place for a connection that is being made.
    pub(super) fn dial(&mut self) -> PlaceId {
        self.next += 1;
        self.list.push((self.next, Load::Dialling));
        self.next
    }

    /// It is made: nobody uses it yet.
    pub(super) fn connected(&mut self, id: PlaceId, multiplexed: bool, now: Instant) {
        let load = if multiplexed {
            Load::Shared { blocking: 0, reads: 0, room: usize::MAX, ended: false }
        } else {
            Load::Single(Hold::Idle(now))
        };
        self.with(id, |place| *place = load);
    }

    /// The agent said how many streams it takes.
    pub(super) fn set_room(&mut self, id: PlaceId, most: usize) {
        self.with(id, |load| {
            if let Load::Shared { room, .. } = load {
                *room = most;
            }
        });
    }

    /// The reader of a blocking read on a connection of its own has gone.
    pub(super) fn park(&mut self, id: PlaceId) {
        self.with(id, |load| {
            if matches!(load, Load::Single(Hold::By(_))) {
                *load = Load::Single(Hold::Parked);
            }
        });
    }

    /// A request has ended. `keep`: its connection of its own can be used again. `true` if it is kept.
    pub(super) fn release(&mut self, id: PlaceId, want: Want, keep: bool, now: Instant) {
        self.with(id, |load| match load {
            Load::Single(hold) => *hold = if keep { Hold::Idle(now) } else { Hold::Closing },
            Load::Shared { blocking, reads, .. } => {
                let count = if want == Want::Blocking { blocking } else { reads };
                *count = count.saturating_sub(1);
            }
            Load::Dialling => {}
        });
        self.forget_ended();
    }

    /// The connection shall get no more requests. What runs on it goes on, and keeps its place.
    pub(super) fn retire(&mut self, id: PlaceId) {
        self.with(id, |load| match load {
            Load::Shared { ended, .. } => *ended = true,
            Load::Single(hold @ Hold::Idle(_)) => *hold = Hold::Closing,
            Load::Single(_) | Load::Dialling => {}
        });
        self.forget_ended();
    }

    /// The connection has ended. Streams that still run on it keep its place until they end as well.
    pub(super) fn closed(&mut self, id: PlaceId) {
        self.with(id, |load| match load {
            Load::Shared { ended, .. } => *ended = true,
            _ => *load = Load::Single(Hold::Closing),
        });
        self.list.retain(|(known, load)| *known != id || matches!(load, Load::Shared { .. }));
        self.forget_ended();
    }

    /// Connections without work: all that have had none since `idle`, and the oldest above `most`.
    /// They are marked as given up.
    pub(super) fn expire(&mut self, now: Instant, idle: Duration, most: usize) -> Vec<PlaceId> {
        let mut without_work: Vec<(Instant, PlaceId)> = self
            .list
            .iter()
            .filter_map(|(id, load)| match load {
                Load::Single(Hold::Idle(since)) => Some((*since, *id)),
                _ => None,
            })
            .collect();
        without_work.sort_unstable();
        let surplus = without_work.len().saturating_sub(most);
        let expired: Vec<PlaceId> = without_work
            .into_iter()
            .enumerate()
            .filter(|(at, (since, _))| *at < surplus || now.saturating_duration_since(*since) >= idle)
            .map(|(_, (_, id))| id)
            .collect();
        for id in &expired {
            self.with(*id, |load| *load = Load::Single(Hold::Closing));
        }
        expired
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts { open: self.list.len(), ..Counts::default() };
        for (_, load) in &self.list {
            match load {
                Load::Dialling => counts.dialling += 1,
                Load::Single(Hold::Parked) => {
                    counts.parked += 1;
                    counts.blocking += 1;
                }
                Load::Single(Hold::By(want)) => {
                    counts.in_flight += 1;
                    counts.blocking += usize::from(*want == Want::Blocking);
                }
                Load::Single(Hold::Idle(_) | Hold::Closing) => {}
                Load::Shared { blocking, reads, .. } => {
                    counts.streams += blocking + reads;
                    counts.in_flight += blocking + reads;
                    counts.blocking += usize::from(*blocking > 0);
                }
            }
        }
        counts
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    fn with(&mut self, id: PlaceId, change: impl FnOnce(&mut Load)) {
        if let Some((_, load)) = self.list.iter_mut().find(|(known, _)| *known == id) {
            change(load);
        }
    }

    fn forget_ended(&mut self) {
        self.list
            .retain(|(_, load)| !matches!(load, Load::Shared { blocking: 0, reads: 0, ended: true, .. }));
    }
}

impl Load {
    /// How well a connection suits a request, more is better; `None` if it cannot take it.
    fn preference(
        &self,
        want: Want,
        may_hold: bool,
        bounds: &Bounds,
    ) -> Option<(u8, usize, Option<Instant>)> {
        match *self {
            // The one used last is the least likely to have been closed by the agent.
            Self::Single(Hold::Idle(since)) if may_hold => Some((0, 0, Some(since))),
            Self::Shared { blocking, reads, room, ended: false } => {
                let room = room.min(bounds.room());
                // A fifth of what the agent grants is for reads that do not wait.
                let most_blocking = bounds.streams.min((room - room / 5).max(1));
                let fits = match want {
                    Want::Read => blocking + reads < room,
                    Want::Blocking => {
                        blocking < most_blocking && blocking + reads < room && (blocking > 0 || may_hold)
                    }
                };
                let fullness = if want == Want::Blocking { blocking } else { usize::MAX - blocking - reads };
                fits.then_some((1, fullness, None))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;

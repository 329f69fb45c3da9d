//! What came of a read.

use super::{
    Schedule,
    entry::{Entry, Job, Work},
};
use crate::{
    Error,
    query::Ask,
    watch::{Context, Fresh, Got, Verdict},
};
use std::time::Instant;

/// Names that fail whose lines are written; of more at a time only their number.
const MAX_LINES: usize = 5;

/// What a failure is to those outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::planner) struct Failed {
    /// The first failure of the name, or of another class than before.
    pub(in crate::planner) news: bool,
    /// To be written into the log.
    pub(in crate::planner) line: bool,
}

impl Schedule {
    /// An answer came. `None`: the name is gone, or is another by now.
    pub(in crate::planner) fn answered(
        &mut self,
        now: Instant,
        job: &Job,
        got: &Got,
        context: &Context<'_>,
    ) -> Option<Verdict> {
        if job.sent.ask == Ask::Now {
            self.checked.answered(job.sent.at, job.epoch);
        }
        let entry = self.asked(job)?;
        let verdict = entry.inner.answered(now, &job.sent, got, context);
        if let Verdict::Same { recovered, .. } = verdict {
            entry.live.good(now, false);
            self.recover(job, recovered);
        }
        Some(verdict)
    }

    /// The body was decoded. Says whether the event is to be sent.
    pub(in crate::planner) fn apply(&mut self, now: Instant, job: &Job, fresh: Fresh) -> bool {
        let config = std::sync::Arc::clone(&self.config);
        let Some(entry) = self.asked(job) else { return false };
        entry.live.good(now, true);
        let recovered = entry.inner.apply(now, fresh, &config.watch);
        self.recover(job, recovered);
        true
    }

    /// The body could not be decoded.
    pub(in crate::planner) fn refuse(
        &mut self,
        now: Instant,
        job: &Job,
        fresh: &Fresh,
        error: &Error,
        context: &Context<'_>,
    ) -> Option<Failed> {
        let news = self.asked(job)?.inner.refuse(now, fresh, context);
        self.fail(job, error, news, false)
    }

    /// No usable answer. `away`: because the agent cannot be reached.
    pub(in crate::planner) fn failed(
        &mut self,
        now: Instant,
        job: &Job,
        error: &Error,
        away: bool,
        context: &Context<'_>,
    ) -> Option<Failed> {
        let entry = self.asked(job)?;
        let news = entry.inner.failed(now, error.class(), context.random, context.config);
        self.fail(job, error, news, away)
    }

    /// At the same index came less than before.
    pub(in crate::planner) fn withheld(&mut self, job: &Job, error: &Error, first: bool) -> Option<Failed> {
        self.asked(job)?;
        self.fail(job, error, first, false)
    }

    /// The leader was to answer and another server did: the read is made again with a check, as are all
    /// from now on.
    pub(in crate::planner) fn needs_check(&mut self, job: &mut Job) {
        job.sent.ask = Ask::Now;
        self.checked.is_of_no_use();
        self.checked.begins();
    }

    /// A job is over, whatever came of it.
    pub(in crate::planner) fn finish(&mut self, now: Instant, job: &Job) {
        if job.sent.ask == Ask::Now {
            self.checked.ends();
        }
        match job.work {
            Work::Poll => self.holding -= 1,
            Work::Read => self.reading -= 1,
            Work::Sweep => {
                self.reading -= 1;
                self.sweeping -= 1;
            }
        }
        let Some(entry) = self.entry(job.slot) else { return };
        match job.work {
            Work::Poll => entry.polling = false,
            Work::Read | Work::Sweep => entry.reading = false,
        }
        if entry.gone {
            self.bury(job.slot);
        } else if entry.queue.is_none() {
            self.place(now, job.slot);
        }
    }

    /// Whether no name fails any more, once, where the log said that some did.
    pub(in crate::planner) fn take_relief(&mut self) -> bool {
        self.failing == 0 && std::mem::take(&mut self.said)
    }

    fn asked(&mut self, job: &Job) -> Option<&mut Entry> {
        self.entry(job.slot).filter(|entry| !entry.gone && entry.life == job.life)
    }

    fn fail(&mut self, job: &Job, error: &Error, news: bool, away: bool) -> Option<Failed> {
        let entry = self.asked(job)?;
        entry.live.failed(error, news);
        let first = !std::mem::replace(&mut entry.failing, true);
        self.failing += usize::from(first);
        let line = news && !away && self.failing <= MAX_LINES;
        self.said |= line;
        Some(Failed { news, line })
    }

    fn recover(&mut self, job: &Job, recovered: bool) {
        if let Some(entry) = self.asked(job).filter(|entry| recovered && entry.failing) {
            entry.failing = false;
            self.failing -= 1;
        }
    }
}

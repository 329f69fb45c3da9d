//! Follows a catalog until told to stop.

use super::{
    FileSource,
    settle::{Ready, Settle},
    state::Step,
    watch::Watch,
};
use crate::role::Role;
use std::{
    future::Future,
    pin::pin,
    time::{Instant, SystemTime},
};
use tokio::time::{MissedTickBehavior, interval, sleep, sleep_until};

impl<R: Role> FileSource<R> {
    /// Watches the files and publishes what they say, until `stop` is done.
    ///
    /// Files are read on the calling task, without yielding: give it a thread where that disturbs
    /// nobody. Everything that goes wrong is reported in the snapshot and the log; the last good
    /// state stays.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut settle = Settle::new(self.state.config().settle);
        let mut watch = Watch::new();
        let mut poll = interval(self.state.config().poll);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.cover(&mut watch, &mut settle);
        loop {
            let due = settle.due();
            let quiet = async {
                match due {
                    Some(due) => sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = &mut stop => return,
                () = self.shared.reload.notified() => {
                    watch.drain(&mut settle, Instant::now());
                    self.step(&Ready::all(), &mut settle);
                }
                () = watch.changed() => {}
                () = quiet => {}
                _ = poll.tick() => self.look(&mut settle),
                () = sleep(self.state.until_change(SystemTime::now())) => {
                    // Nothing was written, but time has passed over something.
                    self.step(&Ready::default(), &mut settle);
                }
            }
            let now = Instant::now();
            watch.drain(&mut settle, now);
            if let Some(ready) = settle.take(now) {
                self.step(&ready, &mut settle);
                self.cover(&mut watch, &mut settle);
            }
        }
    }

    fn step(&mut self, ready: &Ready, settle: &mut Settle) {
        let Step { snapshot, ok } = self.state.step(ready, settle, Instant::now(), SystemTime::now());
        if let Some(snapshot) = snapshot {
            self.shared.counters.applied(&*snapshot, ok);
            self.publisher.publish(snapshot);
        }
    }

    /// Watches what there is now. What happened in a folder before it was watched is looked for.
    fn cover(&self, watch: &mut Watch, settle: &mut Settle) {
        let (folders, paths) = self.state.watched();
        if watch.cover(folders, paths) {
            self.look(settle);
        }
    }

    /// Finds what changed without an event.
    fn look(&self, settle: &mut Settle) {
        let now = Instant::now();
        for path in self.state.changed() {
            let ways = super::scan::ways(&path);
            if !settle.waits(&ways) {
                settle.written(ways.into_iter().next_back().unwrap_or(path), now);
            }
        }
    }
}

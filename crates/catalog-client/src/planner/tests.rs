//! The schedule alone: who comes when, under load, and what is left behind.

use super::{
    PlanConfig,
    mode::Load,
    schedule::{Job, Next, Schedule},
};
use crate::{
    client::Capacity,
    query::{Blocking, Query},
    watch::{Context, Got, Nature, WatchConfig},
};
use bytes::Bytes;
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

#[derive(Clone)]
struct Name;

impl Query for Name {
    type Document = ();

    fn endpoint(&self) -> &'static str {
        "health/service"
    }

    fn path(&self) -> String {
        String::new()
    }

    fn blocking(&self) -> Blocking {
        Blocking::Index
    }

    fn decode(&self, _: &Bytes) -> Result<(), String> {
        Ok(())
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// A schedule whose reads take their time, one event after the other.
struct Sim {
    schedule: Schedule,
    now: Instant,
    took: Duration,
    running: BinaryHeap<Reverse<(Instant, u64)>>,
    jobs: HashMap<u64, Job>,
    started: Vec<(Instant, Arc<str>)>,
    /// Most jobs at a time.
    most: usize,
    config: WatchConfig,
}

impl Sim {
    fn new(n: usize, took: Duration) -> Self {
        let now = Instant::now();
        let config = Arc::new(PlanConfig::default());
        let mut schedule = Schedule::new(config, Nature::of(&Name, None), now);
        schedule.set_names(now, names(n));
        let capacity = Capacity { multiplexed: Some(false), blocking: 56, reads: 8 };
        schedule.consider(now, &Load { names: 0, others: 0, watches: 8, capacity });
        Self {
            schedule,
            now,
            took,
            running: BinaryHeap::new(),
            jobs: HashMap::new(),
            started: Vec::new(),
            most: 0,
            config: WatchConfig::default(),
        }
    }

    /// Runs for a time; `each` may change something before every start.
    fn run(&mut self, time: Duration, mut each: impl FnMut(&mut Schedule, Instant)) {
        let end = self.now + time;
        let mut id = self.started.len() as u64;
        while self.now < end {
            each(&mut self.schedule, self.now);
            let next = match self.schedule.next(self.now, 0) {
                Next::Go(job) => {
                    self.started.push((self.now, Arc::clone(&job.name)));
                    self.running.push(Reverse((self.now + self.took, id)));
                    self.jobs.insert(id, job);
                    self.most = self.most.max(self.jobs.len());
                    id += 1;
                    continue;
                }
                Next::At(at) => at,
                Next::Wait => end,
            };
            let done = self.running.peek().map(|Reverse((at, _))| *at);
            match done.filter(|done| *done <= next.min(end)) {
                Some(done) => {
                    self.now = done;
                    self.finish();
                }
                None => self.now = next.min(end),
            }
        }
    }

    fn finish(&mut self) {
        let Some(Reverse((_, id))) = self.running.pop() else { return };
        let job = self.jobs.remove(&id).unwrap();
        let got = Got::scripted(Some(7), Some(&job.name));
        let context = Context { config: &self.config, denies_openly: true, acls_off: false, random: 0.5 };
        if let Some(crate::watch::Verdict::Fresh(fresh)) =
            self.schedule.answered(self.now, &job, &got, &context)
        {
            self.schedule.apply(self.now, &job, fresh);
        }
        self.schedule.finish(self.now, &job);
    }

    /// The longest that any name has waited since `from`.
    fn longest(&self, from: Instant) -> Duration {
        let mut last = HashMap::new();
        let mut longest = Duration::ZERO;
        for (at, name) in &self.started {
            let before = last.insert(name, *at).unwrap_or(from);
            if *at > from {
                longest = longest.max(*at - before.max(from));
            }
        }
        last.values().fold(longest, |longest, at| longest.max(self.now - (*at).max(from)))
    }
}

fn names(n: usize) -> impl Iterator<Item = Arc<str>> {
    (0..n).map(|n| Arc::from(format!("s{n}")))
}

#[test]
fn no_name_starves_when_the_agent_is_too_slow_for_the_round() {
    // 8 at a time, 200 ms each: 40 a second, where 105 are due.
    let mut sim = Sim::new(1000, 200 * Duration::from_millis(1));
    sim.run(60 * SECOND, |_, _| {});
    let from = sim.now;
    sim.most = 0;
    sim.run(120 * SECOND, |_, _| {});
    assert_eq!(sim.most, 8, "what is only due takes 8 places and no more");
    let longest = sim.longest(from);
    assert!(longest < 27 * SECOND, "1,000 at 40 a second take 25 s: {longest:?}");
}

#[test]
fn no_name_starves_behind_what_is_urgent() {
    let mut sim = Sim::new(1000, Duration::from_millis(5));
    sim.run(20 * SECOND, |_, _| {});
    let from = sim.now;
    // Half of the names are wanted at once all the time, and fast rounds too.
    let mut turn = 0;
    sim.run(60 * SECOND, |schedule, now| {
        turn += 1;
        schedule.read_now(now, &format!("s{}", turn % 500));
        schedule.fast_round();
    });
    let longest = sim.longest(from);
    assert!(longest <= 10 * SECOND, "{longest:?}");
}

#[test]
fn no_name_starves_behind_more_urgent_reads_than_there_are_places_for() {
    // 32 at a time, 200 ms each: 160 a second, where 500 are wanted at once.
    let mut sim = Sim::new(1000, 200 * Duration::from_millis(1));
    sim.run(60 * SECOND, |_, _| {});
    let from = sim.now;
    let mut turn = 0;
    sim.run(120 * SECOND, |schedule, now| {
        for _ in 0..10 {
            turn += 1;
            schedule.read_now(now, &format!("s{}", turn % 500));
        }
    });
    let longest = sim.longest(from);
    assert!(longest < 40 * SECOND, "{longest:?}");
}

#[test]
fn an_answer_for_an_earlier_life_of_a_name_is_nothing_to_it() {
    let now = Instant::now();
    let mut sim = Sim::new(1, SECOND);
    let Next::Go(job) = sim.schedule.next(now, 0) else { panic!("a new name is read at once") };
    let answer = |schedule: &mut Schedule| {
        let config = WatchConfig::default();
        let context = Context { config: &config, denies_openly: true, acls_off: false, random: 0.5 };
        schedule.answered(now, &job, &Got::scripted(Some(7), Some("[1]")), &context)
    };
    assert!(answer(&mut sim.schedule).is_some());
    sim.schedule.set_names(now, names(0));
    assert_eq!(answer(&mut sim.schedule), None, "it is gone");
    sim.schedule.set_names(now, names(1));
    assert_eq!(answer(&mut sim.schedule), None, "it is another");
    sim.schedule.finish(now, &job);
    assert!(matches!(sim.schedule.next(now, 0), Next::Go(_)), "it is read anew");
}

#[test]
fn places_are_used_again() {
    let mut sim = Sim::new(1000, Duration::from_millis(1));
    for _ in 0..20 {
        sim.run(SECOND, |_, _| {});
        sim.schedule.set_names(sim.now, names(100));
        sim.run(SECOND, |_, _| {});
        sim.schedule.set_names(sim.now, names(2000).skip(1000));
    }
    sim.run(20 * SECOND, |_, _| {});
    let (places, left) = sim.schedule.sizes();
    assert!(places <= 1100, "{places} places for never more than 1,000 names");
    let busy = sim.jobs.len();
    assert_eq!(left + busy, 1000, "one time for each name, nothing of those that are gone");
}

#[test]
fn a_name_costs_little() {
    let entry = Schedule::entry_size();
    assert!(entry <= 512, "{entry} bytes for a name");
}

#[test]
fn a_long_poll_costs_little() {
    let (job, watch, ask) = super::run::sizes(Name);
    assert!(job <= 2048, "{job} bytes for the task of a name, {ask} of them the client's");
    assert!(watch <= 2048, "{watch} bytes for the task of a watch");
}

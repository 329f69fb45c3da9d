//! The runner of a family: starts what is due, hands on what came of it.

use super::{
    family::Family,
    mode::Load,
    schedule::{Failed, Job, Next},
};
use crate::{
    Error, Query,
    query::{Answer, Ask},
    watch::{
        Agent, Asker, Failure, Fresh, Listener, Update, Verdict, context, now, unreadable, verify, withheld,
    },
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};
use tokio::{sync::mpsc, task::JoinSet, time::sleep_until};

/// What a family needs to run.
pub(super) struct Runner<A: Asker, M, T, E> {
    pub(super) family: Arc<Family>,
    pub(super) agent: Agent<A>,
    pub(super) make: M,
    pub(super) to_event: T,
    pub(super) events: mpsc::Sender<E>,
    /// Whether an answer shows that the token has rights.
    pub(super) needs_right: bool,
    /// Watches with a long poll of their own.
    pub(super) watches: Arc<AtomicUsize>,
}

impl<Q, A, M, T, E> Runner<A, M, T, E>
where
    Q: Query,
    A: Asker,
    M: Fn(&str) -> Q + Send + Sync + 'static,
    T: Fn(&Arc<str>, Update<Q::Document>) -> E + Send + Sync + 'static,
    E: Send + 'static,
{
    /// Runs until it is dropped or nobody takes events any more.
    pub(super) async fn run(self: Arc<Self>) {
        let mut ear = self.agent.listen();
        let mut jobs = JoinSet::new();
        loop {
            if ear.up().await {
                self.family.schedule.lock().resume(now());
            }
            match self.next() {
                Next::Go(job) => {
                    jobs.spawn(Arc::clone(&self).work(job));
                }
                Next::At(at) => {
                    tokio::select! {
                        () = sleep_until(at.into()) => {}
                        () = self.family.bell.notified() => {}
                        () = ear.changed() => {}
                    }
                }
                Next::Wait => {
                    tokio::select! {
                        () = self.family.bell.notified() => {}
                        () = ear.changed() => {}
                    }
                }
            }
            while jobs.try_join_next().is_some() {}
            if self.events.is_closed() {
                return;
            }
        }
    }

    fn next(&self) -> Next {
        let family = &self.family;
        let (watches, others) = (self.watches.load(Relaxed), family.others());
        let load = Load { names: 0, others, watches, capacity: self.agent.asker().capacity() };
        let mut schedule = family.schedule.lock();
        if let Some((mode, reason)) = schedule.consider(now(), &load) {
            family.log_mode(mode, reason);
        }
        family.claim(schedule.blocked());
        schedule.next(now(), self.agent.epoch())
    }

    async fn work(self: Arc<Self>, job: Job) {
        let mut ending = Ending { family: &self.family, job };
        let query = (self.make)(&ending.job.name);
        let mut ear = self.agent.listen();
        let mut answer = self.agent.ask(&query, &ending.job.sent, &mut ear).await;
        if ending.job.sent.ask == Ask::Leader && matches!(&answer, Ok(answer) if !answer.by_leader) {
            self.family.schedule.lock().needs_check(&mut ending.job);
            answer = Box::pin(self.agent.ask(&query, &ending.job.sent, &mut ear)).await;
        }
        // Boxed: a task spends its life in the read, and is as large as the largest of its states.
        match answer {
            Ok(answer) => Box::pin(self.judge(&mut ending.job, &query, answer, &mut ear)).await,
            Err(failure) => Box::pin(self.fail(&ending.job, failure)).await,
        }
    }

    async fn judge(&self, job: &mut Job, query: &Q, answer: Answer, ear: &mut Listener) {
        let got = self.agent.look(&answer);
        loop {
            let verdict = {
                let context = context(&self.agent);
                self.family.schedule.lock().answered(now(), job, &got, &context)
            };
            match verdict {
                None | Some(Verdict::Refused) => return,
                Some(Verdict::Same { recovered, facts, .. }) => {
                    self.granted();
                    self.relieve();
                    match facts {
                        Some(facts) => self.send(job, Update::Facts(facts)).await,
                        None if recovered => self.send(job, Update::Recovered).await,
                        None => {}
                    }
                    return;
                }
                Some(Verdict::Fresh(fresh)) => return self.fresh(job, query, fresh, &answer).await,
                // Seldom, so boxed: the task of each name would be larger by it.
                Some(Verdict::Doubtful) => match Box::pin(verify(&self.agent, query, ear)).await {
                    Ok(()) => job.sent.verified = true,
                    Err(failure) => return self.fail(job, failure).await,
                },
                Some(Verdict::Backwards { .. }) => {
                    self.agent.counters().backwards.add(1);
                    return;
                }
                Some(Verdict::Withheld { first }) => {
                    let error = withheld(query);
                    self.agent.counters().denied.add(u64::from(first));
                    let failed = self.family.schedule.lock().withheld(job, &error, first);
                    return self.tell(job, failed, error).await;
                }
            }
        }
    }

    async fn fresh(&self, job: &Job, query: &Q, fresh: Fresh, answer: &Answer) {
        match answer.body.as_ref().map(|body| query.decode(body)).transpose() {
            Ok(document) => {
                let (facts, document) = (fresh.facts, document.map(Arc::new));
                self.agent.counters().changes.add(1);
                if self.family.schedule.lock().apply(now(), job, fresh) {
                    self.granted();
                    self.relieve();
                    self.send(job, Update::Changed { document, facts }).await;
                }
            }
            Err(problem) => {
                let error = unreadable(query, &problem);
                self.agent.counters().failure(error.class());
                let failed = {
                    let context = context(&self.agent);
                    self.family.schedule.lock().refuse(now(), job, &fresh, &error, &context)
                };
                self.tell(job, failed, error).await;
            }
        }
    }

    async fn fail(&self, job: &Job, failure: Failure) {
        let Failure::Failed { error, away } = failure else { return };
        let failed = {
            let context = context(&self.agent);
            self.family.schedule.lock().failed(now(), job, &error, away, &context)
        };
        self.tell(job, failed, error).await;
    }

    async fn tell(&self, job: &Job, failed: Option<Failed>, error: Error) {
        let Some(failed) = failed else { return };
        if failed.line && self.family.speak(self.agent.chorus(), &error) {
            tracing::warn!(name = &*job.name, %error, "read fails; what is known stays in use");
        }
        if failed.news {
            self.send(job, Update::Failed(error)).await;
        }
    }

    fn granted(&self) {
        if self.needs_right {
            self.agent.granted();
        }
    }

    fn relieve(&self) {
        if self.family.schedule.lock().take_relief() && self.family.fall_silent() {
            tracing::info!(endpoint = self.family.endpoint, "all names are read again");
        }
    }

    /// Waits for room. A receiver that is gone ends the runner, not the job.
    async fn send(&self, job: &Job, update: Update<Q::Document>) {
        let _ = self.events.send((self.to_event)(&job.name, update)).await;
    }
}

/// Ends a job in any case, also when its task is cut short or panics.
struct Ending<'a> {
    family: &'a Family,
    job: Job,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.family.change(|schedule| schedule.finish(now(), &self.job));
    }
}

/// Bytes of the task of a name, of the task of a watch, and of the client's part in them.
#[cfg(test)]
pub(super) fn sizes<Q: Query>(query: Q) -> (usize, usize, usize) {
    use super::{PlanConfig, schedule::Schedule};
    use crate::{
        Client, ClientConfig,
        query::Ask,
        watch::{Nature, Watch, WatchConfig},
    };
    use std::time::Duration;
    let client = Client::new(ClientConfig::default()).unwrap();
    let ask = size_of_val(&client.ask(&query, &Ask::Now, Duration::ZERO));
    let agent = Agent::new(client, WatchConfig::default());
    let mut watch = Watch::new(&agent, query.clone());
    let round = size_of_val(&watch.round());
    let start = now();
    let mut schedule = Schedule::new(Arc::new(PlanConfig::default()), Nature::of(&query, None), start);
    schedule.set_names(start, [Arc::from("a")]);
    let Next::Go(job) = schedule.next(start, 0) else { panic!("a new name is read at once") };
    let family = Arc::new(Family::new("", Box::new(str::to_owned), schedule, Arc::default()));
    let (events, _receiver) = mpsc::channel(1);
    let to_event = |name: &Arc<str>, _| Arc::clone(name);
    let make = move |_: &str| query.clone();
    let runner =
        Runner { family, agent, make, to_event, events, needs_right: false, watches: Arc::default() };
    let work = Arc::new(runner).work(job);
    let job = size_of_val(&work);
    // It was never polled: ending it would ring a bell for nothing, and does no harm.
    drop(work);
    (job, round, ask)
}

//! Whether the agent answers: one word for all watches, one prober.

use super::{Agent, Asker, now};
use crate::{Error, error::Cause};
use std::time::Instant;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep_until, timeout},
};

/// Probes that may be under way at a time.
const MAX_PROBES: usize = 8;

/// Whether the agent answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentState {
    /// It does, as far as anybody knows.
    Up,
    /// A connection was lost; a probe is under way.
    Doubt,
    /// It does not. Nobody asks but the prober.
    Down,
}

/// The state, with what whoever waits must know of the last outage.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    pub(super) state: AgentState,
    pub(super) since: Instant,
    /// Doubts so far: a prober works for one of them.
    episode: u64,
    /// Outages that are over, and other reasons to ask everything again.
    returns: u64,
    /// Outages that are over and were so long that reads from before them are given up.
    renewals: u64,
}

impl Reach {
    pub(super) fn new(since: Instant) -> Self {
        Self { state: AgentState::Up, since, episode: 0, returns: 0, renewals: 0 }
    }
}

/// One watch's ear on the state.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    receiver: watch::Receiver<Reach>,
    returns: u64,
}

impl Listener {
    pub(super) fn new(receiver: watch::Receiver<Reach>) -> Self {
        let returns = receiver.borrow().returns;
        Self { receiver, returns }
    }

    /// Waits until the agent answers, as far as anybody knows. Says whether it was away since the last
    /// time.
    pub(crate) async fn up(&mut self) -> bool {
        // The sender lives in the agent, which whoever listens holds.
        let up = self.receiver.wait_for(|reach| reach.state == AgentState::Up).await;
        let Some(returns) = up.ok().map(|reach| reach.returns) else {
            return std::future::pending().await;
        };
        std::mem::replace(&mut self.returns, returns) != returns
    }

    /// Waits until the state changes.
    pub(crate) async fn changed(&mut self) {
        if self.receiver.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until an outage is over that was so long that reads from before it are given up.
    pub(super) async fn renewed(&mut self) {
        let before = self.receiver.borrow().renewals;
        if self.receiver.wait_for(|reach| reach.renewals != before).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until it is clear whether the agent answers.
    pub(super) async fn settled(&mut self) -> AgentState {
        let clear = |reach: &Reach| reach.state != AgentState::Doubt;
        self.receiver.wait_for(clear).await.map_or(AgentState::Up, |reach| reach.state)
    }
}

impl<A: Asker> Agent<A> {
    /// A connection was lost. The first to say so starts the prober.
    pub(super) fn doubt(&self) {
        let mut episode = None;
        self.shared.reach.send_if_modified(|reach| {
            if reach.state == AgentState::Up {
                reach.state = AgentState::Doubt;
                reach.since = now();
                reach.episode += 1;
                episode = Some(reach.episode);
            }
            episode.is_some()
        });
        if let Some(episode) = episode {
            tokio::spawn(probe(self.clone(), episode));
        }
    }

    /// Somebody got an answer.
    pub(super) fn answers(&self) {
        if self.shared.reach.borrow().state == AgentState::Up {
            return;
        }
        let mut away = None;
        let long = self.shared.config.abandon_after;
        self.shared.reach.send_modify(|reach| {
            let lasted = now().saturating_duration_since(reach.since);
            if reach.state == AgentState::Down {
                reach.returns += 1;
                reach.renewals += u64::from(lasted >= long);
                away = Some(lasted);
            }
            reach.state = AgentState::Up;
            reach.since = now();
        });
        if let Some(away) = away {
            self.renew_epoch();
            self.shared.counters.returns.add(1);
            *self.shared.away.lock() = None;
            tracing::info!(away_seconds = away.as_secs_f64(), "Consul's agent answers again");
        }
    }

    /// Everything is asked again without an index, what fails at once: there is another token, and what was
    /// refused may be granted to it.
    pub fn ask_again(&self) {
        self.shared.reach.send_modify(|reach| reach.returns += 1);
    }

    /// The one that tried for all that failed alike got a good answer: the others ask as well, now and not
    /// when their pauses are over. Seldom, so that a Consul that is well at times is not asked all the time.
    pub(super) fn trouble_is_over(&self) {
        let pause = self.shared.config.resume_over * 2;
        let mut last = self.shared.asked_again.lock();
        if last.is_none_or(|last| now().saturating_duration_since(last) >= pause) {
            *last = Some(now());
            self.ask_again();
        }
    }

    fn away(&self, error: &Error) {
        // Whoever sees the state finds the reason.
        *self.shared.away.lock() = Some(error.clone());
        let mut gone = false;
        self.shared.reach.send_if_modified(|reach| {
            gone = reach.state == AgentState::Doubt;
            if gone {
                reach.state = AgentState::Down;
            }
            gone
        });
        if gone {
            self.shared.counters.outages.add(1);
            tracing::warn!(%error, "Consul's agent cannot be reached; what is known stays in use");
        }
    }
}

/// Probes until somebody gets an answer. A probe that hangs does not hold up the next: a black hole
/// swallows each of them, and a stopped agent answers all at once when it goes on.
async fn probe<A: Asker>(agent: Agent<A>, episode: u64) {
    let mut ear = agent.shared.reach.subscribe();
    let over = |reach: &Reach| reach.state == AgentState::Up || reach.episode != episode;
    let config = &agent.shared.config;
    let mut probes = JoinSet::new();
    let verdict = tokio::time::Instant::now() + config.probe_verdict;
    loop {
        if agent.is_alone() || over(&ear.borrow()) {
            return;
        }
        if probes.len() < MAX_PROBES {
            agent.shared.counters.probes.add(1);
            let (asker, limit) = (agent.shared.asker.clone(), config.probe_timeout);
            probes.spawn(async move { timeout(limit, asker.probe()).await });
        }
        let pause = config.probe_every.mul_f64(0.5 + 0.5 * fastrand::f64());
        let mut next = tokio::time::Instant::now() + pause;
        let doubtful = ear.borrow().state == AgentState::Doubt;
        if doubtful {
            next = next.min(verdict);
        }
        let pause = sleep_until(next);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                Some(outcome) = probes.join_next() => match outcome {
                    Ok(Ok(Ok(()))) => return agent.answers(),
                    Ok(Ok(Err(error))) => agent.away(&error),
                    Ok(Err(_)) | Err(_) => agent.away(&silent(config.probe_timeout)),
                },
                () = &mut pause => {
                    if doubtful && next >= verdict {
                        agent.away(&silent(config.probe_verdict));
                    }
                    break;
                }
                gone = ear.wait_for(over) => {
                    drop(gone);
                    return;
                }
            }
        }
    }
}

fn silent(limit: std::time::Duration) -> Error {
    let text = format!("no answer within {} s", limit.as_secs_f64());
    Error {
        request: "GET /v1/status/leader".to_owned(),
        agent: String::new(),
        cause: Cause::Timeout(text),
        rule: String::new(),
    }
}

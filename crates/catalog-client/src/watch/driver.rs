//! The shell around the loop: asks, decodes, says what changed.

use super::{
    Agent, Asker, Context, End, Facts, Failure, Fresh, How, Listener, Loop, Row, Sent, State, Update,
    Verdict, Voice, asker::Chain, looper::Nature, now, row::Shown,
};
use crate::{
    Client, Error, Query,
    error::{Cause, Class},
    query::Answer,
};
use std::{fmt, sync::Arc, time::Duration};
use tokio::time::sleep_until;

/// Under these words those are together that are denied while everything is.
const EVERYTHING_DENIED: &str = "everything is denied";

/// One query, asked for ever.
///
/// ```no_run
/// # async fn example<Q: catalog_client::Query>(client: catalog_client::Client, query: Q) {
/// use catalog_client::watch::{Agent, Update, Watch, WatchConfig};
///
/// let agent = Agent::new(client, WatchConfig::default());
/// let mut watch = Watch::new(&agent, query);
/// loop {
///     match watch.next().await {
///         Update::Changed { document, facts } => println!("{} at index {}", document.is_some(), facts.index),
///         Update::Failed(error) => println!("as before, because {error}"),
///         Update::Facts(_) | Update::Recovered => {}
///     }
/// }
/// # }
/// ```
pub struct Watch<Q: Query, A: Asker = Client> {
    agent: Agent<A>,
    query: Q,
    inner: Loop,
    ear: Listener,
    epoch: u64,
    shown: Shown,
    wakes: u64,
    /// The log says that it fails, or somebody that fails alike.
    voice: Option<Voice>,
    /// It is denied, as everything is.
    denied: Option<Voice>,
}

impl<Q: Query, A: Asker> Watch<Q, A> {
    /// A watch that waits for changes as its endpoint allows; one that does not is asked every 30 s.
    #[must_use]
    pub fn new(agent: &Agent<A>, query: Q) -> Self {
        Self::with(agent, query, None)
    }

    /// A watch that asks at an interval, of which up to a fifth is left out at random.
    #[must_use]
    pub fn every(agent: &Agent<A>, query: Q, every: Duration) -> Self {
        Self::with(agent, query, Some(every))
    }

    fn with(agent: &Agent<A>, query: Q, every: Option<Duration>) -> Self {
        let nature = Nature::of(&query, every);
        let how = if nature.every.is_some() { How::Poll } else { How::Block };
        let shown = Shown::new(query.path(), how);
        let (ear, epoch) = (agent.listen(), agent.epoch());
        Self {
            agent: agent.clone(),
            query,
            inner: Loop::new(nature),
            ear,
            epoch,
            shown,
            wakes: 0,
            voice: None,
            denied: None,
        }
    }

    /// Its row on an admin page.
    #[must_use]
    pub fn row(&self) -> Row {
        self.shown.row()
    }

    pub(crate) fn shown(&self) -> &Shown {
        &self.shown
    }

    /// Answers after the first whose index had risen or whose document was another: something was written
    /// that this query can see, or near it.
    pub(crate) fn wakes(&self) -> u64 {
        self.wakes
    }

    /// The last round was news to somebody although its document did not change: the next one may begin
    /// as soon as after a change.
    pub(crate) fn was_news(&mut self) {
        self.inner.was_news(now(), self.agent.config());
    }

    /// Waits for the next thing to say. Dropping the future gives up the read that is under way and
    /// loses nothing else.
    pub async fn next(&mut self) -> Update<Q::Document> {
        loop {
            if let Some(update) = self.round().await {
                return update;
            }
        }
    }

    /// One round, or a part of it. It comes back without an update when nothing is new.
    pub(crate) async fn round(&mut self) -> Option<Update<Q::Document>> {
        if self.ear.up().await {
            self.inner.resume(now());
        }
        let epoch = self.agent.epoch();
        if std::mem::replace(&mut self.epoch, epoch) != epoch {
            self.inner.forget();
        }
        if let Some(due) = self.inner.due(self.agent.config()).filter(|due| *due > now()) {
            tokio::select! {
                () = sleep_until(due.into()) => {}
                () = self.ear.changed() => {}
            }
            return None;
        }
        let sent = self.inner.send(now(), self.agent.config());
        match self.agent.ask(&self.query, &sent, &mut self.ear).await {
            Ok(answer) => self.judge(sent, answer).await,
            Err(Failure::Abandoned) => None,
            Err(Failure::Failed { error, away }) => self.fail(error, away),
        }
    }

    async fn judge(&mut self, mut sent: Sent, answer: Answer) -> Option<Update<Q::Document>> {
        let got = self.agent.look(&answer);
        loop {
            let verdict = {
                let context = context(&self.agent);
                self.inner.answered(now(), &sent, &got, &context)
            };
            match verdict {
                Verdict::Same { recovered, facts, rose } => return self.same(recovered, facts, rose),
                Verdict::Fresh(fresh) => return self.fresh(fresh, &answer),
                Verdict::Doubtful => match Box::pin(verify(&self.agent, &self.query, &mut self.ear)).await {
                    Ok(()) => sent.verified = true,
                    Err(Failure::Abandoned) => return None,
                    Err(Failure::Failed { error, away }) => return self.fail(error, away),
                },
                Verdict::Backwards { first } => {
                    self.agent.counters().backwards.add(1);
                    if first {
                        let (path, index) = (self.query.path(), got.number());
                        tracing::warn!(path, index, "the index went back; waiting for a second answer");
                    }
                    self.show(|_| {});
                    return None;
                }
                Verdict::Withheld { first } => {
                    let error = withheld(&self.query);
                    self.show(|live| live.failed(&error, first));
                    if first {
                        self.agent.counters().denied.add(1);
                        if self.speak(&error) {
                            tracing::warn!(%error, "watch is kept as it was");
                        }
                    }
                    return first.then_some(Update::Failed(error));
                }
                Verdict::Refused => return None,
            }
        }
    }

    fn same(&mut self, recovered: bool, facts: Option<Facts>, rose: bool) -> Option<Update<Q::Document>> {
        self.wakes += u64::from(rose);
        self.show(|live| live.good(now(), false));
        self.granted();
        if recovered {
            self.recovered();
        }
        match facts {
            Some(facts) => Some(Update::Facts(facts)),
            None => recovered.then_some(Update::Recovered),
        }
    }

    fn fresh(&mut self, fresh: Fresh, answer: &Answer) -> Option<Update<Q::Document>> {
        let document = match answer.body.as_ref().map(|body| self.query.decode(body)).transpose() {
            Ok(document) => document.map(Arc::new),
            Err(problem) => {
                let error = unreadable(&self.query, &problem);
                let news = self.inner.refuse(now(), &fresh, &context(&self.agent));
                self.agent.counters().failure(Class::Rejected);
                return self.failed(error, news, true);
            }
        };
        let facts = fresh.facts;
        self.wakes += u64::from(self.inner.knows());
        let failed = self.inner.apply(now(), fresh, self.agent.config());
        self.agent.counters().changes.add(1);
        self.show(|live| live.good(now(), true));
        self.granted();
        if failed {
            self.recovered();
        }
        Some(Update::Changed { document, facts })
    }

    fn fail(&mut self, error: Error, away: bool) -> Option<Update<Q::Document>> {
        let news = self.inner.failed(now(), error.class(), fastrand::f64(), self.agent.config());
        self.failed(error, news, !away)
    }

    fn failed(&mut self, error: Error, news: bool, alone: bool) -> Option<Update<Q::Document>> {
        self.show(|live| live.failed(&error, news));
        let class = error.class();
        // When the agent is away one line says so for all.
        if news && alone && self.speak(&error) {
            match class {
                Class::Unsupported => tracing::info!(%error, "watch is not supported"),
                _ => tracing::warn!(%error, "watch fails; what is known stays in use"),
            }
        }
        self.try_for_all(class);
        news.then_some(Update::Failed(error))
    }

    /// One tries again soon for all that fail alike. A right that is missing stays missing, as a rule, and
    /// each try is a line in Consul's log: only where everything is denied it is an outage like others.
    fn try_for_all(&mut self, class: Class) {
        let retry = self.agent.config().retry;
        let (leads, pause) = match class {
            Class::Server | Class::Busy | Class::TokenUnknown | Class::Rejected => {
                (self.voice.as_mut().is_some_and(Voice::leads), retry / 2)
            }
            Class::Denied => {
                if !self.is_denied_everything() {
                    self.denied = None;
                    return;
                }
                let chorus = self.agent.chorus();
                let denied = self.denied.get_or_insert_with(|| chorus.join(EVERYTHING_DENIED).0);
                (denied.leads(), retry * 3 / 2)
            }
            _ => return,
        };
        if leads {
            self.inner.hurry(now() + pause.mul_f64(0.5 + 0.5 * fastrand::f64()));
        }
    }

    fn is_denied_everything(&self) -> bool {
        self.inner.failing_since().is_some_and(|since| self.agent.grants_nothing_since(since))
    }

    fn granted(&self) {
        if self.inner.needs_right() {
            self.agent.granted();
        }
    }

    /// Says whether the log is to tell of it: nobody fails alike.
    fn speak(&mut self, error: &Error) -> bool {
        self.voice = None;
        let (voice, first) = self.agent.chorus().join(&error.words());
        self.voice = Some(voice);
        first
    }

    fn recovered(&mut self) {
        if self.denied.take().map(Voice::end) == Some(End::Others { led: true }) {
            self.agent.trouble_is_over();
        }
        let Some(voice) = self.voice.take() else { return };
        let words = voice.words().to_owned();
        match voice.end() {
            End::Last(1) => tracing::info!(path = self.query.path(), "watch works again"),
            End::Last(watches) => tracing::info!(watches, was = words, "Consul answers well again"),
            End::Others { led: true } => self.agent.trouble_is_over(),
            End::Others { led: false } => {}
        }
    }

    fn show(&self, what: impl FnOnce(&mut super::Live)) {
        self.shown.update(state(&self.inner), self.inner.index(), what);
    }
}

impl<Q: Query, A: Asker> fmt::Debug for Watch<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("row", &self.row()).finish_non_exhaustive()
    }
}

/// Where a loop stands.
pub(crate) fn state(inner: &Loop) -> State {
    match inner.failing() {
        Some(class) => State::Failing(class),
        None if inner.is_guarded() => State::Guarded,
        None if inner.knows() => State::Good,
        None => State::New,
    }
}

pub(crate) fn context<A: Asker>(agent: &Agent<A>) -> Context<'_> {
    Context {
        config: agent.config(),
        denies_openly: agent.denies_openly(),
        acls_off: agent.acls_are_off(),
        random: fastrand::f64(),
    }
}

/// Asks the chain whether an empty list means "nothing" or "denied".
pub(crate) async fn verify<A: Asker>(
    agent: &Agent<A>,
    query: &impl Query,
    ear: &mut Listener,
) -> Result<(), Failure> {
    let Some(chain) = Chain::beside(query) else { return Ok(()) };
    agent.ask(&chain, &Sent::at(now()), ear).await.map(|_| ()).map_err(|failure| match failure {
        Failure::Failed { mut error, away } => {
            error.rule = query.rule();
            Failure::Failed { error, away }
        }
        failure => failure,
    })
}

pub(crate) fn withheld(query: &impl Query) -> Error {
    let text = "at the same index Consul gives less than before: the token lost a right".to_owned();
    error(query, Cause::Withheld(text))
}

pub(crate) fn unreadable(query: &impl Query, problem: &str) -> Error {
    error(query, Cause::Rejected(format!("the answer cannot be read: {problem}")))
}

fn error(query: &impl Query, cause: Cause) -> Error {
    let path = query.path();
    let place = path.split('?').next().unwrap_or_default();
    Error { request: format!("GET {place}"), agent: String::new(), cause, rule: query.rule() }
}

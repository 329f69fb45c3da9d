//! The registrar against an agent that plays a script, on a clock that only moves when all wait.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where its support fails")]

use catalog_client::{
    Error,
    client::Write,
    error::Cause,
    registration::{
        Agent, Flags, GatewayKind, GatewayRegistration, HostNetwork, Place, Refused, Registrar,
        RegistrarConfig, RegistrarHandle, State,
    },
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

/// What the agent does with a write; the last one stands for all that follow.
#[derive(Clone)]
enum Reply {
    Good,
    Refused,
    Status(u16, &'static str),
    /// A status after seconds.
    Slow(u64, u16),
    Hang,
}

#[derive(Clone)]
struct Played(Arc<Mutex<Script>>);

struct Script {
    start: Instant,
    /// By the word that is in the path.
    replies: BTreeMap<&'static str, VecDeque<Reply>>,
    knows: bool,
    /// Does not answer whether it knows.
    deaf: bool,
    lists: bool,
    empty: bool,
    /// Seconds since the start, path, body.
    seen: Vec<(f64, String, Value)>,
}

impl Played {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Script {
            start: Instant::now(),
            replies: BTreeMap::new(),
            knows: true,
            deaf: false,
            lists: true,
            empty: true,
            seen: Vec::new(),
        })))
    }

    fn script(&self, word: &'static str, replies: &[Reply]) {
        self.0.lock().unwrap().replies.insert(word, replies.iter().cloned().collect());
    }

    /// When writes with the word in their path came, in seconds.
    fn times(&self, word: &str) -> Vec<f64> {
        let script = self.0.lock().unwrap();
        script.seen.iter().filter(|(_, path, _)| path.contains(word)).map(|(at, ..)| *at).collect()
    }

    fn last(&self, word: &str) -> (String, Value) {
        let script = self.0.lock().unwrap();
        let (_, path, body) = script.seen.iter().rfind(|(_, path, _)| path.contains(word)).unwrap();
        (path.clone(), body.clone())
    }
}

fn error(write: &str, cause: Cause) -> Error {
    let rule = "service \"mesh-gateway\" { policy = \"write\" }".to_owned();
    Error { request: format!("PUT {write}"), agent: "127.0.0.1:8500".to_owned(), cause, rule }
}

impl Agent for Played {
    async fn send(&self, write: &Write) -> Result<(), Error> {
        let reply = {
            let mut script = self.0.lock().unwrap();
            let at = script.start.elapsed().as_secs_f64();
            let body = write.body.as_ref().map_or(Value::Null, |body| serde_json::from_slice(body).unwrap());
            script.seen.push((at, write.path.clone(), body));
            let replies = script.replies.iter_mut().find(|(word, _)| write.path.contains(**word));
            match replies {
                Some((_, replies)) if replies.len() > 1 => replies.pop_front().unwrap(),
                Some((_, replies)) => replies.front().unwrap().clone(),
                None => Reply::Good,
            }
        };
        match reply {
            Reply::Good => Ok(()),
            Reply::Refused => Err(error(&write.path, Cause::Unreachable("connection refused".to_owned()))),
            Reply::Status(status, text) => {
                let text = text.to_owned();
                Err(error(&write.path, Cause::Status { status, text, unknown_endpoint: false }))
            }
            Reply::Slow(seconds, status) => {
                sleep(Duration::from_secs(seconds)).await;
                Err(error(
                    &write.path,
                    Cause::Status { status, text: String::new(), unknown_endpoint: false },
                ))
            }
            Reply::Hang => std::future::pending().await,
        }
    }

    async fn knows(&self, _id: &str) -> Result<bool, Error> {
        let script = self.0.lock().unwrap();
        if script.deaf {
            return Err(error("agent/service", Cause::Timeout("no answer".to_owned())));
        }
        Ok(script.knows)
    }

    async fn lists(&self, _name: &str, _id: &str) -> Result<bool, Error> {
        Ok(self.0.lock().unwrap().lists)
    }

    async fn node_is_empty(&self, _node: &str) -> Result<bool, Error> {
        Ok(self.0.lock().unwrap().empty)
    }
}

fn start_in(place: Place, agent: &Played) -> (RegistrarHandle, JoinHandle<Result<(), Refused>>) {
    let registration =
        GatewayRegistration::from_flags(&Flags::new(GatewayKind::Mesh), &HostNetwork::default()).unwrap();
    let (registrar, handle) = Registrar::new(agent.clone(), registration, place, RegistrarConfig::default());
    (handle, tokio::spawn(registrar.run()))
}

fn start(agent: &Played) -> (RegistrarHandle, JoinHandle<Result<(), Refused>>) {
    start_in(Place::Agent, agent)
}

fn catalog() -> Place {
    Place::Catalog { node: "gw-1".to_owned(), address: "192.0.2.1".to_owned(), node_meta: BTreeMap::new() }
}

async fn pass(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
    // Whoever was due at the same moment comes first.
    sleep(Duration::from_millis(1)).await;
}

/// Fails where it would wait for ever.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(600), what).await.expect("it never ends")
}

const REGISTER: &str = "service/register";

#[tokio::test(start_paused = true)]
async fn registers_once_with_checks_replaced_and_shows_it() {
    let agent = Played::new();
    let (handle, _run) = start(&agent);
    pass(3600).await;
    assert_eq!(agent.times(REGISTER), [0.0]);
    assert!(agent.last(REGISTER).0.ends_with("?replace-existing-checks=true"));
    // A page is made on another thread.
    let status = std::thread::spawn(move || handle.status()).join().unwrap();
    assert_eq!((status.state, status.visible), (State::Registered, Some(true)));
    assert_eq!(status.registered_since.unwrap(), status.last_try.unwrap());
    assert_eq!((status.last_error, status.next_try), (None, None));
    assert_eq!((status.counts.tries, status.counts.registered), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_at_the_start_ends_with_the_agents_text_and_the_rule() {
    let table = [
        (400, "Request decode failed: json: unknown field \"Foo\"", "unknown field"),
        (403, "Permission denied: Missing service:write on mesh-gateway", "policy = \"write\""),
        (403, "ACL not found", "--token-file"),
    ];
    for (code, text, expected) in table {
        let agent = Played::new();
        agent.script(REGISTER, &[Reply::Status(code, text)]);
        let (handle, run) = start(&agent);
        let refused = soon(run).await.unwrap().unwrap_err();
        let shown = refused.to_string();
        assert!(shown.contains(text) && shown.contains(expected), "{shown}");
        assert_eq!(agent.times(REGISTER), [0.0]);
        assert_eq!(handle.status().state, State::Refused);
        // Whoever asks for something now does not wait for ever.
        assert!(soon(handle.maintenance(Some("drain"))).await.is_err());
        assert!(handle.deregister().await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn no_leader_at_the_start_is_endured_for_a_minute() {
    for reply in [Reply::Status(500, "No cluster leader"), Reply::Status(429, "")] {
        let agent = Played::new();
        agent.script(REGISTER, &[reply]);
        let (handle, run) = start(&agent);
        pass(59).await;
        assert_eq!(handle.status().state, State::Starting);
        let refused = soon(run).await.unwrap().unwrap_err();
        assert!(refused.to_string().contains("mesh-gateway cannot be registered"), "{refused}");
        let times = agent.times(REGISTER);
        assert!((60.0..60.1).contains(times.last().unwrap()), "{times:?}");
        assert!((6..=12).contains(&times.len()), "{times:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_minute_begins_with_the_first_try() {
    let agent = Played::new();
    agent.script(REGISTER, &[Reply::Slow(7, 500)]);
    let (_handle, run) = start(&agent);
    let begun = Instant::now();
    soon(run).await.unwrap().unwrap_err();
    let took = begun.elapsed().as_secs();
    assert!((60..=67).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn a_leader_within_the_minute_is_enough() {
    let agent = Played::new();
    let trouble = Reply::Status(500, "No cluster leader");
    agent.script(REGISTER, &[trouble.clone(), trouble.clone(), trouble, Reply::Good]);
    let (handle, _run) = start(&agent);
    pass(10).await;
    let status = handle.status();
    assert_eq!((status.state, status.counts.trouble, status.counts.registered), (State::Registered, 3, 1));
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_not_there_is_tried_for_ever() {
    let agent = Played::new();
    agent.script(REGISTER, &[Reply::Refused]);
    let (handle, run) = start(&agent);
    pass(24 * 3600).await;
    assert!(!run.is_finished());
    let status = handle.status();
    assert_eq!(status.state, State::Starting);
    assert!(status.last_error.unwrap().to_string().contains("connection refused"));
    assert!(status.next_try.unwrap() > status.last_try.unwrap());
    agent.script(REGISTER, &[Reply::Good]);
    pass(5).await;
    assert_eq!(handle.status().state, State::Registered);
}

#[tokio::test(start_paused = true)]
async fn time_without_answers_does_not_count_as_trouble() {
    let agent = Played::new();
    let trouble = Reply::Status(500, "No cluster leader");
    agent.script(REGISTER, &[trouble.clone(), Reply::Refused]);
    let (handle, run) = start(&agent);
    pass(300).await;
    agent.script(REGISTER, &[trouble]);
    pass(30).await;
    assert!(!run.is_finished());
    agent.script(REGISTER, &[Reply::Good]);
    pass(40).await;
    assert_eq!(handle.status().state, State::Registered);
}

#[tokio::test(start_paused = true)]
async fn a_returned_agent_is_registered_with_at_once() {
    let agent = Played::new();
    agent.script(REGISTER, &[Reply::Status(500, "No cluster leader"), Reply::Good]);
    let (handle, _run) = start(&agent);
    sleep(Duration::from_millis(10)).await;
    handle.agent_returned();
    pass(1).await;
    // Not sooner than after a first failure at its slowest.
    let times = agent.times(REGISTER);
    assert!(times.len() == 2 && (0.5..=1.0).contains(&times[1]), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_registration_is_made_again_at_most_every_10_s() {
    let agent = Played::new();
    let (handle, _run) = start(&agent);
    pass(100).await;
    agent.0.lock().unwrap().knows = false;
    handle.missing();
    pass(0).await;
    let times = agent.times(REGISTER);
    assert!(times.len() == 2 && (100.0..100.1).contains(&times[1]), "{times:?}");
    // An agent that forgets all the time.
    for _ in 0..100 {
        handle.missing();
        pass(1).await;
    }
    let times = agent.times(REGISTER);
    assert!((10..=13).contains(&times.len()), "{times:?}");
    assert!(times.windows(2).skip(1).all(|pair| pair[1] - pair[0] >= 10.0), "{times:?}");
    assert_eq!(handle.status().counts.missing, times.len() as u64 - 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_before_the_registration_does_no_harm() {
    let agent = Played::new();
    let (handle, _run) = start(&agent);
    pass(0).await;
    handle.missing();
    pass(60).await;
    let status = handle.status();
    assert_eq!((status.state, status.counts.missing), (State::Registered, 0));
    assert_eq!(agent.times(REGISTER).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_cannot_be_asked_is_asked_again() {
    let agent = Played::new();
    let (handle, _run) = start(&agent);
    pass(100).await;
    agent.0.lock().unwrap().deaf = true;
    handle.missing();
    pass(60).await;
    assert_eq!(handle.status().state, State::Registered);
    {
        let mut script = agent.0.lock().unwrap();
        (script.deaf, script.knows) = (false, false);
    }
    pass(6).await;
    assert_eq!(agent.times(REGISTER).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_the_agent_is_asked_first() {
    let agent = Played::new();
    let (handle, _run) = start(&agent);
    pass(100).await;
    handle.agent_returned();
    pass(1).await;
    assert_eq!(agent.times(REGISTER).len(), 1, "it kept the registration");
    agent.0.lock().unwrap().knows = false;
    handle.agent_returned();
    pass(1).await;
    assert_eq!(agent.times(REGISTER).len(), 2);
    assert_eq!(handle.status().state, State::Registered);
}

#[tokio::test(start_paused = true)]
async fn once_registered_no_refusal_ends_the_process() {
    let agent = Played::new();
    let (handle, run) = start(&agent);
    pass(100).await;
    agent.script(REGISTER, &[Reply::Status(403, "ACL not found")]);
    agent.0.lock().unwrap().knows = false;
    handle.missing();
    pass(3600).await;
    assert!(!run.is_finished());
    let status = handle.status();
    assert_eq!((status.state, status.registered_since), (State::Lost, None));
    assert!((60..=140).contains(&status.counts.refusals), "{}", status.counts.refusals);
    agent.script(REGISTER, &[Reply::Good]);
    pass(60).await;
    let status = handle.status();
    assert_eq!((status.state, status.last_error), (State::Registered, None));
}

#[tokio::test(start_paused = true)]
async fn another_token_is_told_to_the_agent() {
    let agent = Played::new();
    let (handle, _run) = start(&agent);
    pass(100).await;
    handle.token_changed();
    pass(1).await;
    assert_eq!(agent.times(REGISTER).len(), 2);
    let status = handle.status();
    assert_eq!(status.counts.tokens, 1);
    // It was never gone.
    assert!(status.registered_since.unwrap() < status.last_try.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_does_not_see_the_registration_is_noticed() {
    let agent = Played::new();
    agent.0.lock().unwrap().lists = false;
    let (handle, _run) = start(&agent);
    pass(7).await;
    assert_eq!(handle.status().visible, None, "the catalog may be behind");
    pass(60).await;
    assert_eq!(handle.status().visible, Some(false));
    // Given the right, the same token sees it soon.
    agent.0.lock().unwrap().lists = true;
    pass(10).await;
    assert_eq!(handle.status().visible, Some(true));
    // Seen once, it is looked for again after the next registration only.
    agent.0.lock().unwrap().lists = false;
    pass(100).await;
    assert_eq!(handle.status().visible, Some(true));
    handle.token_changed();
    pass(60).await;
    assert_eq!(handle.status().visible, Some(false));
}

#[tokio::test(start_paused = true)]
async fn maintenance_is_switched_and_nothing_registers_during_it() {
    let agent = Played::new();
    let (handle, _run) = start(&agent);
    pass(100).await;
    agent.0.lock().unwrap().knows = false;
    handle.maintenance(Some("drain & stop")).await.unwrap();
    let path = agent.last("maintenance").0;
    assert_eq!(path, "/v1/agent/service/maintenance/mesh%2Dgateway?enable=true&reason=drain%20%26%20stop");
    assert_eq!(handle.status().maintenance.as_deref(), Some("drain & stop"));
    handle.missing();
    handle.token_changed();
    handle.agent_returned();
    pass(100).await;
    assert_eq!(agent.times(REGISTER).len(), 1);
    handle.maintenance(None).await.unwrap();
    assert!(agent.last("maintenance").0.ends_with("?enable=false"));
    pass(1).await;
    assert_eq!(agent.times(REGISTER).len(), 2, "what was put off is made up for");
    assert_eq!((handle.status().maintenance, handle.status().counts.maintenance), (None, 2));
}

#[tokio::test(start_paused = true)]
async fn maintenance_does_not_wait_for_a_registration_that_hangs() {
    let agent = Played::new();
    let (handle, _run) = start(&agent);
    pass(100).await;
    agent.script(REGISTER, &[Reply::Hang]);
    agent.0.lock().unwrap().knows = false;
    handle.missing();
    pass(1).await;
    let limit = Duration::from_secs(1);
    timeout(limit, handle.maintenance(Some("drain"))).await.unwrap().unwrap();
    timeout(limit, handle.deregister()).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn maintenance_of_a_gateway_nobody_knows_is_done() {
    let agent = Played::new();
    agent.script(REGISTER, &[Reply::Refused]);
    let (handle, _run) = start(&agent);
    pass(1).await;
    handle.maintenance(Some("drain")).await.unwrap();
    assert!(agent.times("maintenance").is_empty(), "it was never registered");

    let agent = Played::new();
    agent.script("maintenance", &[Reply::Status(404, "No service registered with ID \"mesh-gateway\"")]);
    let (handle, _run) = start(&agent);
    pass(1).await;
    handle.maintenance(Some("drain")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_last_words_are_tried_for_5_s() {
    for word in ["maintenance", "deregister"] {
        let agent = Played::new();
        agent.script(word, &[Reply::Refused]);
        let (handle, _run) = start(&agent);
        pass(100).await;
        let begun = Instant::now();
        let error = match word {
            "maintenance" => soon(handle.maintenance(Some("drain"))).await.unwrap_err(),
            _ => soon(handle.deregister()).await.unwrap_err(),
        };
        assert!(error.to_string().contains("connection refused"), "{error}");
        assert!(begun.elapsed() <= Duration::from_secs(5), "{:?}", begun.elapsed());
        assert!(agent.times(word).len() >= 3, "{:?}", agent.times(word));
    }
    let agent = Played::new();
    agent.script("maintenance", &[Reply::Status(403, "Permission denied")]);
    let (handle, _run) = start(&agent);
    pass(100).await;
    assert!(soon(handle.maintenance(Some("drain"))).await.is_err());
    assert_eq!(agent.times("maintenance").len(), 1, "a refusal stays one");
}

#[tokio::test(start_paused = true)]
async fn taking_it_back_ends_the_registrar_also_where_it_is_gone() {
    for reply in [Reply::Good, Reply::Status(404, "Unknown service ID \"mesh-gateway\".")] {
        let agent = Played::new();
        agent.script("deregister", &[reply]);
        let (handle, run) = start(&agent);
        pass(100).await;
        handle.deregister().await.unwrap();
        soon(run).await.unwrap().unwrap();
        assert_eq!(handle.status().state, State::Ended);
        assert_eq!(agent.times("deregister").len(), 1);
        handle.deregister().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn in_the_catalog_it_is_renewed_and_made_again() {
    let agent = Played::new();
    let (handle, _run) = start_in(catalog(), &agent);
    handle.set_ready(true);
    pass(60).await;
    let times = agent.times("catalog/register");
    assert!((6..=8).contains(&times.len()), "{times:?}");
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] < 10.1), "{times:?}");
    assert!(handle.status().counts.refreshes >= 5);
    // Trouble does not end it, and it comes back by itself.
    agent.script("catalog/register", &[Reply::Refused]);
    pass(600).await;
    agent.script("catalog/register", &[Reply::Good]);
    pass(5).await;
    assert_eq!(handle.status().last_error, None);
}

#[tokio::test(start_paused = true)]
async fn in_the_catalog_readiness_and_maintenance_are_its_own_check() {
    let agent = Played::new();
    let check = |agent: &Played| {
        let check = agent.last("catalog/register").1["Checks"][0].clone();
        (check["Status"].as_str().unwrap().to_owned(), check["Output"].as_str().unwrap().to_owned())
    };
    let is = |status: &str, output: &str| (status.to_owned(), output.to_owned());
    let (handle, _run) = start_in(catalog(), &agent);
    pass(1).await;
    assert_eq!(check(&agent), is("critical", "not ready"));
    handle.set_ready(true);
    pass(0).await;
    assert_eq!(check(&agent), is("passing", ""));
    handle.maintenance(Some("drain")).await.unwrap();
    assert_eq!(check(&agent), is("critical", "drain"));
    assert!(agent.times("agent/").is_empty());
    assert_eq!(handle.status().maintenance.as_deref(), Some("drain"));
    pass(25).await;
    assert_eq!(check(&agent), is("critical", "drain"), "it is renewed as it is");
    handle.maintenance(None).await.unwrap();
    assert_eq!(check(&agent), is("passing", ""));

    agent.script("catalog/register", &[Reply::Refused]);
    let begun = Instant::now();
    assert!(soon(handle.maintenance(Some("drain"))).await.is_err());
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn in_the_catalog_the_node_goes_unless_others_use_it() {
    for empty in [true, false] {
        let agent = Played::new();
        agent.0.lock().unwrap().empty = empty;
        let (handle, run) = start_in(catalog(), &agent);
        pass(1).await;
        handle.deregister().await.unwrap();
        soon(run).await.unwrap().unwrap();
        let removals = agent.times("catalog/deregister").len();
        assert_eq!(removals, if empty { 2 } else { 1 });
        let service = &agent.last("catalog/deregister").1["ServiceID"];
        assert_eq!(service.is_null(), empty, "{service}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_try_there_is_nothing_to_take_back() {
    let agent = Played::new();
    let registration =
        GatewayRegistration::from_flags(&Flags::new(GatewayKind::Mesh), &HostNetwork::default()).unwrap();
    let (registrar, handle) =
        Registrar::new(agent.clone(), registration, Place::Agent, RegistrarConfig::default());
    let leave = tokio::spawn(async move { handle.deregister().await });
    tokio::task::yield_now().await;
    registrar.run().await.unwrap();
    leave.await.unwrap().unwrap();
    assert!(agent.0.lock().unwrap().seen.is_empty());
}

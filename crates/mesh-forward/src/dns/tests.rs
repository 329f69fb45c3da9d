//! Names against injected answers, on a clock that the tests move.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::{AddressGuard, Answer, Lookup, LookupFuture, NameError, Names, NamesConfig};

/// What the script does when it is asked.
#[derive(Clone)]
enum Step {
    Answer(&'static [&'static str], u64),
    Partial(&'static [&'static str]),
    Fail(NameError),
    Hang,
    Panic,
}

use Step::{Answer as A, Fail, Hang, Panic, Partial};

/// Answers step by step; the last one again and again. Writes down when it was asked.
struct Script {
    steps: Mutex<VecDeque<Step>>,
    asked: Mutex<Vec<Duration>>,
    start: Instant,
    alive: Arc<AtomicU64>,
}

impl Script {
    fn new(steps: &[Step]) -> Arc<Self> {
        Arc::new(Self {
            steps: Mutex::new(steps.iter().cloned().collect()),
            asked: Mutex::default(),
            start: Instant::now(),
            alive: Arc::default(),
        })
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// Seconds between the questions.
    fn pauses(&self) -> Vec<f64> {
        self.asked.lock().unwrap().windows(2).map(|two| (two[1] - two[0]).as_secs_f64()).collect()
    }
}

/// Counts a lookup for as long as its future exists.
struct Alive(Arc<AtomicU64>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Lookup for Script {
    fn lookup(&self, _host: Arc<str>) -> LookupFuture {
        self.asked.lock().unwrap().push(self.start.elapsed());
        let mut steps = self.steps.lock().unwrap();
        let step = if steps.len() > 1 { steps.pop_front() } else { steps.front().cloned() };
        self.alive.fetch_add(1, Relaxed);
        let alive = Alive(Arc::clone(&self.alive));
        Box::pin(async move {
            let _alive = alive;
            match step.unwrap() {
                A(list, ttl) => Ok(answer(list, ttl, false)),
                Partial(list) => Ok(answer(list, 10, true)),
                Fail(error) => Err(error),
                Hang => std::future::pending().await,
                Panic => panic!("as the test asked"),
            }
        })
    }
}

fn answer(list: &[&str], ttl: u64, partial: bool) -> Answer {
    Answer { addresses: addresses(list), ttl: Duration::from_secs(ttl), partial }
}

fn addresses(list: &[&str]) -> Vec<IpAddr> {
    list.iter().map(|text| text.parse().unwrap()).collect()
}

fn names(script: &Arc<Script>) -> Names {
    Names::with_lookup(NamesConfig::default(), Arc::<Script>::clone(script))
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn the_defaults_are_those_of_the_specification() {
    let config = NamesConfig::default();
    assert_eq!((config.refresh, config.floor), (seconds(10), seconds(1)));
    assert_eq!(
        (config.retry, config.retry_max, config.lookup_timeout),
        (seconds(1), seconds(30), seconds(10))
    );
    assert_eq!((config.max_names, config.max_lookups, config.max_addresses), (4096, 16, 256));
}

#[tokio::test(start_paused = true)]
async fn a_name_is_resolved_and_refreshed_within_ten_seconds() {
    let script = Script::new(&[A(&["192.0.2.1"], 3600), A(&["192.0.2.2"], 3600)]);
    let names = names(&script);
    let mut watch = names.watch("GW.ams2.example.net");
    assert!(watch.current().is_empty() && watch.state().age().is_none());
    watch.settled().await;
    assert_eq!(*watch.current(), addresses(&["192.0.2.1"]));
    watch.changed().await;
    timeout(seconds(10), watch.changed()).await.unwrap();
    assert_eq!(*watch.current(), addresses(&["192.0.2.2"]));
    assert_eq!(&**watch.host(), "gw.ams2.example.net");
    assert_eq!(names.counters().changes.load(Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn the_ttl_is_followed_between_floor_and_ceiling() {
    for (ttl, shortest, longest) in [(0, 1.0, 1.01), (5, 4.5, 5.01), (3600, 9.0, 10.01)] {
        let script = Script::new(&[A(&["192.0.2.1"], ttl)]);
        let names = names(&script);
        let _watch = names.watch("gw");
        sleep(seconds(100)).await;
        let pauses = script.pauses();
        assert!(pauses.len() >= 9);
        assert!(pauses.iter().all(|pause| (shortest..=longest).contains(pause)), "ttl {ttl}: {pauses:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_good_answer_stays_whatever_fails() {
    let errors =
        [Fail(NameError::NotFound), A(&[], 10), Hang, Panic, Fail(NameError::Failed("SERVFAIL".into()))];
    for failure in errors {
        let script = Script::new(&[A(&["192.0.2.1"], 10), failure.clone(), failure, A(&["192.0.2.9"], 10)]);
        let names = names(&script);
        let mut watch = names.watch("gw");
        watch.changed().await;
        assert!(watch.state().error.is_none());
        // Until the second failure has been told: 10 s of life, twice at most 10 s for the lookup.
        timeout(seconds(100), async {
            while watch.state().failures < 2 {
                sleep(seconds(1)).await;
            }
        })
        .await
        .unwrap();
        let state = watch.state();
        assert_eq!(*state.addresses, addresses(&["192.0.2.1"]));
        assert!(state.error.is_some());
        assert!(state.age().unwrap() >= seconds(9), "{:?}", state.age());
        timeout(seconds(100), watch.changed()).await.unwrap();
        let state = watch.state();
        assert_eq!((state.failures, state.error), (0, None));
        assert_eq!(*state.addresses, addresses(&["192.0.2.9"]));
    }
}

#[tokio::test(start_paused = true)]
async fn failures_are_told_apart_in_the_counters() {
    let script = Script::new(&[Fail(NameError::NotFound), A(&[], 1), Hang, Panic, A(&["192.0.2.1"], 1)]);
    let names = names(&script);
    let mut watch = names.watch("gw");
    watch.settled().await;
    assert_eq!(watch.state().error, Some(NameError::NotFound));
    timeout(seconds(100), watch.changed()).await.unwrap();
    let counters = names.counters();
    let counted = [&counters.answered, &counters.not_found, &counters.timed_out, &counters.failed];
    assert_eq!(counted.map(|counter| counter.load(Relaxed)), [1, 2, 1, 1]);
    assert_eq!(counters.running.load(Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn pauses_after_failures_grow_and_are_jittered() {
    let script = Script::new(&[Fail(NameError::NotFound)]);
    let names = names(&script);
    let _watch = names.watch("gw");
    sleep(seconds(300)).await;
    let pauses = script.pauses();
    for (pause, whole) in pauses.iter().zip([1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]) {
        assert!((whole / 2.0..=whole + 0.01).contains(pause), "{pauses:?}");
    }
    assert!(pauses.windows(2).any(|two| two[0].fract() != two[1].fract()));
}

#[tokio::test(start_paused = true)]
async fn another_order_is_no_change() {
    let script = Script::new(&[
        A(&["192.0.2.2", "192.0.2.1", "192.0.2.2", "2001:db8::1"], 1),
        A(&["2001:db8::1", "::ffff:192.0.2.1", "192.0.2.2"], 1),
    ]);
    let names = names(&script);
    let mut watch = names.watch("gw");
    watch.changed().await;
    let first = watch.current();
    assert_eq!(*first, addresses(&["192.0.2.1", "192.0.2.2", "2001:db8::1"]));
    assert!(timeout(seconds(60), watch.changed()).await.is_err());
    assert!(Arc::ptr_eq(&first, &watch.current()), "what did not change is not made anew");
    assert!(watch.state().age().unwrap() <= seconds(2), "but its age is that of the latest answer");
    assert_eq!(names.counters().changes.load(Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_family_that_fails_keeps_its_addresses() {
    let script =
        Script::new(&[A(&["192.0.2.1", "2001:db8::1"], 1), Partial(&["192.0.2.2"]), A(&["192.0.2.3"], 1)]);
    let names = names(&script);
    let mut watch = names.watch("gw");
    for expected in [&["192.0.2.1", "2001:db8::1"][..], &["192.0.2.2", "2001:db8::1"], &["192.0.2.3"]] {
        watch.changed().await;
        assert_eq!(*watch.current(), addresses(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_too_many_addresses_is_cut() {
    let script = Script::new(&[A(&["192.0.2.3", "192.0.2.1", "192.0.2.2"], 10)]);
    let config = NamesConfig { max_addresses: 2, ..NamesConfig::default() };
    let names = Names::with_lookup(config, Arc::<Script>::clone(&script));
    let mut watch = names.watch("gw");
    watch.changed().await;
    assert_eq!(*watch.current(), addresses(&["192.0.2.1", "192.0.2.2"]));
    assert_eq!(names.counters().addresses_cut.load(Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn watches_of_one_name_share_one_lookup() {
    let script = Script::new(&[A(&["192.0.2.1"], 10)]);
    let names = names(&script);
    let first = names.watch("gw");
    first.settled().await;
    let second = names.watch("GW");
    assert_eq!(second.current(), first.current(), "known at once");
    assert_eq!((script.asked(), names.states().len()), (1, 1));
    drop(first);
    sleep(seconds(25)).await;
    assert!(script.asked() >= 3, "one watch is enough to keep it");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_nobody_watches_is_dropped() {
    for step in [A(&["192.0.2.1"], 1), Hang] {
        let script = Script::new(&[step]);
        let names = names(&script);
        let watch = names.watch("gw");
        sleep(seconds(5)).await;
        drop(watch);
        assert_eq!((names.states().len(), names.counters().names.load(Relaxed)), (0, 0));
        sleep(Duration::from_millis(1)).await;
        let asked = script.asked();
        sleep(seconds(100)).await;
        assert_eq!(script.asked(), asked, "nobody asks for it");
        assert_eq!((script.alive.load(Relaxed), names.counters().running.load(Relaxed)), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_names_ends_every_task_and_watches_keep_what_they_know() {
    let script = Script::new(&[A(&["192.0.2.1"], 1), Hang]);
    let names = names(&script);
    let mut watch = names.watch("gw");
    watch.changed().await;
    sleep(seconds(5)).await;
    assert_eq!(script.alive.load(Relaxed), 1);
    drop(names);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(script.alive.load(Relaxed), 0);
    assert_eq!(*watch.current(), addresses(&["192.0.2.1"]));
    assert!(timeout(seconds(1000), watch.changed()).await.is_err());
    watch.settled().await;
    drop(watch);
}

#[tokio::test(start_paused = true)]
async fn the_number_of_names_is_bounded() {
    let script = Script::new(&[A(&["192.0.2.1"], 10)]);
    let config = NamesConfig { max_names: 2, ..NamesConfig::default() };
    let names = Names::with_lookup(config, Arc::<Script>::clone(&script));
    let (one, _two) = (names.watch("one"), names.watch("two"));
    let third = names.watch("three");
    assert_eq!(third.state().error, Some(NameError::TooManyNames { limit: 2 }));
    assert!(third.current().is_empty());
    third.settled().await;
    assert_eq!(names.counters().refused.load(Relaxed), 1);
    drop(third);
    assert!(names.watch("two").state().error.is_none(), "a known name is not one more");
    drop(one);
    let three = names.watch("three");
    three.settled().await;
    assert_eq!(three.current().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn lookups_at_a_time_are_bounded_and_all_get_their_turn() {
    let script = Script::new(&[Hang]);
    let config = NamesConfig { max_lookups: 3, ..NamesConfig::default() };
    let names = Names::with_lookup(config, Arc::<Script>::clone(&script));
    let watches: Vec<_> = (0..10).map(|n| names.watch(&format!("gw{n}"))).collect();
    for _ in 0..35 {
        sleep(seconds(1)).await;
        assert_eq!(script.alive.load(Relaxed), 3);
        assert_eq!(names.counters().running.load(Relaxed), 3);
    }
    sleep(seconds(10)).await;
    let expected = Some(NameError::TimedOut(seconds(10)));
    assert!(watches.iter().all(|watch| watch.state().error == expected));
}

#[tokio::test(start_paused = true)]
async fn an_address_is_its_own_answer() {
    let script = Script::new(&[Hang]);
    let names = names(&script);
    for (text, address) in
        [("192.0.2.7", "192.0.2.7"), ("2001:DB8::7", "2001:db8::7"), ("[2001:db8::7]", "2001:db8::7")]
    {
        let mut watch = names.watch(text);
        watch.settled().await;
        assert_eq!(*watch.current(), addresses(&[address]));
        assert!(timeout(seconds(100), watch.changed()).await.is_err());
    }
    assert_eq!((script.asked(), names.states().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_name_says_so_at_once() {
    let names = names(&Script::new(&[Hang]));
    for text in [String::new(), "a".repeat(300)] {
        assert!(matches!(names.watch(&text).state().error, Some(NameError::Invalid(_))));
    }
    assert!(names.states().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_wait_loses_no_change() {
    let script = Script::new(&[A(&["192.0.2.1"], 1), A(&["192.0.2.2"], 1)]);
    let names = names(&script);
    let mut watch = names.watch("gw");
    let _ = timeout(Duration::ZERO, watch.changed()).await;
    sleep(seconds(5)).await;
    timeout(Duration::ZERO, watch.changed()).await.unwrap();
    assert_eq!(*watch.current(), addresses(&["192.0.2.2"]));
}

#[tokio::test(start_paused = true)]
async fn what_a_name_may_not_stand_for_is_left_out_and_counted() {
    let script = Script::new(&[
        A(&["169.254.169.254", "192.0.2.1", "::ffff:127.0.0.1"], 1),
        A(&["192.0.2.2", "10.0.0.1"], 1),
        A(&["127.0.0.1"], 1),
    ]);
    let config = NamesConfig { guard: AddressGuard::OUTSIDE, ..NamesConfig::default() };
    let names = Names::with_lookup(config, Arc::<Script>::clone(&script));
    let mut watch = names.watch("db.example.net");
    watch.settled().await;
    assert_eq!(*watch.current(), addresses(&["192.0.2.1"]));
    assert_eq!(names.counters().guarded.load(Relaxed), 2);
    watch.changed().await;
    watch.changed().await;
    assert_eq!(*watch.current(), addresses(&["10.0.0.1", "192.0.2.2"]));
    // Nothing is left of the third answer: the last good one stays, and the error says why.
    sleep(seconds(5)).await;
    assert_eq!(*watch.current(), addresses(&["10.0.0.1", "192.0.2.2"]));
    let error = watch.state().error.unwrap();
    assert_eq!(error.to_string(), "it stands for 127.0.0.1, and names may not stand for loopback addresses");
}

#[tokio::test(start_paused = true)]
async fn an_address_that_is_written_as_such_is_not_guarded() {
    let script = Script::new(&[A(&["127.0.0.1"], 1)]);
    let config = NamesConfig { guard: AddressGuard::OUTSIDE, ..NamesConfig::default() };
    let names = Names::with_lookup(config, script);
    assert_eq!(*names.watch("127.0.0.1").current(), addresses(&["127.0.0.1"]));
}

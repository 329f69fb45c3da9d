use super::*;
use rustls_pki_types::UnixTime;

#[derive(Debug)]
struct Clock(AtomicU64);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        match self.0.load(Ordering::SeqCst) {
            u64::MAX => None,
            now => Some(UnixTime::since_unix_epoch(Duration::from_secs(now))),
        }
    }
}

fn pool(limits: SessionLimits) -> (Arc<SessionPool>, Arc<Clock>) {
    let clock = Arc::new(Clock(AtomicU64::new(1000)));
    let time: Arc<dyn TimeProvider> = Arc::clone(&clock) as Arc<dyn TimeProvider>;
    (Arc::new(SessionPool::new(limits, time)), clock)
}

fn key(number: usize) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

impl SessionPool {
    fn count(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).sessions.len()).sum()
    }

    fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).bytes).sum()
    }

    fn places(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).order.len()).sum()
    }

    /// What is counted is what is there.
    fn assert_consistent(&self) {
        for shard in &self.shards {
            let shard = lock(shard);
            let bytes: usize = shard.sessions.values().map(|one| cost(&one.value)).sum();
            assert_eq!(shard.bytes, bytes);
            assert_eq!(shard.bytes_of.values().sum::<usize>(), bytes);
            assert!(shard.bytes_of.values().all(|&used| used > 0));
            assert!(shard.order.len() >= shard.sessions.len());
        }
    }
}

#[test]
fn a_ticket_is_taken_once_and_a_session_of_tls_12_is_read_often() {
    let (pool, _) = pool(SessionLimits::default());
    let scope = pool.scope();
    assert!(scope.put(key(1), vec![7]));
    assert_eq!(scope.get(&key(1)), Some(vec![7]));
    assert_eq!(scope.get(&key(1)), Some(vec![7]));
    assert_eq!(scope.take(&key(1)), Some(vec![7]));
    assert_eq!(scope.take(&key(1)), None);
    assert_eq!(scope.get(&key(1)), None);
    pool.assert_consistent();
}

#[test]
fn one_scope_does_not_see_the_other() {
    let (pool, _) = pool(SessionLimits::default());
    let (one, other) = (pool.scope(), pool.scope());
    one.put(key(1), vec![7]);
    assert_eq!((other.get(&key(1)), other.take(&key(1))), (None, None));
    other.put(key(1), vec![8]);
    assert_eq!((one.take(&key(1)), other.take(&key(1))), (Some(vec![7]), Some(vec![8])));
}

#[test]
fn a_session_ends_after_an_hour_whatever_is_asked_for() {
    let (pool, clock) =
        pool(SessionLimits { lifetime: Duration::from_secs(90_000), ..SessionLimits::default() });
    let scope = pool.scope();
    scope.put(key(1), vec![7]);
    scope.put(key(2), vec![7]);
    clock.0.store(1000 + 3599, Ordering::SeqCst);
    assert!(scope.get(&key(1)).is_some());
    clock.0.store(1000 + 3600, Ordering::SeqCst);
    assert_eq!((scope.get(&key(1)), scope.take(&key(2))), (None, None));
    clock.0.store(u64::MAX, Ordering::SeqCst);
    assert!(!scope.put(key(3), vec![7]), "without a clock nothing is stored");
    assert_eq!(scope.get(&key(1)), None);
}

#[test]
fn ended_sessions_make_room() {
    let (pool, clock) = pool(SessionLimits::default());
    let scope = pool.scope();
    (0..1000).for_each(|number| assert!(scope.put(key(number), vec![7; 100])));
    clock.0.store(1000 + 3600, Ordering::SeqCst);
    (1000..1200).for_each(|number| assert!(scope.put(key(number), vec![7; 100])));
    assert_eq!(pool.count(), 200);
    pool.assert_consistent();
}

#[test]
fn memory_is_bounded_for_all_and_for_each() {
    let limits = SessionLimits { total_bytes: 80_000, service_bytes: 40_000, ..SessionLimits::default() };
    let (pool, _) = pool(limits);
    let scopes = [pool.scope(), pool.scope(), pool.scope()];
    (0..2000).for_each(|number| assert!(scopes[0].put(key(number), vec![7; 500])));
    assert!(pool.bytes() <= 40_000, "{}", pool.bytes());
    assert!(scopes[0].get(&key(1999)).is_some() && scopes[0].get(&key(0)).is_none(), "the oldest go first");
    for scope in &scopes {
        (0..2000).for_each(|number| assert!(scope.put(key(number), vec![7; 500])));
        pool.assert_consistent();
    }
    assert!(pool.bytes() <= 80_000, "{}", pool.bytes());
    assert!(scopes.iter().all(|scope| scope.get(&key(1999)).is_some()), "nobody is shut out by the others");
}

#[test]
fn a_session_has_a_limit_too() {
    let (pool, _) = pool(SessionLimits::default());
    assert!(pool.scope().put(key(1), vec![7; MAX_SESSION_BYTES]));
    assert!(!pool.scope().put(key(2), vec![7; MAX_SESSION_BYTES + 1]));
}

#[test]
fn places_of_resumed_sessions_are_given_back() {
    let (pool, _) = pool(SessionLimits::default());
    let scope = pool.scope();
    // One old session at the front of each shard.
    (0..100).for_each(|number| assert!(scope.put(key(number), vec![7])));
    for number in 100..20_000 {
        scope.put(key(number), vec![7]);
        scope.take(&key(number));
    }
    assert_eq!(pool.count(), 100);
    assert!(pool.places() < 1000, "{}", pool.places());
    pool.assert_consistent();
}

#[test]
fn dead_scopes_are_freed() {
    let (pool, _) = pool(SessionLimits::default());
    let (live, dead) = (pool.scope(), pool.scope());
    for number in 0..100 {
        live.put(key(number), vec![7]);
        dead.put(key(number), vec![7]);
    }
    pool.retain(&HashSet::from([live.number()]));
    assert_eq!((pool.count(), pool.places()), (100, 100));
    assert!(live.get(&key(1)).is_some() && dead.get(&key(1)).is_none());
    pool.assert_consistent();
}

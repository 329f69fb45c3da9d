//! Rows 30 and 31 of consul-api 7, as far as the loop goes.

use super::*;

#[test]
fn row_31_after_an_outage_all_ask_without_an_index_at_the_time_they_are_given() {
    let mut bench = Bench::at(&catalog(), 7, "[1]");
    for _ in 0..9 {
        bench.fail(Class::Transport);
    }
    let at = bench.now + 3 * SECOND;
    bench.inner.resume(at);
    assert_eq!(bench.pause(), 3 * SECOND);
    assert_eq!(bench.next_ask(), Ask::Now);
    // The pauses begin anew.
    bench.inner.failed(bench.now, Class::Transport, 1.0, &bench.config);
    assert_eq!(bench.pause(), SECOND);
    bench.holds("[1]");
}

#[test]
fn reads_in_turn_ask_any_server_until_one_lags() {
    let mut bench = Bench::new(&catalog());
    let first = bench.inner.send_in_turn(bench.now, &bench.config);
    assert_eq!(first.ask, Ask::Now);
    bench.answer(&first, MS, Some(700), Some("[1,2]"));
    let sent = bench.inner.send_in_turn(bench.now, &bench.config);
    assert_eq!(sent.ask, Ask::Stale);
    assert_eq!(bench.answer(&sent, MS, Some(3), Some("[1]")), Verdict::Backwards { first: true });
    assert!(bench.inner.is_in_doubt());
    // The leader is asked, which has not gone back: no guard begins.
    let sent = bench.inner.send_in_turn(bench.now, &bench.config);
    assert_eq!(sent.ask, Ask::Now);
    assert_eq!(bench.answer(&sent, MS, Some(700), Some("[1,2]")), same());
    bench.now += 60 * SECOND;
    let sent = bench.inner.send_in_turn(bench.now, &bench.config);
    assert_eq!(sent.ask, Ask::Stale);
    assert_eq!(bench.answer(&sent, MS, Some(3), Some("[1]")), Verdict::Backwards { first: true });
    bench.holds("[1,2]");
}

/// An agent without a right answers an empty list with index 1 (up to 1.15): nothing new about a name
/// whose list was empty, and no reason to ask again and again.
#[test]
fn reads_in_turn_of_the_same_data_at_a_lower_index_do_not_spin() {
    let mut bench = Bench::at(&catalog(), 70, "[]");
    // The leader said so.
    bench.answer(&Sent::at(bench.now), MS, Some(1), Some("[]"));
    let (start, mut reads) = (bench.now, 0);
    while bench.now < start + 60 * SECOND {
        bench.now = bench.inner.due_in_turn().map_or(bench.now, |due| due.max(bench.now));
        let sent = bench.inner.send_in_turn(bench.now, &bench.config);
        let verdict = bench.answer(&sent, MS, Some(1), Some("[]"));
        assert!(matches!(verdict, Verdict::Same { .. }), "{verdict:?}");
        reads += 1;
        if !bench.inner.is_in_doubt() {
            // Until its turn comes again.
            bench.now += 15 * SECOND;
        }
    }
    assert!(reads < 20, "{reads} reads");
}

#[test]
fn reads_in_turn_follow_a_restored_snapshot_after_the_guard() {
    let mut bench = Bench::at(&catalog(), 700, "[1,2]");
    let start = bench.now;
    while bench.document.as_deref() == Some("[1,2]") {
        bench.now = bench.inner.due_in_turn().map_or(bench.now, |due| due.max(bench.now));
        let sent = bench.inner.send_in_turn(bench.now, &bench.config);
        bench.answer(&sent, MS, Some(3), Some("[1]"));
        assert!(bench.now - start < 10 * SECOND);
    }
    assert!(bench.now - start >= 5 * SECOND);
}

#[test]
fn a_server_that_lags_with_the_same_data_does_not_lower_what_is_believed() {
    let mut bench = Bench::at(&catalog(), 700, "[1,2]");
    for _ in 0..10 {
        let sent = bench.inner.send_in_turn(bench.now, &bench.config);
        assert_eq!(sent.ask, Ask::Stale);
        assert_eq!(bench.answer(&sent, MS, Some(300), Some("[1,2]")), same());
        bench.now += 2 * SECOND;
    }
    // A state from between, which a replay passes through.
    bench.fail(Class::Server);
    assert_eq!(bench.round(MS, Some(500), Some("[1]")), Verdict::Backwards { first: true });
    bench.holds("[1,2]");
}

//! Rows 8-18, 29, 31-34, 43-47, 50-51 of consul-api 7: answers.

use super::*;

const W: Duration = Duration::from_secs(60);

fn connect() -> Any {
    Any { endpoint: "health/connect", ..catalog() }
}

#[test]
fn row_8_the_first_request_has_no_index_and_its_answer_is_applied() {
    let mut bench = Bench::new(&catalog());
    assert_eq!(bench.pause(), Duration::ZERO);
    let sent = bench.send();
    assert_eq!(sent.ask, Ask::Now);
    bench.answer(&sent, MS, Some(7), Some("[1]"));
    bench.holds("[1]");
    let sent = bench.send();
    assert_eq!((sent.ask, sent.wait), (Ask::Above(7), W));
}

#[test]
fn row_9_a_risen_index_with_another_body_is_applied_once() {
    let mut bench = Bench::at(&catalog(), 7, "[1]");
    let verdict = bench.round(30 * SECOND, Some(8), Some("[1,2]"));
    assert!(matches!(verdict, Verdict::Fresh(_)), "{verdict:?}");
    bench.holds("[1,2]");
    assert_eq!(bench.pause(), Duration::ZERO);
    assert_eq!(bench.next_ask(), Ask::Above(8));
}

#[test]
fn row_10_a_risen_index_with_the_same_body_moves_only_the_index() {
    let mut bench = Bench::at(&catalog(), 7, "[1]");
    let verdict = bench.round(30 * SECOND, Some(8), Some("[1]"));
    assert_eq!(verdict, Verdict::Same { recovered: false, facts: None, rose: true });
    assert_eq!(bench.next_ask(), Ask::Above(8));
}

#[test]
fn row_11_the_same_index_after_the_whole_wait_takes_nothing_away() {
    let mut bench = Bench::at(&catalog(), 7, "[1,2]");
    assert_eq!(bench.round(W + SECOND, Some(7), Some("[]")), same());
    bench.holds("[1,2]");
    assert_eq!(bench.next_ask(), Ask::Above(7));
}

#[test]
fn row_12_the_same_index_before_the_wait_is_over_is_asked_again_without_it() {
    let mut bench = Bench::at(&catalog(), 7, "[1,2]");
    assert_eq!(bench.round(10 * MS, Some(7), Some("[]")), same());
    bench.holds("[1,2]");
    assert_eq!(bench.next_ask(), Ask::Now);
}

#[test]
fn row_13_a_lower_index_is_believed_after_five_seconds_and_a_second_answer() {
    let mut bench = Bench::at(&catalog(), 700, "[1,2]");
    let begun = bench.now + SECOND;
    assert_eq!(bench.round(SECOND, Some(3), Some("[1]")), Verdict::Backwards { first: true });
    bench.holds("[1,2]");
    // At once, without index: a blocking read may have been wrong, this one is not.
    assert_eq!(bench.pause(), Duration::ZERO);
    let sent = bench.send();
    assert_eq!(sent.ask, Ask::Now);
    assert_eq!(bench.answer(&sent, MS, Some(3), Some("[1]")), Verdict::Backwards { first: false });
    bench.holds("[1,2]");
    let sent = bench.send();
    assert_eq!((sent.ask.clone(), bench.now.duration_since(begun)), (Ask::Now, 5 * SECOND));
    assert!(matches!(bench.answer(&sent, MS, Some(3), Some("[1]")), Verdict::Fresh(_)));
    bench.holds("[1]");
    assert_eq!(bench.next_ask(), Ask::Above(3));
}

#[test]
fn row_13_an_index_that_comes_back_up_ends_the_guard() {
    let mut bench = Bench::at(&catalog(), 700, "[1,2]");
    bench.round(SECOND, Some(3), Some("[1]"));
    assert_eq!(bench.round(MS, Some(700), Some("[1,2]")), same());
    bench.holds("[1,2]");
    // The guard begins anew.
    bench.now += 60 * SECOND;
    assert_eq!(bench.round(SECOND, Some(3), Some("[1]")), Verdict::Backwards { first: true });
}

#[test]
fn row_13_the_guard_outlives_errors() {
    let mut bench = Bench::at(&catalog(), 700, "[1,2]");
    bench.fail(Class::Transport);
    assert_eq!(bench.round(MS, Some(3), Some("[1]")), Verdict::Backwards { first: true });
    bench.holds("[1,2]");
}

#[test]
fn row_14_no_index_and_index_0_count_as_1() {
    for index in [None, Some(0)] {
        let mut bench = Bench::new(&catalog());
        bench.round(MS, index, Some("[1]"));
        bench.holds("[1]");
        assert_eq!(bench.next_ask(), Ask::Above(1));
    }
}

#[test]
fn row_14_without_indexes_changes_are_seen_all_the_same() {
    // A proxy that eats headers: every answer comes at once and counts as 1.
    let mut bench = Bench::at(&catalog(), 1, "[1,2]");
    bench.round(MS, None, Some("[1]"));
    bench.holds("[1,2]");
    bench.round(MS, None, Some("[1]"));
    bench.holds("[1]");
}

#[test]
fn row_15_early_returns_are_limited_to_three_then_one_a_second_then_one_in_fifteen() {
    let mut bench = Bench::at(&catalog(), 7, "[1]");
    let start = bench.now;
    let mut sent_at = Vec::new();
    while bench.now < start + 120 * SECOND {
        let sent = bench.send();
        sent_at.push(bench.now.duration_since(start).as_millis());
        bench.answer(&sent, MS, Some(7), Some("[1]"));
    }
    assert_eq!(sent_at[..5], [0, 1, 2, 1000, 2000]);
    // Ten early returns are twenty requests: each is followed by one without index.
    let gaps: Vec<_> = sent_at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps[3..17].iter().all(|gap| *gap == 1000), "{gaps:?}");
    assert!(gaps[20..].iter().all(|gap| *gap == 15_000), "{gaps:?}");
    assert!(gaps.len() > 22);
}

#[test]
fn row_15_a_change_ends_the_slow_pace_and_passes_at_once() {
    let mut bench = Bench::at(&catalog(), 7, "[1]");
    for _ in 0..24 {
        bench.round(MS, Some(7), Some("[1]"));
    }
    assert!(bench.pause() > 10 * SECOND);
    bench.round(MS, Some(8), Some("[2]"));
    bench.holds("[2]");
    assert!(bench.pause() <= SECOND);
}

#[test]
fn row_15_a_service_that_changes_often_is_followed_at_once() {
    let mut bench = Bench::at(&catalog(), 7, "0");
    for n in 0..100_u64 {
        let before = bench.now;
        bench.round(250 * MS, Some(8 + n), Some(&n.to_string()));
        assert_eq!(bench.now - before, 250 * MS, "change {n} waited");
    }
}

#[test]
fn row_15_a_service_that_changes_without_end_is_summed_up() {
    let mut bench = Bench::at(&catalog(), 7, "0");
    let start = bench.now;
    for n in 0..120_u64 {
        bench.round(MS, Some(8 + n), Some(&n.to_string()));
    }
    assert!(bench.now - start >= 9 * SECOND, "{:?}", bench.now - start);
}

#[test]
fn row_16_nothing_with_index_1_is_doubtful_where_it_hides_a_denial() {
    let mut bench = Bench::at(&connect(), 1, "[1]");
    assert_eq!(bench.round(SECOND, Some(1), Some("[]")), Verdict::Doubtful);
    bench.holds("[1]");
    // 403 of the chain.
    bench.inner.failed(bench.now, Class::Denied, 1.0, &bench.config);
    assert_eq!((bench.inner.failing(), bench.pause()), (Some(Class::Denied), 5 * SECOND));
    // 200 of the chain.
    let mut bench = Bench::new(&connect());
    let mut sent = bench.send();
    assert_eq!(bench.answer(&sent, MS, Some(1), Some("[]")), Verdict::Doubtful);
    sent.verified = true;
    assert!(matches!(bench.answer(&sent, MS, Some(1), Some("[]")), Verdict::Fresh(_)));
    bench.holds("[]");
    // What is known to be nothing is not doubted again.
    assert_eq!(bench.round(MS, Some(1), Some("[]")), same());
}

#[test]
fn row_16_nothing_is_doubtful_neither_elsewhere_nor_in_a_version_that_denies_openly() {
    let mut bench = Bench::new(&catalog());
    assert!(matches!(bench.round(MS, Some(1), Some("[]")), Verdict::Fresh(_)));
    let mut bench = Bench::new(&connect());
    bench.denies_openly = true;
    assert!(matches!(bench.round(MS, Some(1), Some("[]")), Verdict::Fresh(_)));
}

#[test]
fn row_17_nothing_with_a_risen_index_is_applied() {
    let mut bench = Bench::at(&connect(), 7, "[1]");
    assert!(matches!(bench.round(SECOND, Some(8), Some("[]")), Verdict::Fresh(_)));
    bench.holds("[]");
}

#[test]
fn row_18_an_absent_object_is_data_and_is_waited_for() {
    let mut bench = Bench::new(&Any { endpoint: "config", ..catalog() });
    assert!(matches!(bench.round(MS, Some(5), None), Verdict::Fresh(_)));
    assert_eq!(bench.document, None);
    assert!(bench.inner.knows());
    assert_eq!(bench.next_ask(), Ask::Above(5));
}

#[test]
fn row_29_nothing_with_index_1_after_the_whole_wait_is_ignored() {
    let mut bench = Bench::at(&catalog(), 7, "[1]");
    assert_eq!(bench.round(W + SECOND, Some(1), Some("[]")), Verdict::Backwards { first: true });
    bench.holds("[1]");
    assert_eq!(bench.next_ask(), Ask::Now);
    bench.inner.failed(bench.now, Class::Server, 1.0, &bench.config);
    bench.holds("[1]");
    assert_eq!(bench.inner.failing(), Some(Class::Server));
}

#[test]
fn row_32_other_roots_at_the_same_index_are_applied_after_a_reconnect() {
    let roots = Any { endpoint: "agent/connect/ca/roots", from_servers: false, ..catalog() };
    let mut bench = Bench::at(&roots, 9, "[one,two]");
    bench.fail(Class::Transport);
    let sent = bench.send();
    assert_eq!(sent.ask, Ask::Now);
    bench.answer(&sent, MS, Some(9), Some("[three]"));
    bench.holds("[three]");
}

#[test]
fn row_33_a_state_still_being_replayed_is_not_believed() {
    let mut bench = Bench::at(&catalog(), 4742, "[1,2,3,4]");
    bench.fail(Class::Transport);
    let start = bench.now;
    let replayed = [(10, "[]"), (2152, "[1]"), (2649, "[1,2]"), (3000, "[1,2,3]"), (4742, "[1,2,3,4]")];
    let mut backwards = 0;
    while bench.inner.failing().is_some() {
        let sent = bench.send();
        // The replay takes 1.7 s.
        let step = usize::try_from((bench.now - start).as_millis() / 425).unwrap().min(4);
        let (index, body) = replayed[step];
        backwards += u32::from(matches!(
            bench.answer(&sent, 10 * MS, Some(index), Some(body)),
            Verdict::Backwards { .. }
        ));
        bench.holds("[1,2,3,4]");
        assert!(bench.now - start < 10 * SECOND);
    }
    assert!(backwards >= 2, "the test saw the replay");
}

#[test]
fn row_34_a_restored_snapshot_is_applied_within_one_wait_and_ten_seconds() {
    // Every watch comes back at once with the old index and the old body.
    let mut bench = Bench::at(&catalog(), 700, "[1,2]");
    let start = bench.now;
    assert_eq!(bench.round(SECOND, Some(700), Some("[1,2]")), same());
    while bench.document.as_deref() == Some("[1,2]") {
        bench.round(MS, Some(300), Some("[1]"));
        assert!(bench.now - start < W + 10 * SECOND);
    }
    bench.holds("[1]");
    assert!(bench.now - start < 7 * SECOND, "{:?}", bench.now - start);
}

#[test]
fn row_34_a_restored_snapshot_in_a_busy_cluster_is_applied_too() {
    let mut bench = Bench::at(&catalog(), 700, "[1,2]");
    let start = bench.now;
    let mut index = 300;
    while bench.document.as_deref() == Some("[1,2]") {
        index += 1;
        bench.round(MS, Some(index), Some("[1]"));
        assert!(bench.now - start < 10 * SECOND);
    }
    bench.holds("[1]");
}

#[test]
fn row_43_null_is_an_empty_list() {
    let mut bench = Bench::at(&connect(), 1, "[1]");
    assert_eq!(bench.round(SECOND, Some(1), Some("null")), Verdict::Doubtful);
}

#[test]
fn row_51_a_shorter_list_at_the_index_applied_is_withheld_until_the_index_moves() {
    let mut bench = Bench::at(&catalog(), 7, "[1,2,3]");
    bench.fail(Class::Server);
    assert_eq!(bench.round(MS, Some(7), Some("[1]")), Verdict::Withheld { first: true });
    bench.holds("[1,2,3]");
    assert_eq!(bench.inner.failing(), Some(Class::Denied));
    // It waits for the index to move, and neither a wait without news nor a further read ends it.
    assert_eq!(bench.next_ask(), Ask::Above(7));
    let sent = bench.send();
    assert_eq!(bench.answer(&sent, W + SECOND, Some(7), Some("[1]")), Verdict::Withheld { first: false });
    bench.inner.forget();
    assert_eq!(bench.round(MS, Some(7), Some("[1]")), Verdict::Withheld { first: false });
    assert_eq!(bench.inner.failing(), Some(Class::Denied));
    bench.round(SECOND, Some(8), Some("[1]"));
    bench.holds("[1]");
    assert_eq!(bench.inner.failing(), None);
}

#[test]
fn row_51_without_acls_a_shorter_list_at_the_same_index_is_another_cluster() {
    let mut bench = Bench::at(&catalog(), 7, "[1,2,3]");
    bench.acls_off = true;
    bench.fail(Class::Server);
    assert!(matches!(bench.round(MS, Some(7), Some("[1]")), Verdict::Fresh(_)));
    bench.holds("[1]");
}

#[test]
fn row_51_the_right_comes_back_and_nothing_has_changed() {
    let mut bench = Bench::at(&catalog(), 7, "[1,2,3]");
    bench.fail(Class::Server);
    bench.round(MS, Some(7), Some("[1]"));
    bench.inner.forget();
    let verdict = bench.round(MS, Some(7), Some("[1,2,3]"));
    assert_eq!(verdict, Verdict::Same { recovered: true, facts: None, rose: false });
}

#[test]
fn streaming_and_servers_with_indexes_of_their_own_do_not_take_turns_for_ever() {
    // consul-api 2.5: the agent's copy of a service untouched for long has a lower index, same body.
    let mut bench = Bench::at(&connect(), 4742, "[1]");
    let start = bench.now;
    assert_eq!(bench.round(MS, Some(2152), Some("[1]")), same());
    let sent = bench.send();
    assert_eq!(sent.ask, Ask::Above(2152), "the lower index is adopted");
    assert_eq!(bench.answer(&sent, W, Some(2152), Some("[1]")), same());
    assert!(bench.now - start < W + SECOND);
    // What an agent's copy passes through after a crash is still not believed.
    assert!(matches!(bench.round(MS, Some(2649), Some("[1,2]")), Verdict::Backwards { .. }));
    // A true change is above all that was.
    assert!(matches!(bench.round(MS, Some(4800), Some("[2]")), Verdict::Fresh(_)));
}

#[test]
fn a_lower_index_with_the_same_body_is_the_index_after_the_guard() {
    let mut bench = Bench::at(&connect(), 4742, "[1]");
    bench.round(MS, Some(2152), Some("[1]"));
    bench.round(W, Some(2152), Some("[1]"));
    bench.round(W, Some(2152), Some("[1]"));
    bench.inner.forget();
    bench.now += 60 * SECOND;
    assert_eq!(bench.round(MS, Some(2152), Some("[1]")), same());
    bench.now += 6 * SECOND;
    bench.inner.forget();
    assert_eq!(bench.round(MS, Some(2152), Some("[1]")), same());
    assert!(matches!(bench.round(MS, Some(2153), Some("[2]")), Verdict::Fresh(_)));
}

#[test]
fn hash_queries_wait_for_another_content() {
    let own = Any { endpoint: "agent/service", blocking: crate::query::Blocking::Hash, from_servers: false };
    let mut bench = Bench::new(&own);
    let answer = |hash: &str, body: &str| {
        let mut got = Got::scripted(None, Some(body));
        got.content_hash = Some(hash.into());
        got
    };
    let sent = bench.send();
    assert_eq!(sent.ask, Ask::Now);
    let context = Context { config: &bench.config, denies_openly: false, acls_off: false, random: 1.0 };
    let verdict = bench.inner.answered(bench.now, &sent, &answer("a", "1"), &context);
    let Verdict::Fresh(fresh) = verdict else { panic!("{verdict:?}") };
    bench.apply(fresh, Some("1"));
    assert_eq!(bench.next_ask(), Ask::Unlike("a".to_owned()));
    // Not there: nothing to wait for, asked again soon but not at once.
    let sent = bench.send();
    assert!(matches!(bench.answer(&sent, SECOND, None, None), Verdict::Fresh(_)));
    assert_eq!(bench.pause(), 2 * SECOND);
    assert_eq!(bench.next_ask(), Ask::Now);
}

#[test]
fn a_query_asked_at_an_interval_is_guarded_as_any_other() {
    let mut bench = Bench::new(&catalog());
    bench.inner = Loop::new(Nature::of(&catalog(), Some(30 * SECOND)));
    bench.round(MS, Some(700), Some("[1,2]"));
    assert!(bench.pause() > 23 * SECOND && bench.pause() <= 30 * SECOND);
    assert_eq!(bench.next_ask(), Ask::Now);
    let sent = bench.send();
    assert!(matches!(bench.answer(&sent, MS, Some(3), Some("[1]")), Verdict::Backwards { .. }));
    bench.holds("[1,2]");
}

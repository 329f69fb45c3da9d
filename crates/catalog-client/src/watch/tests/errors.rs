//! Rows 19-28, 42, 45, 46 of consul-api 7: reads that fail.

use super::*;

#[test]
fn row_19_20_what_a_version_does_not_have_is_asked_for_hourly() {
    let mut bench = Bench::new(&catalog());
    assert!(bench.fail(Class::Unsupported));
    let pause = bench.pause();
    assert!(pause > 3200 * SECOND && pause <= 3600 * SECOND, "{pause:?}");
    assert!(!bench.fail(Class::Unsupported), "said once");
    // And when the agent has been away: it may be another version.
    bench.inner.resume(bench.now);
    assert_eq!(bench.pause(), Duration::ZERO);
}

#[test]
fn row_21_23_a_denial_keeps_the_data_forgets_the_index_and_backs_off_from_five_seconds() {
    let mut bench = Bench::at(&catalog(), 7, "[1]");
    let mut pauses = Vec::new();
    for n in 0..6 {
        assert_eq!(bench.fail(Class::Denied), n == 0, "said once");
        pauses.push(bench.pause().as_secs());
        assert_eq!(bench.inner.clone().send(bench.now, &bench.config).ask, Ask::Now);
    }
    assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
    bench.holds("[1]");
    assert_eq!(bench.inner.failing(), Some(Class::Denied));
}

#[test]
fn row_22_another_class_is_said_again() {
    let mut bench = Bench::at(&catalog(), 7, "[1]");
    assert!(bench.fail(Class::Denied));
    assert!(bench.fail(Class::TokenUnknown));
    assert!(!bench.fail(Class::TokenUnknown));
    assert!(bench.fail(Class::Server));
}

#[test]
fn row_24_26_too_much_asked_keeps_the_index() {
    let mut bench = Bench::at(&catalog(), 7, "[1]");
    assert!(bench.fail(Class::Busy));
    assert_eq!(bench.pause(), SECOND);
    // Whether that is over shows after a short wait, and not after a whole one.
    assert_eq!(bench.inner.clone().send(bench.now, &bench.config).wait, SECOND);
    assert_eq!(bench.next_ask(), Ask::Above(7));
    bench.holds("[1]");
}

#[test]
fn row_27_28_46_errors_of_servers_and_connections_forget_the_index_and_double_the_pause() {
    for class in [Class::Server, Class::Transport] {
        let mut bench = Bench::at(&catalog(), 7, "[1]");
        let mut pauses = Vec::new();
        for _ in 0..8 {
            bench.fail(class);
            pauses.push(bench.pause().as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(bench.next_ask(), Ask::Now);
        bench.holds("[1]");
        // The first good answer ends it.
        let verdict = bench.round(MS, Some(7), Some("[1]"));
        assert_eq!(verdict, Verdict::Same { recovered: true, facts: None, rose: false });
        bench.fail(class);
        assert_eq!(bench.pause(), SECOND);
    }
}

#[test]
fn a_mistake_is_said_once_and_repeated_every_minute() {
    let mut bench = Bench::at(&catalog(), 7, "[1]");
    assert!(bench.fail(Class::Mistake));
    assert!(!bench.fail(Class::Mistake));
    assert!(bench.pause() > 50 * SECOND && bench.pause() <= 60 * SECOND);
}

#[test]
fn row_45_a_body_that_cannot_be_read_changes_nothing_and_is_asked_for_again() {
    let mut bench = Bench::at(&catalog(), 7, "[1]");
    let refuse = |bench: &mut Bench, index, body| {
        let sent = bench.send();
        bench.now += MS;
        let got = Got::scripted(Some(index), Some(body));
        let verdict = {
            let context =
                Context { config: &bench.config, denies_openly: false, acls_off: false, random: 1.0 };
            bench.inner.answered(bench.now, &sent, &got, &context)
        };
        if let Verdict::Fresh(fresh) = &verdict {
            let context =
                Context { config: &bench.config, denies_openly: false, acls_off: false, random: 1.0 };
            assert!(bench.inner.refuse(bench.now, fresh, &context));
        }
        verdict
    };
    assert!(matches!(refuse(&mut bench, 8, "[1,"), Verdict::Fresh(_)));
    assert_eq!((bench.inner.failing(), bench.pause()), (Some(Class::Rejected), SECOND));
    // It may have been cut on the way. The same again was not: it is what Consul has.
    let sent = bench.inner.clone().send(bench.now, &bench.config);
    assert_eq!(sent.ask, Ask::Now);
    assert_eq!(refuse(&mut bench, 8, "[1,"), Verdict::Refused);
    assert_eq!(bench.next_ask(), Ask::Above(8));
    let sent = bench.send();
    assert_eq!(bench.answer(&sent, 60 * SECOND, Some(8), Some("[1,")), Verdict::Refused);
    assert_eq!(bench.inner.failing(), Some(Class::Rejected), "it still cannot be read");
    bench.holds("[1]");
    bench.round(SECOND, Some(9), Some("[2]"));
    bench.holds("[2]");
    assert_eq!(bench.inner.failing(), None);
}

#[test]
fn at_a_cold_start_any_server_will_do_after_ten_seconds() {
    let mut bench = Bench::new(&catalog());
    let start = bench.now;
    while bench.now < start + 9 * SECOND {
        let sent = bench.send();
        if bench.now < start + 10 * SECOND {
            assert_eq!(sent.ask, Ask::Now);
        }
        bench.inner.failed(bench.now, Class::Server, 1.0, &bench.config);
    }
    let sent = bench.send();
    assert_eq!(sent.ask, Ask::Stale);
    let verdict = bench.answer(&sent, MS, Some(7), Some("[1]"));
    let Verdict::Fresh(fresh) = verdict else { panic!("{verdict:?}") };
    assert!(fresh.facts.degraded);
    // Not once something is known.
    bench.fail(Class::Server);
    bench.now += 60 * SECOND;
    assert_eq!(bench.next_ask(), Ask::Now);
    // The first answer of the leader takes the mark away.
    let sent = bench.send();
    let verdict = bench.answer(&sent, MS, Some(7), Some("[1]"));
    let Verdict::Same { facts: Some(facts), .. } = verdict else { panic!("{verdict:?}") };
    assert!(!facts.degraded);
}

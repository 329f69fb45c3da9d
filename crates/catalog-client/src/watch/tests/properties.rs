//! What holds whatever an agent answers.

use super::*;
use proptest::{collection::vec, prelude::*};

/// What an agent may do to a round.
#[derive(Clone, Debug)]
enum Deed {
    /// The truth, after so many milliseconds.
    True(u64),
    /// Something was written first.
    Write,
    /// The old index with an empty body, early or late.
    Same {
        body: bool,
        held: u64,
    },
    /// A lower index, another body: a replay, a lagging copy.
    Lower {
        index: u64,
    },
    /// The index of what is applied with less in it: a right was lost.
    Less,
    /// The same again as before with a risen index.
    Rise,
    Fail(Class),
    /// The agent was away.
    Away,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let class = prop::sample::select(vec![
        Class::Transport,
        Class::Server,
        Class::Busy,
        Class::Denied,
        Class::TokenUnknown,
        Class::Mistake,
    ]);
    let deed = prop_oneof![
        (0..90_000_u64).prop_map(Deed::True),
        Just(Deed::Write),
        (any::<bool>(), 0..70_000_u64).prop_map(|(body, held)| Deed::Same { body, held }),
        (1..500_u64).prop_map(|index| Deed::Lower { index }),
        Just(Deed::Less),
        Just(Deed::Rise),
        class.prop_map(Deed::Fail),
        Just(Deed::Away),
    ];
    vec(deed, 0..60)
}

/// An agent whose index starts high, so that "lower" is below all that was.
struct Truth {
    index: u64,
    body: String,
    said: Vec<String>,
    lower_since: Option<Instant>,
}

impl Truth {
    fn new() -> Self {
        let body = "[0,0,0,0]".to_owned();
        Self { index: 1000, said: vec![body.clone()], body, lower_since: None }
    }

    fn write(&mut self) {
        self.index += 3;
        self.body = format!("[{},{}]", self.index, self.index);
        self.said.push(self.body.clone());
    }

    fn answer(&self, bench: &mut Bench, sent: &Sent, held: u64) {
        let held = match sent.ask {
            // What has not changed is held, what has is not.
            Ask::Above(index) if index == self.index => sent.wait,
            _ => Duration::from_millis(held.min(900)),
        };
        bench.answer(sent, held, Some(self.index), Some(&self.body));
    }
}

/// Lets an agent do all this to a loop and says when each request was sent.
fn play(bench: &mut Bench, truth: &mut Truth, deeds: &[Deed]) -> Vec<(Instant, Ask)> {
    let mut sent_at = Vec::new();
    for deed in deeds {
        if matches!(deed, Deed::Write) {
            truth.write();
        }
        if matches!(deed, Deed::Away) {
            bench.inner.resume(bench.now);
            continue;
        }
        let sent = bench.send();
        sent_at.push((bench.now, sent.ask.clone()));
        let known = bench.document.clone();
        match deed {
            Deed::True(held) => truth.answer(bench, &sent, *held),
            Deed::Write => truth.answer(bench, &sent, 5),
            Deed::Same { body, held } => match sent.ask {
                Ask::Above(index) => {
                    let body = if *body { truth.body.clone() } else { "[]".to_owned() };
                    let held = Duration::from_millis(*held);
                    bench.answer(&sent, held, Some(index), Some(&body));
                }
                _ => truth.answer(bench, &sent, 5),
            },
            // A replay is over in 2 s; what lasts longer is a restore, which is to be believed.
            Deed::Lower { index } if known.is_some() => {
                let since = *truth.lower_since.get_or_insert(bench.now);
                if bench.now - since < 2 * SECOND {
                    bench.answer(&sent, MS, Some(*index), Some("[wrong]"));
                } else {
                    truth.lower_since = None;
                    truth.answer(bench, &sent, 5);
                }
            }
            Deed::Less if known.is_some() && sent.ask == Ask::Now => {
                let index = bench.inner.high;
                bench.answer(&sent, MS, Some(index), Some("[w]"));
            }
            Deed::Rise => {
                truth.index += 1;
                truth.answer(bench, &sent, 5);
            }
            Deed::Fail(class) => {
                bench.inner.failed(bench.now, *class, 0.5, &bench.config);
            }
            _ => truth.answer(bench, &sent, 5),
        }
        if !matches!(deed, Deed::Lower { .. } | Deed::Fail(Class::Busy)) {
            truth.lower_since = None;
        }
        assert!(known.is_none() || bench.document.is_some(), "{deed:?} took the data away");
        if let Some(document) = &bench.document {
            assert!(truth.said.contains(document), "{deed:?} brought {document}, which was never true");
        }
    }
    sent_at
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn data_is_never_lost_nor_wrong_and_becomes_current(deeds in deeds()) {
        let mut bench = Bench::new(&catalog());
        let mut truth = Truth::new();
        play(&mut bench, &mut truth, &deeds);
        truth.write();
        let start = bench.now;
        for _ in 0..6 {
            let sent = bench.send();
            truth.answer(&mut bench, &sent, 5);
        }
        prop_assert_eq!(bench.document.as_deref(), Some(&*truth.body));
        // Its pauses: at most a minute after a failure.
        prop_assert!(bench.now - start < Duration::from_secs(60 + 6 * 60));
        prop_assert_eq!(bench.inner.failing(), None);
    }

    #[test]
    fn an_agent_that_answers_at_once_is_never_asked_more_often_than_the_limiter_lets(
        answers in vec((0..3_u8, 1..4_u64), 1..200),
    ) {
        let mut bench = Bench::at(&catalog(), 1000, "[1]");
        let mut sent_at = Vec::new();
        for (what, index) in answers {
            let sent = bench.send();
            sent_at.push(bench.now);
            let asked = if let Ask::Above(index) = sent.ask { index } else { 1000 };
            match what {
                0 => bench.answer(&sent, MS, Some(asked), Some("[1]")),
                1 => bench.answer(&sent, MS, Some(asked + index), Some("[1]")),
                _ => bench.answer(&sent, MS, Some(index), Some("[2]")),
            };
            if bench.document.as_deref() != Some("[1]") {
                break;
            }
        }
        for (n, from) in sent_at.iter().enumerate() {
            for (m, to) in sent_at.iter().enumerate().skip(n) {
                let allowed = 3 + usize::try_from((*to - *from).as_secs()).unwrap();
                prop_assert!(m - n < allowed, "{} requests in {:?}", m - n + 1, *to - *from);
            }
        }
    }

    #[test]
    fn an_index_is_forgotten_after_an_error_and_kept_when_too_much_was_asked(deeds in deeds()) {
        let mut bench = Bench::new(&catalog());
        let mut truth = Truth::new();
        let mut failed = None;
        for deed in &deeds {
            let waited = bench.inner.will_wait();
            let sent_at = play(&mut bench, &mut truth, std::slice::from_ref(deed));
            if let (Some(class), Some((_, ask))) = (failed, sent_at.first()) {
                prop_assert_eq!(*ask == Ask::Now || *ask == Ask::Stale, class != Class::Busy || !waited);
            }
            failed = match deed {
                Deed::Fail(class) => Some(*class),
                Deed::Away => None,
                _ => None,
            };
        }
    }
}

//! The rule set against a reference: the specification's pseudo-code, word for word, over every rule in turn.
//!
//! Sets are made at random, with namespaces, partitions, peers, wildcards, permissions, headers, tokens and rows that
//! are not understood, and go through the parser as JSON.
#![expect(clippy::unwrap_used, clippy::panic, reason = "this is how a test fails")]

#[path = "../support/mod.rs"]
mod support;

mod evaluator;
mod model;
mod random;

use std::sync::Arc;

use intentions::{DefaultPolicy, Denial, Protocol, RequestPermit, RuleSet, Source, Verdict, parse_list};
use mesh_id::{Namespace, Partition};
use proptest::prelude::*;
use serde_json::Value;

use evaluator::{Asked, decide};
use model::{ModelCaller, Row};

/// What the fast way says: allowed or not, and the decision's text.
fn fast(rules: &RuleSet, asked: &Asked<'_>, request: &support::Request) -> (bool, String) {
    let ids = asked.caller.ids();
    let source = match &ids {
        (id, None) => Source::Direct(id),
        (gateway, Some(origin)) => Source::ViaGateway { gateway, origin: origin.as_ref() },
    };
    let decided = match rules.check_connection(source, asked.protocol) {
        Verdict::Allow(permit) => permit.why().clone(),
        Verdict::Deny(denial) => denial.why().clone(),
        Verdict::NeedsRequest(outlook) => {
            let answer = rules.check_request(source, &request.head());
            let decided = answer.as_ref().map_or_else(Denial::why, RequestPermit::why).clone();
            assert!(outlook.decision().is_none_or(|certain| *certain == decided), "what was foreseen");
            decided
        }
    };
    let explained = rules.explain(source, asked.protocol, Some(&request.head()));
    assert_eq!(explained.decision.as_deref(), Some(&decided), "what is explained is what is done");
    assert_eq!(
        explained.steps.last().map(|step| &step.intention).filter(|_| decided.intention().is_some()),
        decided.intention()
    );
    (decided.is_allowed(), decided.to_string())
}

fn destination() -> intentions::Destination {
    intentions::Destination {
        namespace: Namespace::parse("default").unwrap(),
        partition: Partition::parse("default").unwrap(),
        ..support::destination("api")
    }
}

fn mesh() -> intentions::LocalMesh {
    let peers = model::PEERS.map(|(name, domain, partition)| support::peer(name, domain, partition));
    intentions::LocalMesh { peers: peers.into(), ..support::mesh() }
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 100_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fast_equals_reference(
        rows in random::rows(),
        default in prop_oneof![Just(DefaultPolicy::Allow), Just(DefaultPolicy::Deny)],
        requests in prop::collection::vec(random::request(), 1..4),
        rotation in 0..12usize,
    ) {
        let documents: Vec<Value> = rows.iter().map(Row::json).collect();
        let parsed = parse_list(&serde_json::to_vec(&documents).unwrap()).unwrap();
        let rules = RuleSet::compile(&destination(), &parsed.intentions, default, &mesh());

        // The order of the document says nothing.
        let mut turned: Vec<Arc<_>> = parsed.intentions;
        let count = turned.len().max(1);
        turned.rotate_left(rotation % count);
        prop_assert_eq!(&RuleSet::compile(&destination(), &turned, default, &mesh()), &rules);

        for caller in ModelCaller::all() {
            for protocol in [Protocol::Tcp, Protocol::Http] {
                for request in &requests {
                    let asked = Asked { caller: &caller, protocol, request };
                    let expected = decide(&rows, default, &asked);
                    let (allowed, text) = fast(&rules, &asked, &request.build());
                    prop_assert_eq!(allowed, expected.allowed, "{:?} {:?}: {} but {}", caller, protocol, text, expected.why);
                    if allowed {
                        prop_assert_eq!(&text, &expected.why);
                    }
                }
            }
        }
    }

    /// Taking understanding away never opens: a row whose rule is replaced by nonsense denies what it covered.
    #[test]
    fn nonsense_never_opens(
        rows in random::rows(),
        at in 0..12usize,
        default in prop_oneof![Just(DefaultPolicy::Allow), Just(DefaultPolicy::Deny)],
        request in random::request(),
        nonsense in random::nonsense(),
    ) {
        // A row that contradicts another one closes by that; without its source it no longer contradicts anything.
        let contradicts = |row: &Row| rows.iter().any(|other| other != row && evaluator::same_names(row, other));
        prop_assume!(!rows.is_empty() && !rows.iter().any(contradicts));
        let at = at % rows.len();
        let mut documents: Vec<Value> = rows.iter().map(Row::json).collect();
        let compile = |documents: &[Value]| {
            let parsed = parse_list(&serde_json::to_vec(documents).unwrap()).unwrap();
            RuleSet::compile(&destination(), &parsed.intentions, default, &mesh())
        };
        let before = compile(&documents);
        nonsense.spoil(&mut documents[at]);
        let after = compile(&documents);
        for caller in ModelCaller::all() {
            for protocol in [Protocol::Tcp, Protocol::Http] {
                let asked = Asked { caller: &caller, protocol, request: &request };
                let (was, why) = fast(&before, &asked, &request.build());
                let (is, text) = fast(&after, &asked, &request.build());
                prop_assert!(was || !is, "{:?} opened {:?} {:?}: {} but was {}", nonsense, caller, protocol, text, why);
            }
        }
    }
}

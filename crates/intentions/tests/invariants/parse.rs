//! What must hold for any bytes as a document. The fuzz target and the replay of its corpus run this same function.

use std::sync::Arc;

use intentions::{
    DefaultPolicy, Destination, Effect, Intention, LocalMesh, Parsed, PermissionMatch, Rule, RuleSet,
    from_config_entry, parse_list, parse_match,
};
use mesh_id::{ServiceName, TrustDomain};
use serde_json::Value;

/// Panics if a rule is broken.
pub(crate) fn check(input: &[u8]) {
    let value: Option<Value> = serde_json::from_slice(input).ok();
    if let Ok(parsed) = parse_list(input) {
        let rows = value.as_ref().and_then(Value::as_array).map_or(0, Vec::len);
        check_rows(&parsed, rows);
    }
    if let Ok(parsed) = parse_match(input, "api") {
        let rows = value.as_ref().and_then(|value| value["api"].as_array()).map_or(0, Vec::len);
        check_rows(&parsed, rows);
    }
    if let Some(parsed) = value.as_ref().and_then(|value| from_config_entry(value).ok()) {
        check_closed(&parsed);
    }
}

/// Each row is an intention, or was left out with a reason.
fn check_rows(parsed: &Parsed, rows: usize) {
    let ignored = parsed.problems.iter().filter(|problem| problem.effect == Effect::Ignored).count();
    assert_eq!(parsed.intentions.len() + ignored, rows);
    check_closed(parsed);
}

/// What is not understood is reported, and denies under either default.
fn check_closed(parsed: &Parsed) {
    for problem in &parsed.problems {
        assert!(!problem.to_string().is_empty() && !problem.what.is_empty());
    }
    let count = |effect| parsed.problems.iter().filter(|problem| problem.effect == effect).count();
    let closed = parsed.intentions.iter().filter(|one| matches!(one.rule, Rule::NotUnderstood(_))).count();
    assert_eq!(closed, count(Effect::Denies));
    let odd = |intention: &Arc<Intention>| match &intention.rule {
        Rule::Permissions(all) => {
            assert!(!all.is_empty());
            all.iter().filter(|one| matches!(one.matches, PermissionMatch::NotUnderstood(_))).count()
        }
        _ => 0,
    };
    // (An action that is not known is a problem of its own.)
    assert!(parsed.intentions.iter().map(odd).sum::<usize>() <= count(Effect::PermissionCloses));
    for intention in &parsed.intentions {
        assert!((1..=9).contains(&intention.precedence));
    }
    let mesh = LocalMesh::new(TrustDomain::parse("t.consul").expect("a trust domain"));
    let destination = Destination::new(ServiceName::parse("api").expect("a name"));
    let compile = |default| RuleSet::compile(&destination, &parsed.intentions, default, &mesh);
    let rules = compile(DefaultPolicy::Deny);
    assert_eq!(rules, compile(DefaultPolicy::Deny));
    assert_ne!(rules, compile(DefaultPolicy::Allow));
    assert!(rules.intentions().len() <= parsed.intentions.len());
    assert!(rules.intentions().map(|intention| intention.precedence).is_sorted_by(|one, next| one >= next));
}

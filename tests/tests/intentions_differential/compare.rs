//! One pair: what Consul says in two ways, and what we say.

use intentions::{
    DefaultPolicy, Destination, IntentionSource, LocalMesh, Protocol, RuleSet, Source, Verdict, Why,
    parse_list,
};
use mesh_id::{ServiceName, SpiffeId, TrustDomain};
use serde_json::Value;

const TRUST_DOMAIN: &str = "11111111-2222-3333-4444-555555555555.consul";

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Pairs about which all three agreed.
    pub(crate) agreed: u64,
    /// Of them, decided by an intention.
    pub(crate) by_intention: u64,
    /// Of them, allowed.
    pub(crate) allowed: u64,
    pub(crate) disagreements: Vec<String>,
}

/// From the rows of an answer.
pub(crate) fn rules(rows: &Value, destination: &str, default: DefaultPolicy) -> RuleSet {
    let parsed = parse_list(&serde_json::to_vec(rows).unwrap()).unwrap();
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
    let destination = Destination::new(ServiceName::parse(destination).unwrap());
    let mesh = LocalMesh::new(TrustDomain::parse(TRUST_DOMAIN).unwrap());
    let rules = RuleSet::compile(&destination, &parsed.intentions, default, &mesh);
    assert!(rules.problems().is_empty(), "{:?}", rules.problems());
    rules
}

pub(crate) fn uri(source: &str) -> String {
    format!("spiffe://{TRUST_DOMAIN}/ns/default/dc/dc1/svc/{source}")
}

pub(crate) fn compare(
    rules: &RuleSet,
    source: &str,
    destination: &str,
    check: &Value,
    authorize: &Value,
    report: &mut Report,
) {
    let id = SpiffeId::parse(&uri(source)).unwrap();
    let decision = match rules.check_connection(Source::Direct(&id), Protocol::Tcp) {
        Verdict::Allow(permit) => permit.why().clone(),
        Verdict::Deny(denial) => denial.why().clone(),
        Verdict::NeedsRequest(_) => panic!("a connection was asked for"),
    };
    let allowed = decision.is_allowed();
    let reason = authorize["Reason"].as_str().unwrap();
    let same = check["Allowed"] == allowed
        && authorize["Authorized"] == allowed
        && same_reason(decision.why(), reason);
    if same {
        report.agreed += 1;
        report.by_intention += u64::from(decision.intention().is_some());
        report.allowed += u64::from(allowed);
    } else {
        let text =
            format!("{source} -> {destination}: ours {decision}; check {check}; authorize {authorize}");
        report.disagreements.push(text);
    }
}

/// Consul names the intention that decided: `... default/web => default/api (...)`.
fn same_reason(why: &Why, reason: &str) -> bool {
    let (Why::Intention { intention, .. } | Why::PermissionsOnTcp { intention }) = why else {
        return matches!(why, Why::DefaultPolicy) && !reason.starts_with("Matched");
    };
    let IntentionSource::Services(source) = &intention.source else { return false };
    let destination = &intention.destination;
    let named =
        format!("{}/{} => {}/{} (", source.namespace, source.name, destination.namespace, destination.name);
    reason.starts_with("Matched") && reason.contains(&format!(" {named}"))
}

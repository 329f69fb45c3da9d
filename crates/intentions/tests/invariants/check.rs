//! What must hold for any intentions, caller and request. The fuzz target and the replay of its corpus run this same
//! function.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use intentions::{
    DefaultPolicy, Destination, LocalMesh, Normalization, NormalizedPath, Outcome, PeerBundle, Protocol,
    RequestHead, RuleSet, Source, Verdict, Why, parse_list, xfcc,
};
use mesh_id::{Partition, PeerName, ServiceName, SpiffeId, TrustDomain};

/// Panics if a rule is broken. Lines: a list of intentions in JSON, the URI of a certificate, method and target, then
/// header lines.
pub(crate) fn check(input: &[u8]) {
    let mut lines = input.split(|byte| *byte == b'\n');
    let Some(Ok(parsed)) = lines.next().map(parse_list) else { return };
    let Some(id) = lines
        .next()
        .and_then(|line| std::str::from_utf8(line).ok())
        .and_then(|uri| SpiffeId::parse(uri).ok())
    else {
        return;
    };
    let request = lines.next().and_then(|line| std::str::from_utf8(line).ok()).unwrap_or("GET /");
    let (method, target) = request.split_once(' ').unwrap_or(("GET", "/"));
    let Ok(method) = Method::from_bytes(method.as_bytes()) else { return };
    let Outcome::Path(path) = NormalizedPath::normalize(&method, target, &Normalization::default()) else {
        return;
    };
    let headers = headers(lines);
    let origin = xfcc::origin(&headers).ok().flatten();
    let source = match headers.contains_key(xfcc::NAME) {
        true => Source::ViaGateway { gateway: &id, origin: origin.as_ref() },
        false => Source::Direct(&id),
    };
    let head = RequestHead { method: &method, path: &path, authority: None, scheme: None, headers: &headers };
    for default in [DefaultPolicy::Allow, DefaultPolicy::Deny] {
        let rules = RuleSet::compile(&destination(), &parsed.intentions, default, &mesh());
        check_connection(&rules, source);
        check_request(&rules, source, &head);
    }
}

fn check_connection(rules: &RuleSet, source: Source<'_>) {
    let explained =
        rules.explain(source, Protocol::Tcp, None).decision.expect("a connection is always decided");
    match rules.check_connection(source, Protocol::Tcp) {
        Verdict::Allow(permit) => {
            assert_eq!(*permit.why(), *explained);
            assert!(matches!(
                permit.why().why(),
                Why::Intention { permission: None, .. } | Why::DefaultPolicy | Why::NoServiceIdentity
            ));
        }
        Verdict::Deny(denial) => assert_eq!(*denial.why(), *explained),
        Verdict::NeedsRequest(_) => panic!("a connection was asked for"),
    }
}

fn check_request(rules: &RuleSet, source: Source<'_>, head: &RequestHead<'_>) {
    let explained =
        rules.explain(source, Protocol::Http, Some(head)).decision.expect("a request is always decided");
    let decided = match rules.check_request(source, head) {
        Ok(permit) => permit.why().clone(),
        Err(denial) => denial.why().clone(),
    };
    assert_eq!(decided, *explained);
    assert!(decided.to_string().ends_with(if decided.is_allowed() { ": allow" } else { ": deny" }));
    if !source.certificate().is_exact() {
        assert!(!decided.is_allowed());
    }
    let Verdict::NeedsRequest(outlook) = rules.check_connection(source, Protocol::Http) else {
        panic!("requests are judged one by one")
    };
    assert!(outlook.decision().is_none_or(|certain| *certain == decided));
}

fn headers<'a>(lines: impl Iterator<Item = &'a [u8]>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.take(32) {
        let end = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(end);
        let value = HeaderValue::from_bytes(value.get(1..).unwrap_or_default());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), value) {
            headers.append(name, value);
        }
    }
    headers
}

fn destination() -> Destination {
    Destination::new(ServiceName::parse("api").expect("a name"))
}

fn mesh() -> LocalMesh {
    let domain = |text| TrustDomain::parse(text).expect("a trust domain");
    let peer = PeerBundle {
        peer: PeerName::parse("peer1").expect("a name"),
        trust_domain: domain("p.consul"),
        partition: Partition::default(),
    };
    LocalMesh { peers: vec![peer], ..LocalMesh::new(domain("t.consul")) }
}

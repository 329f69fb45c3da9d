//! What the tests share: short texts for intentions and callers, as the tables of the specification write them.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what does not fit fails the test")]

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use intentions::{
    DefaultPolicy, Denial, Destination, Intention, LocalMesh, Normalization, NormalizedPath, Outcome,
    PeerBundle, Protocol, RequestHead, RequestPermit, RuleSet, Source, Verdict, parse_match,
};
use mesh_id::{Partition, PeerName, ServiceName, SpiffeId, TrustDomain};
use serde_json::{Value, json};

pub(crate) const TRUST_DOMAIN: &str = "test.consul";
pub(crate) const PEER_DOMAIN: &str = "peer.consul";

/// The cluster of the tables: one peer, `peer1`, whose bundle is known.
pub(crate) fn mesh() -> LocalMesh {
    LocalMesh { peers: vec![peer("peer1", PEER_DOMAIN, "default")], ..LocalMesh::new(domain(TRUST_DOMAIN)) }
}

pub(crate) fn peer(name: &str, trust_domain: &str, partition: &str) -> PeerBundle {
    PeerBundle {
        peer: PeerName::parse(name).unwrap(),
        trust_domain: domain(trust_domain),
        partition: Partition::parse(partition).unwrap(),
    }
}

pub(crate) fn domain(text: &str) -> TrustDomain {
    TrustDomain::parse(text).unwrap()
}

pub(crate) fn destination(name: &str) -> Destination {
    Destination::new(ServiceName::parse(name).unwrap())
}

/// `web A`, `*->api D`, `web->* D`, `p/web A`, `q/web A` (a peer without bundle), `web [D =/a; A ^/; A ~/v[12] GET,HEAD]`,
/// `web A + JWT`, `web [A ^/ + JWT]`; the destination is `api` where none is named.
pub(crate) fn row(text: &str) -> Value {
    let (text, jwt) = split_jwt(text);
    let (names, rule) = text.trim().split_once(' ').unwrap();
    let (source, destination) = names.split_once("->").unwrap_or((names, "api"));
    let (peer, name) = source.split_once('/').map_or((None, source), |(peer, name)| (Some(peer), name));
    let precedence = match (destination, name) {
        ("*", "*") => 5,
        ("*", _) => 6,
        (_, "*") => 8,
        _ => 9,
    };
    let mut row = json!({
        "SourceNS": "default", "SourceName": name, "DestinationNS": "default", "DestinationName": destination,
        "SourceType": "consul", "Precedence": precedence,
    });
    match peer {
        Some("p") => row["SourcePeer"] = "peer1".into(),
        Some("q") => row["SourcePeer"] = "peer2".into(),
        Some(other) => panic!("{other}"),
        None => {}
    }
    match rule.trim() {
        rule if rule.starts_with('[') => {
            let inside = rule.trim_start_matches('[').strip_suffix(']').unwrap();
            row["Permissions"] = inside.split("; ").map(permission).collect();
        }
        rule => row["Action"] = action(rule).into(),
    }
    if jwt {
        row["JWT"] = provider();
    }
    row
}

fn split_jwt(text: &str) -> (&str, bool) {
    text.strip_suffix(" + JWT").map_or((text, false), |rest| (rest, true))
}

pub(crate) fn provider() -> Value {
    json!({"Providers": [{"Name": "okta", "VerifyClaims": [{"Path": ["roles"], "Value": "testing"}]}]})
}

fn action(letter: &str) -> &'static str {
    match letter {
        "A" => "allow",
        "D" => "deny",
        other => panic!("{other}"),
    }
}

fn permission(text: &str) -> Value {
    let (text, jwt) = split_jwt(text.trim());
    let mut words = text.split(' ');
    let mut permission = json!({"Action": action(words.next().unwrap()), "HTTP": {}});
    let path = words.next().unwrap();
    let (kind, path) = path.split_at(1);
    let key = match kind {
        "=" => "PathExact",
        "^" => "PathPrefix",
        "~" => "PathRegex",
        other => panic!("{other}"),
    };
    permission["HTTP"][key] = path.into();
    if let Some(methods) = words.next() {
        permission["HTTP"]["Methods"] = methods.split(',').collect();
    }
    if jwt {
        permission["JWT"] = provider();
    }
    permission
}

/// Through the parser, as Consul would answer for `api`.
pub(crate) fn intentions(rows: &[&str]) -> Vec<Arc<Intention>> {
    parsed(&rows.iter().map(|text| row(text)).collect())
}

pub(crate) fn parsed(rows: &Value) -> Vec<Arc<Intention>> {
    parse_match(json!({"api": rows}).to_string().as_bytes(), "api").unwrap().intentions
}

pub(crate) fn rules(rows: &[&str], default: DefaultPolicy) -> RuleSet {
    RuleSet::compile(&destination("api"), &intentions(rows), default, &mesh())
}

pub(crate) fn rules_of(rows: &Value, default: DefaultPolicy) -> RuleSet {
    RuleSet::compile(&destination("api"), &parsed(rows), default, &mesh())
}

pub(crate) fn id(uri: &str) -> SpiffeId {
    SpiffeId::parse(uri).unwrap()
}

/// A caller with its own certificate, or through a mesh gateway.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    Direct(SpiffeId),
    Via(SpiffeId, Option<SpiffeId>),
}

impl Caller {
    pub(crate) fn source(&self) -> Source<'_> {
        match self {
            Self::Direct(id) => Source::Direct(id),
            Self::Via(gateway, origin) => Source::ViaGateway { gateway, origin: origin.as_ref() },
        }
    }
}

/// `web`, `web@dc2`, `team:web` (namespace), `part1|web` (partition), `foreign`, `WEB`, `w%65b`, `p/web` (own certificate),
/// `mgw`, `mgw>p/web` (through the gateway), `web>p/other` (a header that is none of its business), `agent`, `server`.
pub(crate) fn caller(text: &str) -> Caller {
    match text.split_once('>') {
        Some((gateway, "")) => Caller::Via(identity(gateway), None),
        Some((gateway, origin)) => Caller::Via(identity(gateway), Some(identity(origin))),
        None => Caller::Direct(identity(text)),
    }
}

fn identity(text: &str) -> SpiffeId {
    let uri = match text {
        "mgw" => format!("spiffe://{TRUST_DOMAIN}/gateway/mesh/dc/dc1"),
        "part1|mgw" => format!("spiffe://{TRUST_DOMAIN}/ap/part1/gateway/mesh/dc/dc1"),
        "p/mgw" => format!("spiffe://{PEER_DOMAIN}/gateway/mesh/dc/dc1"),
        "agent" => format!("spiffe://{TRUST_DOMAIN}/agent/client/dc/dc1/id/node"),
        "server" => format!("spiffe://{TRUST_DOMAIN}/agent/server/dc/dc1"),
        "foreign" => "spiffe://foreign.consul/ns/default/dc/dc1/svc/web".to_owned(),
        "default|web" => format!("spiffe://{TRUST_DOMAIN}/ap/default/ns/default/dc/dc1/svc/web"),
        _ => {
            let (domain, text) =
                text.strip_prefix("p/").map_or((TRUST_DOMAIN, text), |rest| (PEER_DOMAIN, rest));
            let (partition, text) = text.split_once('|').unwrap_or(("", text));
            let (namespace, text) = text.split_once(':').unwrap_or(("default", text));
            let (name, datacenter) = text.split_once('@').unwrap_or((text, "dc1"));
            let partition = if partition.is_empty() { String::new() } else { format!("/ap/{partition}") };
            format!("spiffe://{domain}{partition}/ns/{namespace}/dc/{datacenter}/svc/{name}")
        }
    };
    id(&uri)
}

/// A request with everything that a check looks at.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: NormalizedPath,
    pub(crate) authority: Option<String>,
    pub(crate) headers: HeaderMap,
}

impl Request {
    /// `/path`, `POST /path`; normalized with the defaults.
    pub(crate) fn new(text: &str) -> Self {
        Self::with(text, &Normalization::default())
    }

    pub(crate) fn with(text: &str, options: &Normalization) -> Self {
        let (method, target) = text.split_once(' ').unwrap_or(("GET", text));
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let Outcome::Path(path) = NormalizedPath::normalize(&method, target, options) else {
            panic!("{text}")
        };
        Self { method, path, authority: None, headers: HeaderMap::new() }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        self
    }

    pub(crate) fn head(&self) -> RequestHead<'_> {
        RequestHead {
            method: &self.method,
            path: &self.path,
            authority: self.authority.as_deref(),
            scheme: Some("http"),
            headers: &self.headers,
        }
    }
}

pub(crate) fn request(rules: &RuleSet, caller: &Caller, request: &Request) -> Result<RequestPermit, Denial> {
    rules.check_request(caller.source(), &request.head())
}

/// On TCP the connection; on HTTP the request.
pub(crate) fn allowed(
    rules: &RuleSet,
    caller: &Caller,
    protocol: Protocol,
    head: &Request,
) -> Result<String, String> {
    match rules.check_connection(caller.source(), protocol) {
        Verdict::Allow(permit) => Ok(permit.why().to_string()),
        Verdict::Deny(denial) => Err(denial.to_string()),
        Verdict::NeedsRequest(outlook) => {
            let decision = request(rules, caller, head);
            if let Some(certain) = outlook.decision() {
                let decided = decision.as_ref().map_or_else(Denial::why, RequestPermit::why);
                assert_eq!(certain, decided, "what was foreseen");
            }
            decision.map(|permit| permit.why().to_string()).map_err(|denial| denial.to_string())
        }
    }
}

//! May this source call this service? Consul's intentions, read in every form in which Consul answers, compiled for one
//! destination, and asked once for a connection or for each request.
//!
//! 1. [`parse_match`], [`parse_list`] and [`from_config_entry`] read documents into [`Intention`]s. A row that cannot be
//!    understood becomes a row that denies, and a [`Problem`]; it never disappears where that would open something.
//! 2. [`RuleSet::compile`] picks the rows of one [`Destination`] and indexes them by source.
//! 3. [`RuleSet::check_connection`] answers for a TCP service, right after the handshake. For an HTTP service
//!    [`NormalizedPath::normalize`] comes first and [`RuleSet::check_request`] answers for each request.
//! 4. A yes is a [`ConnPermit`] or a [`RequestPermit`]. Only the check can make one, so what forwards traffic asks for
//!    one. It says [why](Decision), as a no does.
//!
//! There are no sockets, clocks, files or randomness here. The rules and the precedence are those that Consul documents
//! and that its API answers by; where the rules that Consul generates for Envoy differ, [`RuleSet::shadowed`] says so.
//!
//! ```
//! use intentions::{DefaultPolicy, Destination, LocalMesh, Protocol, RuleSet, Source, Verdict, parse_match};
//! use mesh_id::{ServiceName, SpiffeId, TrustDomain};
//!
//! let answer = br#"{"billing":[{"SourceNS":"default","SourceName":"web","DestinationNS":"default",
//!     "DestinationName":"billing","SourceType":"consul","Action":"allow","Precedence":9}]}"#;
//! let rows = parse_match(answer, "billing")?.intentions;
//!
//! let mesh = LocalMesh::new(TrustDomain::parse("1234.consul")?);
//! let billing = Destination::new(ServiceName::parse("billing")?);
//! let rules = RuleSet::compile(&billing, &rows, DefaultPolicy::Deny, &mesh);
//!
//! let web = SpiffeId::parse("spiffe://1234.consul/ns/default/dc/dc1/svc/web")?;
//! let Verdict::Allow(permit) = rules.check_connection(Source::Direct(&web), Protocol::Tcp) else { panic!() };
//! assert_eq!(permit.why().to_string(), "intention web => billing (precedence 9): allow");
//!
//! let cron = SpiffeId::parse("spiffe://1234.consul/ns/default/dc/dc1/svc/cron")?;
//! let Verdict::Deny(denial) = rules.check_connection(Source::Direct(&cron), Protocol::Tcp) else { panic!() };
//! assert_eq!(denial.to_string(), "default policy: deny");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod decision;
mod intention;
mod limits;
mod mesh;
mod parse;
mod path;
mod permission;
mod permit;
mod problem;
mod request;
mod ruleset;
mod source;
pub mod xfcc;

pub use decision::{Decision, Why};
pub use intention::{Action, Intention, IntentionDestination, IntentionSource, Pattern, Rule, ServiceSource};
pub use limits::{
    MAX_HEADER_MATCHES, MAX_METHODS, MAX_PATTERN, MAX_PATTERN_SIZE, MAX_PATTERNS, MAX_PERMISSIONS, MAX_TEXT,
};
pub use mesh::{DefaultPolicy, Destination, LocalMesh, PeerBundle, Protocol};
pub use parse::{ParseError, Parsed, Row, from_config_entry, parse_list, parse_match};
pub use path::{
    EscapedSlashes, HeadersWithUnderscores, Normalization, NormalizedPath, Outcome, Redirect, Rejection,
    UnknownOption,
};
pub use permission::{
    Claim, HeaderField, HeaderMatch, HeaderTest, HttpMatch, JwtProvider, JwtRequirement, PathMatch,
    Permission, PermissionMatch, TextTest,
};
pub use permit::{ConnPermit, Denial, Outlook, RequestPermit, Verdict};
pub use problem::{Effect, Problem};
pub use request::RequestHead;
pub use ruleset::{Explanation, Look, RuleSet, Shadowed, Step};
pub use source::Source;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;

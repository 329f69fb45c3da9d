//! `explain --from web --to billing-db`: the rules in the order in which they are looked at, the one that
//! decides, and where a permitted connection would go.

use std::io::{self, Write};

use gateway_runtime::reason::Reason;
use gateway_state::terminating::{Linked, LinkedService, Lookup, Origination, TerminatingSnapshot};
use intentions::{Look, Protocol, Source as Caller};
use mesh_id::SpiffeId;
use serde::Serialize;

use super::TerminatingGateway;
use crate::catalog;
use crate::explain::{Options, Routed, compute, live, text};
use crate::live::why_not_served;
use crate::settings::{Settings, Source};

/// What is asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Question<'a> {
    /// A server name.
    pub name: Option<&'a str>,
    /// Who calls: `web`, `team/web`, or a SPIFFE id.
    pub from: Option<&'a str>,
    /// A linked service, in place of a server name: `billing-db`, `team/billing-db`.
    pub to: Option<&'a str>,
}

/// The answer as a value. Its JSON is part of the interface.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Explanation {
    /// The server name that decides, lower-cased; absent where there is none.
    pub name: Option<String>,
    /// The linked service.
    pub service: Option<String>,
    /// Its protocol.
    pub protocol: Option<String>,
    /// Who calls, as its certificate would say.
    pub source: Option<String>,
    /// Every intention in the order in which it is looked at, up to the one that decides.
    pub rules: Vec<ExplainedRule>,
    /// `allow`, `deny` or `would_deny`; absent without a caller, and where no rule is ever looked at.
    pub verdict: Option<&'static str>,
    /// What decides, in words.
    pub because: Option<String>,
    /// How TLS is spoken to the service.
    pub tls: Option<String>,
    /// The address that connections leave from.
    pub source_address: Option<String>,
    /// Where a permitted connection goes.
    pub upstream: Option<Routed>,
    /// The reason that the connection would be recorded with, where it would not be connected.
    pub reason: Option<&'static str>,
    /// What else an operator should know.
    pub notes: Vec<String>,
}

/// One intention that is looked at.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ExplainedRule {
    /// Source, destination, precedence.
    pub intention: String,
    /// Whether it decides.
    pub decides: bool,
    /// Why it does not, or what it says.
    pub why: String,
}

/// Explains from what the settings name; true if the connection would be made.
pub fn explain(settings: &Settings, question: &Question<'_>, options: Options, out: &mut dyn Write) -> bool {
    let path = match &settings.source {
        Source::Catalog(path) => path,
        Source::Consul(_) => {
            // Who asks from a script may read the code only.
            let _ = writeln!(out, "explain reads a catalog of files in this version: name it with --catalog");
            return false;
        }
    };
    let snapshot = match catalog::load::<TerminatingGateway>(settings, path) {
        Ok(snapshot) => snapshot,
        Err(problems) => {
            let _ = writeln!(out, "the catalog has problems; `check` shows its warnings, too\n{problems}");
            return false;
        }
    };
    let mut explanation = match explanation(settings, &snapshot, question) {
        Ok(explanation) => explanation,
        Err(why) => {
            let _ = writeln!(out, "{why}");
            return false;
        }
    };
    if let (true, Some(upstream)) = (options.live, explanation.upstream.as_mut()) {
        match live(settings, &upstream.name) {
            Ok(live) => upstream.live = Some(live),
            Err(why) => explanation.notes.push(format!("no live figures: {why}")),
        }
    }
    let written = if options.json {
        serde_json::to_string_pretty(&explanation)
            .map_err(io::Error::other)
            .and_then(|json| writeln!(out, "{json}"))
    } else {
        write(&explanation, out)
    };
    drop(written);
    explanation.reason.is_none()
}

/// What a connection meets in a snapshot.
///
/// # Errors
/// Who or what is asked about cannot be.
pub(super) fn explanation(
    settings: &Settings,
    snapshot: &TerminatingSnapshot,
    question: &Question<'_>,
) -> Result<Explanation, String> {
    let source = question.from.map(|from| caller(snapshot, from)).transpose()?;
    let mut explanation = Explanation {
        name: None,
        service: None,
        protocol: None,
        source: source.as_ref().map(ToString::to_string),
        rules: Vec::new(),
        verdict: None,
        because: None,
        tls: None,
        source_address: None,
        upstream: None,
        reason: None,
        notes: Vec::new(),
    };
    let (service, linked) = match (question.to, question.name) {
        (Some(to), _) => {
            let Some(service) = service_of(snapshot, to) else {
                explanation.refuse(Reason::UnknownSni, not_linked(snapshot, to));
                return Ok(explanation);
            };
            let name = service.targets.first().map(|name| (**name).to_owned());
            let linked = name.as_deref().and_then(|name| match snapshot.lookup(name) {
                Lookup::Found(linked) => Some(linked),
                _ => None,
            });
            explanation.name = name;
            (service, linked)
        }
        (None, Some(name)) => {
            let name = name.to_ascii_lowercase();
            let found = match snapshot.lookup(&name) {
                Lookup::Found(linked) => (&**linked.service, Some(linked)),
                Lookup::NotReady { service, .. } => (&**service, None),
                Lookup::Unknown => {
                    explanation.refuse(Reason::UnknownSni, "no linked service has this name".to_owned());
                    explanation.notes.extend(near(snapshot, &name));
                    explanation.name = Some(name);
                    return Ok(explanation);
                }
            };
            explanation.name = Some(name);
            found
        }
        (None, None) => return Err("give a server name, or a linked service with --to".to_owned()),
    };
    explanation.service(settings, snapshot, service, linked, source.as_ref());
    Ok(explanation)
}

impl Explanation {
    fn refuse(&mut self, reason: Reason, why: String) {
        self.reason = Some(reason.as_str());
        self.because = Some(why);
    }

    fn service(
        &mut self,
        settings: &Settings,
        snapshot: &TerminatingSnapshot,
        service: &LinkedService,
        linked: Option<Linked<'_>>,
        source: Option<&SpiffeId>,
    ) {
        self.service = Some(service.key.to_string());
        self.protocol = Some(service.protocol.to_string());
        self.source_address = service.source_address.map(|address| address.to_string());
        self.tls = Some(match &service.origination {
            None => "in clear".to_owned(),
            Some(Origination::Ready(_)) => "by TLS, with the files of the link".to_owned(),
            Some(Origination::Broken { why }) => format!("not at all: {why}"),
        });
        for problem in service.rules.problems() {
            self.notes.push(problem.to_string());
        }
        for pair in service.rules.shadowed() {
            self.notes.push(format!(
                "{} stands before {}, as Consul documents it; Envoy would follow the latter",
                pair.wins, pair.hidden
            ));
        }
        if let Some(source) = source {
            self.judge(service, source);
        }
        if let Some(linked) = linked {
            let because = match linked.rule {
                gateway_state::Rule::Subset => format!("a subset of {}", service.key),
                gateway_state::Rule::Destination => format!("an address of the destination {}", service.key),
                _ => format!("{} is linked", service.key),
            };
            let routed =
                compute::routed(settings, &snapshot.own, linked.name, linked.rule, because, linked.target);
            self.notes.extend(compute::loops(settings, &snapshot.own, linked.target));
            self.upstream = Some(routed);
        }
        if let Some(why) = why_not_served(service) {
            self.verdict = None;
            self.refuse(Reason::ServiceNotReady, format!("the service is not served: {why}"));
        } else if let Some(Origination::Broken { why }) = &service.origination
            && self.reason.is_none()
        {
            self.refuse(Reason::UpstreamTls, format!("TLS to the service cannot be spoken: {why}"));
        }
    }

    fn judge(&mut self, service: &LinkedService, source: &SpiffeId) {
        let explained = service.rules.explain(Caller::Direct(source), Protocol::Tcp, None);
        self.rules = explained
            .steps
            .iter()
            .map(|step| ExplainedRule {
                intention: step.intention.to_string(),
                decides: step.look == Look::Decides,
                why: match (&step.look, &explained.decision) {
                    (Look::NoMatch(why), _) => (*why).to_owned(),
                    (_, Some(decision)) => decision.to_string(),
                    _ => "it decides".to_owned(),
                },
            })
            .collect();
        let judged = super::judge(service, source);
        self.verdict = Some(judged.authorization.verdict.as_str());
        self.because = Some(judged.authorization.intention.to_string());
        if judged.permit.is_none() {
            self.reason = Some(Reason::Denied.as_str());
        }
    }
}

/// A SPIFFE id as it stands, or a service of this mesh.
fn caller(snapshot: &TerminatingSnapshot, from: &str) -> Result<SpiffeId, String> {
    let mesh = &snapshot.mesh;
    let uri = if from.contains("://") {
        from.to_owned()
    } else {
        let (namespace, name) = from.split_once('/').unwrap_or((&mesh.namespace, from));
        let partition = match &*mesh.partition {
            "default" => String::new(),
            partition => format!("/ap/{partition}"),
        };
        format!("spiffe://{}{partition}/ns/{namespace}/dc/{}/svc/{name}", mesh.trust_domain, mesh.datacenter)
    };
    SpiffeId::parse(&uri).map_err(|why| format!("--from {from}: {uri} is no identity of a mesh: {why}"))
}

fn service_of<'a>(snapshot: &'a TerminatingSnapshot, to: &str) -> Option<&'a LinkedService> {
    let (namespace, name) = match to.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, to),
    };
    snapshot.service(namespace, name).map(|service| &**service)
}

/// Linked services that are shown where one is not found.
const NEAR: usize = 5;

fn not_linked(snapshot: &TerminatingSnapshot, to: &str) -> String {
    let mut known: Vec<_> = snapshot.services.iter().map(|service| service.key.to_string()).collect();
    known.sort_by_key(|name| strsim::damerau_levenshtein(name, to));
    known.truncate(NEAR);
    match known.is_empty() {
        true => format!("service {to} is not linked; no service is"),
        false => format!("service {to} is not linked; these are: {}", known.join(", ")),
    }
}

fn near(snapshot: &TerminatingSnapshot, name: &str) -> Option<String> {
    let mut known: Vec<_> = snapshot.table.names().map(|(name, _)| &**name).collect();
    known.sort_unstable();
    known.sort_by_key(|known| strsim::damerau_levenshtein(known, name));
    known.truncate(NEAR);
    (!known.is_empty()).then(|| format!("names that are near: {}", known.join(", ")))
}

fn write(explanation: &Explanation, out: &mut dyn Write) -> io::Result<()> {
    let row = text::row;
    let none = || "-".to_owned();
    let arrow = format!(
        "{} => {}",
        explanation.source.clone().unwrap_or_else(none),
        explanation.service.clone().or(explanation.name.clone()).unwrap_or_else(none)
    );
    writeln!(out, "{arrow}")?;
    let facts = [
        ("server name", &explanation.name),
        ("protocol", &explanation.protocol),
        ("connected", &explanation.tls),
        ("leaves from", &explanation.source_address),
    ];
    for (label, value) in facts {
        value.as_ref().map_or(Ok(()), |value| row(out, label, value))?;
    }
    if explanation.source.is_some() && explanation.service.is_some() {
        writeln!(out, "intentions, in the order in which they are looked at: {}", explanation.rules.len())?;
        for (number, rule) in (1..).zip(&explanation.rules) {
            let mark = if rule.decides { "decides" } else { "no     " };
            writeln!(out, "  {number:>3}  {mark}  {}  ({})", rule.intention, rule.why)?;
        }
    }
    if let Some(verdict) = explanation.verdict {
        writeln!(out, "verdict: {verdict}")?;
    }
    if let Some(because) = &explanation.because {
        row(out, "because", because)?;
    }
    if let Some(reason) = explanation.reason {
        writeln!(out, "refused")?;
        row(out, "reason", reason)?;
    }
    if let Some(upstream) = &explanation.upstream {
        text::write_routed(upstream, out)?;
    }
    explanation.notes.iter().try_for_each(|note| writeln!(out, "note: {note}"))
}

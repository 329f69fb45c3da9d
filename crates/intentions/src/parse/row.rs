//! One intention out of its parts: of a row of an answer, or of a source of a config entry.

use std::sync::Arc;

use serde_json::Value;

use super::Row;
use super::fields::{Fields, Reason};
use super::{jwt, rule};
use crate::intention::{
    Action, Intention, IntentionDestination, IntentionSource, Pattern, Rule, ServiceSource, precedence,
};
use crate::permission::JwtRequirement;
use crate::problem::{Effect, Problem};

pub(super) fn read(row: &Value) -> Row {
    let fields = match Fields::of(row) {
        Ok(fields) => fields,
        Err(reason) => return closed(&reason),
    };
    let parts = SourceParts {
        name: fields.text("sourcename"),
        namespace: fields.text("sourcens"),
        partition: fields.text("sourcepartition"),
        peer: fields.text("sourcepeer"),
        group: fields.text("sourcesamenessgroup"),
        kind: fields.text("sourcetype"),
    };
    let mut problems = Vec::new();
    let given = given_precedence(&fields).unwrap_or_else(|reason| {
        problems.push(Problem { place: String::new(), what: reason, effect: Effect::Corrected });
        None
    });
    Unfinished {
        source: parts.read(Pattern::Exact("default".into())),
        destination: destination(
            fields.text("destinationname"),
            fields.text("destinationns"),
            fields.text("destinationpartition"),
        ),
        precedence: given,
        jwt: jwt::of(&fields),
        rule: rule::read(&fields, &mut problems),
    }
    .finish(problems)
}

/// A row of which nothing is known but that it is there.
fn closed(reason: &str) -> Row {
    Unfinished {
        source: Err(reason.to_owned()),
        destination: Err(reason.to_owned()),
        precedence: None,
        jwt: None,
        rule: Rule::NotUnderstood(reason.into()),
    }
    .finish(Vec::new())
}

/// `None`: what follows from the names.
fn given_precedence(fields: &Fields<'_>) -> Result<Option<u8>, Reason> {
    let Some(value) = fields.get("precedence")? else { return Ok(None) };
    let number = value.as_u64().and_then(|number| u8::try_from(number).ok());
    match number {
        Some(1..=9) => Ok(number),
        _ => Err(format!("Precedence {value:.20} is not 1 to 9")),
    }
}

/// What a document says of a source.
pub(super) struct SourceParts<'a> {
    pub(super) name: Result<Option<&'a str>, Reason>,
    pub(super) namespace: Result<Option<&'a str>, Reason>,
    pub(super) partition: Result<Option<&'a str>, Reason>,
    pub(super) peer: Result<Option<&'a str>, Reason>,
    pub(super) group: Result<Option<&'a str>, Reason>,
    pub(super) kind: Result<Option<&'a str>, Reason>,
}

impl SourceParts<'_> {
    /// `namespace`: where none is given.
    pub(super) fn read(self, namespace: Pattern) -> Result<ServiceSource, Reason> {
        if let Some(kind) = self.kind?.filter(|kind| *kind != "consul") {
            return Err(format!("the type of the source is {kind:?}, not \"consul\""));
        }
        if let Some(group) = self.group? {
            return Err(format!(
                "the source is the sameness group {group:?}, whose members are not known here"
            ));
        }
        let peer = self.peer?;
        if peer == Some("*") {
            return Err("the peer of the source is *".to_owned());
        }
        let partition = match (self.partition?, peer) {
            // Says nothing: what comes from a peer is in the partition that the peer exports from.
            (Some("default"), Some(_)) => None,
            (Some(_), Some(_)) => return Err("the source has both a partition and a peer".to_owned()),
            (Some("*"), None) => return Err("the partition of the source is *".to_owned()),
            (partition, None) => partition,
            (None, Some(_)) => None,
        };
        let name = whole_name("the source", self.name?)?;
        let namespace =
            self.namespace?.map_or(Ok(namespace), |text| whole_name("the source's namespace", Some(text)))?;
        if namespace.is_any() && !name.is_any() {
            return Err("the source is one name in all namespaces".to_owned());
        }
        Ok(ServiceSource { name, namespace, partition: partition.map(lower), peer: peer.map(Into::into) })
    }
}

pub(super) fn destination(
    name: Result<Option<&str>, Reason>,
    namespace: Result<Option<&str>, Reason>,
    partition: Result<Option<&str>, Reason>,
) -> Result<IntentionDestination, Reason> {
    let name = whole_name("the destination", name?)?;
    let namespace = whole_name("the destination's namespace", Some(namespace?.unwrap_or("default")))?;
    let partition = partition?;
    if namespace.is_any() && !name.is_any() {
        return Err("the destination is one name in all namespaces".to_owned());
    }
    if partition == Some("*") {
        return Err("the partition of the destination is *".to_owned());
    }
    Ok(IntentionDestination { name, namespace, partition: partition.map(lower) })
}

fn whole_name(what: &str, text: Option<&str>) -> Result<Pattern, Reason> {
    match text {
        None => Err(format!("{what} has no name")),
        Some("*") => Ok(Pattern::Any),
        Some(text) if text.contains('*') => Err(format!("{what} is {text:?}: * stands alone or not at all")),
        Some(text) => Ok(Pattern::Exact(text.into())),
    }
}

/// Partitions are written in lower case in certificates.
fn lower(partition: &str) -> Box<str> {
    partition.to_ascii_lowercase().into()
}

/// An intention whose parts were read one by one.
pub(super) struct Unfinished {
    pub(super) source: Result<ServiceSource, Reason>,
    pub(super) destination: Result<IntentionDestination, Reason>,
    /// `None`: what follows from the names.
    pub(super) precedence: Option<u8>,
    pub(super) jwt: Option<JwtRequirement>,
    pub(super) rule: Rule,
}

impl Unfinished {
    /// `problems`: those found so far.
    pub(super) fn finish(self, mut problems: Vec<Problem>) -> Row {
        let Self { source, destination, precedence: given, jwt, mut rule } = self;
        let mut problem = |what: &str, effect| {
            problems.push(Problem { place: String::new(), what: what.to_owned(), effect });
        };
        let unreadable = source.as_ref().err().or(destination.as_ref().err());
        if let Some(reason) = unreadable {
            // With a token it takes something away from what stands below it.
            if rule == Rule::Action(Action::Allow) && jwt.is_none() {
                problem(reason, Effect::Ignored);
                return Row { intention: None, problems };
            }
            rule = Rule::NotUnderstood(reason.as_str().into());
        }
        if let Rule::NotUnderstood(reason) = &rule {
            problem(reason, Effect::Denies);
        }
        let source = source.map_or(IntentionSource::NotUnderstood, IntentionSource::Services);
        // An unknown destination might be any, and as specific as can be.
        let (destination, follows) = match destination {
            Ok(destination) => {
                let follows = precedence(&source, &destination);
                (destination, follows)
            }
            Err(_) => {
                let one = IntentionDestination {
                    name: Pattern::Exact("".into()),
                    namespace: Pattern::Any,
                    partition: None,
                };
                let follows = precedence(&source, &one);
                (IntentionDestination { name: Pattern::Any, ..one }, follows)
            }
        };
        let intention = Intention { source, destination, precedence: given.unwrap_or(follows), rule, jwt };
        for problem in &mut problems {
            problem.place = intention.to_string();
        }
        Row { intention: Some(Arc::new(intention)), problems }
    }
}

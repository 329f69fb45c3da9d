//! `service-intentions` config entries.

use serde_json::Value;

use super::fields::Fields;
use super::row::{SourceParts, Unfinished, destination};
use super::{ParseError, Parsed, Row, jwt, rule};
use crate::intention::{IntentionDestination, Pattern, Rule};
use crate::permission::JwtRequirement;

/// Sources of one entry. Consul's own limit of 512 KiB for an entry is met long before.
const MAX_SOURCES: usize = 1_000_000;

/// Reads one `service-intentions` config entry, as the API and `consul config read` write it and as a person may, with
/// keys in CamelCase or snake_case. It has the intentions of one destination; those of wildcard destinations are
/// entries of their own. `Precedence` is not read: Consul computes it.
///
/// # Errors
/// When it is no object, of another kind, without a name, or `Sources` is no list.
pub fn from_config_entry(entry: &Value) -> Result<Parsed, ParseError> {
    let fields = Fields::of(entry).map_err(|reason| ParseError::Shape(format!("the entry: {reason}")))?;
    read(&fields).map_err(ParseError::Shape)
}

fn read(fields: &Fields<'_>) -> Result<Parsed, String> {
    match fields.text("kind")? {
        Some("service-intentions") => {}
        kind => return Err(format!("Kind is {:?}, not \"service-intentions\"", kind.unwrap_or_default())),
    }
    let destination = destination(fields.text("name"), fields.text("namespace"), fields.text("partition"))?;
    let jwt = jwt::of(fields);
    let sources = fields.list("sources", MAX_SOURCES)?.iter();
    Ok(Parsed::of_rows("Sources", sources.map(|source| row(source, &destination, jwt.as_ref()))))
}

fn row(source: &Value, destination: &IntentionDestination, jwt: Option<&JwtRequirement>) -> Row {
    let mut problems = Vec::new();
    let (source, rule) = match Fields::of(source) {
        Ok(fields) => {
            (parts(&fields).read(namespace(&fields, destination)), rule::read(&fields, &mut problems))
        }
        Err(reason) => (Err(reason.clone()), Rule::NotUnderstood(reason.into())),
    };
    Unfinished { source, destination: Ok(destination.clone()), precedence: None, jwt: jwt.cloned(), rule }
        .finish(problems)
}

fn parts<'a>(fields: &Fields<'a>) -> SourceParts<'a> {
    SourceParts {
        name: fields.text("name"),
        namespace: fields.text("namespace"),
        partition: fields.text("partition"),
        peer: fields.text("peer"),
        group: fields.text("samenessgroup"),
        kind: fields.text("type"),
    }
}

/// A source that names no namespace is in its destination's; a peer's is in `default`.
fn namespace(source: &Fields<'_>, destination: &IntentionDestination) -> Pattern {
    let of_peer = !matches!(source.get("peer"), Ok(None));
    if of_peer || destination.namespace.is_any() {
        Pattern::Exact("default".into())
    } else {
        destination.namespace.clone()
    }
}

//! One permission.

use serde_json::Value;

use super::fields::{Fields, Reason};
use super::{header, jwt, rule};
use crate::intention::Action;
use crate::limits::{MAX_HEADER_MATCHES, MAX_METHODS, MAX_PATTERN};
use crate::permission::{HttpMatch, PathMatch, Permission, PermissionMatch};
use crate::problem::{Effect, Problem};

pub(super) fn read(index: usize, permission: &Value, problems: &mut Vec<Problem>) -> Permission {
    let mut problem = |what: &str, effect| {
        let what = format!("permission {}: {what}", index + 1);
        problems.push(Problem { place: String::new(), what, effect });
    };
    let fields = match Fields::of(permission) {
        Ok(fields) => fields,
        Err(reason) => {
            problem(&reason, Effect::PermissionCloses);
            return Permission {
                action: Action::Deny,
                matches: PermissionMatch::NotUnderstood(reason.into()),
                jwt: None,
            };
        }
    };
    let action = fields.text("action").and_then(|text| rule::action(text.unwrap_or_default()));
    let action = action.unwrap_or_else(|reason| {
        problem(&format!("{reason}; it denies"), Effect::PermissionCloses);
        Action::Deny
    });
    let matches = match http(&fields) {
        Ok(matches) => PermissionMatch::Http(matches),
        Err(reason) => {
            problem(&reason, Effect::PermissionCloses);
            PermissionMatch::NotUnderstood(reason.into())
        }
    };
    let jwt = jwt::of(&fields);
    Permission { action, matches, jwt }
}

fn http(permission: &Fields<'_>) -> Result<HttpMatch, Reason> {
    permission.only(&["action", "http", "jwt"])?;
    let Some(http) = permission.get("http")? else { return Err("it says nothing of HTTP".to_owned()) };
    let fields = Fields::of(http).map_err(|reason| format!("HTTP: {reason}"))?;
    fields.only(&["pathexact", "pathprefix", "pathregex", "header", "methods"])?;
    let headers = fields.list("header", MAX_HEADER_MATCHES)?.iter().map(header::read);
    let read = HttpMatch {
        path: path(&fields)?,
        methods: fields.list("methods", MAX_METHODS)?.iter().map(method).collect::<Result<_, _>>()?,
        headers: headers.collect::<Result<_, _>>()?,
    };
    if read == HttpMatch::default() { Err("it has no criterion".to_owned()) } else { Ok(read) }
}

fn path(fields: &Fields<'_>) -> Result<Option<PathMatch>, Reason> {
    let given = [fields.text("pathexact")?, fields.text("pathprefix")?, fields.text("pathregex")?];
    let from_root = |text: &str| match text.starts_with('/') {
        true => Ok(Box::from(text)),
        false => Err(format!("path {text:.50?} does not start with a slash")),
    };
    match given {
        [None, None, None] => Ok(None),
        [Some(text), None, None] => Ok(Some(PathMatch::Exact(from_root(text)?))),
        [None, Some(text), None] => Ok(Some(PathMatch::Prefix(from_root(text)?))),
        [None, None, Some(text)] => Ok(Some(PathMatch::Regex(pattern(text)?))),
        _ => Err("it has more than one of PathExact, PathPrefix and PathRegex".to_owned()),
    }
}

pub(super) fn pattern(text: &str) -> Result<Box<str>, Reason> {
    if text.len() > MAX_PATTERN {
        return Err(format!("a regular expression is longer than {MAX_PATTERN} bytes"));
    }
    Ok(text.into())
}

/// Consul keeps them in capitals.
fn method(value: &Value) -> Result<Box<str>, Reason> {
    let text = value.as_str().unwrap_or_default().to_ascii_uppercase();
    match http::Method::from_bytes(text.as_bytes()) {
        Ok(_) => Ok(text.into()),
        Err(_) => Err(format!("{value:.50} is no method")),
    }
}

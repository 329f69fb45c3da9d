//! One header criterion.

use http::HeaderName;
use serde_json::Value;

use super::fields::{Fields, Reason};
use super::permission::pattern;
use crate::permission::{HeaderField, HeaderMatch, HeaderTest, TextTest};

pub(super) fn read(header: &Value) -> Result<HeaderMatch, Reason> {
    let fields = Fields::of(header).map_err(|reason| format!("Header: {reason}"))?;
    fields.only(&[
        "name",
        "present",
        "exact",
        "prefix",
        "suffix",
        "contains",
        "regex",
        "invert",
        "ignorecase",
    ])?;
    let name = fields.text("name")?.ok_or("a header has no name")?;
    let test = test(&fields).map_err(|reason| format!("header {name:.50?}: {reason}"))?;
    Ok(HeaderMatch { field: field(name)?, test, invert: fields.flag("invert")? })
}

fn field(name: &str) -> Result<HeaderField, Reason> {
    match name.to_ascii_lowercase().as_str() {
        ":authority" | "host" => Ok(HeaderField::Authority),
        ":method" => Ok(HeaderField::Method),
        ":path" => Ok(HeaderField::Path),
        ":scheme" => Ok(HeaderField::Scheme),
        other => match HeaderName::from_bytes(other.as_bytes()) {
            Ok(name) => Ok(HeaderField::Named(name)),
            Err(_) => Err(format!("{name:.50?} is no name of a header")),
        },
    }
}

fn test(fields: &Fields<'_>) -> Result<HeaderTest, Reason> {
    let ignore_case = fields.flag("ignorecase")?;
    let mut tests = Vec::new();
    if fields.flag("present")? {
        tests.push(HeaderTest::Present);
    }
    let text = [
        ("exact", TextTest::Exact),
        ("prefix", TextTest::Prefix),
        ("suffix", TextTest::Suffix),
        ("contains", TextTest::Contains),
    ];
    for (key, test) in text {
        tests.extend(fields.text(key)?.map(|value| HeaderTest::Text {
            test,
            value: value.into(),
            ignore_case,
        }));
    }
    if let Some(text) = fields.text("regex")? {
        tests.push(HeaderTest::Regex(pattern(text)?));
    }
    match (tests.pop(), tests.is_empty()) {
        (Some(HeaderTest::Present | HeaderTest::Regex(_)), true) if ignore_case => {
            Err("IgnoreCase goes with Exact, Prefix, Suffix and Contains only".to_owned())
        }
        (Some(test), true) => Ok(test),
        _ => Err("it needs one of Present, Exact, Prefix, Suffix, Contains and Regex".to_owned()),
    }
}

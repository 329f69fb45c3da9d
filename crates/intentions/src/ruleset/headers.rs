//! One header criterion, ready to be asked.

use http::header::HOST;
use regex::Regex;
use regex::bytes;

use super::patterns::Patterns;
use crate::limits::MAX_PATTERN_SIZE;
use crate::permission::{HeaderField, HeaderMatch, HeaderTest, TextTest};
use crate::request::RequestHead;

#[derive(Debug)]
pub(super) struct Header {
    field: HeaderField,
    test: Test,
    invert: bool,
}

#[derive(Debug)]
enum Test {
    Present,
    Exact(Text),
    Prefix(Text),
    Suffix(Text),
    /// Searches in linear time, whatever is searched for.
    Contains(bytes::Regex),
    Regex(Regex),
}

#[derive(Debug)]
struct Text {
    value: Box<[u8]>,
    ignore_case: bool,
}

impl Header {
    pub(super) fn compile(header: &HeaderMatch, patterns: &mut Patterns) -> Result<Self, String> {
        let test = match &header.test {
            HeaderTest::Present => Test::Present,
            HeaderTest::Text { test, value, ignore_case } => {
                let text = Text { value: value.as_bytes().into(), ignore_case: *ignore_case };
                match test {
                    TextTest::Exact => Test::Exact(text),
                    TextTest::Prefix => Test::Prefix(text),
                    TextTest::Suffix => Test::Suffix(text),
                    TextTest::Contains => Test::Contains(contains(value, *ignore_case)?),
                }
            }
            HeaderTest::Regex(pattern) => Test::Regex(patterns.whole(pattern)?),
        };
        Ok(Self { field: header.field.clone(), test, invert: header.invert })
    }

    /// A header may have several lines. One that passes is enough. Where matching `closes`, the lines joined by commas
    /// are one more value: a service may read them so.
    pub(super) fn holds(&self, request: &RequestHead<'_>, closes: bool) -> bool {
        let lines = self.lines(request, closes);
        if matches!(self.test, Test::Present) {
            return lines.is_empty() == self.invert;
        }
        // A missing header passes nothing, also where the test is inverted.
        if lines.is_empty() {
            return false;
        }
        let on = |passes: Option<bool>| passes.map_or(closes, |passes| passes != self.invert);
        let single = on(any(lines.iter().map(|line| self.test.passes(trim(line)))));
        single || (closes && lines.len() > 1 && on(self.test.passes(trim(&lines.join(&b","[..])))))
    }

    fn lines<'a>(&self, request: &RequestHead<'a>, closes: bool) -> Vec<&'a [u8]> {
        let named = |name| request.headers.get_all(name).iter().map(http::HeaderValue::as_bytes);
        match &self.field {
            HeaderField::Named(name) => named(name).collect(),
            HeaderField::Method => vec![request.method.as_str().as_bytes()],
            HeaderField::Path => vec![request.path.path_and_query().as_bytes()],
            HeaderField::Scheme => request.scheme.iter().map(|scheme| scheme.as_bytes()).collect(),
            HeaderField::Authority => {
                let authority = request.authority.map(str::as_bytes);
                // Both may be there and differ; the service may believe either.
                let host = authority.is_none() || closes;
                authority.into_iter().chain(named(&HOST).filter(|_| host)).collect()
            }
        }
    }
}

/// Whether one passes; `None`: none does, but one of them may.
fn any(lines: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut any = Some(false);
    for passes in lines {
        match passes {
            Some(true) => return passes,
            Some(false) => {}
            None => any = None,
        }
    }
    any
}

impl Test {
    /// `None`: cannot be told.
    fn passes(&self, value: &[u8]) -> Option<bool> {
        Some(match self {
            Self::Present => true,
            Self::Exact(text) => text.is(value),
            Self::Prefix(text) => value.get(..text.value.len()).is_some_and(|start| text.is(start)),
            Self::Suffix(text) => {
                let start = value.len().checked_sub(text.value.len());
                start.and_then(|start| value.get(start..)).is_some_and(|end| text.is(end))
            }
            Self::Contains(text) => text.is_match(value),
            // What is no text has no characters that an expression could mean.
            Self::Regex(regex) => return std::str::from_utf8(value).ok().map(|text| regex.is_match(text)),
        })
    }
}

impl Text {
    fn is(&self, value: &[u8]) -> bool {
        if self.ignore_case { self.value.eq_ignore_ascii_case(value) } else { *self.value == *value }
    }
}

fn contains(value: &str, ignore_case: bool) -> Result<bytes::Regex, String> {
    bytes::RegexBuilder::new(&regex::escape(value))
        .unicode(false)
        .case_insensitive(ignore_case)
        .size_limit(MAX_PATTERN_SIZE)
        .dfa_size_limit(MAX_PATTERN_SIZE)
        .build()
        .map_err(|error| format!("header value {value:.80?} cannot be searched for: {error}"))
}

fn trim(value: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !is_blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last + 1);
    value.get(start..end).unwrap_or_default()
}

//! Whether a body is the one that was applied, without keeping it.

use super::Facts;
use crate::query::{Answer, Ask};
use std::{collections::hash_map::RandomState, hash::BuildHasher};

/// The fingerprint of a body: its length and a hash with a key of this process, so that nobody who
/// writes into the catalog can make two bodies look the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Print {
    len: usize,
    hash: u64,
}

impl Print {
    /// The object is absent: less than any body.
    pub(super) const ABSENT: Self = Self { len: 0, hash: 0 };

    /// Whether it holds less than the other one.
    pub(super) fn is_less(self, other: Self) -> bool {
        self.len < other.len
    }

    #[cfg(test)]
    pub(super) fn of(text: &str) -> Self {
        Self { len: text.len() + 1, hash: text.bytes().fold(7, |h, b| h * 31 + u64::from(b)) }
    }
}

/// Makes fingerprints.
#[derive(Debug, Default)]
pub(super) struct Printer(RandomState);

impl Printer {
    fn print(&self, body: Option<&[u8]>) -> Print {
        match body {
            None => Print::ABSENT,
            Some(body) => Print { len: body.len() + 1, hash: self.0.hash_one(body) },
        }
    }
}

/// What the loop needs to know of an answer.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    /// As sent: 0 and `None` stand for 1.
    pub(super) index: Option<u64>,
    pub(super) content_hash: Option<Box<str>>,
    pub(super) print: Print,
    /// An empty list, map or `null`.
    pub(super) empty: bool,
    /// A list, a map or nothing, as far as its ends show. A page of a proxy is none of them.
    pub(super) whole: bool,
    pub(super) filtered: bool,
    pub(super) default_deny: Option<bool>,
}

impl Got {
    pub(super) fn of(answer: &Answer, printer: &Printer) -> Self {
        let body = answer.body.as_deref();
        Self {
            index: answer.index,
            content_hash: answer.content_hash.as_deref().map(Into::into),
            print: printer.print(body),
            empty: body.is_some_and(is_empty),
            whole: body.is_none_or(is_whole),
            filtered: answer.filtered,
            default_deny: answer.default_deny,
        }
    }

    pub(super) fn facts(&self, ask: &Ask, cold: bool) -> Facts {
        Facts {
            index: self.number(),
            filtered: self.filtered,
            default_deny: self.default_deny,
            degraded: cold && *ask == Ask::Stale,
        }
    }

    /// What a script answers.
    #[cfg(test)]
    pub(crate) fn scripted(index: Option<u64>, body: Option<&str>) -> Self {
        Self {
            index,
            content_hash: None,
            print: body.map_or(Print::ABSENT, Print::of),
            empty: body.is_some_and(|body| is_empty(body.as_bytes())),
            whole: body.is_none_or(|body| is_whole(body.as_bytes())),
            filtered: false,
            default_deny: None,
        }
    }

    /// The index to work with.
    pub(super) fn number(&self) -> u64 {
        self.index.unwrap_or(1).max(1)
    }
}

fn is_empty(body: &[u8]) -> bool {
    matches!(body.trim_ascii(), b"[]" | b"{}" | b"null" | b"")
}

fn is_whole(body: &[u8]) -> bool {
    let body = body.trim_ascii();
    is_empty(body)
        || matches!((body.first(), body.last()), (Some(b'['), Some(b']')) | (Some(b'{'), Some(b'}')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_tells_bodies_apart() {
        let printer = Printer::default();
        let of = |body: &[u8]| printer.print(Some(body));
        assert_eq!(of(b"[1]"), of(b"[1]"));
        assert_ne!(of(b"[1]"), of(b"[2]"));
        assert_ne!(of(b""), Print::ABSENT);
        assert!(Print::ABSENT.is_less(of(b"")));
        assert!(of(b"[]").is_less(of(b"[1]")));
    }

    #[test]
    fn nothing_is_written_in_several_ways() {
        for body in ["[]", " []\n", "null\n", "{}", ""] {
            assert!(is_empty(body.as_bytes()), "{body:?}");
        }
        assert!(!is_empty(b"[{}]"));
    }

    #[test]
    fn a_page_and_half_a_list_are_no_list() {
        for body in ["[]", "null", "[1]\n", "{\"a\":[]}", ""] {
            assert!(is_whole(body.as_bytes()), "{body:?}");
        }
        for body in ["<html>", "[1", "{\"a\":[]", "502 Bad Gateway"] {
            assert!(!is_whole(body.as_bytes()), "{body:?}");
        }
    }
}

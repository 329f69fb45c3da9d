//! Answers -> findings.

use crate::{
    error::{Cause, Class, Error},
    query::Answer,
};
use std::collections::BTreeMap;

/// Answer to a question about Consul.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It can.
    Yes,
    /// It cannot.
    No,
    /// It may be able to, but the token may not.
    NotPermitted,
    /// The question failed, or the answer proves nothing.
    #[default]
    Unknown,
}

impl Verdict {
    /// The word for pages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::NotPermitted => "not_permitted",
            Self::Unknown => "unknown",
        }
    }
}

/// A verdict and what Consul said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finding {
    /// The verdict.
    pub verdict: Verdict,
    /// Consul's text, or why the answer proves nothing; may be empty.
    pub detail: String,
}

impl Finding {
    pub(super) fn new(verdict: Verdict, detail: impl Into<String>) -> Self {
        Self { verdict, detail: detail.into() }
    }

    /// A usable answer, also "there is no such object", proves the feature.
    pub(super) fn of(result: &Result<Answer, Error>) -> Self {
        match result {
            Ok(_) => Self::new(Verdict::Yes, ""),
            Err(error) => Self::of_error(error),
        }
    }

    pub(super) fn of_error(error: &Error) -> Self {
        let verdict = match error.class() {
            Class::Unsupported => Verdict::No,
            Class::Denied | Class::TokenUnknown => Verdict::NotPermitted,
            // The endpoint is there, but an operator switched it off.
            Class::Server if says(error, "peering must be enabled") => Verdict::No,
            _ => Verdict::Unknown,
        };
        Self::new(verdict, error.cause.to_string())
    }

    /// `config/` must be a list; an older Consul could take the empty kind for something else.
    pub(super) fn of_list(result: &Result<Answer, Error>) -> Self {
        match result {
            Ok(answer) if answer.body.as_deref().is_some_and(is_list) => Self::new(Verdict::Yes, ""),
            Ok(_) => Self::new(Verdict::No, "the answer is no list"),
            // Any other refusal than "not now" and "you may not" means that lists go by kind.
            Err(error) if error.class() == Class::Mistake => Self::new(Verdict::No, error.cause.to_string()),
            Err(error) => Self::of_error(error),
        }
    }

    /// What a filter that matches nothing, and one that matches everything, prove together: a Consul
    /// that ignores filters, or evaluates them wrongly, gives itself away by one of them. Where the
    /// token sees no service at all, nothing is proven.
    pub(super) fn of_filter(nothing: &Result<Answer, Error>, everything: &Result<Answer, Error>) -> Self {
        match (count(nothing), count(everything)) {
            (Ok(1..), _) => Self::new(Verdict::No, "a filter that matches nothing was ignored"),
            (Ok(0), Ok(1..)) => Self::new(Verdict::Yes, ""),
            (Ok(0), Ok(0)) => {
                Self::new(Verdict::Unknown, "the token sees no service, so a filter proves nothing")
            }
            (Err(finding), _) | (_, Err(finding)) => finding,
        }
    }
}

fn count(result: &Result<Answer, Error>) -> Result<usize, Finding> {
    let answer = result.as_ref().map_err(|error| match error.class() {
        // `Selector "ServiceKind" is not valid`.
        Class::Server if says(error, "is not valid") => Finding::new(Verdict::No, error.cause.to_string()),
        _ => Finding::of_error(error),
    })?;
    let body = answer.body.as_deref().unwrap_or_default();
    let services: Option<BTreeMap<String, serde::de::IgnoredAny>> =
        serde_json::from_slice(body).map_err(|error| Finding::new(Verdict::Unknown, error.to_string()))?;
    Ok(services.map_or(0, |services| services.len()))
}

fn is_list(body: &[u8]) -> bool {
    let body = body.trim_ascii_start();
    body.starts_with(b"[") || body.starts_with(b"null")
}

fn says(error: &Error, words: &str) -> bool {
    matches!(&error.cause, Cause::Status { text, .. } if text.contains(words))
}

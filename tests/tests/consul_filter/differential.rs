//! The same filter asked of Consul and of ours.

use catalog_client::{filter::Filter, health::HealthEntry};
use std::collections::BTreeMap;

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Filters asked.
    pub(crate) asked: u64,
    /// Of them, answered by both, with the same rows.
    pub(crate) answered: u64,
    /// Of those, with some of the rows, but not all.
    pub(crate) telling: u64,
    /// Of them, refused by both.
    pub(crate) refused: u64,
    /// Differences that are meant to be, by reason.
    pub(crate) known: BTreeMap<&'static str, u64>,
    /// All others.
    pub(crate) disagreements: Vec<String>,
}

/// Asks every filter of both. `ask` is Consul: the ids of the rows, sorted, or why it refused. `meant` says why a
/// refusal of Consul alone is a difference that is known.
pub(crate) async fn differential(
    ask: impl AsyncFn(&str) -> Result<Vec<String>, String>,
    rows: &[HealthEntry],
    meant: impl Fn(&str) -> Option<&'static str>,
    filters: impl Iterator<Item = String>,
) -> Report {
    let mut report = Report::default();
    for filter in filters {
        report.asked += 1;
        match (ask(&filter).await, ours(&filter, rows)) {
            (Ok(theirs), Ok(ours)) if theirs == ours => {
                report.answered += 1;
                report.telling += u64::from(!ours.is_empty() && ours.len() < rows.len());
            }
            (Err(_), Err(_)) => report.refused += 1,
            (theirs, ours) => {
                let known = match (&theirs, &ours) {
                    (Err(refusal), Ok(_)) => meant(refusal),
                    (Ok(_), Err(refusal)) => refusal
                        .contains("exceeds size limit")
                        .then_some("a pattern that is larger than ours may be"),
                    _ => None,
                };
                match known {
                    Some(reason) => *report.known.entry(reason).or_default() += 1,
                    None => {
                        report
                            .disagreements
                            .push(format!("{filter:?}\n  Consul: {theirs:?}\n  ours:   {ours:?}"));
                    }
                }
            }
        }
    }
    report
}

/// Ids of the rows that fit.
fn ours(filter: &str, rows: &[HealthEntry]) -> Result<Vec<String>, String> {
    let filter = Filter::parse(filter).map_err(|error| error.to_string())?;
    filter.check(&HealthEntry::default()).map_err(|error| error.to_string())?;
    let mut ids = Vec::new();
    for row in rows {
        if filter.matches(row).map_err(|error| error.to_string())? {
            ids.push(row.service.id.to_string());
        }
    }
    ids.sort();
    Ok(ids)
}

//! A filter asked about a row.

use super::{Expr, Match, MatchError, Operator, Selected, Selector, Value, number};

pub(super) fn expr(expr: &Expr, row: &dyn Selector) -> Result<bool, MatchError> {
    match expr {
        Expr::And(items) => {
            for item in items {
                if !self::expr(item, row)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Expr::Or(items) => {
            for item in items {
                if self::expr(item, row)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Expr::Not(inner) => self::expr(inner, row).map(|is| !is),
        Expr::Match(it) => single(it, &it.selector, row),
    }
}

pub(super) fn check(expr: &Expr, row: &dyn Selector) -> Result<(), MatchError> {
    match expr {
        Expr::And(items) | Expr::Or(items) => items.iter().try_for_each(|item| check(item, row)),
        Expr::Not(inner) => check(inner, row),
        Expr::Match(it) => single(it, &it.selector, row).map(|_| ()),
    }
}

fn single(it: &Match, path: &[Box<str>], row: &dyn Selector) -> Result<bool, MatchError> {
    match row.select(path) {
        Selected::Unknown => Err(MatchError::Unknown { selector: it.dotted() }),
        Selected::Value(value) => Ok(plain(it, value)? != it.negated),
        Selected::NoKey(like) => plain(it, like).map(|_| absent(it)),
        Selected::Each(records, rest) => {
            let rest = path.get(path.len().saturating_sub(rest)..).unwrap_or_default();
            let mut outcome = Ok(false);
            records.any(&mut |record| {
                outcome = single(it, rest, record);
                !matches!(outcome, Ok(false))
            });
            if records.is_empty() {
                records.example(&mut |record| outcome = single(it, rest, record).map(|_| false));
            }
            outcome
        }
    }
}

/// What Consul says when the row has no such key: the value is not equal, not in and not "not empty";
/// everything else holds, so `matches` as well as `not matches` is true.
fn absent(it: &Match) -> bool {
    match it.operator {
        Operator::Equal | Operator::In => it.negated,
        Operator::Empty => !it.negated,
        Operator::Matches => true,
    }
}

/// The answer without the `not`.
fn plain(it: &Match, value: Value<'_>) -> Result<bool, MatchError> {
    let unfit =
        || MatchError::Operator { selector: it.dotted(), kind: value.kind(), operator: it.operator_name() };
    let wrong = || MatchError::Value {
        selector: it.dotted(),
        kind: value.kind(),
        value: String::from_utf8_lossy(&it.value).into_owned(),
    };
    // Rows are UTF-8: what is not is equal to nothing, but may be a part of a character.
    let text = std::str::from_utf8(&it.value).ok();
    match (it.operator, value) {
        (Operator::Equal, Value::Text(own)) => Ok(*own.as_bytes() == *it.value),
        (Operator::Equal, Value::Int(own)) => Ok(own == text.and_then(number::integer).ok_or_else(wrong)?),
        (Operator::Equal, Value::Bool(own)) => Ok(own == text.and_then(number::truth).ok_or_else(wrong)?),
        (Operator::In, Value::Text(own)) => Ok(match text {
            Some(text) => own.contains(text),
            None => own.as_bytes().windows(it.value.len().max(1)).any(|part| *part == *it.value),
        }),
        (Operator::In, Value::List(texts) | Value::Map(texts)) => {
            Ok(text.is_some_and(|text| texts.has(text)))
        }
        (Operator::Empty, Value::List(texts) | Value::Map(texts)) => Ok(texts.is_empty()),
        (Operator::Empty, Value::Records(records)) => Ok(records.is_empty()),
        (Operator::Matches, Value::Text(own)) => {
            it.regex.as_ref().map(|regex| regex.is_match(own)).ok_or_else(unfit)
        }
        _ => Err(unfit()),
    }
}

//! A filter asked about a row.

use super::{Expr, Match, MatchError, Operator, Selected, Selector, Value};

pub(super) fn expr(expr: &Expr, row: &impl Selector) -> Result<bool, MatchError> {
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
        Expr::Match(it) => single(it, row),
    }
}

pub(super) fn check(expr: &Expr, row: &impl Selector) -> Result<(), MatchError> {
    match expr {
        Expr::And(items) | Expr::Or(items) => items.iter().try_for_each(|item| check(item, row)),
        Expr::Not(inner) => check(inner, row),
        Expr::Match(it) => single(it, row).map(|_| ()),
    }
}

fn single(it: &Match, row: &impl Selector) -> Result<bool, MatchError> {
    let plain = match row.select(&it.selector) {
        Selected::Unknown => return Err(MatchError::Unknown { selector: it.dotted() }),
        Selected::NoKey => it.operator == Operator::Empty,
        Selected::Value(value) => plain(it, value)?,
    };
    Ok(plain != it.negated)
}

/// The answer without the `not`.
fn plain(it: &Match, value: Value<'_>) -> Result<bool, MatchError> {
    let unfit =
        || MatchError::Operator { selector: it.dotted(), kind: value.kind(), operator: it.operator_name() };
    let wrong = || MatchError::Value {
        selector: it.dotted(),
        kind: value.kind(),
        value: it.value.as_ref().to_owned(),
    };
    match (it.operator, value) {
        (Operator::Equal, Value::Text(text)) => Ok(*text == *it.value),
        (Operator::Equal, Value::Int(number)) => Ok(number == integer(&it.value).ok_or_else(wrong)?),
        (Operator::Equal, Value::Float(number)) => {
            Ok(number == it.value.parse::<f64>().map_err(|_| wrong())?)
        }
        (Operator::Equal, Value::Bool(flag)) => Ok(flag == truth(&it.value).ok_or_else(wrong)?),
        (Operator::In, Value::Text(text)) => Ok(text.contains(&*it.value)),
        (Operator::In, Value::List(texts) | Value::Map(texts)) => Ok(texts.has(&it.value)),
        (Operator::Empty, Value::Text(text)) => Ok(text.is_empty()),
        (Operator::Empty, Value::List(texts) | Value::Map(texts)) => Ok(texts.is_empty()),
        (Operator::Matches, Value::Text(text)) => {
            it.regex.as_ref().map(|regex| regex.is_match(text)).ok_or_else(unfit)
        }
        _ => Err(unfit()),
    }
}

/// A number as Go reads one with "base 0": a sign, then decimal, `0x`, `0o`, `0b` or a leading `0`
/// for octal.
fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => ("-", text.get(1..)?),
        b'+' => ("", text.get(1..)?),
        _ => ("", text),
    };
    if !digits.starts_with(|char: char| char.is_ascii_digit()) {
        return None;
    }
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.get(..2) {
        Some("0x") => (16, lower.get(2..)?),
        Some("0o") => (8, lower.get(2..)?),
        Some("0b") => (2, lower.get(2..)?),
        Some(two) if two.starts_with('0') => (8, lower.get(1..)?),
        _ => (10, lower.as_str()),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}

fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

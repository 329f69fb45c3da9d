//! Filters, made from a number: right ones, nearly right ones and wrong ones.

use super::{
    dice::Dice,
    fields::{FIELDS, Field, Kind, NAMES_OF_NOTHING},
    patterns,
    rows::{KEYS, TAGS, TEXTS},
};

/// The filter of a number.
pub(crate) fn expression(number: u64) -> String {
    let mut dice = Dice::new(number);
    let mut text = list(&mut dice, 0);
    if dice.one_in(20) {
        text = damaged(&mut dice, &text);
    }
    text
}

/// A filter with nothing but a pattern, of a number.
pub(crate) fn pattern(number: u64) -> String {
    let mut dice = Dice::new(!number);
    let pattern = patterns::pattern(&mut dice);
    let key = dice.of(&KEYS);
    format!("Service.Meta[`{key}`] matches {}", dice.quoted(&pattern))
}

/// Parentheses cost Consul's parser a multiple of time for each level: three at most.
fn list(dice: &mut Dice, depth: usize) -> String {
    let count = [1, 1, 1, 2, 2, 3][dice.below(6)];
    let mut text = part(dice, depth);
    for _ in 1..count {
        text.push_str(&dice.blank());
        text.push_str(dice.of(&["and", "or"]));
        text.push_str(&dice.blank());
        text.push_str(&part(dice, depth));
    }
    text
}

fn part(dice: &mut Dice, depth: usize) -> String {
    match dice.below(10) {
        0 if depth < 3 => {
            format!("({}{}{})", dice.perhaps_blank(), list(dice, depth + 1), dice.perhaps_blank())
        }
        1 if depth < 3 => format!("not{}({})", dice.blank(), list(dice, depth + 1)),
        2 => format!("not{}{}", dice.blank(), part(dice, depth + 1)),
        _ => single(dice),
    }
}

fn single(dice: &mut Dice) -> String {
    let field = dice.of(&FIELDS);
    let selector = selector(dice, &field);
    let kind = field.kind;
    let fitting: &[&str] = match kind {
        Kind::Text => &["==", "!=", "contains", "not contains", "in", "not in", "matches", "not matches"],
        Kind::Number | Kind::Flag => &["==", "!="],
        Kind::List | Kind::Map | Kind::Addresses => {
            &["in", "not in", "contains", "not contains", "is empty", "is not empty"]
        }
        Kind::Records => &["is empty", "is not empty"],
    };
    const ALL: [&str; 10] = [
        "==",
        "!=",
        "contains",
        "not contains",
        "in",
        "not in",
        "is empty",
        "is not empty",
        "matches",
        "not matches",
    ];
    let operator = if dice.one_in(25) { dice.of(&ALL) } else { dice.of(fitting) };
    let words =
        |dice: &mut Dice| operator.split(' ').map(str::to_owned).collect::<Vec<_>>().join(&dice.blank());
    match operator {
        "is empty" | "is not empty" => format!("{selector}{}{}", dice.blank(), words(dice)),
        "in" | "not in" => {
            let value = value(dice, kind);
            format!("{value}{}{}{}{selector}", dice.blank(), words(dice), dice.blank())
        }
        "==" | "!=" => {
            let value = value(dice, kind);
            format!("{selector}{}{operator}{}{value}", dice.perhaps_blank(), dice.perhaps_blank())
        }
        "matches" | "not matches" => {
            let pattern = patterns::pattern(dice);
            let pattern = if dice.one_in(10) { value(dice, kind) } else { dice.quoted(&pattern) };
            format!("{selector}{}{}{}{pattern}", dice.blank(), words(dice), dice.blank())
        }
        _ => {
            let value = value(dice, kind);
            format!("{selector}{}{}{}{value}", dice.blank(), words(dice), dice.blank())
        }
    }
}

fn selector(dice: &mut Dice, field: &Field) -> String {
    let mut name = field.name.to_owned();
    if dice.one_in(60) {
        return dice.of(&NAMES_OF_NOTHING).to_owned();
    }
    if name.ends_with(".*") {
        name.truncate(name.len() - 2);
        let key = if dice.one_in(6) { "absent" } else { dice.of(&KEYS) };
        name.push_str(&dice.index(key));
    }
    if let Some((map, rest)) = field.name.split_once(".@") {
        let key = dice.of(&["wan", "lan", "lan_ipv4", "absent"]);
        name = format!("{map}{}{rest}", dice.index(key));
    }
    if dice.one_in(30) {
        // Any part may be written as an index, except the first.
        if let Some((before, last)) =
            field.name.rsplit_once('.').filter(|(_, last)| !last.contains(['*', '@']))
        {
            name = format!("{before}{}", dice.index(last));
        }
    }
    name
}

fn value(dice: &mut Dice, kind: Kind) -> String {
    let kind = if dice.one_in(15) { dice.of(&[Kind::Text, Kind::Number, Kind::Flag]) } else { kind };
    match kind {
        Kind::Text => text(dice),
        Kind::Number => {
            let number = dice.of(&[
                "80",
                "0x50",
                "8443",
                "0",
                "1",
                "2",
                "3",
                "-1",
                "8_443",
                "0b1",
                "0120",
                "0o120",
                "65535",
                "9000",
                "9001",
                "21500",
                "9192",
                "443",
                "1.0",
                "99999999999999999999",
                "+1",
                "01",
                "1e3",
                "",
            ]);
            if dice.one_in(3) { dice.quoted(number) } else { number.to_owned() }
        }
        Kind::Flag => {
            let flag = dice.of(&["true", "false", "T", "F", "1", "0", "TRUE", "False", "yes", "tRUE"]);
            if dice.one_in(3) { dice.quoted(flag) } else { flag.to_owned() }
        }
        Kind::List => {
            let tag = dice.of(&TAGS);
            dice.written(tag)
        }
        Kind::Map => {
            let key = dice.of(&KEYS);
            dice.written(key)
        }
        Kind::Addresses => {
            let key = dice.of(&["wan", "lan", "lan_ipv4", "x"]);
            dice.written(key)
        }
        Kind::Records => text(dice),
    }
}

fn text(dice: &mut Dice) -> String {
    const OTHERS: [&str; 34] = [
        "web",
        "web-01",
        "web-17",
        "n0",
        "n3",
        "dc1",
        "10.0.0.1",
        "10.1.0.1",
        "192.0.2.4",
        "db.example.internal",
        "passing",
        "warning",
        "critical",
        "serfHealth",
        "connect-proxy",
        "mesh-gateway",
        "local",
        "remote",
        "service",
        "db",
        "cache",
        "dc2",
        "127.0.0.1",
        "http",
        "http2",
        "/healthz",
        "billing",
        "a tcp check",
        "web-1",
        "e",
        "in",
        "not",
        "\u{fffd}",
        "00000000-0000-0000-0000-000000000002",
    ];
    let text = if dice.one_in(2) { dice.of(&TEXTS) } else { dice.of(&OTHERS) };
    // Parts of texts are texts.
    let chars: Vec<char> = text.chars().collect();
    if dice.one_in(5) && !chars.is_empty() {
        let from = dice.below(chars.len());
        let until = from + 1 + dice.below(chars.len() - from);
        let part: String = chars[from..until].iter().collect();
        return dice.written(&part);
    }
    dice.written(text)
}

/// A sign more, less, or another.
fn damaged(dice: &mut Dice, text: &str) -> String {
    const SIGNS: [&str; 22] = [
        " ", "\"", "`", "(", ")", "[", "]", ".", "=", "!", "\\", "/", "-", "0", "x", "_", "not ", " and ",
        "é", "\n", "\r", "\t",
    ];
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=dice.below(2) {
        let at = dice.below(chars.len() + 1);
        if at < chars.len() && dice.one_in(2) {
            chars.remove(at);
        }
        if dice.one_in(2) {
            let sign = dice.of(&SIGNS);
            let tail = chars.split_off(at.min(chars.len()));
            chars.extend(sign.chars().chain(tail));
        }
    }
    chars.into_iter().collect()
}

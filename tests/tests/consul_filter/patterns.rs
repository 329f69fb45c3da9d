//! Regular expressions, above all where Go's differ from others.

use super::{dice::Dice, rows::TEXTS};

const PARTS: [&str; 88] = [
    ".",
    "a",
    "v",
    "b",
    "[a-z]",
    "[^a-z]",
    "[0-9]+",
    "\\d",
    "\\D",
    "\\w",
    "\\W",
    "\\s",
    "\\S",
    "\\b",
    "\\B",
    "[\\w-]",
    "[^\\d]",
    "[\\D5]",
    "[[:alpha:]]",
    "[[:^space:]]",
    "[^[:upper:]x]",
    "[[:nope:]]",
    "[[:alpha:]",
    "[]a]",
    "[^]a]",
    "[a[b]",
    "[a&&b]",
    "[a--b]",
    "[a~~b]",
    "[a-b-c]",
    "[-a]",
    "[a-]",
    "[b-a]",
    "[a-\\d]",
    "[]",
    "[a",
    "[é-ü]",
    "[\\x41-\\x5a]",
    "[\\pL]",
    "[^\\PL]",
    "\\pL",
    "\\PL",
    "\\p{Lu}",
    "\\p{^Lu}",
    "\\p{Greek}",
    "\\P{Han}",
    "\\p{Nope}",
    "\\pX",
    "\\pN",
    "^",
    "$",
    "\\A",
    "\\z",
    "\\Z",
    "\\G",
    "\\Qa.b\\E",
    "\\Q*",
    "\\E",
    "\\x41",
    "\\x{6b}",
    "\\x{110000}",
    "\\xg1",
    "\\101",
    "\\1",
    "\\0",
    "\\07",
    "\\<",
    "\\>",
    "\\_",
    "\\-",
    "\\é",
    "\\e",
    "\\u0041",
    "\\C",
    "\\",
    "(?i)",
    "(?-i)",
    "(?s)",
    "(?m)",
    "(?U)",
    "(?x)",
    "(?i-s)",
    "(?im-s:ſ)",
    "(?)",
    "{",
    "}",
    "{,3}",
    "é",
];

const REPETITIONS: [&str; 20] = [
    "*", "+", "?", "*?", "+?", "??", "**", "+*", "{2}", "{0}", "{0,1}", "{1,}", "{2,1}", "{1000}", "{1001}",
    "{01}", "{,2}", "{1,2}?", "{a}", "*+",
];

pub(crate) fn pattern(dice: &mut Dice) -> String {
    let mut text = String::new();
    if dice.one_in(4) {
        text.push_str("(?i)");
    }
    alternatives(dice, &mut text, 0);
    text
}

fn alternatives(dice: &mut Dice, text: &mut String, depth: usize) {
    for index in 0..[1, 1, 1, 2, 3][dice.below(5)] {
        if index > 0 {
            text.push('|');
        }
        for _ in 0..dice.below(4) {
            part(dice, text, depth);
            if dice.one_in(5) {
                text.push_str(dice.of(&REPETITIONS));
            }
        }
    }
}

fn part(dice: &mut Dice, text: &mut String, depth: usize) {
    match dice.below(10) {
        0..=3 => text.push_str(dice.of(&PARTS)),
        4 if depth < 3 => {
            text.push_str(dice.of(&[
                "(", "(", "(?:", "(?i:", "(?P<n>", "(?<m>", "(?s-i:", "(?=", "(?P<1>", "(?P<>", "(?P<é>",
            ]));
            alternatives(dice, text, depth + 1);
            text.push_str(if dice.one_in(30) { "" } else { ")" });
        }
        _ => {
            let from: Vec<char> = dice.of(&TEXTS).chars().collect();
            if !from.is_empty() {
                let at = dice.below(from.len());
                text.push(from[at]);
            }
        }
    }
}

//! Numbers and truth values of a filter, as Go reads them.

/// A number as Go reads one with "base 0": a sign, then decimal, `0x`, `0o`, `0b` or a leading `0` for
/// octal, with `_` between digits or behind the prefix.
pub(super) fn integer(text: &str) -> Option<i64> {
    let (sign, unsigned) = match text.as_bytes().first()? {
        b'-' => ("-", text.get(1..)?),
        b'+' => ("", text.get(1..)?),
        _ => ("", text),
    };
    let lower = unsigned.to_ascii_lowercase();
    let (radix, digits, prefixed) = match lower.get(..2) {
        Some("0x") => (16, lower.get(2..)?, true),
        Some("0o") => (8, lower.get(2..)?, true),
        Some("0b") => (2, lower.get(2..)?, true),
        Some(two) if two.starts_with('0') => (8, lower.get(1..)?, true),
        _ => (10, lower.as_str(), false),
    };
    let digits = separated(digits, prefixed)?;
    if !digits.chars().all(|char| char.is_digit(radix)) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}

/// The digits without their separators, if each of those stands between two digits (a prefix counts
/// as a digit).
fn separated(digits: &str, prefixed: bool) -> Option<String> {
    let mut after_digit = prefixed;
    for char in digits.chars() {
        if char == '_' && !after_digit {
            return None;
        }
        after_digit = char != '_';
    }
    after_digit.then(|| digits.replace('_', "")).filter(|digits| !digits.is_empty())
}

pub(super) fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        let table = [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("+7", Some(7)),
            ("8443", Some(8443)),
            ("-1", Some(-1)),
            ("0x20FB", Some(0x20fb)),
            ("0X20fb", Some(0x20fb)),
            ("0b101", Some(5)),
            ("0o17", Some(15)),
            ("017", Some(15)),
            ("00", Some(0)),
            ("1_000", Some(1000)),
            ("0x_ff", Some(255)),
            ("0_7", Some(7)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("", None),
            ("-", None),
            ("+-1", None),
            ("--1", None),
            ("08", None),
            ("0x", None),
            ("0b2", None),
            ("_1", None),
            ("1_", None),
            ("1__0", None),
            ("1.0", None),
            ("1e3", None),
            (" 1", None),
            ("\u{661}", None),
        ];
        for (text, expected) in table {
            assert_eq!(integer(text), expected, "{text:?}");
        }
    }
}

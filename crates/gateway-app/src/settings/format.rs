//! Durations and sizes as people write them: `1m30s` as in Go and Consul, `64KiB`.

use std::fmt::Write as _;
use std::time::Duration;

/// Units of Go's durations, largest first, in nanoseconds. Both ways to write the micro sign count.
const UNITS: [(&str, u128); 8] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ns", 1),
];

const SIZES: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// Reads a duration as Go's `time.ParseDuration` does, without a sign: `1m30s`, `500ms`, `1.5h`, `0`.
///
/// # Errors
/// One sentence that says what is written wrong.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("\"{text}\" is not a duration; write it like \"10s\", \"500ms\" or \"1m30s\"");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("\"{text}\" has no unit; write it like \"{text}s\" or \"{text}ms\""));
    }
    let mut rest = text;
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let (number, after) = rest.split_at(number_end);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let scale = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?.1;
        nanos = scaled(number, scale).and_then(|part| nanos.checked_add(part)).ok_or_else(bad)?;
        rest = after;
    }
    match u64::try_from(nanos) {
        Ok(nanos) if !text.is_empty() => Ok(Duration::from_nanos(nanos)),
        _ => Err(bad()),
    }
}

/// Writes a duration so that [`parse_duration`] reads it again, without parts that are zero: `1h`,
/// `1m30s`, `8ms`, `1.5s`, `0s`.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let whole = duration.as_secs();
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    let mut text = String::new();
    // Writing to a string does not fail.
    if hours > 0 {
        let _ = write!(text, "{hours}h");
    }
    if minutes > 0 {
        let _ = write!(text, "{minutes}m");
    }
    match (whole, duration.subsec_nanos()) {
        (0, 0) => text.push_str("0s"),
        (_, 0) if seconds == 0 => {}
        (_, 0) => {
            let _ = write!(text, "{seconds}s");
        }
        (0, nanos) if nanos >= 1_000_000 => fraction(&mut text, u64::from(nanos), 1_000_000, "ms"),
        (0, nanos) if nanos >= 1_000 => fraction(&mut text, u64::from(nanos), 1_000, "us"),
        (0, nanos) => fraction(&mut text, u64::from(nanos), 1, "ns"),
        (_, nanos) => {
            fraction(&mut text, seconds * 1_000_000_000 + u64::from(nanos), 1_000_000_000, "s");
        }
    }
    text
}

/// Reads a size: bytes as a number, or a whole number of `KiB`, `MiB` or `GiB`.
///
/// # Errors
/// One sentence that says what is written wrong.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let bad = || format!("\"{text}\" is not a size; write bytes as a number, or like \"64KiB\" or \"48MiB\"");
    let unit = SIZES.iter().find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, *scale)));
    let (number, scale) = unit.unwrap_or((text, 1));
    let number = number.trim_end();
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad());
    }
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(scale)).ok_or_else(bad)
}

/// Writes a size with the largest unit that leaves a whole number.
#[must_use]
pub fn show_bytes(bytes: u64) -> String {
    match SIZES.iter().find(|(_, scale)| bytes > 0 && bytes.is_multiple_of(*scale)) {
        Some((unit, scale)) => format!("{}{unit}", bytes / scale),
        None => bytes.to_string(),
    }
}

/// A number with an optional fraction, times `scale`, what is below one cut off.
fn scaled(number: &str, scale: u128) -> Option<u128> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && part.is_empty() || part.contains('.') {
        return None;
    }
    let mut sum = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? as u128 * scale };
    let mut place = scale;
    for digit in part.bytes() {
        place /= 10;
        sum += u128::from(digit - b'0') * place;
    }
    Some(sum)
}

fn fraction(text: &mut String, amount: u64, scale: u64, unit: &str) {
    let (whole, part) = (amount / scale, amount % scale);
    let _ = write!(text, "{whole}");
    if part > 0 {
        let digits = format!("{part:0width$}", width = scale.ilog10() as usize);
        let _ = write!(text, ".{}", digits.trim_end_matches('0'));
    }
    text.push_str(unit);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("500ms", 500),
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("1h", 3_600_000),
            ("1.5h", 5_400_000),
            (".5s", 500),
            ("1.s", 1_000),
            ("2000us", 2),
            ("2000µs", 2),
            ("2000000ns", 2),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "10", "10 s", "-1s", "+1s", "1d", "1s1", "..s", "1.2.3s", "99999999999h", "١s"]
        {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        assert!(parse_duration("10").unwrap_err().contains("\"10s\""), "the way out names the value");
    }

    #[test]
    fn durations_are_written_so_that_they_are_read_again() {
        for text in
            ["0s", "500ms", "1.5ms", "8ms", "3us", "7ns", "10s", "1.5s", "1m30s", "1h", "1h0.5s", "26h3m"]
        {
            assert_eq!(show_duration(parse_duration(text).unwrap()), text);
        }
    }

    #[test]
    fn sizes_go_there_and_back() {
        for (text, bytes) in
            [("0", 0), ("1500", 1500), ("64KiB", 65536), ("48MiB", 48 << 20), ("1GiB", 1 << 30)]
        {
            assert_eq!(parse_bytes(text), Ok(bytes));
            assert_eq!(show_bytes(bytes), text);
        }
        assert_eq!(parse_bytes("64 KiB"), Ok(65536));
        for text in ["", "KiB", "64kb", "64K", "-1", "1.5MiB", "99999999999GiB", " 1"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }
}

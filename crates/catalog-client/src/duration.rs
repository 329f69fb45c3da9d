//! Durations as Go writes and reads them: `5s`, `1m30s`, `1h2m3.5s`, `33ms`, `0`.
//!
//! Consul has them as texts in config entries, registrations and parameters such as `?wait=`. It reads
//! every form; what it writes is Go's own form, in which six hours are `6h0m0s`, or what somebody else
//! wrote, such as `6h`. [`parse`] reads all of them; [`Go`] writes Go's form, [`short`] the shorter one
//! that people and `consul connect envoy -register` write.
//!
//! ```
//! use catalog_client::duration::{Go, parse, short};
//! use std::time::Duration;
//!
//! let six = Duration::from_secs(6 * 3600);
//! assert_eq!((parse("6h"), parse("6h0m0s")), (Some(six), Some(six)));
//! assert_eq!((Go(six).to_string(), short(six)), ("6h0m0s".into(), "6h".into()));
//! ```

use std::{fmt, time::Duration};

/// Reads a duration that is not negative: numbers, which may be decimal fractions, each with a unit of
/// `ns`, `us` (`µs`), `ms`, `s`, `m`, `h`, added up; or `0`. What is less than a nanosecond is cut off.
///
/// `None` for anything else, or when it is longer than about 292 years, which Go cannot hold either.
pub fn parse(text: &str) -> Option<Duration> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if text == "0" {
        return Some(Duration::ZERO);
    }
    if text.is_empty() {
        return None;
    }
    let mut nanos: u128 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let (whole, tail) = digits(rest);
        let (fraction, tail) = tail.strip_prefix('.').map_or(("", tail), digits);
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let (unit, tail) = unit(tail)?;
        let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        nanos = nanos.checked_add(whole.checked_mul(unit)?)?;
        // Beyond 15 digits a fraction of an hour is less than a nanosecond.
        let fraction = fraction.get(..15).unwrap_or(fraction);
        if !fraction.is_empty() {
            let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
            nanos = nanos.checked_add(fraction.parse::<u128>().ok()? * unit / scale)?;
        }
        rest = tail;
    }
    let nanos = u64::try_from(nanos).ok().filter(|nanos| i64::try_from(*nanos).is_ok())?;
    Some(Duration::from_nanos(nanos))
}

/// Writes a duration as Go does: `6h0m0s`, `1m30s`, `1.5s`, `20ms`, `0s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Go(pub Duration);

impl fmt::Display for Go {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u128); 3] = [("ms", 1_000_000), ("µs", 1_000), ("ns", 1)];
        let nanos = self.0.as_nanos();
        if nanos == 0 {
            return f.write_str("0s");
        }
        // Below a second one unit, above it hours, minutes and seconds, none left out behind the first.
        if let Some((unit, size)) = UNITS.into_iter().find(|(_, size)| nanos >= *size)
            && self.0 < Duration::from_secs(1)
        {
            return decimal(f, nanos, size, unit);
        }
        let (minutes, seconds) = (nanos / 60_000_000_000, nanos % 60_000_000_000);
        if minutes >= 60 {
            write!(f, "{}h", minutes / 60)?;
        }
        if minutes > 0 {
            write!(f, "{}m", minutes % 60)?;
        }
        decimal(f, seconds, 1_000_000_000, "s")
    }
}

/// Writes a duration without the parts that are zero: `6h`, `1m30s`, `1.5s`, `0s`. Consul reads it as
/// the same.
#[must_use]
pub fn short(duration: Duration) -> String {
    let text = Go(duration).to_string();
    match text.strip_suffix("m0s").map(|text| (text, text.strip_suffix("h0"))) {
        Some((_, Some(hours))) => format!("{hours}h"),
        Some((minutes, None)) => format!("{minutes}m"),
        None => text,
    }
}

/// A number of units, with as many decimals as it takes.
fn decimal(f: &mut fmt::Formatter<'_>, nanos: u128, size: u128, unit: &str) -> fmt::Result {
    write!(f, "{}", nanos / size)?;
    let rest = nanos % size;
    if rest > 0 {
        let width = size.ilog10() as usize;
        let decimals = format!("{rest:0width$}");
        write!(f, ".{}", decimals.trim_end_matches('0'))?;
    }
    f.write_str(unit)
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

fn unit(text: &str) -> Option<(u128, &str)> {
    // Longer names first: "ms" is not "m" followed by "s".
    const UNITS: [(&str, u128); 8] = [
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("μs", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    UNITS.iter().find_map(|(name, nanos)| Some((*nanos, text.strip_prefix(name)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let table = [
            ("0", Some(0)),
            ("0s", Some(0)),
            ("5s", Some(5_000_000_000)),
            ("+5s", Some(5_000_000_000)),
            ("1m30s", Some(90_000_000_000)),
            ("1h2m3.5s", Some(3_723_500_000_000)),
            ("33ms", Some(33_000_000)),
            (".5s", Some(500_000_000)),
            ("1.s", Some(1_000_000_000)),
            ("7us", Some(7_000)),
            ("7µs", Some(7_000)),
            ("1ns", Some(1)),
            ("", None),
            ("5", None),
            ("s", None),
            (".s", None),
            ("-5s", None),
            ("5 s", None),
            ("5d", None),
            ("300y", None),
            ("9999999999h", None),
            ("99999999999999999999999999999999999999999999h", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text), expected.map(Duration::from_nanos), "{text:?}");
        }
    }

    #[test]
    fn durations_are_written_as_go_writes_them() {
        let table = [
            (0, "0s", "0s"),
            (1, "1ns", "1ns"),
            (999, "999ns", "999ns"),
            (1_100, "1.1µs", "1.1µs"),
            (2_200_000, "2.2ms", "2.2ms"),
            (20_000_000, "20ms", "20ms"),
            (999_999_999, "999.999999ms", "999.999999ms"),
            (1_000_000_000, "1s", "1s"),
            (1_050_000_000, "1.05s", "1.05s"),
            (60_000_000_000, "1m0s", "1m"),
            (90_000_000_000, "1m30s", "1m30s"),
            (600_000_000_000, "10m0s", "10m"),
            (305_000_000_001, "5m5.000000001s", "5m5.000000001s"),
            (3_600_000_000_000, "1h0m0s", "1h"),
            (3_660_000_000_000, "1h1m0s", "1h1m"),
            (3_601_000_000_000, "1h0m1s", "1h0m1s"),
            (36_000_000_000_000, "10h0m0s", "10h"),
            (259_200_000_000_000, "72h0m0s", "72h"),
            (9_223_372_036_854_775_807, "2562047h47m16.854775807s", "2562047h47m16.854775807s"),
        ];
        for (nanos, go, brief) in table {
            let duration = Duration::from_nanos(nanos);
            assert_eq!((Go(duration).to_string(), short(duration)), (go.into(), brief.into()));
            assert_eq!((parse(go), parse(brief)), (Some(duration), Some(duration)));
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(nanos in 0..=i64::MAX.cast_unsigned()) {
            let duration = Duration::from_nanos(nanos);
            proptest::prop_assert_eq!(parse(&Go(duration).to_string()), Some(duration));
            proptest::prop_assert_eq!(parse(&short(duration)), Some(duration));
        }

        #[test]
        fn any_text_is_answered(text in "\\PC*|[0-9.]{1,40}(ns|us|ms|s|m|h)") {
            let _ = parse(&text);
        }
    }
}

//! How one line of a log is written: the same escaping, time and fields for the process log and the access log.
//!
//! What clients send must not be able to break out of its line or its quotes, nor move the cursor, hide text or turn its
//! direction on a terminal. So every character that does not print as itself is escaped: controls (C0, DEL, C1), format
//! characters such as U+202E, separators such as U+2028, and what is not assigned.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use crate::telemetry::LogFormat;

/// One line being written. Starts with [`Line::begin`], takes fields, ends with [`Line::end`].
pub(crate) struct Line<'a> {
    out: &'a mut String,
    format: LogFormat,
    first: bool,
}

impl<'a> Line<'a> {
    pub(crate) fn begin(out: &'a mut String, format: LogFormat) -> Line<'a> {
        if format == LogFormat::Json {
            out.push('{');
        }
        Line { out, format, first: true }
    }

    /// A field whose value is text from anywhere.
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        match self.format {
            LogFormat::Json => json_string(self.out, value),
            LogFormat::Text => text_value(self.out, value),
        }
    }

    /// A field whose value is a number or boolean of ours, which JSON writes bare.
    pub(crate) fn bare(&mut self, name: &str, value: impl std::fmt::Display) {
        self.name(name);
        write_to(self.out, format_args!("{value}"));
    }

    /// A part that has no name in a text line, such as the time or the level.
    pub(crate) fn head(&mut self, name: &str, value: &str) {
        match self.format {
            LogFormat::Json => self.text(name, value),
            LogFormat::Text => {
                self.separate(' ');
                text_plain(self.out, value);
            }
        }
    }

    /// JSON says that a value is not known; a text line leaves it out.
    pub(crate) fn absent(&mut self, name: &str) {
        if self.format == LogFormat::Json {
            self.name(name);
            self.out.push_str("null");
        }
    }

    pub(crate) fn end(self) {
        if self.format == LogFormat::Json {
            self.out.push('}');
        }
        self.out.push('\n');
    }

    fn name(&mut self, name: &str) {
        match self.format {
            LogFormat::Json => {
                self.separate(',');
                json_string(self.out, name);
                self.out.push(':');
            }
            LogFormat::Text => {
                self.separate(' ');
                text_plain(self.out, name);
                self.out.push('=');
            }
        }
    }

    fn separate(&mut self, separator: char) {
        if !std::mem::replace(&mut self.first, false) {
            self.out.push(separator);
        }
    }
}

/// At most `max` characters of a text, with a mark where the rest was.
pub(crate) fn truncated(text: &str, max: usize) -> std::borrow::Cow<'_, str> {
    match text.char_indices().nth(max) {
        None => text.into(),
        Some((end, _)) => format!("{}…", &text[..end]).into(),
    }
}

/// RFC 3339 in UTC with milliseconds: `2026-03-04T05:06:07.089Z`. Times before 1970 or after 9999 show as the nearest.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let seconds = since.as_secs().min(253_402_300_799);
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", since.subsec_millis())
}

/// Year, month and day of a number of days since 1970-01-01 (Gregorian calendar). Years begin in March here, so that the
/// leap day is the last of its year: in such years the months have lengths that one linear formula gives.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_OF_400_YEARS: u64 = 146_097;
    // From 0000-03-01 on.
    let days = days + 719_468;
    let (cycle, day) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    // Days of the cycle without its leap days: 1460 days hold one, 36524 miss one, the last of 146097 is one.
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (cycle * 400 + year + u64::from(month <= 2), month, day)
}

/// Whether a character prints as itself and as nothing else.
fn prints(c: char) -> bool {
    c == ' ' || c.is_ascii_graphic() || (!c.is_ascii() && c.escape_debug().len() == 1)
}

/// A JSON string (RFC 8259), with more escapes than JSON asks for.
fn json_string(out: &mut String, value: &str) {
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if prints(c) => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write_to(out, format_args!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push('"');
}

/// A value in a text line: bare if it is one plain word, else in quotes.
fn text_value(out: &mut String, value: &str) {
    let plain = |c: char| prints(c) && !matches!(c, ' ' | '"' | '\\' | '=');
    if !value.is_empty() && value.chars().all(plain) {
        return out.push_str(value);
    }
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c => text_char(out, c),
        }
    }
    out.push('"');
}

/// Text outside of quotes: a message, the name of a field.
fn text_plain(out: &mut String, value: &str) {
    value.chars().for_each(|c| text_char(out, c));
}

fn text_char(out: &mut String, c: char) {
    if prints(c) {
        out.push(c);
    } else {
        write_to(out, format_args!("{}", c.escape_default()));
    }
}

/// Writing to a `String` cannot fail.
pub(crate) fn write_to(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64, millis: u64) -> String {
        rfc3339(SystemTime::UNIX_EPOCH + Duration::from_millis(seconds * 1000 + millis))
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(at(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_399, 999), "2000-02-28T23:59:59.999Z");
        assert_eq!(at(951_782_400, 1), "2000-02-29T00:00:00.001Z");
        assert_eq!(at(951_868_800, 0), "2000-03-01T00:00:00.000Z");
        assert_eq!(at(1_772_600_767, 89), "2026-03-04T05:06:07.089Z");
        assert_eq!(at(4_107_542_400, 0), "2100-03-01T00:00:00.000Z");
        assert_eq!(at(253_402_300_799, 0), "9999-12-31T23:59:59.000Z");
        assert_eq!(at(253_402_300_800, 0), "9999-12-31T23:59:59.000Z");
        assert_eq!(rfc3339(SystemTime::UNIX_EPOCH - Duration::from_secs(5)), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..200_000 {
            assert_eq!(civil(days), (year, month, day));
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 => 28 + u64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > length {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }

    #[test]
    fn no_character_breaks_out_of_its_line() {
        let every = (0..=0x11_ffff).filter_map(char::from_u32);
        for c in every.filter(|c| c.is_control() || matches!(*c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')) {
            for format in [LogFormat::Text, LogFormat::Json] {
                let mut out = String::new();
                let mut line = Line::begin(&mut out, format);
                line.head("message", &format!("a{c}b"));
                line.text("sni", &format!("a{c}b"));
                line.end();
                assert!(!out.trim_end_matches('\n').contains(c), "{c:?} in {out:?}");
                assert_eq!(out.matches('\n').count(), 1);
            }
        }
    }

    #[test]
    fn json_is_read_back_exactly() {
        for value in
            ["", "plain", "\"\\\n\r\t\u{1b}[31m", "\u{202e}evil", "ä€😀\u{e0001}\u{10ffff}", "\u{7f}\u{9b}"]
        {
            let mut out = String::new();
            json_string(&mut out, value);
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), value);
        }
    }

    #[test]
    fn text_values_are_quoted_when_they_are_not_one_word() {
        let shown = |value: &str| {
            let mut out = String::new();
            text_value(&mut out, value);
            out
        };
        assert_eq!(shown("web.default"), "web.default");
        assert_eq!(shown(""), r#""""#);
        assert_eq!(shown("a b"), r#""a b""#);
        assert_eq!(shown("a=1\nfake"), r#""a=1\nfake""#);
        assert_eq!(shown(r#"x" y="z\"#), r#""x\" y=\"z\\""#);
        assert_eq!(shown("\u{202e}gnp"), r#""\u{202e}gnp""#);
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        assert_eq!(truncated("äöü", 3), "äöü");
        assert_eq!(truncated("äöüx", 3), "äöü…");
    }
}

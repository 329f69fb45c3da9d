//! Percent-encoding of one path element, as Go's URL writer does it.
//!
//! Consul's certificates are written by Go's `net/url`, and a certificate is compared as text. So the choice of
//! which characters stay as they are must be Go's, not that of another URL library.

use std::fmt::{self, Write as _};

/// Writes `text` as one path element. Go leaves these alone: letters, digits, `-_.~` and `$&+,:;=@`. The slash
/// is escaped although Go's writer of whole paths keeps it, because here it stands inside an element.
pub(super) fn write_element(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for byte in text.bytes() {
        if stays(byte) {
            f.write_char(char::from(byte))?;
        } else {
            write!(f, "%{byte:02X}")?;
        }
    }
    Ok(())
}

fn stays(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~$&+,:;=@".contains(&byte)
}

/// Whether `raw` is what [`write_element`] makes of `text`.
pub(super) fn is_written(raw: &str, text: &str) -> bool {
    struct Same<'a>(&'a str);
    impl fmt::Write for Same<'_> {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            self.0 = self.0.strip_prefix(part).ok_or(fmt::Error)?;
            Ok(())
        }
    }
    struct Element<'a>(&'a str);
    impl fmt::Display for Element<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write_element(self.0, f)
        }
    }
    let mut same = Same(raw);
    write!(same, "{}", Element(text)).is_ok() && same.0.is_empty()
}

/// Undoes percent-encoding; `None` when an escape is cut short, is not hexadecimal, or the result is not UTF-8.
pub(super) fn decode_element(raw: &str) -> Option<String> {
    let mut bytes = raw.bytes();
    let mut decoded = Vec::with_capacity(raw.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = hex(bytes.next()?)?;
            let low = hex(bytes.next()?)?;
            decoded.push(high << 4 | low);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

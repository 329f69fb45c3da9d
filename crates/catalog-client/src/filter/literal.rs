//! Quoted texts of the filter language: `"…"` with escapes as Go writes them, or `` `…` `` as it is.

use std::fmt::{self, Write};

/// What a text between double quotes stands for, which need not be UTF-8; `None` when an escape is
/// wrong.
///
/// A `"` cannot occur inside, not even escaped: the grammar ends the text there.
pub(super) fn unquote(inside: &str) -> Option<Vec<u8>> {
    if inside.contains('\n') {
        return None;
    }
    let mut text = Vec::with_capacity(inside.len());
    let mut rest = inside.chars();
    let push = |text: &mut Vec<u8>, char: char| {
        text.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
    };
    while let Some(char) = rest.next() {
        if char != '\\' {
            push(&mut text, char);
            continue;
        }
        match rest.next()? {
            'a' => text.push(7),
            'b' => text.push(8),
            'f' => text.push(12),
            'n' => text.push(b'\n'),
            'r' => text.push(b'\r'),
            't' => text.push(b'\t'),
            'v' => text.push(11),
            '\\' => text.push(b'\\'),
            'x' => text.push(u8::try_from(number(&mut rest, 2, 16)?).ok()?),
            'u' => push(&mut text, char::from_u32(number(&mut rest, 4, 16)?)?),
            'U' => push(&mut text, char::from_u32(number(&mut rest, 8, 16)?)?),
            first @ '0'..='7' => {
                let high = first.to_digit(8)?;
                text.push(u8::try_from(high * 64 + number(&mut rest, 2, 8)?).ok()?);
            }
            _ => return None,
        }
    }
    Some(text)
}

fn number(rest: &mut std::str::Chars<'_>, digits: u32, radix: u32) -> Option<u32> {
    (0..digits).try_fold(0u32, |sum, _| sum.checked_mul(radix)?.checked_add(rest.next()?.to_digit(radix)?))
}

/// Writes a text so that it is read back as itself.
pub(super) struct Quoted<'a>(pub(super) &'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for chunk in self.0.utf8_chunks() {
            for char in chunk.valid().chars() {
                match char {
                    // The grammar has no escaped quote, but the code point may be given by number.
                    '"' => f.write_str("\\x22")?,
                    '\\' => f.write_str("\\\\")?,
                    '\n' => f.write_str("\\n")?,
                    '\r' => f.write_str("\\r")?,
                    _ => f.write_char(char)?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        f.write_char('"')
    }
}

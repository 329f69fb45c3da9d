//! Quoted texts of the filter language: `"…"` with escapes as Go writes them, or `` `…` `` as it is.

use std::fmt::{self, Write};

/// What a text between double quotes stands for; `None` when an escape is wrong.
///
/// A `"` cannot occur inside, not even escaped: the grammar ends the text there.
pub(super) fn unquote(inside: &str) -> Option<String> {
    if inside.contains(['\n', '\r']) {
        return None;
    }
    let mut text = String::with_capacity(inside.len());
    let mut rest = inside.chars();
    while let Some(char) = rest.next() {
        if char != '\\' {
            text.push(char);
            continue;
        }
        let meant = match rest.next()? {
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            '\\' => '\\',
            // Go's \x and octal escapes are bytes; beyond ASCII a single one is no character.
            'x' => char::from_u32(number(&mut rest, 2, 16)?).filter(char::is_ascii)?,
            'u' => char::from_u32(number(&mut rest, 4, 16)?)?,
            'U' => char::from_u32(number(&mut rest, 8, 16)?)?,
            first @ '0'..='7' => {
                let high = first.to_digit(8)?;
                char::from_u32(high * 64 + number(&mut rest, 2, 8)?).filter(char::is_ascii)?
            }
            _ => return None,
        };
        text.push(meant);
    }
    Some(text)
}

fn number(rest: &mut std::str::Chars<'_>, digits: u32, radix: u32) -> Option<u32> {
    (0..digits).try_fold(0u32, |sum, _| sum.checked_mul(radix)?.checked_add(rest.next()?.to_digit(radix)?))
}

/// Writes a text so that it is read back as itself.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for char in self.0.chars() {
            match char {
                // The grammar has no escaped quote, but the code point may be given by number.
                '"' => f.write_str("\\x22")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                _ => f.write_char(char)?,
            }
        }
        f.write_char('"')
    }
}

//! Single characters: `\n`, `\x41`, `\101`, `\.`, and how they are written.

/// Any character, a line feed as well.
pub(crate) const ANY: &str = "(?s:.)";

/// What matches nothing: a code point that is no character, such as half of a surrogate pair.
pub(crate) const NEVER: &str = "[a&&b]";

/// A character by its code point, as a part of a pattern.
pub(crate) fn literal(code: u32) -> String {
    match char::from_u32(code) {
        Some(char) if char.is_ascii_alphanumeric() => char.into(),
        Some(_) => format!("\\x{{{code:x}}}"),
        None => NEVER.to_owned(),
    }
}

/// Reads an escape of one character; what it stands for, and the rest.
pub(crate) fn character(text: &str) -> Result<(u32, &str), &'static str> {
    const WRONG: &str = "there is an escape that does not exist";
    let mut rest = text.strip_prefix('\\').unwrap_or(text).chars();
    let first = rest.next().ok_or("a backslash is the last character")?;
    let code = match first {
        '0'..='7' => {
            let (digits, tail) = split(rest.as_str(), 2, |char| char.is_digit(8));
            // A digit alone would be a reference to a group.
            if digits.is_empty() && first != '0' {
                return Err(WRONG);
            }
            let code = u32::from_str_radix(&format!("{first}{digits}"), 8).map_err(|_| WRONG)?;
            return Ok((code, tail));
        }
        'x' => return hexadecimal(rest.as_str()).ok_or(WRONG),
        'a' => 7,
        'f' => 12,
        'n' => 10,
        'r' => 13,
        't' => 9,
        'v' => 11,
        _ if first.is_ascii() && !first.is_ascii_alphanumeric() => u32::from(first),
        _ => return Err(WRONG),
    };
    Ok((code, rest.as_str()))
}

/// What follows `\x`: two digits, or any number of them in braces.
fn hexadecimal(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = match text.strip_prefix('{') {
        Some(text) => text.split_once('}')?,
        None => split(text, 2, |char| char.is_ascii_hexdigit()),
    };
    let short = !text.starts_with('{') && digits.len() != 2;
    if short || digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    let code = if digits.is_empty() { 0 } else { u32::from_str_radix(digits, 16).ok()? };
    (code <= u32::from(char::MAX)).then_some((code, rest))
}

/// Splits off up to `most` characters that fit.
fn split(text: &str, most: usize, fits: impl Fn(char) -> bool) -> (&str, &str) {
    let length = text.chars().take(most).take_while(|char| fits(*char)).map(char::len_utf8).sum();
    text.split_at_checked(length).unwrap_or((text, ""))
}

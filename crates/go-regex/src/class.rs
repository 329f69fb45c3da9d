//! Classes of characters: `[a-z]`, `[[:alpha:]]`, `\d`, `\pL`, `\p{Greek}`.

use super::escape::{ANY, NEVER, character};
use std::fmt::Write;

/// Reads a class in brackets; as a part of a pattern, and the rest.
pub(crate) fn bracketed(text: &str) -> Result<(String, &str), &'static str> {
    const NO_END: &str = "a class has no end: missing \"]\"";
    let text = text.strip_prefix('[').unwrap_or(text);
    let (negated, mut rest) = text.strip_prefix('^').map_or((false, text), |rest| (true, rest));
    let mut items = String::new();
    let mut first = true;
    loop {
        // A bracket that comes first is one of the characters.
        match rest.strip_prefix(']') {
            Some(rest) if !first => return Ok((finish(&items, negated), rest)),
            _ => first = false,
        }
        if let Some((item, tail)) = named(rest)? {
            items.push_str(item);
            rest = tail;
        } else if let Some((item, tail)) = escaped(rest)? {
            items.push_str(&item);
            rest = tail;
        } else {
            let (from, tail) = one(rest).ok_or(NO_END)??;
            rest = tail;
            let mut to = from;
            if let Some(tail) =
                rest.strip_prefix('-').filter(|tail| !tail.is_empty() && !tail.starts_with(']'))
            {
                (to, rest) = one(tail).ok_or(NO_END)??;
            }
            if to < from {
                return Err("a range of a class ends before it begins");
            }
            range(&mut items, from, to);
        }
    }
}

fn finish(items: &str, negated: bool) -> String {
    match (items.is_empty(), negated) {
        (true, true) => ANY.to_owned(),
        (true, false) => NEVER.to_owned(),
        (false, true) => format!("[^{items}]"),
        (false, false) => format!("[{items}]"),
    }
}

/// A character of a class, escaped or not.
fn one(text: &str) -> Option<Result<(u32, &str), &'static str>> {
    let first = text.chars().next()?;
    if first == '\\' {
        return Some(character(text));
    }
    Some(Ok((u32::from(first), text.get(first.len_utf8()..).unwrap_or_default())))
}

/// Adds a range without the code points that are no characters.
fn range(items: &mut String, from: u32, to: u32) {
    let from = if (0xd800..=0xdfff).contains(&from) { 0xe000 } else { from };
    let to = if (0xd800..=0xdfff).contains(&to) { 0xd7ff } else { to };
    if from <= to {
        // Writing into a text does not fail.
        let _ = write!(items, "\\x{{{from:x}}}-\\x{{{to:x}}}");
    }
}

/// `[:alpha:]`, inside of brackets.
fn named(text: &str) -> Result<Option<(&str, &str)>, &'static str> {
    const NAMES: [&str; 14] = [
        "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
        "upper", "word", "xdigit",
    ];
    let Some(end) = text.strip_prefix("[:").and_then(|inside| inside.find(":]")) else { return Ok(None) };
    let name = text.get(2..2 + end).unwrap_or_default();
    if !NAMES.contains(&name.strip_prefix('^').unwrap_or(name)) {
        return Err("a class has a name that does not exist");
    }
    Ok(text.split_at_checked(end + 4))
}

/// `\d` and its like, `\pL`, `\p{Greek}`: as an item of a class, and the rest. `None`: something else.
pub(crate) fn escaped(text: &str) -> Result<Option<(String, &str)>, &'static str> {
    let mut chars = text.chars();
    let (Some('\\'), Some(kind)) = (chars.next(), chars.next()) else { return Ok(None) };
    let rest = chars.as_str();
    let perl = match kind {
        'd' => "0-9",
        'D' => "[^0-9]",
        's' => "\\t\\n\\f\\r\\x{20}",
        'S' => "[^\\t\\n\\f\\r\\x{20}]",
        'w' => "0-9A-Za-z_",
        'W' => "[^0-9A-Za-z_]",
        'p' | 'P' => return unicode(kind == 'P', rest).map(Some),
        _ => return Ok(None),
    };
    Ok(Some((perl.to_owned(), rest)))
}

/// What follows `\p`: a category of one letter, or a category or script in braces.
fn unicode(negated: bool, text: &str) -> Result<(String, &str), &'static str> {
    const CATEGORIES: [&str; 37] = [
        "C", "Cc", "Cf", "Co", "Cs", "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N", "Nd",
        "Nl", "No", "P", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So", "Z", "Zl",
        "Zp", "Zs", "Any",
    ];
    const NONE: &str = "\\p names a category or script that does not exist";
    let (name, rest) = match text.strip_prefix('{') {
        Some(inside) => inside.split_once('}').ok_or(NONE)?,
        None => {
            let length = text.chars().next().ok_or(NONE)?.len_utf8();
            text.split_at_checked(length).ok_or(NONE)?
        }
    };
    let (negated, name) = name.strip_prefix('^').map_or((negated, name), |name| (!negated, name));
    let script = name.len() > 1
        && name.starts_with(|char: char| char.is_ascii_uppercase())
        && name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    let sign = if negated { 'P' } else { 'p' };
    match name {
        // Half surrogate pairs: no text has them.
        "Cs" => Ok((if negated { "\\x{0}-\\x{10ffff}" } else { NEVER }.to_owned(), rest)),
        _ if CATEGORIES.contains(&name) => Ok((format!("\\{sign}{{{name}}}"), rest)),
        _ if script => Ok((format!("\\{sign}{{sc={name}}}"), rest)),
        _ => Err(NONE),
    }
}

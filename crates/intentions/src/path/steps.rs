//! The three steps, in their order.

use std::borrow::Cow;

use super::{EscapedSlashes, Normalization, NormalizedPath, Outcome, Redirect, Rejection};

/// `target` starts with a slash.
pub(super) fn outcome(target: &str, options: &Normalization) -> Outcome {
    let (raw, query) = target.find('?').map_or((target, ""), |at| target.split_at(at));
    let mut path = Cow::Borrowed(raw);
    let escaped = has_escaped_slash(raw);
    let redirect = match options.escaped_slashes {
        EscapedSlashes::RejectRequest if escaped => return Outcome::Reject(Rejection::EscapedSlash),
        EscapedSlashes::KeepUnchanged | EscapedSlashes::RejectRequest => false,
        EscapedSlashes::UnescapeAndForward | EscapedSlashes::UnescapeAndRedirect => {
            if escaped {
                path = Cow::Owned(unescape_slashes(&path));
            }
            escaped && options.escaped_slashes == EscapedSlashes::UnescapeAndRedirect
        }
    };
    if options.normalize_path {
        if path.contains("%00") {
            return Outcome::Reject(Rejection::Nul);
        }
        if needs_decoding(&path) {
            path = Cow::Owned(decode(&path));
        }
        if has_dots(&path) {
            path = Cow::Owned(resolve_dots(&path));
        }
    }
    if options.merge_slashes && path.contains("//") {
        path = Cow::Owned(merge_slashes(&path));
    }
    if redirect {
        return Outcome::Redirect(Redirect { location: location(&path, query) });
    }
    let changed = *path != *raw;
    let text = if changed { format!("{path}{query}") } else { target.to_owned() };
    Outcome::Path(NormalizedPath { path: path.len(), text: text.into(), changed })
}

/// A location that begins with two slashes would name another host; `/.` in front is resolved away by the client.
fn location(path: &str, query: &str) -> String {
    let front = if path.starts_with("//") || path.starts_with("/\\") { "/." } else { "" };
    format!("{front}{path}{query}")
}

fn has_escaped_slash(path: &str) -> bool {
    path.as_bytes().windows(3).any(|bytes| slash(bytes).is_some())
}

fn slash(escape: &[u8]) -> Option<char> {
    match escape {
        b"%2F" | b"%2f" => Some('/'),
        b"%5C" | b"%5c" => Some('\\'),
        _ => None,
    }
}

fn unescape_slashes(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let found = from.as_bytes().get(..3).and_then(slash);
        out.push(found.unwrap_or('%'));
        rest = from.get(if found.is_some() { 3 } else { 1 }..).unwrap_or_default();
    }
    out + rest
}

fn needs_decoding(path: &str) -> bool {
    path.contains(['%', '\\'])
}

/// Backslashes become slashes, escapes of unreserved characters those characters. What is left never holds an escape
/// that was not there before: a digit that would complete one stays escaped.
fn decode(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find(['%', '\\']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        if let Some(after) = from.strip_prefix('\\') {
            out.push('/');
            rest = after;
            continue;
        }
        let (escape, after) = match escaped(from) {
            Some(byte) => {
                let (escape, after) = from.split_at(3);
                let plain = is_unreserved(byte) && !completes_escape(&out, byte);
                out.push_str(if plain { "" } else { escape });
                (plain.then_some(char::from(byte)), after)
            }
            None => (Some('%'), from.get(1..).unwrap_or_default()),
        };
        out.extend(escape);
        rest = after;
    }
    out + rest
}

/// The byte that an escape at the start of `text` stands for.
fn escaped(text: &str) -> Option<u8> {
    let &[b'%', high, low] = text.as_bytes().get(..3)? else { return None };
    let digit = |byte| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

/// RFC 3986, section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// `out` may end with a percent sign that begins no escape, alone or with one digit. (Whole escapes are written at once.)
fn completes_escape(out: &str, byte: u8) -> bool {
    let begun = match out.as_bytes() {
        [.., b'%'] => true,
        [.., b'%', last] => last.is_ascii_hexdigit(),
        _ => false,
    };
    begun && byte.is_ascii_hexdigit()
}

fn has_dots(path: &str) -> bool {
    path.contains("/.")
}

/// RFC 3986, section 5.2.4, never above the root.
fn resolve_dots(path: &str) -> String {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let last = segments.len().saturating_sub(1);
    let mut kept: Vec<&str> = Vec::with_capacity(segments.len());
    for (index, segment) in segments.into_iter().enumerate() {
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                // A path that ends in dots names a folder.
                if index == last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

fn merge_slashes(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for char in path.chars() {
        if char != '/' || !out.ends_with('/') {
            out.push(char);
        }
    }
    out
}

//! Regular expressions as Go's `regexp` reads them, written for the `regex` crate.
//!
//! The two agree on what a pattern means but not on how it is spelled: `\d`, `\w`, `\s` and `\b` are
//! ASCII in Go; `{,3}`, `\<` and `[a&&b]` are plain characters there; `\Q...\E` and octal escapes exist
//! only there, `(?x)`, `\u{...}` and set operations only here; `a**` is refused there. So a pattern is
//! read by Go's rules and written anew, each part with the flags that hold for it, as a test whether
//! there is a match: groups capture nothing.

mod class;
mod escape;
#[cfg(test)]
mod tests;

use escape::{ANY, NEVER, literal};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;

/// Why Go refuses a pattern. Its author is at fault; a retry does not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(&'static str);

/// Writes a pattern for the `regex` crate. The work is proportional to its length.
///
/// The text that comes out is complete in itself: it may be put into a group of another pattern.
///
/// # Errors
/// Why Go refuses it.
pub fn translate(pattern: &str) -> Result<String, Refused> {
    translated(pattern).map_err(Refused)
}

fn translated(pattern: &str) -> Result<String, &'static str> {
    let mut reader =
        Reader { rest: pattern, flags: Flags::default(), group: Group::default(), around: Vec::new() };
    let mut after_repetition = false;
    while let Some(next) = reader.rest.chars().next() {
        after_repetition = reader.step(next, after_repetition)?;
    }
    if reader.around.is_empty() {
        Ok(reader.group.finish().text)
    } else {
        Err("a group has no end: missing \")\"")
    }
}

/// How many times in all a part may be repeated, nested repetitions multiplied.
const MOST_REPEATS: u32 = 1000;

/// Reads a pattern from left to right. A part is one character, class or group: what a repetition
/// behind it repeats.
struct Reader<'a> {
    rest: &'a str,
    flags: Flags,
    /// The innermost open group; at first the pattern itself.
    group: Group,
    /// Those around it.
    around: Vec<Group>,
}

#[derive(Clone, Copy, Default)]
struct Flags {
    fold: bool,
    lines: bool,
    dot_all: bool,
}

#[derive(Default)]
struct Group {
    /// Finished alternatives, each with the sign behind it.
    before: String,
    /// The largest number of repeats in them.
    repeats: u32,
    /// The parts of the alternative at hand.
    parts: Vec<Part>,
    /// What holds again behind the group.
    outer: Flags,
}

struct Part {
    text: String,
    /// The largest product of nested counted repetitions.
    repeats: u32,
}

impl Part {
    fn once(text: impl Into<String>) -> Self {
        Self { text: text.into(), repeats: 1 }
    }
}

impl Group {
    fn end_alternative(&mut self) {
        for part in self.parts.drain(..) {
            self.before.push_str(&part.text);
            self.repeats = self.repeats.max(part.repeats);
        }
    }

    fn finish(mut self) -> Part {
        self.end_alternative();
        Part { text: self.before, repeats: self.repeats.max(1) }
    }
}

impl<'a> Reader<'a> {
    /// Reads one thing; whether it was a repetition.
    fn step(&mut self, next: char, after_repetition: bool) -> Result<bool, &'static str> {
        match next {
            '(' if self.rest.starts_with("(?") => self.open_with_flags()?,
            '(' => {
                self.eat("(");
                self.open(self.flags);
            }
            ')' => self.close()?,
            '|' => {
                self.eat("|");
                self.group.end_alternative();
                self.group.before.push('|');
            }
            '*' | '+' | '?' => {
                self.advance(next);
                self.repeat(&next.to_string(), 1, after_repetition)?;
                return Ok(true);
            }
            '{' => match self.counts()? {
                Some((least, most)) => {
                    let text = match most {
                        Some(most) => format!("{{{least},{most}}}"),
                        None => format!("{{{least},}}"),
                    };
                    let most = most.unwrap_or(least);
                    self.repeat(&text, most, after_repetition)?;
                    return Ok(true);
                }
                None => self.plain(next),
            },
            '^' => self.anchor("^", "\\A", "(?m:^)"),
            '$' => self.anchor("$", "\\z", "(?m:$)"),
            '.' => {
                self.eat(".");
                self.push(Part::once(if self.flags.dot_all { ANY } else { "." }));
            }
            '[' => {
                let (text, rest) = class::bracketed(self.rest)?;
                self.rest = rest;
                self.push_folding(text);
            }
            '\\' => self.escape()?,
            _ => self.plain(next),
        }
        Ok(false)
    }

    fn plain(&mut self, char: char) {
        self.advance(char);
        self.push_folding(literal(u32::from(char)));
    }

    fn anchor(&mut self, sign: &str, text: &str, line: &str) {
        self.eat(sign);
        self.push(Part::once(if self.flags.lines { line } else { text }));
    }

    fn escape(&mut self) -> Result<(), &'static str> {
        for (sign, text) in [("\\A", "\\A"), ("\\z", "\\z"), ("\\b", "(?-u:\\b)"), ("\\B", "(?-u:\\B)")] {
            if self.eat(sign) {
                self.push(Part::once(text));
                return Ok(());
            }
        }
        if self.eat("\\Q") {
            let (quoted, rest) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
            self.rest = rest;
            for char in quoted.chars() {
                self.push_folding(literal(u32::from(char)));
            }
            return Ok(());
        }
        if let Some((class, rest)) = class::escaped(self.rest)? {
            self.rest = rest;
            self.push_folding(format!("[{class}]"));
            return Ok(());
        }
        let (code, rest) = escape::character(self.rest)?;
        self.rest = rest;
        self.push_folding(literal(code));
        Ok(())
    }

    /// `(?flags)`, `(?flags:`, `(?P<name>`, `(?<name>`.
    fn open_with_flags(&mut self) -> Result<(), &'static str> {
        for start in ["(?P<", "(?<"] {
            if !self.eat(start) {
                continue;
            }
            let (name, rest) = self.rest.split_once('>').ok_or("the name of a group has no end")?;
            let good =
                !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !good {
                return Err("the name of a group is not made of letters, digits and \"_\"");
            }
            self.rest = rest;
            self.open(self.flags);
            return Ok(());
        }
        self.eat("(?");
        let outer = self.flags;
        let mut flags = outer;
        let (mut on, mut seen) = (true, true);
        loop {
            let next = self.rest.chars().next().ok_or("missing \")\"")?;
            self.advance(next);
            match next {
                'i' => flags.fold = on,
                'm' => flags.lines = on,
                's' => flags.dot_all = on,
                // Which match is found does not matter.
                'U' => {}
                '-' if on => {
                    (on, seen) = (false, false);
                    continue;
                }
                ':' | ')' if seen => {
                    if next == ':' {
                        self.open(outer);
                    }
                    self.flags = flags;
                    return Ok(());
                }
                _ => return Err("(? is followed by what does not exist"),
            }
            seen = true;
        }
    }

    fn open(&mut self, outer: Flags) {
        let around = std::mem::replace(&mut self.group, Group { outer, ..Group::default() });
        self.around.push(around);
    }

    fn close(&mut self) -> Result<(), &'static str> {
        self.eat(")");
        let around = self.around.pop().ok_or("\")\" without \"(\"")?;
        let group = std::mem::replace(&mut self.group, around);
        self.flags = group.outer;
        let Part { text, repeats } = group.finish();
        self.push(Part { text: format!("(?:{text})"), repeats });
        Ok(())
    }

    /// `{2}`, `{2,}`, `{2,3}`: eaten, with its numbers. Anything else is no repetition but text.
    fn counts(&mut self) -> Result<Option<(u32, Option<u32>)>, &'static str> {
        let Some((inside, rest)) = self.rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
            return Ok(None);
        };
        let (least, most) = inside.split_once(',').map_or((inside, inside), |pair| pair);
        let number = |text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            (plain && (text.len() == 1 || !text.starts_with('0'))).then(|| text.parse().unwrap_or(u32::MAX))
        };
        let (least, most) = match (number(least), most.is_empty() && inside.contains(','), number(most)) {
            (Some(least), true, _) => (least, None),
            (Some(least), false, Some(most)) => (least, Some(most)),
            _ => return Ok(None),
        };
        if least > MOST_REPEATS || most.is_some_and(|most| most > MOST_REPEATS || most < least) {
            return Err("a repetition is more than 1000 times, or ends before it begins");
        }
        self.rest = rest;
        Ok(Some((least, most)))
    }

    /// Repeats the part before. `times`: what it multiplies the repeats inside by.
    fn repeat(&mut self, sign: &str, times: u32, after_repetition: bool) -> Result<(), &'static str> {
        // Lazy or not: there is a match or there is none.
        self.eat("?");
        if after_repetition {
            return Err("a repetition is repeated, as in \"a**\"");
        }
        let part = self.group.parts.last_mut().ok_or("a repetition repeats nothing")?;
        part.repeats = match (times, sign.starts_with('{')) {
            (0, true) if sign == "{0,0}" => 1,
            (0 | 1, _) => part.repeats,
            (times, _) => part.repeats.saturating_mul(times),
        };
        if part.repeats > MOST_REPEATS {
            return Err("repetitions inside of each other are more than 1000 times");
        }
        part.text = format!("(?:{}){sign}", part.text);
        Ok(())
    }

    /// Adds a part that depends on whether case counts.
    fn push_folding(&mut self, text: String) {
        let folds = self.flags.fold && text != NEVER;
        self.push(Part::once(if folds { format!("(?i:{text})") } else { text }));
    }

    fn push(&mut self, part: Part) {
        self.group.parts.push(part);
    }

    fn advance(&mut self, char: char) {
        self.rest = self.rest.get(char.len_utf8()..).unwrap_or_default();
    }

    fn eat(&mut self, sign: &str) -> bool {
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
}

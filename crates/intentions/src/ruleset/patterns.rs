//! Regular expressions, each compiled once per rule set and bounded in size and number.

use std::collections::HashMap;

use regex::{Regex, RegexBuilder};

use crate::limits::{MAX_PATTERN, MAX_PATTERN_SIZE, MAX_PATTERNS};

#[derive(Default)]
pub(super) struct Patterns(HashMap<Box<str>, Result<Regex, String>>);

impl Patterns {
    /// The expression as RE2 reads it, to match a whole text.
    pub(super) fn whole(&mut self, pattern: &str) -> Result<Regex, String> {
        if let Some(known) = self.0.get(pattern) {
            return known.clone();
        }
        if self.0.len() >= MAX_PATTERNS {
            return Err(format!(
                "there are more than {MAX_PATTERNS} regular expressions for this destination"
            ));
        }
        let compiled = compile(pattern);
        self.0.insert(pattern.into(), compiled.clone());
        compiled
    }
}

fn compile(pattern: &str) -> Result<Regex, String> {
    let wrong = |reason: &str| format!("regular expression {pattern:.80?}: {reason}");
    if pattern.len() > MAX_PATTERN {
        return Err(wrong("it is too long"));
    }
    let translated = go_regex::translate(pattern).map_err(|refused| wrong(&refused.to_string()))?;
    // What was translated is complete in itself, so a parenthesis in it cannot break out of the group.
    let build = RegexBuilder::new(&format!("\\A(?:{translated})\\z"))
        .size_limit(MAX_PATTERN_SIZE)
        .dfa_size_limit(MAX_PATTERN_SIZE)
        .build();
    // The last line of an error says why; those before it repeat and underline the expression.
    build.map_err(|error| wrong(error.to_string().lines().last().unwrap_or_default().trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Patterns::default().whole(pattern).unwrap().is_match(text)
    }

    #[test]
    fn the_whole_text_must_match() {
        assert!(matches("/v[12]", "/v1"));
        assert!(!matches("/v[12]", "/v1/x"));
        assert!(!matches("/v[12]", "x/v1"));
        assert!(!matches("/a|/b", "/ax"));
        assert!(!matches("(?m)^/a$", "/a\n/b"));
        assert!(!matches("/a$", "/a\n"));
        assert!(matches("[a&&b]", "&"));
        assert!(!matches(r"/\d", "/\u{663}"));
    }

    #[test]
    fn what_re2_does_not_read_is_refused() {
        for pattern in ["a)|(b", "(", "(?x)a", "(?=a)", "a**", r"\p{Nope}", "(a{1000}){1000}"] {
            assert!(Patterns::default().whole(pattern).is_err(), "{pattern}");
        }
        // About 3 MB when compiled: the regex crate's own limit is 10 MiB.
        let large = format!("({}){{1000}}", "ab".repeat(50));
        assert!(Patterns::default().whole(&large).is_err());
        assert!(Patterns::default().whole(&"a".repeat(MAX_PATTERN + 1)).is_err());
    }

    #[test]
    fn there_are_not_too_many() {
        let mut patterns = Patterns::default();
        for number in 0..MAX_PATTERNS {
            assert!(patterns.whole(&format!("/{number}")).is_ok());
        }
        assert!(patterns.whole("/one-more").is_err());
        assert!(patterns.whole("/0").is_ok());
    }
}

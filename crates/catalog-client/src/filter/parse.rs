//! The grammar, read by recursive descent in one pass.
//!
//! `or` binds weaker than `and`, `and` weaker than `not`. White space is required around the words,
//! not around `==` and `!=`. A word such as `not` or `in` is a name where the grammar has no other
//! use for it, as in the reference grammar.

use super::{Expr, FilterError, MAX_DEPTH, MAX_LENGTH, Match, Operator, literal};

/// Compiled size of one regular expression, in bytes; the default of the regex crate is 10 MiB.
const REGEX_LIMIT: usize = 1 << 20;

pub(super) fn filter(text: &str) -> Result<Option<Expr>, FilterError> {
    if text.len() > MAX_LENGTH {
        return Err(FilterError::TooLong);
    }
    if text.is_empty() {
        return Ok(None);
    }
    let mut parser = Parser { text, at: 0 };
    parser.space();
    let expr = parser.or(0)?;
    parser.space();
    if parser.rest().is_empty() {
        Ok(Some(expr))
    } else {
        Err(parser.expected("expected \"and\", \"or\" or the end"))
    }
}

/// Whether a part of a path can be written without quotes.
pub(super) fn is_identifier(part: &str) -> bool {
    !part.is_empty() && identifier_length(part) == part.len()
}

fn identifier_length(text: &str) -> usize {
    if !text.starts_with(|char: char| char.is_ascii_alphabetic()) {
        return 0;
    }
    text.bytes().position(|byte| !(byte.is_ascii_alphanumeric() || byte == b'_')).unwrap_or(text.len())
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

/// What may stand on either side of an operator.
struct Operand {
    /// What it means as a value: texts in quotes need not be UTF-8.
    value: Vec<u8>,
    /// What it means as a selector, if it can be one.
    path: Option<Vec<Box<str>>>,
}

impl<'a> Parser<'a> {
    fn or(&mut self, depth: usize) -> Result<Expr, FilterError> {
        self.list("or", Expr::Or, |parser| parser.list("and", Expr::And, |parser| parser.not(depth)))
    }

    fn list(
        &mut self,
        word: &str,
        join: fn(Vec<Expr>) -> Expr,
        mut item: impl FnMut(&mut Self) -> Result<Expr, FilterError>,
    ) -> Result<Expr, FilterError> {
        let first = item(self)?;
        if !self.spaced_word(word) {
            return Ok(first);
        }
        let mut items = vec![first, item(self)?];
        while self.spaced_word(word) {
            items.push(item(self)?);
        }
        Ok(join(items))
    }

    fn not(&mut self, depth: usize) -> Result<Expr, FilterError> {
        let start = self.at;
        if self.word("not") && self.space() {
            let inner = self.not(self.deeper(depth)?);
            match inner {
                Ok(Expr::Not(twice)) => return Ok(*twice),
                Ok(inner) => return Ok(Expr::Not(Box::new(inner))),
                Err(FilterError::Syntax { at, expected }) => {
                    // A field may be called "not". If that does not lead on either, what went wrong
                    // behind the word is the better message.
                    self.at = start;
                    return self.single().map_err(|_| FilterError::Syntax { at, expected });
                }
                Err(error) => return Err(error),
            }
        }
        self.at = start;
        if self.eat("(") {
            let depth = self.deeper(depth)?;
            self.space();
            let inner = self.or(depth)?;
            self.space();
            return if self.eat(")") { Ok(inner) } else { Err(self.expected("expected \")\"")) };
        }
        self.single()
    }

    fn deeper(&self, depth: usize) -> Result<usize, FilterError> {
        if depth < MAX_DEPTH { Ok(depth + 1) } else { Err(FilterError::TooDeep) }
    }

    /// One comparison: `selector operator value`, `selector is empty`, or `value in selector`.
    fn single(&mut self) -> Result<Expr, FilterError> {
        let left_at = self.at;
        let left = self.operand()?;
        let (operator, negated, value_first) = self.operator()?;
        let (path, value, path_at) = match operator {
            Operator::Empty => (left.path, Vec::new(), left_at),
            Operator::In if value_first => {
                let right_at = self.at;
                (self.operand()?.path, left.value, right_at)
            }
            Operator::Equal | Operator::In | Operator::Matches => (left.path, self.operand()?.value, left_at),
        };
        let Some(path) = path else {
            self.at = path_at;
            return Err(self.expected("expected a field such as Service.Meta.version"));
        };
        let regex = match operator {
            Operator::Matches => Some(regex(&value)?),
            Operator::Equal | Operator::In | Operator::Empty => None,
        };
        let selector = path.into_boxed_slice();
        Ok(Expr::Match(Match { selector, operator, value: value.into(), regex, negated }))
    }

    fn operator(&mut self) -> Result<(Operator, bool, bool), FilterError> {
        let spaced = self.space();
        for (sign, negated) in [("==", false), ("!=", true)] {
            if self.eat(sign) {
                self.space();
                return Ok((Operator::Equal, negated, false));
            }
        }
        if spaced && self.word("is") && self.space() {
            let negated = self.word("not") && self.space();
            if self.word("empty") {
                return Ok((Operator::Empty, negated, false));
            }
            return Err(self.expected("expected \"empty\" or \"not empty\""));
        }
        let negated = spaced && self.word("not") && self.space();
        for (word, operator, value_first) in [
            ("in", Operator::In, true),
            ("contains", Operator::In, false),
            ("matches", Operator::Matches, false),
        ] {
            if spaced && self.word(word) && self.space() {
                return Ok((operator, negated, value_first));
            }
        }
        Err(self.expected("expected an operator: ==, !=, in, contains, is empty or matches"))
    }

    fn operand(&mut self) -> Result<Operand, FilterError> {
        match self.rest().as_bytes().first() {
            Some(b'"' | b'`') => Ok(Operand { value: self.quoted()?, path: None }),
            Some(b'-' | b'0'..=b'9') => Ok(Operand { value: self.number()?.into(), path: None }),
            Some(_) if identifier_length(self.rest()) > 0 => self.path(),
            _ => Err(self.expected("expected a field or a value; put other texts in quotes")),
        }
    }

    fn path(&mut self) -> Result<Operand, FilterError> {
        let mut path: Vec<Box<str>> = vec![self.take(identifier_length(self.rest())).into()];
        loop {
            if self.eat("[") {
                self.space();
                let start = self.at;
                let key = String::from_utf8(self.quoted()?);
                let Ok(key) = key else {
                    self.at = start;
                    return Err(self.expected("expected a key that is UTF-8"));
                };
                path.push(key.into());
                self.space();
                if !self.eat("]") {
                    return Err(self.expected("expected \"]\""));
                }
            } else if let Some(rest) = self.rest().strip_prefix('.') {
                let length = identifier_length(rest);
                if length == 0 {
                    return Err(self.expected("expected a name behind the dot; write others as [\"...\"]"));
                }
                self.at += 1;
                path.push(self.take(length).into());
            } else {
                return Ok(Operand { value: path.join(".").into_bytes(), path: Some(path) });
            }
        }
    }

    fn number(&mut self) -> Result<&'a str, FilterError> {
        let rest = self.rest();
        let digits = |from: usize| {
            from + rest.get(from..).map_or(0, |tail| tail.bytes().take_while(u8::is_ascii_digit).count())
        };
        let start = usize::from(rest.starts_with('-'));
        let whole = digits(start);
        let end = match rest.get(whole..).and_then(|tail| tail.strip_prefix('.')) {
            Some(_) if digits(whole + 1) > whole + 1 => digits(whole + 1),
            _ => whole,
        };
        let leading_zero = whole > start + 1 && rest.get(start..=start) == Some("0");
        let ends = rest
            .get(end..)
            .is_none_or(|tail| tail.is_empty() || tail.starts_with(|char| is_space(char) || char == ')'));
        if whole == start || leading_zero || !ends {
            return Err(self.expected("expected a number; put versions such as \"1.2.3\" in quotes"));
        }
        Ok(self.take(end))
    }

    fn quoted(&mut self) -> Result<Vec<u8>, FilterError> {
        let start = self.at;
        for quote in ["`", "\""] {
            if !self.eat(quote) {
                continue;
            }
            let Some(length) = self.rest().find(quote) else {
                self.at = start;
                return Err(self.expected("this quote has no end"));
            };
            let inside = self.take(length);
            self.at += quote.len();
            if quote == "`" {
                // Go drops carriage returns from raw strings.
                return Ok(inside.replace('\r', "").into_bytes());
            }
            return literal::unquote(inside).ok_or_else(|| {
                self.at = start;
                self.expected("this text has an escape that does not exist")
            });
        }
        Err(self.expected("expected a text in quotes"))
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, length: usize) -> &'a str {
        let taken = self.rest().get(..length).unwrap_or_default();
        self.at += taken.len();
        taken
    }

    fn eat(&mut self, sign: &str) -> bool {
        let found = self.rest().starts_with(sign);
        if found {
            self.at += sign.len();
        }
        found
    }

    /// Eats a word that is not the beginning of a longer one.
    fn word(&mut self, word: &str) -> bool {
        let found = self.rest().strip_prefix(word).is_some_and(|tail| {
            !tail.starts_with(|char: char| {
                char.is_ascii_alphanumeric() || matches!(char, '_' | '/' | '.' | '[')
            })
        });
        if found {
            self.at += word.len();
        }
        found
    }

    /// Eats white space, a word and white space, or nothing.
    fn spaced_word(&mut self, word: &str) -> bool {
        let start = self.at;
        if self.space() && self.word(word) && self.space() {
            return true;
        }
        self.at = start;
        false
    }

    fn space(&mut self) -> bool {
        let rest = self.rest();
        let length = rest.find(|char| !is_space(char)).unwrap_or(rest.len());
        self.at += length;
        length > 0
    }

    fn expected(&self, expected: &'static str) -> FilterError {
        let before = self.text.get(..self.at).unwrap_or(self.text);
        FilterError::Syntax { at: before.chars().count() + 1, expected }
    }
}

fn is_space(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\r' | '\n')
}

fn regex(text: &[u8]) -> Result<regex::Regex, FilterError> {
    let wrong = |reason: &str| FilterError::Regex {
        expression: String::from_utf8_lossy(text).into_owned(),
        reason: reason.to_owned(),
    };
    let text = std::str::from_utf8(text).map_err(|_| wrong("it is not UTF-8"))?;
    let translated = go_regex::translate(text).map_err(|refused| wrong(&refused.to_string()))?;
    // The last line of an error says why; those before it repeat and underline the expression.
    let build = regex::RegexBuilder::new(&translated).size_limit(REGEX_LIMIT).build();
    build.map_err(|error| wrong(error.to_string().lines().last().unwrap_or_default().trim()))
}

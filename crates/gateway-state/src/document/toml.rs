//! TOML text -> pieces.
//!
//! A large file is cut in front of `[[Instance]]` and the like and parsed cut by cut, so that the tree of
//! a file with ten thousand rows never exists: it would be ten times as large as what is kept.

use super::{
    TABLES,
    node::{Key, Node, Piece, SyntaxError, Value, same_key},
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};
use toml_parser::{Source, lexer::TokenKind};

/// A cut is at least this long, in bytes; a shorter file is parsed in one.
const CUT: usize = 32 * 1024;

/// Hands over the pieces of a file, or says where it is no TOML; some pieces may have been handed
/// over before.
pub(crate) fn read(text: &str, sink: &mut dyn FnMut(Piece<'_>)) -> Result<(), Vec<SyntaxError>> {
    read_cuts(text, CUT, sink)
}

fn read_cuts(text: &str, cut: usize, sink: &mut dyn FnMut(Piece<'_>)) -> Result<(), Vec<SyntaxError>> {
    let mut cuts = cuts(text, cut);
    let mut start = 0;
    let mut errors = Vec::new();
    loop {
        let end = cuts.next().unwrap_or(text.len());
        let first = start == 0;
        let (table, wrong) = DeTable::parse_recoverable(text.get(start..end).unwrap_or_default());
        for error in &wrong {
            let at = start + error.span().map_or(0, |span| span.start);
            errors.push(SyntaxError { at, message: error.message().to_owned() });
        }
        let table = table.into_inner();
        if first && table.keys().any(|key| same_key(key.as_ref(), "Kind")) {
            // One entry: what looks like a table of the catalog is a field of it.
            drop((table, cuts));
            return read_entry(text, sink);
        }
        if errors.is_empty() {
            pieces(table, start, sink);
        }
        if end >= text.len() {
            return if errors.is_empty() { Ok(()) } else { Err(errors) };
        }
        start = end;
    }
}

fn read_entry(text: &str, sink: &mut dyn FnMut(Piece<'_>)) -> Result<(), Vec<SyntaxError>> {
    let (table, wrong) = DeTable::parse_recoverable(text);
    if wrong.is_empty() {
        sink(Piece::Entry(Node { at: 0, value: tree(table.into_inner(), 0) }));
        return Ok(());
    }
    Err(wrong
        .iter()
        .map(|error| SyntaxError {
            at: error.span().map_or(0, |span| span.start),
            message: error.message().to_owned(),
        })
        .collect())
}

fn pieces(table: DeTable<'_>, base: usize, sink: &mut dyn FnMut(Piece<'_>)) {
    for (key, value) in table {
        let at = base + key.span().start;
        let name = key.into_inner();
        match value.get_ref() {
            DeValue::Array(_) => {
                let DeValue::Array(rows) = value.into_inner() else { continue };
                for row in rows {
                    sink(Piece::Row(Key { at, name: name.clone() }, node(row, base)));
                }
            }
            _ => sink(Piece::Single(Key { at, name }, node(value, base))),
        }
    }
}

fn node(value: Spanned<DeValue<'_>>, base: usize) -> Node<'_> {
    let at = base + value.span().start;
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text),
        DeValue::Boolean(flag) => Value::Bool(flag),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::OtherNumber, Value::Int)
        }
        DeValue::Float(_) => Value::OtherNumber,
        DeValue::Datetime(_) => Value::Date,
        DeValue::Array(items) => Value::List(items.into_iter().map(|item| node(item, base)).collect()),
        DeValue::Table(table) => tree(table, base),
    };
    Node { at, value }
}

fn tree(table: DeTable<'_>, base: usize) -> Value<'_> {
    Value::Table(
        table
            .into_iter()
            .map(|(key, value)| {
                let at = base + key.span().start;
                (Key { at, name: key.into_inner() }, node(value, base))
            })
            .collect(),
    )
}

/// Offsets of `[[Table]]` headers of the catalog, at least `cut` bytes apart.
///
/// What a table of TOML means depends on the text before it only through the last header, and these
/// headers start afresh; so each cut is a document of its own. (That the same key is not defined by
/// a table in one cut and a list in another is all that cannot be seen any more; both are read.)
fn cuts(text: &str, cut: usize) -> impl Iterator<Item = usize> {
    let mut tokens = (text.len() > cut).then(|| Source::new(text).lex()).into_iter().flatten();
    let (mut depth, mut in_value, mut line_start, mut last) = (0_u32, false, true, 0);
    std::iter::from_fn(move || {
        for token in tokens.by_ref() {
            let start = token.span().start();
            match token.kind() {
                TokenKind::Newline if depth == 0 => (line_start, in_value) = (true, false),
                TokenKind::Newline | TokenKind::Whitespace | TokenKind::Comment => {}
                TokenKind::LeftSquareBracket if line_start => {
                    line_start = false;
                    if start - last >= cut && is_row_header(text.get(start..).unwrap_or_default()) {
                        last = start;
                        return Some(start);
                    }
                }
                TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket if in_value => depth += 1,
                TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket if in_value => {
                    depth = depth.saturating_sub(1);
                }
                TokenKind::Equals => in_value = true,
                _ => line_start = false,
            }
        }
        None
    })
}

fn is_row_header(text: &str) -> bool {
    let name = text.strip_prefix("[[").and_then(|rest| rest.split_once("]]")).map(|(name, _)| name.trim());
    name.is_some_and(|name| TABLES.iter().any(|table| same_key(table, name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Just, Strategy, prop, prop_assert_eq, prop_oneof, proptest};

    fn outline(text: &str, cut: usize) -> Vec<String> {
        let mut pieces = Vec::new();
        read_cuts(text, cut, &mut |piece| {
            pieces.push(match piece {
                // Positions count as well: a problem must name the right line.
                Piece::Single(key, node) => format!("{} = {node:?}", key.name),
                Piece::Row(key, node) => format!("{} += {node:?}", key.name),
                Piece::Entry(node) | Piece::ListedEntry(node) => format!("{node:?}"),
            });
        })
        .unwrap_or_else(|errors| panic!("{errors:?}\n{text}"));
        pieces.sort();
        pieces
    }

    fn section() -> impl Strategy<Value = String> {
        let line = prop_oneof![
            Just("A = 1\n"),
            Just("B = [ 1,\n[ 2 ],\n[[3]],\n]\n"),
            Just("C = \"\"\"\n[[Instance]]\n\"\"\"\n"),
            Just("D = '''\n[[Instance]]'''\n"),
            Just("E = \"[[Instance]]\" # [[Instance]]\n"),
            Just("F = { x = [[1]], y = '[' }\n"),
            Just("# [[Instance]]\n"),
            Just("\n"),
        ];
        let header = prop_oneof![
            Just("[[Instance]]\n"),
            Just("  [[ Entry ]] # x\n"),
            Just("[[Entry]]\n[Entry.Sub]\n"),
            Just("[[Entry]]\n[[Entry.Routes]]\nz = 1\n[[Entry.Routes]]\n"),
        ];
        (header, prop::collection::hash_set(line, 0..5))
            .prop_map(|(header, lines)| lines.into_iter().fold(header.to_owned(), |text, line| text + line))
    }

    proptest! {
        #[test]
        fn a_file_in_cuts_reads_as_in_one(
            sections in prop::collection::vec(section(), 0..12), cut in 1_usize..200
        ) {
            let text = format!("[Mesh]\nA = 1\n{}", sections.concat());
            prop_assert_eq!(outline(&text, cut), outline(&text, usize::MAX));
        }
    }
}

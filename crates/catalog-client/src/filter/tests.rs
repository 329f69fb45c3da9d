//! The language against a table, and the printed form against the parser.

use super::*;
use proptest::prelude::{Just, Strategy, any, prop, prop_assert_eq, prop_assume, prop_oneof, proptest};
use std::collections::BTreeMap;

#[derive(Default)]
struct Row {
    text: &'static str,
    port: i64,
    native: bool,
    tags: Box<[Box<str>]>,
    meta: BTreeMap<&'static str, &'static str>,
    parts: Box<[Row]>,
}

impl Texts for BTreeMap<&'static str, &'static str> {
    fn has(&self, text: &str) -> bool {
        self.contains_key(text)
    }

    fn is_empty(&self) -> bool {
        BTreeMap::is_empty(self)
    }
}

impl Selector for Row {
    fn select<'a>(&'a self, path: &[Box<str>]) -> Selected<'a> {
        if let Some((first, rest)) = path.split_first()
            && **first == *"Parts"
        {
            return Selected::each(&self.parts, rest);
        }
        let path: Vec<&str> = path.iter().map(|part| &**part).collect();
        Selected::Value(match path.as_slice() {
            ["Name" | "not"] => Value::Text(self.text),
            ["Port"] => Value::Int(self.port),
            ["Native"] => Value::Bool(self.native),
            ["Tags"] => Value::List(&self.tags),
            ["Meta"] => Value::Map(&self.meta),
            ["Meta", key] => match self.meta.get(key) {
                Some(value) => Value::Text(value),
                None => return Selected::NoKey(Value::Text("")),
            },
            _ => return Selected::Unknown,
        })
    }
}

fn row() -> Row {
    Row {
        text: "billing",
        port: 8443,
        native: true,
        tags: ["blue", "v1"].map(Into::into).into(),
        meta: BTreeMap::from([("version", "v1"), ("a.b", "x y"), ("empty", ""), ("word", "grün")]),
        parts: [1, 2].map(part).into(),
    }
}

fn part(port: i64) -> Row {
    let tags: &[&str] = if port == 1 { &["a"] } else { &["b"] };
    Row { port, tags: tags.iter().copied().map(Into::into).collect(), ..Row::default() }
}

#[test]
fn rows_are_matched_as_consul_matches_them() {
    let table = [
        ("", true),
        ("Name == billing", true),
        ("Name==billing", true),
        ("Name == `billing`", true),
        (r#"Name != "billing""#, false),
        (r#"Name == "b\x69lling""#, true),
        ("Meta.version == v1", true),
        ("Meta[\"version\"] == v1", true),
        ("Meta[ `a.b` ] == \"x y\"", true),
        (r#"Name == "b\xffi""#, false),
        (r#"Name != "b\xffi""#, true),
        (r#"Meta.word == "gr\xc3\xbcn""#, true),
        (r#"Meta.word == "gr\303\274n""#, true),
        (r#"Meta.word contains "\xbc""#, true),
        (r#"Meta contains "\xbc""#, false),
        ("Port == 8443", true),
        ("Port == \"0x20fb\"", true),
        ("Port == \"8443\"", true),
        ("Port != 1", true),
        ("Native == true", true),
        ("Native == T", true),
        ("Native != 0", true),
        ("blue in Tags", true),
        ("\"blue\" in Tags", true),
        ("red in Tags", false),
        ("red not in Tags", true),
        ("Tags contains blue", true),
        ("Tags not contains blue", false),
        ("Tags is empty", false),
        ("Tags is not empty", true),
        ("version in Meta", true),
        ("Meta contains nothing", false),
        ("ill in Name", true),
        ("Name contains ill", true),
        ("Name matches \"^b.*g$\"", true),
        ("Name not matches `^b.*g$`", false),
        // A key that is absent is neither equal nor in; and whatever it is matched with, the answer is yes.
        ("Meta.absent == v1", false),
        ("Meta.absent != v1", true),
        ("x in Meta.absent", false),
        ("x not in Meta.absent", true),
        ("Meta.absent matches x", true),
        ("Meta.absent not matches x", true),
        // Any record of a list may be meant, so both of these are true, and without records neither is.
        ("Parts.Port == 1", true),
        ("Parts.Port != 1", true),
        ("Parts.Port == 3", false),
        ("not Parts.Port == 1", false),
        ("b in Parts.Tags", true),
        ("b not in Parts.Tags", true),
        ("Parts.Parts.Port == 1", false),
        ("Parts.Parts.Port != 1", false),
        ("Parts is empty", false),
        ("Parts is not empty", true),
        ("Parts.Parts is empty", true),
        // and binds stronger than or, not stronger than and.
        ("Port == 1 and Port == 1 or Port == 8443", true),
        ("Port == 8443 or Port == 8443 and Port == 1", true),
        ("(Port == 8443 or Port == 8443) and Port == 1", false),
        ("not Port == 1 and Port == 1", false),
        ("not ( Port == 1 and Port == 1 )", true),
        ("not not Port == 8443", true),
        ("((Port == 8443))", true),
        ("not == billing", true),
        // What is not needed for the answer is not asked.
        ("Port == 1 and Nothing == 1", false),
        ("Port == 8443 or Nothing == 1", true),
    ];
    for (filter, expected) in table {
        let parsed = Filter::parse(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
        assert_eq!(parsed.matches(&row()), Ok(expected), "{filter}");
        let again = Filter::parse(&parsed.to_string()).unwrap_or_else(|error| panic!("{parsed}: {error}"));
        assert_eq!(again, parsed, "{filter} printed as {parsed}");
    }
}

#[test]
fn what_is_no_filter_is_refused_with_its_place() {
    let table = [
        ("  ", 3),
        ("Name", 5),
        ("Name ==", 8),
        ("Name = billing", 6),
        ("Name == v1-beta", 11),
        ("Name == 1.2.3", 9),
        ("Name == \"open", 9),
        ("Name == \"two\nlines\"", 9),
        ("Name == \"\\q\"", 9),
        ("(Name == a", 11),
        ("Name == a)", 10),
        ("Name == a andName == b", 11),
        ("Name is full", 9),
        ("\"plain\" == a", 1),
        ("a in \"plain\"", 6),
        ("Name. == a", 5),
        ("Meta.1 == a", 5),
        ("Meta.a/b == a", 7),
        ("\"/Meta/version\" == v1", 1),
        ("Meta[\"\\xff\"] == a", 6),
        ("Meta[x] == a", 6),
        ("not", 4),
        ("any Tags as t { t == a }", 5),
    ];
    for (filter, place) in table {
        match Filter::parse(filter) {
            Err(FilterError::Syntax { at, .. }) => assert_eq!(at, place, "{filter}"),
            other => panic!("{filter}: {other:?}"),
        }
    }
    assert!(matches!(Filter::parse("Name matches `(`"), Err(FilterError::Regex { .. })));
    // One that Go would take, but megabytes large when compiled.
    let large = Filter::parse("Name matches `\\pL{1000}`").expect_err("its size is bounded");
    assert!(large.to_string().contains("size limit"), "{large}");
}

#[test]
fn a_filter_that_does_not_fit_the_row_is_an_error() {
    let table = [
        ("Nothing == 1", "\"Nothing\" is not valid"),
        ("Port == abc", "\"abc\" is not"),
        ("Native == maybe", "\"maybe\" is not"),
        ("a in Port", "\"contains\" cannot be used"),
        ("Port is empty", "\"is empty\" cannot be used"),
        ("Name is empty", "\"is empty\" cannot be used"),
        ("Meta.absent is not empty", "\"is not empty\" cannot be used"),
        ("Meta.absent.x == a", "not valid"),
        ("Parts == a", "\"==\" cannot be used"),
        ("a in Parts", "\"contains\" cannot be used"),
        ("Parts.Port == a", "\"a\" is not"),
        ("Parts.Parts.Port == a", "\"a\" is not"),
        ("Parts.Nothing == 1", "not valid"),
        ("Tags == a", "\"==\" cannot be used"),
        ("Port matches `8`", "\"matches\" cannot be used"),
    ];
    for (filter, part) in table {
        let error = Filter::parse(filter).expect("it parses").matches(&row()).expect_err(filter);
        assert!(error.to_string().contains(part), "{filter}: {error}");
    }
    let hidden = Filter::parse("Port == 1 and Nothing == 1").expect("it parses");
    assert_eq!(hidden.matches(&row()), Ok(false));
    assert!(hidden.check(&row()).is_err(), "check looks behind what and skips");
}

#[test]
fn length_and_depth_are_bounded() {
    let deep = |levels: usize| format!("{}Port == 1{}", "(".repeat(levels), ")".repeat(levels));
    assert!(Filter::parse(&deep(MAX_DEPTH)).is_ok());
    assert_eq!(Filter::parse(&deep(MAX_DEPTH + 1)), Err(FilterError::TooDeep));
    assert_eq!(
        Filter::parse(&format!("{}Port == 1", "not ".repeat(MAX_DEPTH + 1))),
        Err(FilterError::TooDeep)
    );
    let long = format!("Name == \"{}\"", "a".repeat(MAX_LENGTH));
    assert_eq!(Filter::parse(&long), Err(FilterError::TooLong));
}

fn any_expr() -> impl Strategy<Value = Expr> {
    let part = prop_oneof!["[a-zA-Z][a-zA-Z0-9_]{0,6}", "\\PC{0,6}"];
    let selector = ("[a-zA-Z][a-zA-Z0-9_]{0,6}", prop::collection::vec(part, 0..3));
    let operator = prop_oneof![Just(Operator::Equal), Just(Operator::In), Just(Operator::Empty)];
    let value = prop_oneof![any::<String>().prop_map(String::into_bytes), any::<Vec<u8>>()];
    let single =
        (selector, operator, value, any::<bool>()).prop_map(|((first, rest), operator, value, negated)| {
            let selector = std::iter::once(first).chain(rest).map(Into::into).collect();
            let value = if operator == Operator::Empty { Vec::new() } else { value };
            Expr::Match(Match { selector, operator, value: value.into(), regex: None, negated })
        });
    single.prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::Or),
            inner.prop_map(|inner| match inner {
                Expr::Not(twice) => *twice,
                other => Expr::Not(Box::new(other)),
            }),
        ]
    })
}

proptest! {
    #[test]
    fn the_printed_form_is_read_back(expr in any_expr()) {
        let filter = Filter { expr: Some(expr) };
        let printed = filter.to_string();
        prop_assume!(printed.len() <= MAX_LENGTH);
        prop_assert_eq!(Filter::parse(&printed), Ok(filter), "{}", printed);
    }

    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        let _ = Filter::parse(&text);
    }

    #[test]
    fn texts_of_the_language_are_answered(
        text in "([a-c./\\[\\]\"`()= -]|not |in |is |empty|and |or |matches |contains ){0,40}"
    ) {
        if let Ok(filter) = Filter::parse(&text) {
            let _ = filter.matches(&row());
        }
    }
}

//! Patterns against what Go answers, as two Consuls said (1.8.7 and 1.21).

use super::translate;

/// Whether the pattern matches the text; `None` when Go refuses it.
fn matches(pattern: &str, text: &str) -> Option<bool> {
    let translated = translate(pattern).ok()?;
    regex::Regex::new(&translated).ok().map(|regex| regex.is_match(text))
}

#[test]
fn patterns_mean_what_they_mean_in_go() {
    let table = [
        // Classes and borders of words are ASCII.
        (r"^\d$", "7", true),
        (r"^\d$", "\u{663}", false),
        (r"^\w+$", "grün", false),
        (r"^\D$", "\u{663}", true),
        (r"^\s$", "\u{b}", false),
        (r"r\b", "grün", true),
        (r"ü\Bn", "grün", false),
        (r"^[[:alpha:]]$", "ü", false),
        (r"^[\D5]$", "5", true),
        (r"^[^\d]$", "5", false),
        // Case folds over all of Unicode.
        ("(?i)^straSSE$", "STRASSE", true),
        ("(?i)^k$", "\u{212a}", true),
        ("(?i)^[a-z]et$", "\u{17f}ET", true),
        ("(?i)^\\w$", "\u{17f}", true),
        ("(?i)^\\W$", "\u{17f}", false),
        ("(?i:a)b", "AB", false),
        ("(?i)a(?-i)b", "AB", false),
        ("(a(?i)b|c)d", "aBd", true),
        ("(a(?i)b|c)d", "Cd", true),
        ("(a(?i)b|c)d", "CD", false),
        // Lines and dots.
        ("^b$", "a\nb", false),
        ("(?m)^b$", "a\nb", true),
        ("a.b", "a\nb", false),
        ("(?s)a.b", "a\nb", true),
        ("a[^x]b", "a\nb", true),
        ("a$", "a\n", false),
        (r"\Aa\z", "a", true),
        // Signs that mean something elsewhere.
        ("^a{,3}$", "a{,3}", true),
        ("^a{$", "a{", true),
        ("^{2,x}$", "{2,x}", true),
        ("^{01}$", "{01}", true),
        ("^}]$", "}]", true),
        (r"^\<a\>$", "<a>", true),
        (r"^\_\-$", "_-", true),
        ("^[a&&b]$", "&", true),
        ("^[a[b]$", "[", true),
        ("^[]a]$", "]", true),
        ("^[^]a]$", "]", false),
        ("^[a-b-c]$", "-", true),
        ("^[[:alpha]$", ":", true),
        ("^[a~~b]$", "~", true),
        // Spellings that exist only there.
        (r"^\Qa.b*\E$", "a.b*", true),
        (r"^\Qa.b*\E$", "axb*", false),
        (r"^\Qab\E*$", "abbb", true),
        (r"\Q(", "(", true),
        (r"^\101\60$", "A0", true),
        (r"^\07$", "\u{7}", true),
        (r"^\x{6b}\x41$", "kA", true),
        (r"^[\x41-\x{43}]$", "B", true),
        ("^(?P<n>a)(?<n>b)$", "ab", true),
        ("^(?)a(?ii)b$", "aB", true),
        ("^(?i-i:a)$", "A", false),
        (r"^\pL\p{Lu}\p{^Lu}\PL$", "aBc1", true),
        (r"^\p{Greek}[\p{Han}]$", "λ漢", true),
        (r"\p{Any}", "\n", true),
        (r"^[^\PL]$", "é", true),
        // What repeats what.
        ("^(?:ab)*$", "abab", true),
        ("^ab*$", "abab", false),
        ("^a(?i)*$", "aaa", true),
        ("^()*$", "", true),
        ("^^*$$", "", true),
        ("^a{2}$", "aa", true),
        ("^a{2,}?$", "aaa", true),
        ("^(a{10}){100}$", "", false),
        ("a||b", "", true),
        ("(|a)", "", true),
        // Half of a surrogate pair is no text.
        (r"\x{d800}", "a", false),
        (r"[\x{d800}]", "a", false),
        (r"^[^\x{d800}]$", "a", true),
        (r"\p{Cs}", "a", false),
    ];
    for (pattern, text, expected) in table {
        assert_eq!(matches(pattern, text), Some(expected), "{pattern} in {text:?}: {:?}", translate(pattern));
    }
}

#[test]
fn what_go_refuses_is_refused() {
    let table = [
        "(",
        ")",
        "a)",
        "(?i",
        "(?",
        "(?x)",
        "(?-)",
        "(?i-)",
        "(?u:a)",
        "(?=a)",
        "(?!a)",
        "(?P=n)",
        "(?P<>a)",
        "(?P<é>a)",
        "(?P<n",
        "[",
        "[a",
        "[]",
        "[^",
        "[b-a]",
        "[a-\\d]",
        "[[:nope:]]",
        "*",
        "|*",
        "(*)",
        "(?i)*",
        "a**",
        "a*+",
        "a{2}{3}",
        "a{2,1}",
        "a{1001}",
        "(a{11}){100}",
        "\\",
        "\\1",
        "\\8",
        "\\Z",
        "\\G",
        "\\C",
        "\\e",
        "\\é",
        "\\u0041",
        "\\x",
        "\\x4",
        "\\xg1",
        "\\x{}",
        "\\x{110000}",
        "\\x{41",
        "\\pX",
        "\\p",
        "\\p{",
        "\\p{Nope}",
        "\\p{}",
        "\\p{Letter}",
        "\\p{lu}",
        "[\\pX]",
        "[\\",
    ];
    for pattern in table {
        assert_eq!(matches(pattern, "a"), None, "{pattern}: {:?}", translate(pattern));
    }
}

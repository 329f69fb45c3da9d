//! The table of what was measured with Envoy, and what goes beyond it.

use proptest::prelude::*;

use super::*;

const NONE: Normalization = Normalization {
    normalize_path: false,
    merge_slashes: false,
    escaped_slashes: EscapedSlashes::KeepUnchanged,
    headers_with_underscores: HeadersWithUnderscores::Allow,
};

const N: Normalization = Normalization { normalize_path: true, ..NONE };
const NM: Normalization = Normalization { merge_slashes: true, ..N };
const M: Normalization = Normalization { merge_slashes: true, ..NONE };
const NF: Normalization = Normalization { escaped_slashes: EscapedSlashes::UnescapeAndForward, ..N };
const F: Normalization = Normalization { escaped_slashes: EscapedSlashes::UnescapeAndForward, ..NONE };
const COLUMNS: [(&str, Normalization); 6] =
    [("none", NONE), ("N", N), ("N+M", NM), ("M", M), ("N+F", NF), ("F", F)];

fn normalized(target: &str, options: &Normalization) -> Outcome {
    NormalizedPath::normalize(&Method::GET, target, options)
}

fn path(target: &str, options: &Normalization) -> NormalizedPath {
    match normalized(target, options) {
        Outcome::Path(path) => path,
        other => panic!("{target}: {other:?}"),
    }
}

#[test]
fn the_defaults_are_consuls() {
    assert_eq!(Normalization::default(), N);
}

/// Whether a rule about `/value/secret` sees the request: columns none, N, N+M, M, N+F, F.
#[test]
fn a_rule_about_a_path_cannot_be_dodged() {
    let table = [
        ("/value/secret", [true, true, true, true, true, true]),
        ("/value/secret?a=%2F", [true, true, true, true, true, true]),
        ("/value//secret", [false, false, true, true, false, false]),
        ("/x/../value/secret", [false, true, true, false, true, false]),
        ("/value/./secret", [false, true, true, false, true, false]),
        ("/../../value/secret", [false, true, true, false, true, false]),
        ("/value/%73ecret", [false, true, true, false, true, false]),
        ("/value\\secret", [false, true, true, false, true, false]),
        ("/value%2Fsecret", [false, false, false, false, true, true]),
        ("/value%2fsecret", [false, false, false, false, true, true]),
        ("/value%5csecret", [false, false, false, false, true, false]),
        ("/value%252Fsecret", [false, false, false, false, false, false]),
    ];
    for (target, expected) in table {
        for ((column, options), expected) in COLUMNS.iter().zip(expected) {
            assert_eq!(path(target, options).as_str() == "/value/secret", expected, "{target} with {column}");
        }
    }
}

#[test]
fn what_is_forwarded() {
    let table = [
        (
            "/value/secret/..",
            ["/value/secret/..", "/value/", "/value/", "/value/secret/..", "/value/", "/value/secret/.."],
        ),
        (
            "/a%2Fb%2e%2e/c",
            ["/a%2Fb%2e%2e/c", "/a%2Fb../c", "/a%2Fb../c", "/a%2Fb%2e%2e/c", "/a/b../c", "/a/b%2e%2e/c"],
        ),
        (
            "/value%5csecret",
            [
                "/value%5csecret",
                "/value%5csecret",
                "/value%5csecret",
                "/value%5csecret",
                "/value/secret",
                "/value\\secret",
            ],
        ),
        (
            "/%C3%A9%7E?%2e/..",
            [
                "/%C3%A9%7E?%2e/..",
                "/%C3%A9~?%2e/..",
                "/%C3%A9~?%2e/..",
                "/%C3%A9%7E?%2e/..",
                "/%C3%A9~?%2e/..",
                "/%C3%A9%7E?%2e/..",
            ],
        ),
    ];
    for (target, expected) in table {
        for ((column, options), expected) in COLUMNS.iter().zip(expected) {
            let path = path(target, options);
            assert_eq!(path.path_and_query(), expected, "{target} with {column}");
            assert_eq!(path.is_changed(), expected != target, "{target} with {column}");
        }
    }
}

#[test]
fn dots_are_resolved_and_never_above_the_root() {
    let table = [
        ("/", "/"),
        ("/.", "/"),
        ("/..", "/"),
        ("/a/.", "/a/"),
        ("/a/..", "/"),
        ("/a/b/../..", "/"),
        ("/a/../../b", "/b"),
        ("/a/./b/", "/a/b/"),
        ("/a//../b", "/a/b"),
        ("/a/...", "/a/..."),
        ("/.a/b.", "/.a/b."),
        ("/%2e%2E/a", "/a"),
        ("/a/.%2e/b", "/b"),
        ("/a\\..\\b", "/b"),
        ("/a/..;/b", "/a/..;/b"),
        ("/a/b?x=/../c", "/a/b?x=/../c"),
    ];
    for (target, expected) in table {
        assert_eq!(path(target, &N).path_and_query(), expected, "{target}");
    }
}

#[test]
fn decoding_makes_no_new_escapes() {
    for target in ["/%2%65", "/%%32F", "/%%65", "/a%2%46b", "/%zz", "/%", "/%2", "/%e"] {
        assert_eq!(path(target, &N).path_and_query(), target);
    }
    assert_eq!(path("/%2%67%%67", &N).as_str(), "/%2g%g");
}

#[test]
fn an_escaped_nul_is_refused() {
    for target in ["/a%00", "/%00/../a", "/a%%0000"] {
        assert_eq!(normalized(target, &N), Outcome::Reject(Rejection::Nul), "{target}");
        assert!(matches!(normalized(target, &NONE), Outcome::Path(_)));
    }
    assert_eq!(path("/a?%00", &N).query(), Some("%00"));
}

#[test]
fn escaped_slashes_are_refused_or_redirected() {
    let reject = Normalization { escaped_slashes: EscapedSlashes::RejectRequest, ..N };
    let redirect = Normalization { escaped_slashes: EscapedSlashes::UnescapeAndRedirect, ..N };
    for target in ["/a%2Fb", "/a%2fb", "/a%5Cb", "/a%5cb", "/%2F?q"] {
        assert_eq!(normalized(target, &reject), Outcome::Reject(Rejection::EscapedSlash), "{target}");
    }
    for target in ["/a/b", "/a?x=%2F", "/%25", "/a%252Fb"] {
        assert_eq!(path(target, &reject).path_and_query(), path(target, &N).path_and_query());
        assert_eq!(path(target, &redirect).path_and_query(), path(target, &N).path_and_query());
    }
    let location = |target: &str, options: &Normalization| match normalized(target, options) {
        Outcome::Redirect(redirect) => redirect.location().to_owned(),
        other => panic!("{target}: {other:?}"),
    };
    assert_eq!(location("/a%2Fb", &redirect), "/a/b");
    assert_eq!(location("/a%2Fb/%2e%2e%5Cc?x=%2F", &redirect), "/a/c?x=%2F");
    // Nobody is sent to another host.
    assert_eq!(location("/%2Fevil.example/a", &redirect), "/.//evil.example/a");
    assert_eq!(location("/%5Cevil.example", &redirect), "/.//evil.example");
    assert_eq!(
        location("/%5Cevil.example", &Normalization { normalize_path: false, ..redirect }),
        "/./\\evil.example"
    );
    assert_eq!(location("/%2Fa", &Normalization { merge_slashes: true, ..redirect }), "/a");
}

#[test]
fn targets_of_every_form() {
    let get = |target| NormalizedPath::normalize(&Method::GET, target, &N);
    for (target, expected) in [
        ("http://h/v1/secret", "/v1/secret"),
        ("http://h", "/"),
        ("https://h?x", "/?x"),
        ("http://h:80/a/../b?c", "/b?c"),
        ("a+b://h/x", "/x"),
    ] {
        assert!(matches!(get(target), Outcome::Path(path) if path.path_and_query() == expected), "{target}");
    }
    for target in ["", "*", "a", "a/b", "?x", "http:/a", "http:///a", "1http://h/", "://h/a", "h:80"] {
        assert_eq!(get(target), Outcome::Reject(Rejection::Target), "{target}");
    }
    assert_eq!(get("/a#b"), Outcome::Reject(Rejection::Fragment));
    assert_eq!(get("/a?b#c"), Outcome::Reject(Rejection::Fragment));
    for target in ["/a b", "/a\tb", "/a\r\nb", "/\u{7f}", "/a?\0"] {
        assert_eq!(get(target), Outcome::Reject(Rejection::Character), "{target:?}");
    }
    let of = |method, target| NormalizedPath::normalize(&method, target, &N);
    assert!(matches!(of(Method::OPTIONS, "*"), Outcome::Path(path) if path.as_str() == "*"));
    assert!(matches!(of(Method::CONNECT, "h:443"), Outcome::Path(path) if path.as_str().is_empty()));
    // Extended CONNECT has a path.
    assert!(matches!(of(Method::CONNECT, "/a/../chat"), Outcome::Path(path) if path.as_str() == "/chat"));
}

#[test]
fn a_uri_is_read_as_its_target_is() {
    let cases = [
        (Method::GET, "/a/%2e%2e/b?c", "/b?c"),
        (Method::GET, "http://h/v1/./x", "/v1/x"),
        (Method::GET, "http://h?x", "/?x"),
        (Method::OPTIONS, "*", "*"),
        (Method::CONNECT, "h:443", ""),
    ];
    for (method, target, expected) in cases {
        let uri: Uri = target.parse().unwrap();
        let Outcome::Path(path) = NormalizedPath::from_uri(&method, &uri, &N) else { panic!("{target}") };
        assert_eq!(path.path_and_query(), expected);
        assert_eq!(NormalizedPath::normalize(&method, target, &N), Outcome::Path(path), "{target}");
    }
    let authority: Uri = "h:443".parse().unwrap();
    assert_eq!(NormalizedPath::from_uri(&Method::GET, &authority, &N), Outcome::Reject(Rejection::Target));
}

#[test]
fn headers_with_underscores() {
    let options = |text: &str| Normalization { headers_with_underscores: text.parse().unwrap(), ..N };
    let headers = || {
        HeaderMap::from_iter([("x_role", "bad"), ("x-role", "good")].map(|(name, value)| {
            (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
        }))
    };
    let mut kept = headers();
    assert_eq!(options("").headers(&mut kept), Ok(()));
    assert_eq!(options("ALLOW").headers(&mut kept), Ok(()));
    assert_eq!(kept, headers());
    assert_eq!(options("REJECT_REQUEST").headers(&mut headers()), Err(Rejection::Underscore));
    let mut dropped = headers();
    assert_eq!(options("DROP_HEADER").headers(&mut dropped), Ok(()));
    assert_eq!((dropped.len(), dropped.get("x_role")), (1, None));
    assert_eq!(options("REJECT_REQUEST").headers(&mut dropped), Ok(()));
    assert!("drop".parse::<HeadersWithUnderscores>().is_err());
}

#[test]
fn options_are_consuls_words() {
    use EscapedSlashes as E;
    for (text, expected) in [
        ("", E::KeepUnchanged),
        ("IMPLEMENTATION_SPECIFIC_DEFAULT", E::KeepUnchanged),
        ("KEEP_UNCHANGED", E::KeepUnchanged),
        ("REJECT_REQUEST", E::RejectRequest),
        ("UNESCAPE_AND_REDIRECT", E::UnescapeAndRedirect),
        ("UNESCAPE_AND_FORWARD", E::UnescapeAndForward),
    ] {
        assert_eq!(text.parse(), Ok(expected));
    }
    let error = "reject".parse::<E>().unwrap_err().to_string();
    assert!(error.starts_with("\"reject\" is none of IMPLEMENTATION_SPECIFIC_DEFAULT, "), "{error}");
}

fn options() -> impl Strategy<Value = Normalization> {
    (any::<bool>(), any::<bool>(), 0..4).prop_map(|(normalize_path, merge_slashes, slashes)| Normalization {
        normalize_path,
        merge_slashes,
        escaped_slashes: [
            EscapedSlashes::KeepUnchanged,
            EscapedSlashes::RejectRequest,
            EscapedSlashes::UnescapeAndRedirect,
            EscapedSlashes::UnescapeAndForward,
        ][slashes as usize],
        headers_with_underscores: HeadersWithUnderscores::Allow,
    })
}

proptest! {
    /// What was normalized stays as it is, at the next proxy as well: one that would change it again would judge
    /// another path than this one.
    #[test]
    fn once_is_enough(target in "/([a-f./%0-9\\\\é?;]|%2[EFef5]|%5[Cc]|%[46][1-6]|\\.\\.|//){0,14}", options in options()) {
        if let Outcome::Path(path) = normalized(&target, &options) {
            prop_assert!(path.as_str().starts_with('/'));
            if options.normalize_path {
                let again = path.path_and_query().to_owned();
                let kept = Normalization { escaped_slashes: EscapedSlashes::KeepUnchanged, ..options };
                prop_assert_eq!(normalized(&again, &kept), Outcome::Path(NormalizedPath { changed: false, ..path }));
            }
        }
    }

    #[test]
    fn a_redirect_stays_on_its_host(target in "/([a-c./\\\\]|%2[fF]|%5[cC]|%2[eE]){0,10}", options in options()) {
        if let Outcome::Redirect(redirect) = normalized(&target, &options) {
            prop_assert!(redirect.location().starts_with('/'));
            prop_assert!(!redirect.location().starts_with("//") && !redirect.location().starts_with("/\\"));
        }
    }
}

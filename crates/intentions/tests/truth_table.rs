//! The truth table of Consul's rule-set tests, run on Envoy with the rules that Consul generates.
//!
//! Rows 32 to 36 ask for tokens, which are not verified yet: what would be allowed with a good token is denied, with that
//! reason.

mod support;

use intentions::DefaultPolicy::{self, Allow, Deny};
use intentions::Protocol::{self, Http, Tcp};
use serde_json::json;
use support::{Request, allowed, caller, provider, request, rules, rules_of};

const BOTH: &[Protocol] = &[Tcp, Http];
const TCP: &[Protocol] = &[Tcp];
const HTTP: &[Protocol] = &[Http];

struct Row {
    number: u8,
    defaults: &'static [DefaultPolicy],
    protocols: &'static [Protocol],
    intentions: &'static [&'static str],
    allowed: &'static str,
    denied: &'static str,
}

const fn row(
    number: u8,
    defaults: &'static [DefaultPolicy],
    protocols: &'static [Protocol],
    intentions: &'static [&'static str],
    allowed: &'static str,
    denied: &'static str,
) -> Row {
    Row { number, defaults, protocols, intentions, allowed, denied }
}

/// Callers are separated by blanks. `others`: services that no row names. `p/x` stands for a peer's service with its own
/// certificate and, on HTTP, for the same through the mesh gateway; in rows 9 to 12 for its own certificate alone.
const ROWS: &[Row] = &[
    row(1, &[Deny], BOTH, &["web->api A", "*->api D", "web->* D"], "web", "others p/web mgw"),
    row(2, &[Deny], BOTH, &["*->api A"], "web web@dc2 others", "team:web p/web p/other mgw agent server"),
    row(3, &[Allow], BOTH, &["*->api D"], "p/web p/other mgw", "web web@dc2 others"),
    row(
        4,
        &[Deny],
        BOTH,
        &["web A"],
        "web web@dc2",
        "others team:web part1|web foreign WEB w%65b default|web we web2",
    ),
    row(5, &[Allow], BOTH, &["web D"], "others p/web mgw", "web"),
    row(6, &[Deny], BOTH, &["web D", "* A"], "others", "web p/web p/other mgw"),
    row(7, &[Deny], BOTH, &["web A", "unsafe D", "cron A", "* A"], "web cron others", "unsafe p/web p/other"),
    row(
        8,
        &[Allow],
        BOTH,
        &["web D", "unsafe A", "cron D", "* D"],
        "unsafe p/web p/other mgw",
        "web cron others",
    ),
    row(9, &[Deny], TCP, &["web A", "p/* A", "p/web D"], "web p/other", "others p/web mgw"),
    row(
        10,
        &[Deny],
        HTTP,
        &["web A", "p/* A", "p/web D"],
        "web mgw>p/other",
        "others p/other mgw mgw> mgw>p/web",
    ),
    row(11, &[Deny], HTTP, &["web A", "p/* A", "p/web D"], "web>p/other", "cron>p/other"),
    row(
        12,
        &[Deny],
        HTTP,
        &["web A", "p/* A", "p/web D"],
        "",
        "mgw>web part1|mgw>p/other p/mgw>p/other agent>p/other",
    ),
    row(13, &[Allow], HTTP, &["web [A ^/]"], "web others p/web mgw", ""),
    row(14, &[Allow], TCP, &["web [A ^/]"], "others p/web mgw", "web"),
    row(15, &[Deny], HTTP, &["web [A ^/]"], "web", "others p/web mgw"),
    row(16, &[Deny], TCP, &["web [A ^/]"], "", "web others p/web mgw"),
    row(17, &[Allow], BOTH, &["web [D ^/]"], "others p/web mgw", "web"),
    row(18, &[Deny], BOTH, &["web [D ^/]"], "", "web others p/web mgw"),
    row(19, &[Allow], HTTP, &["web [A ^/]", "* D"], "web p/web p/other", "others"),
    row(20, &[Allow], HTTP, &["web [A ^/]", "* A"], "web others p/web mgw", ""),
    row(21, &[Deny], HTTP, &["web [A ^/]", "* A"], "web others", "p/web p/other"),
    row(22, &[Allow], HTTP, &["web [D ^/]", "* A"], "others", "web"),
    row(23, &[Deny], HTTP, &["web [D ^/]", "* A"], "others", "web"),
    row(24, &[Allow], TCP, &["web [A ^/]", "* D"], "p/web p/other", "web others"),
    row(25, &[Deny], HTTP, &["web [A ^/]", "* D"], "web", "others"),
    row(26, &[Allow, Deny], BOTH, &["web [D ^/]", "* D"], "", "web others"),
    row(26, &[Allow], BOTH, &["web [D ^/]", "* D"], "p/web p/other", ""),
    row(32, &[Deny], HTTP, &["web A + JWT"], "", "web others"),
    row(33, &[Deny], TCP, &["web A + JWT"], "web", "others"),
    row(34, &[Deny], HTTP, &["web [A ^some-path + JWT]"], "", "web others"),
];

fn callers(text: &str, number: u8, protocol: Protocol) -> Vec<String> {
    let each = text.split_whitespace().flat_map(|name| match name {
        "others" => vec!["stranger".to_owned(), "another@dc2".to_owned(), "we".to_owned()],
        peer if peer.starts_with("p/") && protocol == Http && !(9..=12).contains(&number) => {
            vec![peer.to_owned(), format!("mgw>{peer}")]
        }
        name => vec![name.to_owned()],
    });
    each.collect()
}

#[test]
fn callers_get_what_the_table_says() {
    let plain = Request::new("/");
    let mut asked = 0;
    for row in ROWS {
        for (default, protocol) in
            row.defaults.iter().flat_map(|d| row.protocols.iter().map(move |p| (*d, *p)))
        {
            let rules = rules(row.intentions, default);
            for (names, expected) in [(row.allowed, true), (row.denied, false)] {
                for name in callers(names, row.number, protocol) {
                    let found = allowed(&rules, &caller(&name), protocol, &plain);
                    let number = row.number;
                    assert_eq!(
                        found.is_ok(),
                        expected,
                        "row {number}, {default}, {protocol:?}, {name}: {found:?}"
                    );
                    asked += 1;
                }
            }
        }
    }
    assert!(asked > 200, "{asked}");
}

#[test]
fn an_identity_that_is_not_written_as_consul_writes_it_is_denied_under_either_default() {
    for default in [Allow, Deny] {
        let rules = rules(&["web D", "* A", "p/web D", "p/* A"], default);
        let certificates = ["w%65b", "default|web"].iter().flat_map(|name| [(*name, Tcp), (*name, Http)]);
        for (name, protocol) in certificates.chain([("p/w%65b", Tcp), ("mgw>p/w%65b", Http)]) {
            let denial = allowed(&rules, &caller(name), protocol, &Request::new("/")).unwrap_err();
            assert_eq!(denial, "the caller's identity is not written as Consul writes it: deny");
        }
    }
}

/// Rows 27 to 30: the paths of `web`.
#[test]
fn paths_get_what_the_table_says() {
    let exact = &["web [D =/v1/secret; D =/v1/admin; A ^/]"];
    let regex = &["web [D =/v1/secret; A ^/v1; A ~/v[123] GET,HEAD,OPTIONS]"];
    let opposite = &["web [A =/v1/secret; D ^/v1; D ~/v[123] GET,HEAD,OPTIONS]"];
    /// Row, default, intentions, what is allowed, what is denied.
    type Paths<'a> = (u8, DefaultPolicy, &'a [&'a str], &'a [&'a str], &'a [&'a str]);
    let table: &[Paths<'_>] = &[
        (
            27,
            Deny,
            exact,
            &["/", "/v1/secret/", "/v1/admin/x", "/V1/SECRET", "/v1/secret;x"],
            &["/v1/secret", "/v1/secret?a=1", "/v1/admin", "GET http://h/v1/secret"],
        ),
        (
            28,
            Allow,
            exact,
            &["/", "/v1/secret/", "/v1/admin/x", "/V1/SECRET", "/v1/secret;x"],
            &["/v1/secret", "/v1/admin"],
        ),
        (
            29,
            Deny,
            regex,
            &["/v1", "/v1x", "/v1/a", "/v2", "/v3", "/v2?q", "HEAD /v2"],
            &["/v1/secret", "/v2/", "/xv2", "/v22", "/v4", "POST /v2"],
        ),
        (30, Allow, opposite, &["/v1/secret", "POST /v2", "/q"], &["/v1", "/v2"]),
    ];
    for (number, default, intentions, good, bad) in table {
        let rules = rules(intentions, *default);
        for (texts, expected) in [(good, true), (bad, false)] {
            for text in *texts {
                let found = request(&rules, &caller("web"), &Request::new(text));
                assert_eq!(found.is_ok(), expected, "row {number}, {text}: {found:?}");
            }
        }
        for other in ["cron", "p/web", "mgw"] {
            let found = request(&rules, &caller(other), &Request::new("/"));
            assert_eq!(found.is_ok(), *default == Allow, "row {number}, {other}: {found:?}");
        }
    }
}

/// Row 31.
#[test]
fn headers_get_what_the_table_says() {
    let rules = rules_of(
        &json!([{"SourceName": "web", "DestinationName": "api", "Permissions": [{"Action": "allow", "HTTP": {"Header": [
            {"Name": "foo", "Present": true},
            {"Name": "bar", "Exact": "xyz"},
            {"Name": "zim", "Regex": "gi[rR]"},
            {"Name": "y", "Exact": "xyz", "IgnoreCase": true},
            {"Name": "z", "Exact": "xyz", "Invert": true},
        ]}}]}]),
        Deny,
    );
    let right = [("foo", "a"), ("bar", "xyz"), ("zim", "giR"), ("y", "xyz"), ("z", "o")];
    // The right headers with those of one name exchanged.
    let with = |name: &str, lines: &[&str]| {
        let mut all = Request::new("/");
        for (known, value) in right.iter().filter(|(known, _)| *known != name) {
            all = all.header(known, value);
        }
        lines.iter().fold(all, |all, line| all.header(name, line))
    };
    let good: &[(&str, &[&str])] = &[
        ("foo", &["a"]),
        ("foo", &[""]),
        ("bar", &["xyz", "abc"]),
        ("bar", &["abc", "xyz"]),
        ("bar", &["  xyz  "]),
        ("y", &["XyZ"]),
        ("z", &[""]),
    ];
    let bad: &[(&str, &[&str])] = &[
        ("foo", &[]),
        ("bar", &["XYZ"]),
        ("bar", &["xyz,abc"]),
        ("bar", &[]),
        ("zim", &["xgiR"]),
        ("z", &["xyz"]),
        ("z", &["o", "xyz"]),
        ("z", &[]),
    ];
    for (cases, expected) in [(good, true), (bad, false)] {
        for (name, lines) in cases {
            let found = request(&rules, &caller("web"), &with(name, lines));
            assert_eq!(found.is_ok(), expected, "{name}: {lines:?}: {found:?}");
        }
    }
}

/// Rows 32 to 36 for as long as tokens are not verified.
#[test]
fn what_asks_for_a_token_is_denied_and_says_so() {
    let entry =
        "intention web => api (precedence 9) asks for a token (JWT), which is not supported yet: deny";
    let first = "intention web => api (precedence 9), permission 1 asks for a token (JWT), which is not supported yet: deny";
    let with_entry = |permissions: serde_json::Value| json!([{"SourceName": "web", "DestinationName": "api", "JWT": provider(), "Permissions": permissions}]);
    let secret = json!({"Action": "allow", "HTTP": {"PathExact": "/v1/secret"}, "JWT": provider()});
    let admin = json!({"Action": "allow", "HTTP": {"PathExact": "/admin"}});
    let admin_too = json!({"Action": "allow", "HTTP": {"PathExact": "/admin"}, "JWT": provider()});
    for default in [Allow, Deny] {
        let denial = |rows: &serde_json::Value, path: &str| {
            let web = caller("web");
            request(&rules_of(rows, default), &web, &Request::new(path))
                .map(|permit| permit.why().to_string())
        };
        let row32 = json!([support::row("web A + JWT")]);
        assert_eq!(denial(&row32, "/").unwrap_err().to_string(), entry);
        let row35 = with_entry(json!([secret, admin]));
        assert_eq!(denial(&row35, "/admin").unwrap_err().to_string(), entry);
        assert_eq!(denial(&row35, "/v1/secret").unwrap_err().to_string(), entry);
        let row36 = with_entry(json!([secret, admin_too]));
        assert_eq!(denial(&row36, "/admin").unwrap_err().to_string(), entry);
        // A permission's own token: only where it matches; it neither opens nor is passed by.
        let own = json!([{"SourceName": "web", "DestinationName": "api", "Permissions": [secret, {"Action": "allow", "HTTP": {"PathPrefix": "/"}}]}]);
        assert_eq!(denial(&own, "/v1/secret").unwrap_err().to_string(), first);
        assert!(denial(&own, "/v1").is_ok());
    }
    // Row 34: a prefix that no path has.
    let denial =
        request(&rules(&["web [A ^some-path + JWT]"], Deny), &caller("web"), &Request::new("/some-path"));
    let text = denial.unwrap_err().to_string();
    assert!(text.contains("does not start with a slash"), "{text}");
}

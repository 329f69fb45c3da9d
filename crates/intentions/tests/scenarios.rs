//! The scenarios of the specification that need no sockets, by their numbers.

mod support;

use intentions::DefaultPolicy::{self, Allow, Deny};
use intentions::Protocol::{Http, Tcp};
use intentions::{
    DefaultPolicy as Default, Effect, EscapedSlashes, HeadersWithUnderscores, Normalization, NormalizedPath,
    Outcome, Rejection, RuleSet, parse_match,
};
use serde_json::{Value, json};
use support::{Request, allowed, caller, destination, mesh, request, row, rules, rules_of};

fn tcp(rows: &[&str], default: DefaultPolicy, who: &str) -> Result<String, String> {
    allowed(&rules(rows, default), &caller(who), Tcp, &Request::new("/"))
}

fn http(rows: &[&str], default: DefaultPolicy, who: &str, what: &str) -> Result<String, String> {
    allowed(&rules(rows, default), &caller(who), Http, &Request::new(what))
}

fn web(permissions: &Value) -> Value {
    json!([{"SourceName": "web", "DestinationName": "api", "Permissions": permissions}])
}

#[test]
fn s1_s2_without_intentions_the_default_decides() {
    let rows = parse_match(br#"{"api":null}"#, "api").unwrap().intentions;
    for (default, allows) in [(Deny, false), (Allow, true)] {
        let rules = RuleSet::compile(&destination("api"), &rows, default, &mesh());
        for protocol in [Tcp, Http] {
            let found = allowed(&rules, &caller("web"), protocol, &Request::new("/"));
            let text = found.clone().unwrap_or_else(|denial| denial);
            assert_eq!(
                (found.is_ok(), text.as_str()),
                (allows, format!("default policy: {default}").as_str())
            );
        }
    }
}

#[test]
fn s7_a_service_needs_an_intention_to_call_itself() {
    assert_eq!(tcp(&["api D"], Allow, "api").unwrap_err(), "intention api => api (precedence 9): deny");
    assert!(tcp(&[], Deny, "api").is_err());
}

#[test]
fn s8_s9_a_wildcard_source_of_an_exact_destination_wins_and_is_reported() {
    assert_eq!(
        tcp(&["*->api D", "web->* A"], Deny, "web").unwrap_err(),
        "intention * => api (precedence 8): deny"
    );
    assert_eq!(
        tcp(&["*->api A", "web->* D"], Allow, "web").unwrap(),
        "intention * => api (precedence 8): allow"
    );
    let shadowed = |rows: &[&str]| {
        let rules = rules(rows, Deny);
        assert_eq!(rules.shadowed().len(), rules.shadowed_count());
        let pairs = rules.shadowed().iter().map(|pair| format!("{} over {}", pair.wins, pair.hidden));
        pairs.collect::<Vec<_>>()
    };
    assert_eq!(shadowed(&["*->api D", "web->* A"]), ["* => api (precedence 8) over web => * (precedence 6)"]);
    // They say the same, or the source has an intention of its own, or is another one.
    assert!(shadowed(&["*->api D", "web->* D"]).is_empty());
    assert!(shadowed(&["web->api A", "*->api D", "web->* A"]).is_empty());
    assert!(shadowed(&["p/*->api D", "web->* A"]).is_empty());
    assert!(shadowed(&["*->api D", "*->* A"]).is_empty());
    assert_eq!(shadowed(&["p/*->api D", "p/web->* A"]).len(), 1);
}

#[test]
fn s10_s11_where_no_permission_matches_the_default_decides_and_not_the_wildcard() {
    let rows = &["web [A =/a]", "* D"];
    assert_eq!(
        http(rows, Allow, "web", "/b").unwrap(),
        "intention web => api (precedence 9) has no permission that matches, default policy: allow"
    );
    assert_eq!(
        http(&["web [A =/a]", "* A"], Deny, "web", "/b").unwrap_err(),
        "intention web => api (precedence 9) has no permission that matches, default policy: deny"
    );
}

#[test]
fn s12_the_first_permission_that_matches_decides() {
    assert_eq!(
        http(&["web [A ^/; D =/x]"], Deny, "web", "/x").unwrap(),
        "intention web => api (precedence 9), permission 1: allow"
    );
}

#[test]
fn s13_permissions_on_a_tcp_destination_deny_their_source() {
    for default in [Allow, Deny] {
        let rows = &["web [A ^/]", "cron A"];
        assert_eq!(
            tcp(rows, default, "web").unwrap_err(),
            "intention web => api (precedence 9) has permissions, which need a request: deny"
        );
        assert!(tcp(rows, default, "cron").is_ok());
    }
}

#[test]
fn s21_to_s25_paths() {
    assert!(http(&["web [A ^/admin]"], Deny, "web", "/administrator").is_ok());
    assert!(http(&["web [A =/a]"], Deny, "web", "/a/").is_err());
    assert!(http(&["web [A =/a]"], Deny, "web", "/a?x").is_ok());
    let dots = Request::new("/x/../a");
    assert!(request(&rules(&["web [A =/a]"], Deny), &caller("web"), &dots).is_ok());
    assert_eq!(dots.path.path_and_query(), "/a");
    for (merge_slashes, matches) in [(false, false), (true, true)] {
        let twice = Request::with("//a", &Normalization { merge_slashes, ..Normalization::default() });
        assert_eq!(request(&rules(&["web [A =/a]"], Deny), &caller("web"), &twice).is_ok(), matches);
    }
}

#[test]
fn s26_s27_escaped_slashes() {
    let outcome = |escaped_slashes| {
        let options = Normalization { escaped_slashes, ..Normalization::default() };
        NormalizedPath::normalize(&http::Method::GET, "/a%2Fb", &options)
    };
    assert_eq!(outcome(EscapedSlashes::RejectRequest), Outcome::Reject(Rejection::EscapedSlash));
    let Outcome::Redirect(to) = outcome(EscapedSlashes::UnescapeAndRedirect) else { panic!("no redirect") };
    assert_eq!(to.location(), "/a/b");
}

#[test]
fn s28_s29_headers_with_underscores() {
    let rules = rules_of(
        &web(&json!([
            {"Action": "deny", "HTTP": {"Header": [{"Name": "x_role", "Exact": "bad"}]}},
            {"Action": "allow", "HTTP": {"PathPrefix": "/"}},
        ])),
        Deny,
    );
    let normalized = |headers_with_underscores| {
        let mut bad = Request::new("/").header("x_role", "bad");
        let options = Normalization { headers_with_underscores, ..Normalization::default() };
        options.headers(&mut bad.headers).map(|()| bad)
    };
    let kept = normalized(HeadersWithUnderscores::Allow).unwrap();
    assert!(request(&rules, &caller("web"), &kept).is_err());
    let dropped = normalized(HeadersWithUnderscores::DropHeader).unwrap();
    assert!(request(&rules, &caller("web"), &dropped).is_ok());
    assert!(dropped.headers.is_empty());
    assert_eq!(normalized(HeadersWithUnderscores::RejectRequest).unwrap_err(), Rejection::Underscore);
}

#[test]
fn s30_methods_are_compared_as_they_came() {
    assert!(http(&["web [A ^/ GET]"], Deny, "web", "get /").is_err());
    assert!(http(&["web [A ^/ get]"], Deny, "web", "GET /").is_ok());
    assert!(http(&["web [A ^/ GET,PROPFIND]"], Deny, "web", "PROPFIND /").is_ok());
}

#[test]
fn s31_s32_inverted_headers() {
    let one =
        |header: Value| rules_of(&web(&json!([{"Action": "allow", "HTTP": {"Header": [header]}}])), Deny);
    let missing = Request::new("/");
    let there = Request::new("/").header("x-role", "dev");
    let exact = one(json!({"Name": "x-role", "Exact": "ops", "Invert": true}));
    assert!(request(&exact, &caller("web"), &missing).is_err());
    assert!(request(&exact, &caller("web"), &there).is_ok());
    let present = one(json!({"Name": "x-role", "Present": true, "Invert": true}));
    assert!(request(&present, &caller("web"), &missing).is_ok());
    assert!(request(&present, &caller("web"), &there).is_err());
}

#[test]
fn s33_a_denying_header_is_found_on_any_line_and_on_all_of_them_joined() {
    let deny = |header: Value| {
        let deny = json!({"Action": "deny", "HTTP": {"Header": [header]}});
        rules_of(&web(&json!([deny, {"Action": "allow", "HTTP": {"PathPrefix": "/"}}])), Deny)
    };
    let lines = |lines: &[&str]| lines.iter().fold(Request::new("/"), |all, line| all.header("x-role", line));
    let ops = deny(json!({"Name": "x-role", "Exact": "ops"}));
    assert!(request(&ops, &caller("web"), &lines(&["dev", "ops"])).is_err());
    assert!(request(&ops, &caller("web"), &lines(&["dev"])).is_ok());
    let both = deny(json!({"Name": "x-role", "Exact": "dev,ops"}));
    assert!(request(&both, &caller("web"), &lines(&["dev", "ops"])).is_err());
    // "Is there and is not dev": joined it is not.
    let not_dev = deny(json!({"Name": "x-role", "Exact": "dev", "Invert": true}));
    assert!(request(&not_dev, &caller("web"), &lines(&["dev"])).is_ok());
    assert!(request(&not_dev, &caller("web"), &lines(&["dev", "ops"])).is_err());
    // What allows sees the lines one by one only.
    let allow =
        web(&json!([{"Action": "allow", "HTTP": {"Header": [{"Name": "x-role", "Exact": "dev,ops"}]}}]));
    assert!(request(&rules_of(&allow, Deny), &caller("web"), &lines(&["dev", "ops"])).is_err());
}

#[test]
fn what_is_no_text_is_in_doubt() {
    let regex = |action: &str, invert: bool| {
        let first = json!({"Action": action, "HTTP": {"Header": [{"Name": "x-role", "Regex": ".*ops", "Invert": invert}]}});
        rules_of(&web(&json!([first, {"Action": "allow", "HTTP": {"PathExact": "/open"}}])), Deny)
    };
    let bytes = |path: &str| {
        let mut request = Request::new(path);
        request.headers.append("x-role", http::HeaderValue::from_bytes(b"\xffops").unwrap());
        request
    };
    for invert in [false, true] {
        assert!(request(&regex("deny", invert), &caller("web"), &bytes("/open")).is_err(), "{invert}");
        assert!(request(&regex("allow", invert), &caller("web"), &bytes("/")).is_err(), "{invert}");
    }
}

#[test]
fn s34_a_regular_expression_matches_the_whole_path() {
    assert!(http(&["web [A ~/v[12]]"], Deny, "web", "/v1/x").is_err());
    assert!(http(&["web [A ~/v[12]]"], Deny, "web", "/v1").is_ok());
}

#[test]
fn s35_a_regular_expression_that_does_not_compile_closes() {
    for default in [Allow, Deny] {
        let rules = rules(&["web [D ~(; A ^/]", "cron [A ~(; A =/a]"], default);
        let denial = request(&rules, &caller("web"), &Request::new("/a")).unwrap_err().to_string();
        assert!(
            denial.starts_with("intention web => api (precedence 9), permission 1 is not understood"),
            "{denial}"
        );
        let cron = |path| {
            request(&rules, &caller("cron"), &Request::new(path)).map(|permit| permit.why().to_string())
        };
        assert_eq!(cron("/a").unwrap(), "intention cron => api (precedence 9), permission 2: allow");
        assert_eq!(cron("/(").is_ok(), default == Allow);
        let effects: Vec<_> = rules.problems().iter().map(|problem| problem.effect).collect();
        assert_eq!(effects, [Effect::PermissionCloses; 2]);
        assert!(rules.problems()[0].what.starts_with("permission 1: regular expression \"(\": "));
    }
}

#[test]
fn s36_to_s39_who_is_not_covered() {
    for who in ["mgw", "foreign", "team:web", "part1|web"] {
        assert!(http(&["* A"], Deny, who, "/").is_err(), "{who}");
        assert!(tcp(&["* A"], Deny, who).is_err(), "{who}");
    }
    assert_eq!(tcp(&["* A"], Deny, "mgw").unwrap_err(), "the caller is no service, default policy: deny");
    assert_eq!(tcp(&["* A"], Deny, "foreign").unwrap_err(), "default policy: deny");
}

#[test]
fn s40_a_peer_without_a_bundle_is_skipped_and_reported() {
    for (default, allows) in [(Deny, false), (Allow, true)] {
        let rules = rules(&["q/web A", "q/* D"], default);
        for (who, protocol) in [("p/web", Tcp), ("mgw>p/web", Http), ("web", Tcp)] {
            assert_eq!(allowed(&rules, &caller(who), protocol, &Request::new("/")).is_ok(), allows, "{who}");
        }
        assert!(rules.problems().iter().all(|problem| problem.effect == Effect::Ignored));
        assert_eq!(rules.problems().len(), 2);
    }
}

#[test]
fn s41_a_header_from_anybody_but_the_own_mesh_gateway_is_not_read() {
    for who in ["cron>p/web", "p/mgw>p/web", "part1|mgw>p/web", "agent>p/web", "server>p/web"] {
        assert!(http(&["p/* A"], Deny, who, "/").is_err(), "{who}");
        // Nor does it protect its sender.
        assert!(http(&["p/* A", "cron D"], Allow, "cron>p/web", "/").is_err());
    }
    // On TCP there is no such header.
    assert!(tcp(&["p/* A"], Deny, "mgw>p/web").is_err());
    assert!(http(&["p/* A"], Deny, "mgw>p/web", "/").is_ok());
}

#[test]
fn s42_a_rule_with_a_token_does_not_touch_other_sources() {
    let rows = &["web A + JWT", "cron A"];
    assert!(http(rows, Deny, "web", "/").is_err());
    assert!(http(rows, Deny, "cron", "/").is_ok());
}

#[test]
fn s45_an_unknown_action_denies() {
    let answer = json!({"api": [
        {"SourceNS": "default", "SourceName": "web", "DestinationNS": "default", "DestinationName": "api", "Action": "maybe"},
        row("* A"),
    ]});
    let parsed = parse_match(answer.to_string().as_bytes(), "api").unwrap();
    assert_eq!(parsed.problems.len(), 1);
    assert_eq!(
        parsed.problems[0].to_string(),
        "api[0] web => api (precedence 9): Action \"maybe\" is neither \"allow\" nor \"deny\"; what it covers is denied"
    );
    for default in [Allow, Deny] {
        let rules = RuleSet::compile(&destination("api"), &parsed.intentions, default, &mesh());
        for protocol in [Tcp, Http] {
            assert!(allowed(&rules, &caller("web"), protocol, &Request::new("/")).is_err());
            assert!(allowed(&rules, &caller("cron"), protocol, &Request::new("/")).is_ok());
        }
        assert_eq!(rules.problems().len(), 1);
    }
}

#[test]
fn s46_permissions_count_beside_an_allowing_action() {
    let mut both = row("web [A =/a]");
    both["Action"] = "allow".into();
    let rules = rules_of(&json!([both, row("* D")]), Deny);
    assert!(request(&rules, &caller("web"), &Request::new("/a")).is_ok());
    assert!(request(&rules, &caller("web"), &Request::new("/b")).is_err());
    // Beside a denying one they open nothing.
    both["Action"] = "deny".into();
    let rules = rules_of(&json!([both]), Default::Allow);
    assert!(request(&rules, &caller("web"), &Request::new("/a")).is_err());
}

#[test]
fn s47_no_permissions_are_no_permissions() {
    let mut allow = row("web A");
    for empty in [json!([]), json!(null)] {
        allow["Permissions"] = empty;
        let rules = rules_of(&json!([allow]), Deny);
        assert!(allowed(&rules, &caller("web"), Tcp, &Request::new("/")).is_ok());
        assert!(allowed(&rules, &caller("web"), Http, &Request::new("/")).is_ok());
    }
}

/// The order in which a rule is found cannot depend on how many there are; its cost is measured by a benchmark.
#[test]
fn s50_ten_thousand_sources() {
    let rows: Vec<Value> =
        (0..10_000).map(|number| row(&format!("service-{number} {}", ["A", "D"][number % 2]))).collect();
    let rules = rules_of(&json!(rows), Deny);
    assert_eq!(rules.intentions().len(), 10_000);
    for number in [0, 1, 4_998, 9_999] {
        let found = allowed(&rules, &caller(&format!("service-{number}")), Tcp, &Request::new("/"));
        assert_eq!(found.is_ok(), number % 2 == 0);
    }
    assert!(allowed(&rules, &caller("service-10000"), Tcp, &Request::new("/")).is_err());
}

/// One decision stands for many connections: its line is made once, and is no part of what is compared.
#[test]
fn the_line_of_a_decision_is_shared() {
    let (some, others) = (rules(&["web [A =/a]"], Deny), rules(&["web [A =/a]"], Deny));
    let permit = |rules: &RuleSet| request(rules, &caller("web"), &Request::new("/a")).unwrap();
    let (first, second) = (permit(&some), permit(&some));
    let line = first.why().line();
    assert_eq!(*line, *first.why().to_string());
    assert!(std::sync::Arc::ptr_eq(&line, &second.why().line()));
    assert_eq!(first.why(), permit(&others).why(), "the one has its line, the other has none");
}

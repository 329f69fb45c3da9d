//! What people are shown, and what can be said of many rules at once.

mod support;

use std::sync::Arc;

use intentions::DefaultPolicy::{Allow, Deny};
use intentions::Protocol::{Http, Tcp};
use intentions::{ConnPermit, Denial, Explanation, Look, RequestPermit, RuleSet, Verdict};
use serde_json::json;
use support::{Request, allowed, caller, destination, intentions, mesh, request, rules, rules_of};

fn lines(explained: &Explanation) -> Vec<String> {
    let mut lines = Vec::new();
    for step in &explained.steps {
        let look = match step.look {
            Look::NoMatch(why) => format!("no match, {why}"),
            _ => "match".to_owned(),
        };
        lines.push(format!("{}: {look}", step.intention));
        lines.extend(step.permissions.iter().map(|line| format!("  {line}")));
    }
    lines.extend(explained.decision.as_ref().map(ToString::to_string));
    lines
}

#[test]
fn every_rule_that_was_looked_at_is_shown() {
    let rows = &["cron D", "web [D =/secret; A ^/v1 GET]", "* D", "p/web D", "q/web D", "web->* A"];
    let rules = rules(rows, Deny);
    let web = caller("web");
    let shown =
        |head: Option<&Request>| lines(&rules.explain(web.source(), Http, head.map(Request::head).as_ref()));
    assert_eq!(
        shown(Some(&Request::new("/v1"))),
        [
            "cron => api (precedence 9): no match, another name",
            "web (peer peer1) => api (precedence 9): no match, the request did not come from a peer through a mesh gateway",
            "web (peer peer2) => api (precedence 9): no match, the trust bundle of the peer is not known",
            "web => api (precedence 9): match",
            "  permission 1 (deny): no match, the path",
            "  permission 2 (allow): match",
            "intention web => api (precedence 9), permission 2: allow",
        ]
    );
    assert_eq!(
        shown(Some(&Request::new("POST /v1"))).last().unwrap(),
        "intention web => api (precedence 9) has no permission that matches, default policy: deny"
    );
    // Without a request it is open what its permissions say.
    assert_eq!(shown(None).last().unwrap(), "web => api (precedence 9): match");
    assert!(rules.explain(web.source(), Http, None).decision.is_none());
    let tcp = lines(&rules.explain(web.source(), Tcp, None));
    assert_eq!(
        tcp.last().unwrap(),
        "intention web => api (precedence 9) has permissions, which need a request: deny"
    );
    let nobody = lines(&rules.explain(caller("mgw").source(), Tcp, None));
    assert_eq!(nobody.len(), 7);
    assert_eq!(nobody.last().unwrap(), "the caller is no service, default policy: deny");
    assert!(nobody.contains(&"* => api (precedence 8): no match, the caller is no service".to_owned()));
    let odd = lines(&rules.explain(caller("w%65b").source(), Tcp, None));
    assert_eq!(odd, ["the caller's identity is not written as Consul writes it: deny"]);
}

#[test]
fn an_outlook_says_what_is_certain() {
    let rows = &["cron A", "web [A ^/v1]", "p/web A"];
    let rules = rules(rows, Deny);
    let outlook = |who: &str| match rules.check_connection(caller(who).source(), Http) {
        Verdict::NeedsRequest(outlook) => outlook.decision().map(ToString::to_string),
        other => panic!("{other:?}"),
    };
    assert_eq!(outlook("cron").as_deref(), Some("intention cron => api (precedence 9): allow"));
    assert_eq!(outlook("other").as_deref(), Some("default policy: deny"));
    assert_eq!(outlook("web"), None);
    // Whom the gateway speaks for is known with each request.
    assert_eq!(outlook("mgw"), None);
    assert!(outlook("part1|mgw").is_some());
}

#[test]
fn a_permit_says_what_it_is_for_and_can_go_anywhere() {
    fn sendable<T: Send + Sync + 'static>() {}
    sendable::<ConnPermit>();
    sendable::<RequestPermit>();
    sendable::<Denial>();
    sendable::<RuleSet>();
    assert_eq!(size_of::<ConnPermit>(), size_of::<usize>());
    let rules = rules(&["web A"], Deny);
    let Verdict::Allow(permit) = rules.check_connection(caller("web").source(), Tcp) else {
        panic!("denied")
    };
    assert_eq!(permit.destination(), &destination("api"));
    assert_eq!(permit.why().label(), "intention");
    assert!(Arc::ptr_eq(permit.why().intention().unwrap(), rules.intentions().next().unwrap()));
}

#[test]
fn only_what_is_about_the_destination_is_taken() {
    let rules = rules(&["web A", "web->* D", "web->other A", "*->* A"], Deny);
    let texts: Vec<_> = rules.intentions().map(ToString::to_string).collect();
    assert_eq!(texts, ["web => api (precedence 9)", "web => * (precedence 6)", "* => * (precedence 5)"]);
    let elsewhere = json!([
        {"SourceName": "web", "DestinationName": "api", "DestinationNS": "team", "Action": "allow"},
        {"SourceName": "web", "DestinationName": "api", "DestinationPartition": "part1", "Action": "allow"},
        {"SourceName": "web", "DestinationName": "API", "Action": "allow"},
    ]);
    assert_eq!(rules_of(&elsewhere, Deny).intentions().len(), 0);
}

#[test]
fn equal_sets_are_equal_in_any_order_and_different_ones_differ() {
    let rows = ["web A", "cron [A ^/]", "* D", "p/web A"];
    let all = intentions(&rows);
    let compile = |rows: &[Arc<intentions::Intention>], default, mesh: &intentions::LocalMesh| {
        RuleSet::compile(&destination("api"), rows, default, mesh)
    };
    let set = compile(&all, Deny, &mesh());
    let turned: Vec<_> = all.iter().rev().cloned().collect();
    assert_eq!(set, compile(&turned, Deny, &mesh()));
    let twice: Vec<_> = all.iter().chain(&turned).cloned().collect();
    assert_eq!(set, compile(&twice, Deny, &mesh()));
    assert_ne!(set, compile(&all, Allow, &mesh()));
    assert_ne!(set, compile(&all[1..], Deny, &mesh()));
    assert_ne!(set, compile(&all, Deny, &intentions::LocalMesh { peers: Vec::new(), ..mesh() }));
    assert_ne!(set, rules(&["web A", "cron [A ^/; A ^/]", "* D", "p/web A"], Deny));
}

#[test]
fn two_intentions_that_contradict_each_other_deny() {
    for default in [Allow, Deny] {
        for rows in [
            ["web A", "web D"],
            ["web A", "web [A ^/]"],
            ["web [A ^/]", "web [A ^/a]"],
            ["web A", "web A + JWT"],
        ] {
            let rules = rules(&rows, default);
            for protocol in [Tcp, Http] {
                let denial = allowed(&rules, &caller("web"), protocol, &Request::new("/")).unwrap_err();
                assert!(denial.contains("it says something else"), "{denial}");
            }
            assert_eq!(rules.problems().len(), 1);
        }
    }
    assert!(rules(&["web A", "web A"], Deny).problems().is_empty());
}

/// A request that CONNECT makes has no path: what denies paths denies it, what allows paths does not allow it.
#[test]
fn connect_has_no_path() {
    let tunnel = Request::new("CONNECT h:443");
    for (rows, default, expected) in [
        (["web [A ^/]"], Deny, false),
        (["web [D =/secret]"], Allow, false),
        (["web [A =/secret]"], Allow, true),
    ] {
        assert_eq!(request(&rules(&rows, default), &caller("web"), &tunnel).is_ok(), expected, "{rows:?}");
    }
}

#[test]
fn pseudo_headers_and_host() {
    let with = |name: &str, exact: &str, action: &str| {
        let other = if action == "deny" {
            json!({"Action": "allow", "HTTP": {"PathPrefix": "/"}})
        } else {
            json!(null)
        };
        let one = json!({"Action": action, "HTTP": {"Header": [{"Name": name, "Exact": exact}]}});
        let permissions: Vec<_> = [one, other].into_iter().filter(|one| !one.is_null()).collect();
        rules_of(&json!([{"SourceName": "web", "DestinationName": "api", "Permissions": permissions}]), Deny)
    };
    let plain = Request::new("POST /a?b").header("host", "api.example");
    for (name, value) in [
        (":method", "POST"),
        (":path", "/a?b"),
        (":scheme", "http"),
        ("Host", "api.example"),
        (":authority", "api.example"),
    ] {
        assert!(request(&with(name, value, "allow"), &caller("web"), &plain).is_ok(), "{name}");
        assert!(request(&with(name, "other", "allow"), &caller("web"), &plain).is_err(), "{name}");
        assert!(request(&with(name, value, "deny"), &caller("web"), &plain).is_err(), "{name}");
    }
    // Where both are there, the authority counts; what denies looks at either.
    let mut both = plain;
    both.authority = Some("public.example".to_owned());
    assert!(request(&with("host", "public.example", "allow"), &caller("web"), &both).is_ok());
    assert!(request(&with("host", "api.example", "allow"), &caller("web"), &both).is_err());
    assert!(request(&with("host", "public.example", "deny"), &caller("web"), &both).is_err());
    assert!(request(&with("host", "api.example", "deny"), &caller("web"), &both).is_err());
}

/// Consul keeps partitions in the case in which they were written, and writes them in lower case into certificates.
#[test]
fn partitions_are_lower_case_in_certificates() {
    let part1 = |name: &str| mesh_id::Partition::parse(name).unwrap();
    let own = intentions::LocalMesh {
        partition: part1("Part1"),
        peers: vec![support::peer("peer1", support::PEER_DOMAIN, "Part1")],
        ..mesh()
    };
    let destination = intentions::Destination { partition: part1("Part1"), ..destination("api") };
    let row = |name: &str| json!({"SourceName": name, "DestinationName": "api", "DestinationPartition": "PART1", "Action": "allow"});
    let mut named = row("cron");
    named["SourcePartition"] = "Part1".into();
    let mut of_peer = row("web");
    of_peer["SourcePeer"] = "peer1".into();
    let rows = support::parsed(&json!([row("web"), named, of_peer]));
    let rules = RuleSet::compile(&destination, &rows, Deny, &own);
    let plain = Request::new("/");
    assert_eq!(rules.intentions().len(), 3);
    for (who, protocol, expected) in [
        ("part1|web", Tcp, true),
        ("part1|cron", Http, true),
        ("Part1|web", Tcp, false),
        ("web", Tcp, false),
        ("p/part1|web", Tcp, true),
        ("p/web", Tcp, false),
        ("part1|mgw>p/part1|web", Http, true),
        ("mgw>p/part1|web", Http, false),
    ] {
        assert_eq!(allowed(&rules, &caller(who), protocol, &plain).is_ok(), expected, "{who}");
    }
}

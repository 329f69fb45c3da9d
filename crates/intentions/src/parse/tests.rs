//! Rows that are right, odd and wrong, and what becomes of them.

use serde_json::json;

use super::*;
use crate::intention::{Action, IntentionSource, Pattern, Rule};
use crate::permission::{HeaderField, HeaderTest, JwtRequirement, PathMatch, PermissionMatch, TextTest};
use crate::problem::Effect;

fn row_with(change: &Value) -> Row {
    let mut row = json!({"SourceNS": "default", "SourceName": "web", "DestinationNS": "default",
        "DestinationName": "api", "SourceType": "consul", "Action": "allow", "Precedence": 9});
    for (key, value) in change.as_object().unwrap() {
        row[key] = value.clone();
    }
    Row::read(&row)
}

fn effects(row: &Row) -> Vec<Effect> {
    row.problems.iter().map(|problem| problem.effect).collect()
}

/// One permission of an otherwise good row.
fn permission(permission: &Value) -> (crate::Permission, Vec<Effect>) {
    let row = row_with(&json!({"Action": null, "Permissions": [permission]}));
    let intention = row.intention.clone().unwrap();
    let Rule::Permissions(permissions) = &intention.rule else { panic!("{intention:?}") };
    (permissions[0].clone(), effects(&row))
}

#[test]
fn what_consul_adds_is_ignored() {
    let plain = row_with(&json!({}));
    assert_eq!(plain.intention.as_ref().unwrap().to_string(), "web => api (precedence 9)");
    assert!(plain.problems.is_empty());
    let more = json!({"ID": "x", "Description": "d", "Meta": {"Action": "deny"}, "CreatedAt": "t", "UpdatedAt": "t", "Hash": 7,
        "CreateIndex": 1, "ModifyIndex": 2, "DefaultAddr": "", "DefaultPort": 0, "SourcePeer": "", "JWT": null,
        "Permissions": [], "Future": {"a": 1}});
    assert_eq!(row_with(&more), plain);
}

#[test]
fn precedence_is_consuls_or_follows_from_the_names() {
    let precedence = |change| row_with(&change).intention.unwrap().precedence;
    assert_eq!(precedence(json!({"Precedence": 3})), 3);
    let names = |source_ns: &str, source: &str, destination_ns: &str, destination: &str| {
        precedence(json!({"SourceNS": source_ns, "SourceName": source, "DestinationNS": destination_ns,
            "DestinationName": destination, "Precedence": null}))
    };
    assert_eq!(names("a", "web", "b", "api"), 9);
    assert_eq!(names("a", "*", "b", "api"), 8);
    assert_eq!(names("*", "*", "b", "api"), 7);
    assert_eq!(names("a", "web", "b", "*"), 6);
    assert_eq!(names("a", "*", "b", "*"), 5);
    assert_eq!(names("*", "*", "b", "*"), 4);
    assert_eq!(names("a", "web", "*", "*"), 3);
    assert_eq!(names("a", "*", "*", "*"), 2);
    assert_eq!(names("*", "*", "*", "*"), 1);
    for wrong in [json!(10), json!(-1), json!("9"), json!(1.5), json!(300)] {
        let row = row_with(&json!({"Precedence": wrong}));
        assert_eq!((effects(&row), row.intention.unwrap().precedence), (vec![Effect::Corrected], 9));
    }
}

/// A row that does not say whom it covers denies everyone, unless taking it away can only close.
#[test]
fn a_source_or_destination_that_cannot_be_read_closes() {
    let wrong = [
        json!({"SourceName": null}),
        json!({"SourceName": ""}),
        json!({"SourceName": 7}),
        json!({"SourceName": "we*"}),
        json!({"SourceName": "x".repeat(9_000)}),
        json!({"SourceNS": "*"}),
        json!({"SourceNS": "a*"}),
        json!({"SourceNS": ["default"]}),
        json!({"SourceType": "external"}),
        json!({"SourceType": 1}),
        json!({"SourceSamenessGroup": "group"}),
        json!({"SourcePartition": "*"}),
        json!({"SourcePartition": "part1", "SourcePeer": "east"}),
        json!({"SourcePartition": 3}),
        json!({"SourcePeer": "*"}),
        json!({"SourcePeer": {"Name": "east"}}),
        json!({"DestinationName": null}),
        json!({"DestinationName": "a*"}),
        json!({"DestinationNS": "*"}),
        json!({"DestinationPartition": "*"}),
    ];
    for change in wrong {
        let row = row_with(&change);
        assert_eq!((&row.intention, effects(&row)), (&None, vec![Effect::Ignored]), "{change}");
        for more in
            [json!({"Action": "deny"}), json!({"Action": "?"}), json!({"Action": null, "Permissions": [{}]})]
        {
            let mut all = change.clone();
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let row = row_with(&all);
            let intention = row.intention.as_ref().unwrap();
            assert!(matches!(intention.rule, Rule::NotUnderstood(_)), "{change} {more}");
            assert!(effects(&row).contains(&Effect::Denies));
            let everyone = intention.source == IntentionSource::NotUnderstood;
            let everywhere =
                intention.destination.name == Pattern::Any && intention.destination.namespace == Pattern::Any;
            assert!(everyone || everywhere, "{change}");
            assert_eq!(intention.precedence, 9);
        }
    }
    for nothing in [json!(null), json!(7), json!("web"), json!([])] {
        let row = Row::read(&nothing);
        let intention = row.intention.as_ref().unwrap();
        assert_eq!(
            (intention.source.clone(), effects(&row)),
            (IntentionSource::NotUnderstood, vec![Effect::Denies])
        );
    }
}

#[test]
fn a_peers_source_has_no_partition() {
    let row = row_with(&json!({"SourcePeer": "east", "SourcePartition": "default"}));
    let intention = row.intention.unwrap();
    assert_eq!(intention.to_string(), "web (peer east) => api (precedence 9)");
    let IntentionSource::Services(source) = &intention.source else { panic!("{intention:?}") };
    assert_eq!((source.partition.as_deref(), source.peer.as_deref()), (None, Some("east")));
}

#[test]
fn an_action_that_is_not_known_denies() {
    let wrong = [
        json!({"Action": "maybe"}),
        json!({"Action": "Allow"}),
        json!({"Action": "ALLOW"}),
        json!({"Action": " allow"}),
        json!({"Action": 1}),
        json!({"Action": ["allow"]}),
        json!({"Action": null}),
        json!({"Action": "", "Permissions": []}),
        json!({"Permissions": "all"}),
        json!({"Permissions": {"Action": "allow"}}),
        json!({"Action": null, "Permissions": vec![json!({}); crate::MAX_PERMISSIONS + 1]}),
        json!({"Action": "deny", "Permissions": [{"Action": "allow", "HTTP": {"PathPrefix": "/"}}]}),
        json!({"Action": "maybe", "Permissions": [{"Action": "allow", "HTTP": {"PathPrefix": "/"}}]}),
        json!({"action": "deny"}),
    ];
    for change in wrong {
        let row = row_with(&change);
        let intention = row.intention.as_ref().unwrap();
        assert!(matches!(intention.rule, Rule::NotUnderstood(_)), "{change}: {:?}", intention.rule);
        assert_eq!(effects(&row), [Effect::Denies], "{change}");
        assert_eq!(row.problems[0].place, "web => api (precedence 9)");
    }
}

#[test]
fn a_permission_is_read_whole() {
    let (read, effects) = permission(
        &json!({"Action": "deny", "HTTP": {"PathRegex": "/a.*", "Methods": ["get", "PATCH"], "Header": [
        {"Name": "X-Role", "Suffix": "ops", "IgnoreCase": true, "Invert": true},
        {"Name": "host", "Present": true},
        {"Name": ":method", "Regex": "G.*", "Exact": "", "Present": false},
    ]}, "JWT": {"Providers": [{"Name": "okta", "VerifyClaims": [{"Path": ["a", "b"], "Value": "c"}]}]}}),
    );
    assert!(effects.is_empty());
    assert_eq!(read.action, Action::Deny);
    let PermissionMatch::Http(http) = read.matches else { panic!("{read:?}") };
    assert_eq!(http.path, Some(PathMatch::Regex("/a.*".into())));
    assert_eq!(http.methods, ["GET".into(), "PATCH".into()]);
    let [role, host, method] = http.headers.as_slice() else { panic!("{http:?}") };
    assert_eq!(role.field, HeaderField::Named(http::HeaderName::from_static("x-role")));
    let suffix = HeaderTest::Text { test: TextTest::Suffix, value: "ops".into(), ignore_case: true };
    assert_eq!((&role.test, role.invert), (&suffix, true));
    assert_eq!((&host.field, &host.test), (&HeaderField::Authority, &HeaderTest::Present));
    assert_eq!((&method.field, &method.test), (&HeaderField::Method, &HeaderTest::Regex("G.*".into())));
    let Some(JwtRequirement::AnyOf(providers)) = read.jwt else { panic!("no token") };
    assert_eq!((&*providers[0].name, providers[0].claims[0].path.len()), ("okta", 2));
}

#[test]
fn a_match_that_is_not_understood_closes_its_permission() {
    let header = |header: Value| json!({"Action": "allow", "HTTP": {"PathPrefix": "/", "Header": [header]}});
    let http = |http: Value| json!({"Action": "allow", "HTTP": http});
    let wrong = [
        json!({"Action": "allow"}),
        json!({"Action": "allow", "HTTP": {}}),
        json!({"Action": "allow", "HTTP": "/"}),
        json!({"Action": "allow", "HTTP": {"PathPrefix": "/"}, "TCP": {"Port": 1}}),
        json!({"Action": "allow", "HTTP": {"PathPrefix": "/"}, "http": {"PathPrefix": "/a"}}),
        http(json!({"PathExact": ""})),
        http(json!({"Methods": [], "Header": null})),
        http(json!({"PathPrefix": "/", "PathSuffix": "x"})),
        http(json!({"PathPrefix": "/", "path_prefix": "/a"})),
        http(json!({"PathPrefix": "/", "PathExact": "/a"})),
        http(json!({"PathExact": "/", "PathRegex": "/a"})),
        http(json!({"PathPrefix": "a"})),
        http(json!({"PathExact": "a/b"})),
        http(json!({"PathPrefix": 1})),
        http(json!({"PathRegex": "a".repeat(5_000)})),
        http(json!({"PathPrefix": "/", "Methods": "GET"})),
        http(json!({"PathPrefix": "/", "Methods": ["GET", 1]})),
        http(json!({"PathPrefix": "/", "Methods": ["GET", ""]})),
        http(json!({"PathPrefix": "/", "Methods": ["G ET"]})),
        http(json!({"PathPrefix": "/", "Methods": vec!["GET"; crate::MAX_METHODS + 1]})),
        http(json!({"PathPrefix": "/", "Header": {"Name": "a", "Present": true}})),
        http(
            json!({"PathPrefix": "/", "Header": vec![json!({"Name": "a", "Present": true}); crate::MAX_HEADER_MATCHES + 1]}),
        ),
        header(json!(null)),
        header(json!({"Present": true})),
        header(json!({"Name": "a b", "Present": true})),
        header(json!({"Name": ":nothing", "Present": true})),
        header(json!({"Name": "a"})),
        header(json!({"Name": "a", "Invert": true})),
        header(json!({"Name": "a", "Present": "yes"})),
        header(json!({"Name": "a", "Exact": 1})),
        header(json!({"Name": "a", "Exact": "x", "Prefix": "y"})),
        header(json!({"Name": "a", "Present": true, "Regex": "y"})),
        header(json!({"Name": "a", "Exact": "x", "Range": "1-2"})),
        header(json!({"Name": "a", "Exact": "x", "Invert": 1})),
        header(json!({"Name": "a", "Regex": "x", "IgnoreCase": true})),
        header(json!({"Name": "a", "Present": true, "IgnoreCase": true})),
    ];
    for one in wrong {
        let (read, effects) = permission(&one);
        assert!(matches!(read.matches, PermissionMatch::NotUnderstood(_)), "{one}: {read:?}");
        assert_eq!((read.action, effects), (Action::Allow, vec![Effect::PermissionCloses]), "{one}");
    }
    let (read, _) = permission(&json!("allow"));
    assert_eq!((read.action, read.jwt), (Action::Deny, None));
    // Zero values of keys that are not known say nothing, as in Consul's own decoder.
    let zeros = http(json!({"PathPrefix": "/", "New": "", "Newer": false, "Newest": [], "PathExact": null}));
    assert!(matches!(permission(&zeros).0.matches, PermissionMatch::Http(_)));
}

#[test]
fn an_action_of_a_permission_that_is_not_known_denies_what_it_matches() {
    for action in [json!("audit"), json!(""), json!(null), json!(1), json!("Allow")] {
        let (read, effects) = permission(&json!({"Action": action, "HTTP": {"PathExact": "/a"}}));
        assert_eq!((read.action, effects), (Action::Deny, vec![Effect::PermissionCloses]), "{action}");
        assert!(matches!(read.matches, PermissionMatch::Http(_)));
    }
}

#[test]
fn a_token_is_asked_for_even_where_it_is_not_understood() {
    let jwt = |jwt: Value| row_with(&json!({"JWT": jwt})).intention.unwrap().jwt.clone();
    assert_eq!(jwt(json!(null)), None);
    assert_eq!(jwt(json!({})), Some(JwtRequirement::AnyOf(Vec::new())));
    assert_eq!(jwt(json!({"Providers": []})), Some(JwtRequirement::AnyOf(Vec::new())));
    assert!(
        matches!(jwt(json!({"Providers": [{"Name": "okta"}]})), Some(JwtRequirement::AnyOf(all)) if all.len() == 1)
    );
    let wrong = [
        json!("okta"),
        json!({"Provider": [{"Name": "okta"}]}),
        json!({"Providers": {"Name": "okta"}}),
        json!({"Providers": [{}]}),
        json!({"Providers": [{"Name": "okta", "Optional": true}]}),
        json!({"Providers": [{"Name": "okta", "VerifyClaims": [{"Value": "x"}]}]}),
        json!({"Providers": [{"Name": "okta", "VerifyClaims": [{"Path": [1], "Value": "x"}]}]}),
        json!({"Providers": [{"Name": "okta", "VerifyClaims": [{"Path": ["a"], "Value": 1}]}]}),
    ];
    for one in wrong {
        assert!(matches!(jwt(one.clone()), Some(JwtRequirement::NotUnderstood(_))), "{one}");
    }
}

#[test]
fn a_config_entry_is_read_in_both_spellings() {
    let camel = json!({"Kind": "service-intentions", "Name": "api", "Meta": {"a": "b"}, "JWT": {"Providers": [{"Name": "okta"}]},
        "Sources": [
            {"Name": "web", "Permissions": [{"Action": "allow", "HTTP": {"PathPrefix": "/a", "Header": [{"Name": "a", "Exact": "b", "IgnoreCase": true}]},
                "JWT": {"Providers": [{"Name": "a", "VerifyClaims": [{"Path": ["b"], "Value": "c"}]}]}}], "Precedence": 1, "Type": "consul"},
            {"Name": "*", "Action": "deny", "Description": "d", "LegacyID": "x", "LegacyMeta": {}}]});
    let snake = json!({"kind": "service-intentions", "name": "api", "jwt": {"providers": [{"name": "okta"}]},
        "sources": [
            {"name": "web", "permissions": [{"action": "allow", "http": {"path_prefix": "/a", "header": [{"name": "a", "exact": "b", "ignore_case": true}]},
                "jwt": {"providers": [{"name": "a", "verify_claims": [{"path": ["b"], "value": "c"}]}]}}], "type": "consul"},
            {"name": "*", "action": "deny"}]});
    let read = from_config_entry(&camel).unwrap();
    assert_eq!(read, from_config_entry(&snake).unwrap());
    assert!(read.problems.is_empty());
    let texts: Vec<_> = read.intentions.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["web => api (precedence 9)", "* => api (precedence 8)"]);
    assert!(read.intentions.iter().all(|intention| intention.jwt.is_some()));
}

#[test]
fn sources_of_a_config_entry_are_in_the_namespace_of_its_destination() {
    let entry = json!({"Kind": "service-intentions", "Name": "api", "Namespace": "team", "Partition": "Part1", "Sources": [
        {"Name": "web", "Action": "allow"},
        {"Name": "web", "Namespace": "other", "Partition": "part2", "Action": "allow"},
        {"Name": "web", "Peer": "east", "Action": "allow"},
        {"Name": "*", "Namespace": "*", "Action": "allow"}]});
    let texts: Vec<_> =
        from_config_entry(&entry).unwrap().intentions.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "team/web => part1/team/api (precedence 9)",
            "part2/other/web => part1/team/api (precedence 9)",
            "web (peer east) => part1/team/api (precedence 9)",
            "*/* => part1/team/api (precedence 7)"
        ]
    );
}

#[test]
fn a_bad_source_of_a_config_entry_spoils_itself_alone() {
    let entry = json!({"Kind": "service-intentions", "Name": "api", "Sources": [
        7, {"Name": "web", "Action": "maybe"}, {"SamenessGroup": "g", "Name": "x", "Action": "allow"}, {"Name": "cron", "Action": "allow"}]});
    let read = from_config_entry(&entry).unwrap();
    let texts: Vec<_> = read.intentions.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["? => api (precedence 9)", "web => api (precedence 9)", "cron => api (precedence 9)"]);
    let places: Vec<_> =
        read.problems.iter().map(|problem| (problem.place.as_str(), problem.effect)).collect();
    assert_eq!(
        places,
        [
            ("Sources[0] ? => api (precedence 9)", Effect::Denies),
            ("Sources[1] web => api (precedence 9)", Effect::Denies),
            ("Sources[2]", Effect::Ignored)
        ]
    );
    for wrong in [
        json!(null),
        json!([]),
        json!({"Kind": "service-defaults", "Name": "api"}),
        json!({"Name": "api", "Sources": []}),
        json!({"Kind": "service-intentions", "Sources": []}),
        json!({"Kind": "service-intentions", "Name": "a*", "Sources": []}),
        json!({"Kind": "service-intentions", "Name": "api", "Sources": {"Name": "web"}}),
        json!({"Kind": "service-intentions", "Name": "api", "name": "web"}),
    ] {
        assert!(from_config_entry(&wrong).is_err(), "{wrong}");
    }
}

#[test]
fn what_is_no_answer_is_an_error() {
    for body in [
        "",
        "rpc error",
        "{}",
        r#"{"web":[]}"#,
        "[]",
        "null",
        r#"{"api":{}}"#,
        r#"{"api":7}"#,
        r#"{"api":[{]}"#,
    ] {
        assert!(parse_match(body.as_bytes(), "api").is_err(), "{body}");
    }
    for body in ["", "Permission denied", "{}", "7", "[", r#"{"api":[]}"#] {
        assert!(parse_list(body.as_bytes()).is_err(), "{body}");
    }
    assert_eq!(parse_list(b"null").unwrap(), Parsed::default());
    assert_eq!(parse_list(b"[]").unwrap(), Parsed::default());
    assert_eq!(parse_match(br#"{"api":null}"#, "api").unwrap(), Parsed::default());
    let rows: Vec<Row> = serde_json::from_str("[7, {}]").unwrap();
    assert!(rows.iter().all(|row| row.intention.is_some() && row.problems.len() == 1));
}

//! What real Consuls answered: 1.8.7, 1.10.1 and 1.21.
#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

mod support;

use std::path::Path;

use intentions::DefaultPolicy::{Allow, Deny};
use intentions::Protocol::{Http, Tcp};
use intentions::{Parsed, RuleSet, from_config_entry, parse_list, parse_match};
use serde_json::Value;
use support::{Request, allowed, caller, destination, mesh, peer};

fn sample(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(name)).unwrap()
}

fn matched(name: &str, key: &str) -> Parsed {
    good(parse_match(&sample(name), key).unwrap())
}

fn good(parsed: Parsed) -> Parsed {
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
    parsed
}

fn entry(name: &str) -> Parsed {
    good(from_config_entry(&serde_json::from_slice(&sample(name)).unwrap()).unwrap())
}

fn lines(parsed: &Parsed) -> Vec<String> {
    parsed.intentions.iter().map(ToString::to_string).collect()
}

#[test]
fn answers_of_1_8_7() {
    let all = good(parse_list(&sample("1.8.7/intentions-list.json")).unwrap());
    assert_eq!(lines(&all), ["frontend => billing (precedence 9)"]);
    assert_eq!(matched("1.8.7/intentions-match-billing.json", "billing"), all);
    assert!(matched("1.8.7/intentions-match-unknown.json", "no-such-thing").intentions.is_empty());
}

#[test]
fn answers_of_1_10_1() {
    let billing = matched("1.10.1/intentions-match-destination-billing.json", "billing");
    assert_eq!(
        lines(&billing),
        [
            "cron => billing (precedence 9)",
            "web => billing (precedence 9)",
            "* => billing (precedence 8)",
            "ops => * (precedence 6)",
            "* => * (precedence 5)"
        ]
    );
    assert_eq!(matched("1.10.1/intentions-match-destination-ns-form.json", "default/billing"), billing);
    assert_eq!(matched("1.10.1/intentions-match-destination-two.json", "billing"), billing);
    assert!(parse_match(&sample("1.10.1/intentions-match-destination-two.json"), "nosuch").is_err());
    assert!(matched("1.10.1/intentions-match-none.json", "hostapi").intentions.is_empty());
    assert!(parse_match(&sample("1.10.1/intentions-match-no-name.txt"), "billing").is_err());
    let inventory = matched("1.10.1/intentions-match-destination-inventory.json", "inventory");
    assert_eq!(
        lines(&inventory),
        ["old => inventory (precedence 9)", "ops => * (precedence 6)", "* => * (precedence 5)"]
    );
    let star = matched("1.10.1/intentions-match-destination-star.json", "*");
    assert_eq!(lines(&star), ["ops => * (precedence 6)", "* => * (precedence 5)"]);
}

/// The answer of `match`, the list of all, and the config entries of the destination and of `*` say the same.
#[test]
fn every_form_compiles_to_the_same_rules() {
    let compile =
        |parsed: &Parsed| RuleSet::compile(&destination("billing"), &parsed.intentions, Deny, &mesh());
    let matched = compile(&matched("1.10.1/intentions-match-destination-billing.json", "billing"));
    let listed = compile(&good(parse_list(&sample("1.10.1/intentions-list.json")).unwrap()));
    let mut entries = entry("1.10.1/config-service-intentions-billing.json");
    entries.intentions.extend(entry("1.10.1/config-service-intentions-star.json").intentions);
    let all: Vec<Value> =
        serde_json::from_slice(&sample("1.10.1/config-service-intentions-list.json")).unwrap();
    let all = all.iter().flat_map(|entry| good(from_config_entry(entry).unwrap()).intentions);
    let all = Parsed { intentions: all.collect(), problems: Vec::new() };
    assert_eq!(matched, listed);
    assert_eq!(matched, compile(&entries));
    assert_eq!(matched, compile(&all));
    assert_ne!(matched, RuleSet::compile(&destination("billing"), &entries.intentions, Allow, &mesh()));
    entries.intentions.pop();
    assert_ne!(matched, compile(&entries));
}

/// The verdicts that Consul 1.10.1 gave beside these answers (`authorize`, `check`).
#[test]
fn verdicts_of_1_10_1() {
    let rules = |name: &str| {
        let all = good(parse_list(&sample("1.10.1/intentions-list.json")).unwrap());
        RuleSet::compile(&destination(name), &all.intentions, Deny, &mesh())
    };
    let ask = |name: &str, who: &str| allowed(&rules(name), &caller(who), Tcp, &Request::new("/"));
    assert_eq!(ask("billing", "cron").unwrap(), "intention cron => billing (precedence 9): allow");
    assert_eq!(ask("billing", "other").unwrap_err(), "intention * => billing (precedence 8): deny");
    assert_eq!(
        ask("billing", "web").unwrap_err(),
        "intention web => billing (precedence 9) has permissions, which need a request: deny"
    );
    assert_eq!(
        ask("legacy-db", "legacy-db").unwrap_err(),
        "intention legacy-db => legacy-db (precedence 9): deny"
    );
    assert_eq!(ask("legacy-db", "ops").unwrap(), "intention ops => * (precedence 6): allow");
    let web = |what: &str, headers: &[(&str, &str)]| {
        let request = headers.iter().fold(Request::new(what), |all, (name, value)| all.header(name, value));
        allowed(&rules("billing"), &caller("web"), Http, &request).is_ok()
    };
    assert!(!web("/v1/secret", &[]));
    assert!(web("/v1/a", &[]) && web("HEAD /v1", &[]));
    assert!(!web("POST /v1/a", &[]));
    assert!(web("/r12", &[("x-role", "ops")]));
    assert!(!web("/r12", &[]) && !web("/r12", &[("x-role", "ops"), ("x-debug", "")]));
}

#[test]
fn answers_of_1_21_with_peers_and_tokens() {
    let api = matched("1.21/intentions-match-api.json", "api");
    assert_eq!(lines(&api), ["bcl => api (precedence 9)", "* (peer apeer) => api (precedence 8)"]);
    assert_eq!(entry("1.21/config-get-service-intentions-api.json"), api);
    let web = matched("1.21/intentions-match-two.json", "web");
    assert_eq!(entry("1.21/config-get-service-intentions-web.json"), web);
    assert!(matched("1.21/intentions-match-unknown.json", "nope").intentions.is_empty());
    matched("1.21/intentions-match-ext.json", "ext");

    let mut mesh = mesh();
    mesh.peers = vec![peer("apeer", support::PEER_DOMAIN, "default")];
    let all = good(parse_list(&sample("1.21/intentions-list.json")).unwrap());
    let rules = |name: &str| RuleSet::compile(&destination(name), &all.intentions, Deny, &mesh);
    let ask =
        |name: &str, who: &str, what: &str| allowed(&rules(name), &caller(who), Http, &Request::new(what));
    assert!(ask("api", "bcl", "/pub/x").is_ok());
    assert!(ask("api", "bcl", "/admin").unwrap_err().contains("asks for a token"));
    assert!(ask("api", "mgw>p/anyone", "/").is_ok());
    assert!(ask("api", "other", "/").is_err());
    assert!(ask("web", "mgw>p/client", "/x").is_ok());
    assert!(ask("web", "mgw>p/client", "/secret/x").is_err());
    assert!(ask("web", "client", "/x").is_err());
    assert_eq!(rules("web"), RuleSet::compile(&destination("web"), &web.intentions, Deny, &mesh));
}

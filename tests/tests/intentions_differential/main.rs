//! Our verdicts are Consul's: the same intentions, asked of both about the same sources and destinations.
//!
//! Intentions are made from numbers, so a disagreement can be asked again. `ROUNDS=500` asks that many sets. Each set has
//! destinations of its own: an agent caches what it has once read of a destination, and refreshes it in its own time.
#![expect(clippy::unwrap_used, clippy::panic, reason = "this is how a test fails")]
#![expect(clippy::print_stderr, reason = "how much was compared is worth seeing")]

mod compare;
mod set;

use compare::{Report, compare};
use gateway_testkit::{Api, Consul, Lab, Version};
use intentions::DefaultPolicy;
use serde_json::{Value, json};
use set::Set;

const AT_ONCE: usize = 12;

#[tokio::test]
async fn consul_gives_the_same_verdicts_where_the_default_allows() {
    if !Consul::available() {
        return;
    }
    let lab = Lab::new().unwrap();
    let consul = lab.consul("dc1").unwrap().start().await.unwrap();
    agree(&consul.api(), DefaultPolicy::Allow).await;
}

#[tokio::test]
async fn consul_gives_the_same_verdicts_where_the_default_denies() {
    if !Consul::available() {
        return;
    }
    let lab = Lab::new().unwrap();
    let consul = lab.consul("dc1").unwrap().acls().start().await.unwrap();
    agree(&consul.api(), DefaultPolicy::Deny).await;
}

/// The comparison would notice: the same intentions under the other default, and with one of them turned around.
#[tokio::test]
async fn a_difference_is_noticed() {
    let rows = json!([
        {"SourceNS": "default", "SourceName": "a", "DestinationNS": "default", "DestinationName": "x", "Action": "allow"},
    ]);
    let says = async |allowed: bool, reason: &'static str| {
        let answer = json!({"Authorized": allowed, "Reason": reason});
        let mut report = Report::default();
        let rules = compare::rules(&rows, "x", DefaultPolicy::Deny);
        compare(&rules, "a", "x", &json!({"Allowed": allowed}), &answer, &mut report);
        report
    };
    let same = says(true, "Matched intention: ALLOW default/a => default/x (ID: 7, Precedence: 9)").await;
    assert_eq!((same.agreed, same.disagreements.len()), (1, 0));
    let turned = says(false, "Matched intention: DENY default/a => default/x (ID: 7, Precedence: 9)").await;
    assert_eq!((turned.agreed, turned.disagreements.len()), (0, 1));
    let other = says(true, "Matched intention: ALLOW default/* => default/x (ID: 7, Precedence: 8)").await;
    assert_eq!((other.agreed, other.disagreements.len()), (0, 1));
    let default = says(true, "ACLs disabled, access is allowed by default").await;
    assert_eq!((default.agreed, default.disagreements.len()), (0, 1));
}

async fn agree(api: &Api, default: DefaultPolicy) {
    let rounds: u64 = std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(40);
    let permissions = Consul::version().unwrap() >= Version(1, 9, 0);
    if permissions {
        let http = json!({"Kind": "proxy-defaults", "Name": "global", "Config": {"protocol": "http"}});
        api.put("/v1/config", &http).await.unwrap();
    }
    let mut report = Report::default();
    for round in 0..rounds {
        ask(api, &Set::new(round, permissions), default, &mut report).await;
    }
    let Report { agreed, by_intention, allowed, disagreements } = &report;
    eprintln!("{rounds} sets, {agreed} pairs agreed: {by_intention} by an intention, {allowed} allowed");
    let first: Vec<_> = disagreements.iter().take(10).map(String::as_str).collect();
    assert!(disagreements.is_empty(), "{} disagreements:\n{}", disagreements.len(), first.join("\n"));
    let denied = agreed - allowed;
    assert!(
        by_intention * 4 > *agreed && allowed * 8 > *agreed && denied * 8 > *agreed,
        "most of this says nothing"
    );
}

async fn ask(api: &Api, set: &Set, default: DefaultPolicy, report: &mut Report) {
    let written = set.write(api).await;
    let list = api.get("/v1/connect/intentions").await.unwrap();
    for destination in set.destinations() {
        let path = format!("/v1/connect/intentions/match?by=destination&name={destination}");
        let matched = api.get(&path).await.unwrap();
        let rules = compare::rules(&matched[&destination], &destination, default);
        // All intentions of the datacenter make the same rules as the answer about one destination.
        assert_eq!(rules, compare::rules(&list, &destination, default), "{destination}: {list}");
        for callers in set.callers().chunks(AT_ONCE) {
            let answers = callers.iter().map(|caller| verdicts(api, caller, &destination));
            let answers = futures_util::future::join_all(answers).await;
            for (caller, (check, authorize)) in callers.iter().zip(answers) {
                compare(&rules, caller, &destination, &check, &authorize, report);
            }
        }
    }
    set.remove(api, written).await;
}

/// What Consul says about a pair in its two ways.
async fn verdicts(api: &Api, source: &str, destination: &str) -> (Value, Value) {
    let check = format!("/v1/connect/intentions/check?source={source}&destination={destination}");
    let authorize = json!({
        "Target": destination,
        "ClientCertURI": compare::uri(source),
        "ClientCertSerial": "1",
    });
    let body = serde_json::to_vec(&authorize).unwrap();
    let (check, authorize) =
        tokio::join!(api.get(&check), api.request("POST", "/v1/agent/connect/authorize", &body));
    let authorize = authorize.unwrap();
    assert_eq!(authorize.status, 200, "{}", authorize.text());
    (check.unwrap(), authorize.json().unwrap())
}

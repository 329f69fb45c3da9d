//! Intentions and the default policy.

use super::shared::{Egress, outside, rejected, service};
use gateway_state::terminating::TerminatingSnapshot;
use intentions::{Protocol, Source, Verdict};
use mesh_id::SpiffeId;

pub(crate) fn intentions(destination: &str, rows: &str) -> String {
    format!("[[Entry]]\nKind = \"service-intentions\"\nName = \"{destination}\"\nSources = [{rows}]\n")
}

/// What the rules of `to` say of `from`, and why.
#[expect(clippy::unwrap_used, reason = "a test ends where its help ends")]
pub(crate) fn verdict(snapshot: &TerminatingSnapshot, from: &str, to: &str) -> String {
    let id = SpiffeId::parse(&super::pki::uri(from)).unwrap();
    match service(snapshot, to).rules.check_connection(Source::Direct(&id), Protocol::Tcp) {
        Verdict::Allow(permit) => permit.why().to_string(),
        Verdict::Deny(denial) => denial.to_string(),
        Verdict::NeedsRequest(_) => "needs a request".to_owned(),
    }
}

#[test]
fn without_intentions_the_default_policy_decides() {
    // [static-catalog S11]
    let egress = Egress::new(&["billing"], &outside("billing", "10.0.0.1:80", ""));
    assert_eq!(verdict(&egress.snapshot(), "web", "billing"), "default policy: deny");
    egress.catalog.write("mesh.toml", &(super::shared::MESH.to_owned() + "DefaultPolicy = \"allow\"\n"));
    assert_eq!(verdict(&egress.snapshot(), "web", "billing"), "default policy: allow");
}

#[test]
fn intentions_for_the_service_and_for_all_services_count() {
    let rest = outside("billing", "10.0.0.1:80", "")
        + &intentions("billing", "{ Name = \"web\", Action = \"allow\" }")
        + &intentions("other", "{ Name = \"cron\", Action = \"allow\" }")
        + &intentions("*", "{ Name = \"ops\", Action = \"allow\" }");
    let snapshot = Egress::new(&["billing", "db"], &rest).snapshot();
    assert_eq!(verdict(&snapshot, "web", "billing"), "intention web => billing (precedence 9): allow");
    assert_eq!(verdict(&snapshot, "cron", "billing"), "default policy: deny");
    assert_eq!(verdict(&snapshot, "ops", "billing"), "intention ops => * (precedence 6): allow");
    assert_eq!(verdict(&snapshot, "ops", "db"), "intention ops => * (precedence 6): allow");
    assert_eq!(verdict(&snapshot, "web", "db"), "default policy: deny");
}

#[test]
fn an_intention_that_is_not_understood_is_an_error_at_the_start() {
    let problems = |rest: &str| Egress::new(&["billing"], rest).problems();
    let rows = "{ Name = \"web\", Action = \"maybe\" }, { Name = \"cron\", Action = \"allow\", Acton = 1 }";
    let said = problems(&intentions("billing", rows));
    assert!(said.contains("rest.toml:4: Entry[0].Sources[0]: web => billing (precedence 9): "), "{said}");
    let unknown = "rest.toml:4: Entry[0].Sources[1].Acton: unknown key; what the row covers is denied (did you mean Action?)";
    assert!(said.contains(unknown), "{said}");
    assert_eq!(said.lines().count(), 2, "{said}");
    let said = problems("[[Entry]]\nKind = \"service-intentions\"\nName = \"billing\"\nSuorces = []\n");
    let unknown = "rest.toml:4: Entry[0].Suorces: unknown key; until that is mended nobody may call the service (did you mean Sources?)";
    assert_eq!(said, unknown);
    let said = problems("[[Entry]]\nKind = \"service-intentions\"\nName = \"billing\"\nSources = 7\n");
    assert!(said.contains("nobody may call the service"), "{said}");
}

/// Seen to fail when a wrong entry keeps its last good version as other entries do.
#[tokio::test]
async fn an_intention_that_is_not_understood_denies_while_running() {
    // [design 2, rule 4]
    let allow = "{ Name = \"web\", Action = \"allow\" }, { Name = \"cron\", Action = \"allow\" }";
    let egress = Egress::new(&["billing", "db"], &outside("billing", "10.0.0.1:80", ""));
    egress.catalog.write("rules.toml", &(intentions("billing", allow) + &intentions("db", allow)));
    let mut followed = egress.follow();
    let first = followed.reader.current();
    assert!(verdict(&first, "web", "billing").ends_with(": allow"));
    let change = |text: String| egress.catalog.replace("rules.toml", &(text + &intentions("db", allow)));
    let whole = "[[Entry]]\nKind = \"service-intentions\"\nName = \"billing\"\nSuorces = []\n";
    let cron = "{ Name = \"cron\", Action = \"allow\" }";
    for (text, of_cron) in [
        (intentions("billing", &format!("{{ Name = \"web\", Action = \"maybe\" }}, {cron}")), ": allow"),
        (
            intentions("billing", &format!("{{ Name = \"web\", Action = \"allow\", New = 1 }}, {cron}")),
            ": allow",
        ),
        (whole.to_owned(), ": deny"),
        (whole.replace("Suorces = []", "Sources = 1"), ": deny"),
    ] {
        change(text);
        let snapshot = followed.until(|snapshot| !snapshot.rejected.is_empty()).await;
        let web = verdict(&snapshot, "web", "billing");
        assert!(web.ends_with(": deny") && web.contains("not understood"), "{web}");
        let other = verdict(&snapshot, "cron", "billing");
        assert!(other.ends_with(of_cron), "{other}");
        assert!(verdict(&snapshot, "web", "db").ends_with(": allow"));
        change(intentions("billing", allow));
        followed.until(|snapshot| snapshot.rejected.is_empty()).await;
    }
    change(whole.to_owned());
    let snapshot = followed.until(|snapshot| !snapshot.rejected.is_empty()).await;
    assert!(rejected(&snapshot).starts_with("service-intentions billing: "), "{}", rejected(&snapshot));
    let db = |snapshot: &TerminatingSnapshot| service(snapshot, "db").clone();
    assert!(std::sync::Arc::ptr_eq(&db(&first), &db(&snapshot)), "the other service is the same");
    egress.catalog.replace("rules.toml", &(intentions("billing", allow) + &intentions("db", allow)));
    let snapshot = followed.until(|snapshot| snapshot.rejected.is_empty()).await;
    assert!(verdict(&snapshot, "web", "billing").ends_with(": allow"));
}

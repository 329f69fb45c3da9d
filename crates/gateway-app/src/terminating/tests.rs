//! What a terminating gateway says of itself, and the certificates that it puts in place.

use std::fs;
use std::path::Path;

use gateway_runtime::metrics::Metrics;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use serde_json::json;

use super::*;
use crate::explain::Options;
use crate::settings::Sources;
use crate::testing::printed;
use crate::{check, doctor};

const TRUST_DOMAIN: &str = "6f1c2a4e-93b7-4d0e-8a55-1b7d2c9e0f43.consul";

/// Linked: `billing` with one instance, `api` that speaks http.
struct Catalog {
    folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Catalog {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("roots.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        let catalog = Self { folder, issuer: Issuer::new(params, key) };
        for name in ["billing", "api"] {
            catalog.leaf(name);
        }
        let gateway = format!(
            r#"
[Mesh]
Datacenter = "dc1"
TrustDomain = "{TRUST_DOMAIN}"
Roots = ["roots.pem"]
[[Leaf]]
Service = "billing"
CertFile = "billing.pem"
KeyFile = "billing.key"
[[Leaf]]
Service = "api"
CertFile = "api.pem"
KeyFile = "api.key"
[[Instance]]
Service = "billing"
Address = "127.0.0.1"
Port = 1
[[Instance]]
Service = "api"
Address = "127.0.0.1"
Port = 1
[[Entry]]
Kind = "terminating-gateway"
Name = "terminating-gateway"
Services = [{{ Name = "billing" }}, {{ Name = "api" }}]
[[Entry]]
Kind = "service-defaults"
Name = "api"
Protocol = "http"
"#
        );
        catalog.write("gateway.toml", &gateway);
        catalog.write(
            "intentions.toml",
            r#"
Kind = "service-intentions"
Name = "billing"
Sources = [{ Name = "web", Action = "allow" }, { Name = "*", Action = "deny" }]
"#,
        );
        catalog
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn leaf(&self, name: &str) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        let uri = format!("spiffe://{TRUST_DOMAIN}/ns/default/dc/dc1/svc/{name}");
        params.subject_alt_names = vec![SanType::URI(uri.as_str().try_into().unwrap())];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        self.write(&format!("{name}.pem"), &certificate.pem());
        self.write(&format!("{name}.key"), &key.serialize_pem());
        let private = self.folder.path().join(format!("{name}.key"));
        fs::set_permissions(private, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn settings(&self, variables: &[(&str, &str)]) -> Settings {
        let mut sources = Sources::default();
        sources.flags.push(("catalog", self.path().display().to_string()));
        sources.environment =
            variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Settings::load(Role::Terminating, &sources).unwrap_or_else(|error| panic!("{error}"))
    }

    fn snapshot(&self, settings: &Settings) -> Arc<TerminatingSnapshot> {
        crate::catalog::load::<TerminatingGateway>(settings, self.path())
            .unwrap_or_else(|problems| panic!("{problems}"))
    }
}

fn asked(settings: &Settings, question: &Question<'_>, json: bool) -> (bool, String) {
    printed(|out| explain(settings, question, Options { live: false, json }, out))
}

fn who<'a>(from: &'a str, to: &'a str) -> Question<'a> {
    Question { name: None, from: Some(from), to: Some(to) }
}

#[test]
fn an_explanation_has_the_rules_in_their_order_the_one_that_decides_and_the_upstream() {
    let catalog = Catalog::new();
    let settings = catalog.settings(&[]);
    let (good, text) = asked(&settings, &who("web", "billing"), false);
    assert!(good, "{text}");
    for line in [
        "spiffe://6f1c2a4e-93b7-4d0e-8a55-1b7d2c9e0f43.consul/ns/default/dc/dc1/svc/web => billing",
        "    1  decides  web => billing (precedence 9)  (intention web => billing (precedence 9): allow)",
        "verdict: allow",
        "  used      127.0.0.1:1              weight 1    billing  (healthy)",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let (good, text) = asked(&settings, &who("cron", "billing"), false);
    assert!(!good);
    let first = text.find("    1  no       web => billing (precedence 9)").unwrap();
    let second = text.find("    2  decides  * => billing (precedence 8)").unwrap();
    assert!(first < second, "{text}");
    assert!(text.contains("verdict: deny") && text.contains("  reason           denied"), "{text}");
}

#[test]
fn an_explanation_in_json_is_for_machines() {
    let catalog = Catalog::new();
    let (good, text) = asked(&catalog.settings(&[]), &who("cron", "billing"), true);
    let value: Value = serde_json::from_str(&text).unwrap();
    assert!(!good);
    assert_eq!((&value["verdict"], &value["reason"]), (&json!("deny"), &json!("denied")));
    assert_eq!(value["rules"][1]["decides"], json!(true));
    assert_eq!(value["upstream"]["endpoints"][0]["address"], json!("127.0.0.1:1"));
}

#[test]
fn a_server_name_or_a_spiffe_id_may_be_asked_about() {
    let catalog = Catalog::new();
    let settings = catalog.settings(&[]);
    let name = format!("BILLING.default.dc1.internal.{TRUST_DOMAIN}");
    let foreign = "spiffe://00000000-0000-0000-0000-000000000000.consul/ns/default/dc/dc1/svc/web";
    let by_name = |from| Question { name: Some(&name), from, to: None };
    assert!(asked(&settings, &by_name(Some("web")), false).0);
    assert!(asked(&settings, &by_name(None), false).0, "nobody asked for a verdict");
    let (good, text) = asked(&settings, &by_name(Some(foreign)), false);
    assert!(!good && text.contains("verdict: deny"), "{text}");
    let (good, text) = asked(&settings, &by_name(Some("not a name")), false);
    assert!(!good && text.contains("is no identity of a mesh"), "{text}");
}

#[test]
fn what_is_not_linked_or_not_served_is_said_with_the_reason_of_a_connection() {
    let catalog = Catalog::new();
    let settings = catalog.settings(&[]);
    let (good, text) = asked(&settings, &who("web", "biling"), false);
    assert!(!good && text.contains("unknown_sni"), "{text}");
    assert!(text.contains("service biling is not linked; these are: billing, api"), "{text}");
    let (good, text) = asked(&settings, &who("web", "api"), false);
    assert!(!good && text.contains("service_not_ready"), "{text}");
    assert!(text.contains("the service is not served: protocol http is not served yet"), "{text}");
    assert!(!text.contains("verdict: allow"), "{text}");
    let unknown = Question { name: Some("x.example"), from: None, to: None };
    let (good, text) = asked(&settings, &unknown, false);
    assert!(!good && text.contains("names that are near: "), "{text}");
}

#[test]
fn a_dry_run_is_explained_as_one() {
    let catalog = Catalog::new();
    let settings = catalog.settings(&[("GATEWAY_DRY_RUN", "true")]);
    let (good, text) = asked(&settings, &who("cron", "billing"), false);
    assert!(good && text.contains("verdict: would_deny"), "{text}");
}

#[test]
fn check_warns_of_what_is_linked_and_not_served() {
    let catalog = Catalog::new();
    let (good, text) = printed(|out| check::check(&catalog.settings(&[]), &[], out));
    assert!(good, "{text}");
    assert!(text.contains("warning: service api is not served: protocol http is not served yet\n"), "{text}");
    assert!(text.contains("2 services linked, 1 served, 2 names, "), "{text}");
    let (_, text) = printed(|out| check::check(&catalog.settings(&[("GATEWAY_DRY_RUN", "true")]), &[], out));
    assert!(text.contains("warning: service billing: what its intentions deny is reported and let pass"));
    catalog.write("api.pem", "no certificate");
    let (good, text) = printed(|out| check::check(&catalog.settings(&[]), &[], out));
    assert!(!good && text.contains("Leaf[1].CertFile: "), "{text}");
}

#[test]
fn doctor_tries_each_instance() {
    let catalog = Catalog::new();
    let mut settings = catalog.settings(&[]);
    settings.listen = Vec::new();
    settings.admin_bind = crate::admin_client::fake::closed_port();
    let (good, text) = printed(|out| doctor::doctor(&settings, out));
    assert!(!good, "{text}");
    assert!(text.contains("OK    service: billing would be served"), "{text}");
    assert!(text.contains("WARN  service: api is not served: protocol http is not served yet"), "{text}");
    assert!(text.contains("FAIL  instances: instance 127.0.0.1 port 1 of billing: "), "{text}");
    assert!(!text.contains("pipe memory"), "{text}");
}

#[test]
fn pages_show_services_and_certificates_and_no_key() {
    let catalog = Catalog::new();
    let settings = catalog.settings(&[]);
    let snapshot = catalog.snapshot(&settings);
    let kept = TerminatingKept::new(&settings.terminating, &Arc::new(Metrics::new(10)), 1);
    TerminatingGateway::prepare(&kept, &snapshot);
    let query = Query::parse(None);
    let certs = TerminatingGateway::page(&kept, "/certs", &snapshot, &query).unwrap();
    assert_eq!(certs["leaves"]["total"], json!(2));
    let leaf = &certs["leaves"]["rows"][1];
    let id = format!("spiffe://{TRUST_DOMAIN}/ns/default/dc/dc1/svc/billing");
    assert_eq!((&leaf["service"], &leaf["spiffe_id"]), (&json!("billing"), &json!(id)));
    assert!(leaf["serial"].as_str().is_some_and(|serial| serial.contains(':')), "{leaf}");
    assert!(leaf["expires_in_seconds"].as_i64().is_some_and(|left| left > 0), "{leaf}");
    assert_eq!(certs["roots"]["trust_domain"], json!(TRUST_DOMAIN));
    assert!(TerminatingGateway::page(&kept, "/other", &snapshot, &query).is_none());
    let one = Query::parse(Some("service=api"));
    let certs_of_one = TerminatingGateway::page(&kept, "/certs", &snapshot, &one).unwrap();
    assert_eq!(certs_of_one["leaves"]["total"], json!(1));

    let mut page = json!({});
    TerminatingGateway::add_to_snapshot(&mut page, &snapshot, &query);
    let rows = &page["services"]["rows"];
    assert_eq!((&rows[0]["service"], &rows[0]["served"]), (&json!("api"), &json!(false)));
    assert_eq!(rows[0]["why_not"], json!("protocol http is not served yet"));
    assert_eq!((&rows[1]["served"], &rows[1]["tls"]), (&json!(true), &json!("none")));

    let key = fs::read_to_string(catalog.path().join("billing.key")).unwrap();
    let secret = key.lines().nth(1).unwrap();
    let shown = format!("{certs}{page}{kept:?}{snapshot:?}");
    assert!(!shown.contains("PRIVATE KEY") && !shown.contains(secret));
}

#[test]
fn certificates_follow_the_snapshot_and_what_is_equal_changes_nothing() {
    let catalog = Catalog::new();
    let settings = catalog.settings(&[]);
    let metrics = Arc::new(Metrics::new(10));
    let kept = TerminatingKept::new(&settings.terminating, &metrics, 1);
    let first = catalog.snapshot(&settings);
    TerminatingGateway::prepare(&kept, &first);
    let generation = kept.certificates.generation();
    TerminatingGateway::prepare(&kept, &first);
    assert_eq!(kept.certificates.generation(), generation, "sessions live on");

    let key = first.service(None, "billing").unwrap().leaf_key.clone();
    let serial = || kept.certificates.leaf(&key).map(|leaf| leaf.serial().clone());
    let before = serial();
    catalog.leaf("billing");
    TerminatingGateway::prepare(&kept, &catalog.snapshot(&settings));
    assert!(serial().is_some() && serial() != before);
    assert!(kept.certificates.acceptor(&key).is_ok());
    assert!(metrics.encode().contains("gateway_leaf_expiry_seconds{service=\"billing\"}"));

    let mut without = (*first).clone();
    without.services = first.services.iter().filter(|service| service.leaf_key != key).cloned().collect();
    TerminatingGateway::prepare(&kept, &without);
    assert!(kept.certificates.acceptor(&key).is_err(), "nobody stands for what is not linked");
}

#[test]
fn it_is_ready_once_the_roots_are_known() {
    let catalog = Catalog::new();
    let snapshot = catalog.snapshot(&catalog.settings(&[]));
    assert_eq!(TerminatingGateway::condition("certificates", &snapshot), Ok(()));
    let mut without = (*snapshot).clone();
    without.roots = None;
    assert!(TerminatingGateway::condition("certificates", &without).is_err());
}

//! What only a terminating gateway is told.

use std::collections::BTreeMap;

use mesh_forward::dns::AddressGuard;

use super::super::{Reauthorize, ServiceSettings};
use super::*;

fn load(given: &Given) -> Result<Settings, SettingsError> {
    Settings::load(Role::Terminating, &given.sources)
}

fn problems(given: &Given) -> Vec<String> {
    let folder = given.folder.as_ref().map(|folder| format!("{}/", folder.path().display()));
    let error = load(given).expect_err("there must be a problem");
    let lines = error.problems.iter().map(ToString::to_string);
    lines.map(|line| folder.as_ref().map_or(line.clone(), |folder| line.replace(folder, ""))).collect()
}

/// The defaults of the fields.
pub(super) fn terminating_defaults() -> TerminatingSettings {
    let second = Duration::from_secs(1);
    TerminatingSettings {
        dry_run: false,
        source_address: None,
        dns_guard: AddressGuard::OUTSIDE,
        reauthorize: Reauthorize::Cut,
        services: BTreeMap::new(),
        handshake: 15 * second,
        denied_close: second,
        unlinked: 600 * second,
        session: 3600 * second,
        dns_floor: 5 * second,
        handshakes: 1_024,
        session_memory: 16 << 20,
        session_memory_per_service: 4 << 20,
    }
}

/// The one table of what differs from a mesh gateway: a change of a default is a change of this test.
#[test]
fn every_default_is_this() {
    let settings = load(&given()).unwrap();
    let shown = |settings: &Settings| -> Vec<(&'static str, String)> {
        settings.shown().iter().map(|shown| (shown.key, shown.value.clone())).collect()
    };
    let (ours, of_mesh) = (shown(&settings), shown(&given().good()));
    let own: Vec<_> = ours.iter().filter(|row| !of_mesh.contains(row)).cloned().collect();
    let expected = [
        ("service", "terminating-gateway"),
        ("dry_run", "false"),
        ("source_address", ""),
        ("dns_guard", "loopback,link-local,metadata"),
        ("reauthorize_tcp", "cut"),
        ("timers.dns_refresh", "1m"),
        ("timers.handshake", "15s"),
        ("timers.denied_close", "1s"),
        ("timers.unlinked", "10m"),
        ("timers.session", "1h"),
        ("timers.dns_floor", "5s"),
        ("limits.handshakes", "1024"),
        ("limits.session_memory", "16MiB"),
        ("limits.session_memory_per_service", "4MiB"),
    ];
    assert_eq!(own, expected.map(|(key, value)| (key, value.to_owned())));
    let missing: Vec<_> =
        of_mesh.iter().map(|(key, _)| *key).filter(|key| ours.iter().all(|(own, _)| own != key)).collect();
    let of_passing_on = [
        "timers.hello",
        "timers.closing_tick",
        "limits.pipe_memory",
        "limits.pipe_size",
        "limits.pipe_spare",
        "limits.closing_per_tick",
    ];
    assert_eq!(missing, of_passing_on);
    assert_eq!(settings.terminating, terminating_defaults());
    assert_eq!(settings.role, Role::Terminating);
}

#[test]
fn a_setting_of_another_role_is_unknown() {
    let ours =
        given().file("dry_run = true\n[timers]\nhandshake = \"1s\"\n[services.\"x\"]\ndry_run = true\n");
    let lines = ours.problems();
    assert!(lines.iter().any(|line| line == "gw.toml:1: dry_run: unknown key"), "{lines:?}");
    assert!(
        lines.iter().any(|line| line.starts_with("gw.toml:3: timers.handshake: unknown key")),
        "{lines:?}"
    );
    assert!(lines.iter().any(|line| line.starts_with("gw.toml:4: services: unknown key")), "{lines:?}");
    let lines = given().variable("GATEWAY_DNS_GUARD", "none").flag("dry_run", "true").problems();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let lines = problems(&given().file("[timers]\nhello = \"1s\"\n[limits]\npipe_memory = 0\n"));
    assert_eq!(lines.len(), 2, "{lines:?}");
}

#[test]
fn every_key_can_be_set_in_the_file() {
    let settings = load(&given().file(
        r#"dry_run = true
           source_address = "127.0.0.9"
           dns_guard = ["private", "metadata"]
           reauthorize_tcp = "keep"
           [services."billing"]
           dry_run = false
           [services."team/other"]
           source_address = "::1"
           [timers]
           handshake = "1s"
           denied_close = "0s"
           unlinked = "2s"
           session = "3s"
           dns_floor = "4s"
           [limits]
           handshakes = 5
           session_memory = "1MiB"
           session_memory_per_service = 0
        "#,
    ))
    .unwrap();
    let second = Duration::from_secs(1);
    let own = |dry_run, source_address: Option<&str>| ServiceSettings {
        dry_run,
        source_address: source_address.map(|text| text.parse().unwrap()),
    };
    let services =
        [("billing".to_owned(), own(Some(false), None)), ("team/other".to_owned(), own(None, Some("::1")))];
    assert_eq!(
        settings.terminating,
        TerminatingSettings {
            dry_run: true,
            source_address: Some("127.0.0.9".parse().unwrap()),
            dns_guard: AddressGuard { private: true, metadata: true, ..AddressGuard::NONE },
            reauthorize: Reauthorize::Keep,
            services: services.into(),
            handshake: second,
            denied_close: Duration::ZERO,
            unlinked: 2 * second,
            session: 3 * second,
            dns_floor: 4 * second,
            handshakes: 5,
            session_memory: 1 << 20,
            session_memory_per_service: 0,
        }
    );
    // What a service does not say holds from the defaults.
    let options = settings.terminating.options();
    assert!(options.defaults.dry_run && !options.services["billing"].dry_run);
    assert_eq!(options.services["billing"].source_address, Some("127.0.0.9".parse().unwrap()));
    assert!(options.services["team/other"].dry_run);
    assert_eq!(options.services["team/other"].source_address, Some("::1".parse().unwrap()));
}

#[test]
fn flags_and_variables_set_them_too() {
    let settings = load(
        &given().flag("dry_run", "true").flag("dns_guard", "none").variable("GATEWAY_TIMERS_UNLINKED", "0"),
    )
    .unwrap();
    assert!(settings.terminating.dry_run);
    assert_eq!(settings.terminating.dns_guard, AddressGuard::NONE);
    assert_eq!(settings.terminating.unlinked, Duration::ZERO);
}

#[test]
fn what_is_wrong_is_named_with_what_would_be_right() {
    let lines = problems(&given().file(
        "source_address = \"0.0.0.0\"\ndns_guard = [\"none\", \"private\"]\nreauthorize_tcp = \"maybe\"\n\
         [services.\"billing\"]\ndry_run = 1\nDryRun = true\nsource_address = \"here\"\n\
         [timers]\nsession = \"2h\"\n",
    ));
    let has = |start: &str| assert!(lines.iter().any(|line| line.starts_with(start)), "{start}: {lines:#?}");
    has("gw.toml:1: source_address: connections leave from one address");
    has("gw.toml:2: dns_guard: \"none\" stands alone");
    has("gw.toml:3: reauthorize_tcp: \"maybe\" is not one of cut, keep");
    has("gw.toml:5: services.\"billing\".dry_run: this must be true or false");
    has("gw.toml:6: services.\"billing\".DryRun: unknown key; a service has dry_run and source_address");
    has("gw.toml:7: services.\"billing\".source_address: \"here\" is not an IP address");
    has("gw.toml:9: timers.session: 2h is out of range, allowed is 1s to 1h");

    let lines = problems(&given().file("[service.\"billing\"]\ndry_run = true\n"));
    assert!(lines[0].contains("stands below [services.\"NAME\"]"), "{lines:?}");
    let lines = problems(&given().file("dns_guard = \"loopbak\"\n"));
    assert!(lines[0].contains("is not one of loopback, link-local, metadata, private, none"), "{lines:?}");
}

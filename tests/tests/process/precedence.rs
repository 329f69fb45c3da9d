//! Where a setting comes from: flag beats environment beats file beats default; `/snapshot` tells which it was.

use gateway_testkit::Lab;
use serde_json::json;

use crate::program::{Ran, run, small_catalog, text};

#[tokio::test]
async fn the_strongest_source_wins_and_is_shown() {
    let lab = Lab::new().unwrap();
    let catalog = small_catalog(&lab);
    let config = lab.dir().join("gateway.toml");
    let lines = [
        "drain_time = \"7s\"",
        "log_level = \"debug\"",
        &format!("catalog = \"{}\"", catalog.path().display()),
        "[timers]",
        "hello = \"3s\"",
        "idle = \"30m\"",
    ];
    std::fs::write(&config, lines.join("\n")).unwrap();
    let gateway = lab.gateway("gateway").config(&config);
    // With one dash, as the flags of Consul's own command.
    let gateway = gateway.argument("-drain-time=9s").argument("-wan-address").argument("198.51.100.1:443");
    let gateway =
        gateway.setting("DRAIN_TIME", "8s").setting("TIMERS_HELLO", "4s").setting("SERVICE", "edge");
    let gateway = gateway.start().await.unwrap();
    let page = gateway.admin().unwrap().snapshot().await.unwrap();
    let file = |line: usize| format!("{}:{line}", config.display());
    let expected = [
        ("drain_time", "9s", "--drain-time".to_owned()),
        ("wan_address", "198.51.100.1:443", "--wan-address".to_owned()),
        ("timers.hello", "4s", "environment GATEWAY_TIMERS_HELLO".to_owned()),
        ("service", "edge", "environment GATEWAY_SERVICE".to_owned()),
        ("timers.idle", "30m", file(6)),
        ("log_level", "debug", file(2)),
        ("catalog", text(catalog.path()), file(3)),
        ("timers.connect", "5s", "default".to_owned()),
        ("limits.hello_bytes", "64KiB", "default".to_owned()),
    ];
    for (key, value, origin) in expected {
        assert_eq!(page["settings"][key], json!({ "value": value, "origin": origin }), "{key}");
    }
    assert_eq!(page["gateway"]["service"], "edge");
}

#[tokio::test]
async fn the_environment_may_name_the_file() {
    let lab = Lab::new().unwrap();
    let catalog = small_catalog(&lab);
    let config = lab.dir().join("gateway.toml");
    std::fs::write(&config, format!("catalog = \"{}\"\n", catalog.path().display())).unwrap();
    let ran = run(&["check"], &[("GATEWAY_CONFIG", text(&config))]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[tokio::test]
async fn a_variable_that_is_nobodys_is_an_error() {
    let lab = Lab::new().unwrap();
    let catalog = small_catalog(&lab);
    let arguments = ["check", "--catalog", text(catalog.path())];
    let Ran { code, err, .. } = run(&arguments, &[("GATEWAY_TIMERS_HELO", "3s")]).await;
    assert_eq!(code, Some(1), "{err}");
    assert!(
        err.contains("GATEWAY_TIMERS_HELO") && err.contains("did you mean GATEWAY_TIMERS_HELLO?"),
        "{err}"
    );
    assert_eq!(err.lines().count(), 1, "{err}");
    // What Kubernetes sets in every pod beside a service that is called `gateway` is nobody's mistake.
    let links = [
        ("GATEWAY_SERVICE_HOST", "10.96.0.7"),
        ("GATEWAY_SERVICE_PORT", "8443"),
        ("GATEWAY_PORT", "tcp://10.96.0.7:8443"),
        ("GATEWAY_PORT_8443_TCP_ADDR", "10.96.0.7"),
    ];
    assert_eq!(run(&arguments, &links).await.code, Some(0));
}

#[tokio::test]
async fn all_that_is_wrong_with_settings_is_said_at_once() {
    let lab = Lab::new().unwrap();
    let config = lab.dir().join("gateway.toml");
    std::fs::write(&config, "workers = \"many\"\n[timers]\nhelo = \"1s\"\n").unwrap();
    let ran = run(
        &["run", "--config", text(&config), "--drain-time", "soon"],
        &[("GATEWAY_LIMITS_PIPE_SIZE", "3MiB")],
    )
    .await;
    assert_eq!(ran.code, Some(1), "not the command line alone: {ran:?}");
    let places = [
        format!("mesh-gw: {}:1: workers: ", config.display()),
        format!("mesh-gw: {}:3: timers.helo: ", config.display()),
        "mesh-gw: environment GATEWAY_LIMITS_PIPE_SIZE: ".to_owned(),
        "mesh-gw: --drain-time: ".to_owned(),
    ];
    assert_eq!(ran.err.lines().count(), places.len(), "{}", ran.err);
    for (line, place) in ran.err.lines().zip(places) {
        assert!(line.starts_with(&place), "{line} does not begin with {place}");
    }
}

//! Tests of the command line: arguments in, text and code out.

use super::*;
use crate::testing::{Catalog, sni};

/// What a call says and how it ends.
struct Said {
    outcome: Invocation,
    out: String,
    err: String,
}

impl Said {
    fn code(&self) -> u8 {
        match self.outcome {
            Invocation::Finished(code) => code,
            Invocation::Run(_) => panic!("it wants to serve"),
        }
    }

    fn settings(self) -> Settings {
        match self.outcome {
            Invocation::Run(settings) => *settings,
            Invocation::Finished(code) => panic!("it ended with {code}: {}{}", self.out, self.err),
        }
    }
}

fn call(arguments: &[&str]) -> Said {
    call_with(arguments, &[])
}

fn call_with(arguments: &[&str], environment: &[(&str, &str)]) -> Said {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let outcome = invoke(Call {
        role: Role::Mesh,
        arguments: std::iter::once("mesh-gw").chain(arguments.iter().copied()).map(OsString::from).collect(),
        environment: environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        out: &mut out,
        err: &mut err,
    });
    Said { outcome, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

#[test]
fn running_is_the_default() {
    for arguments in [&["--catalog", "/c"][..], &["run", "--catalog", "/c"], &["--catalog", "/c", "run"]] {
        assert_eq!(call(arguments).settings().catalog, PathBuf::from("/c"), "{arguments:?}");
    }
    assert_eq!(call_with(&[], &[("GATEWAY_CATALOG", "/e")]).settings().catalog, PathBuf::from("/e"));
}

#[test]
fn every_flag_arrives() {
    let settings = call(&[
        "--catalog=/c",
        "--service",
        "gw",
        "--address",
        "127.0.0.1:1",
        "--wan-address",
        "gw.example:2",
        "--bind-address",
        "lan=127.0.0.1:3",
        "--bind-address",
        "wan=127.0.0.2:3",
        "--admin-bind",
        "127.0.0.1:4",
        "--admin-token-file",
        "/t",
        "--log-level",
        "debug",
        "--log-format",
        "json",
        "--access-log",
        "all",
        "--access-log-file",
        "/a",
        "--drain-time",
        "5s",
        "--workers",
        "2",
    ])
    .settings();
    assert_eq!(settings.service, "gw");
    assert_eq!(settings.listen.len(), 2);
    assert_eq!(settings.wan_address.as_deref(), Some("gw.example:2"));
    assert_eq!(settings.admin_bind.port(), 4);
    assert_eq!(settings.admin_token_file, Some("/t".into()));
    assert_eq!(settings.access_log_file, Some("/a".into()));
    assert_eq!((settings.drain_time.as_secs(), settings.workers), (5, 2));
    assert_eq!(settings.origin("workers").unwrap().to_string(), "--workers");
}

#[test]
fn long_flags_may_have_one_dash() {
    let settings =
        call(&["-catalog", "/c", "-address=127.0.0.1:1", "-bind-address", "x=127.0.0.1:7"]).settings();
    assert_eq!(settings.catalog, PathBuf::from("/c"));
    assert_eq!(settings.listen, [("x".to_owned(), "127.0.0.1:7".parse().unwrap())]);
    assert_eq!((call(&["-h"]).code(), call(&["-help"]).code()), (0, 0));
    assert!(call(&["-V"]).out.starts_with("mesh-gw 0."));
    let unknown = call(&["-catlog", "/c"]);
    assert!(unknown.code() == 2 && unknown.err.contains("--catalog"), "{}", unknown.err);
}

#[test]
fn what_follows_two_dashes_is_no_flag() {
    let catalog = Catalog::example();
    let path = catalog.path().display().to_string();
    let said = call(&["explain", "--catalog", &path, "--", "-http-addr"]);
    assert_eq!(said.code(), 1);
    assert!(said.out.starts_with("-http-addr\n"), "{}", said.out);
}

#[test]
fn flags_that_need_a_consul_say_so() {
    for flag in
        ["-http-addr", "--http-addr=http://x", "-token", "--register", "-expose-servers", "-login-meta"]
    {
        let said = call(&["--catalog", "/c", flag]);
        assert_eq!(said.code(), 2, "{flag}");
        assert!(said.err.contains("reads static files only in this version; use --catalog"), "{}", said.err);
    }
}

#[test]
fn usage_errors_and_bad_settings_have_codes_of_their_own() {
    assert_eq!(call(&["--workers", "2"]).code(), 2, "no catalog");
    assert!(call(&["--workers", "2"]).err.contains("GATEWAY_CATALOG"));
    let flag = call(&["--catalog", "/c", "--workers", "many"]);
    assert_eq!(flag.code(), 2);
    assert_eq!(flag.err, "mesh-gw: --workers: \"many\" is not a whole number of 0 or more\n");
    assert_eq!(call_with(&["--catalog", "/c"], &[("GATEWAY_WORKERS", "many")]).code(), 1);
    assert_eq!(call(&["--catalog", "/c", "--config", "/nowhere/x.toml"]).code(), 1);
    assert_eq!(call(&["--catalog", "/c", "serve"]).code(), 2);
    assert_eq!(call(&["--catalog"]).code(), 2);
    let twice = call(&["--catalog", "/c", "--workers", "1", "--workers", "2"]);
    assert_eq!(twice.code(), 2, "a flag that is no list may be given once");
}

#[test]
fn the_help_has_every_flag_and_command() {
    let help = call(&["--help"]).out;
    for key in crate::settings::Key::flags() {
        assert!(help.contains(&format!("--{} ", key.flag())), "{}: {help}", key.name);
    }
    for command in ["run", "check", "explain", "doctor", "ready"] {
        assert!(help.contains(&format!("\n  {command} ")), "{command}: {help}");
    }
    assert!(help.contains("[default: 0.0.0.0:8443]"), "{help}");
}

#[test]
fn the_commands_answer_with_code_0_or_1() {
    let (example, wrong) = (Catalog::example(), Catalog::of("[Mesh]\nDatacentre = \"fra1\""));
    let (good, bad) = (example.path().display().to_string(), wrong.path().display().to_string());
    let said = call(&["check", "--catalog", &good]);
    assert_eq!(said.code(), 0, "{}", said.out);
    let said = call(&["check", &good, &bad]);
    assert_eq!(said.code(), 1);
    assert!(said.out.contains("good: 4 names"), "the good one is looked at, too: {}", said.out);
    assert_eq!(call(&["check", &good]).code(), 0, "no catalog of the settings is needed");
    assert_eq!(call(&["check"]).code(), 2);
    assert_eq!(call(&["explain", &sni("billing.default.fra1"), "-catalog", &good]).code(), 0);
    assert_eq!(call(&["explain", "nobody", "-json", "-catalog", &good]).code(), 1);
    assert_eq!(call(&["ready", "-admin-bind", "127.0.0.1:1"]).code(), 1);
}

//! Tests of the command line: arguments in, text and code out.

use super::*;
use crate::settings::OwnService;
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
        assert_eq!(call(arguments).settings().catalog_path(), Some("/c".as_ref()), "{arguments:?}");
    }
    let named = call_with(&[], &[("GATEWAY_CATALOG", "/e")]).settings();
    assert_eq!(named.catalog_path(), Some("/e".as_ref()));
    let consul = call(&[]).settings();
    assert_eq!(consul.consul().map(|consul| consul.addresses.len()), Some(1));
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
    assert_eq!(settings.catalog_path(), Some("/c".as_ref()));
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

/// The command of Consul's documentation, word for word.
#[test]
fn consuls_own_command_line_can_be_taken_over() {
    let said = call(&[
        "-gateway=mesh",
        "-register",
        "-service",
        "edge",
        "-address",
        "127.0.0.1:8443",
        "-wan-address=198.51.100.7:443",
        "-bind-address",
        "public=127.0.0.1:9",
        "-http-addr=https://consul:8501",
        "-token=x",
        "-ca-file",
        "/ca",
        "-grpc-addr",
        "127.0.0.1:8502",
        "-envoy-binary=/usr/bin/envoy",
        "-admin-bind=127.0.0.1:19005",
        "--",
        "-l",
        "debug",
    ]);
    let settings = said.settings();
    let consul = settings.consul().unwrap();
    let OwnService::Register(register) = &consul.own else { panic!("{:?}", consul.own) };
    assert_eq!((&*register.id, register.address.as_deref()), ("edge", Some("127.0.0.1:8443")));
    assert_eq!(consul.addresses[0].to_string(), "https://consul:8501");
    assert_eq!((consul.tokens.len(), &consul.tls.ca_file), (1, &Some("/ca".into())));
    assert_eq!(settings.admin_bind.port(), 19005);
    let notes = [
        "--grpc-addr is not used: ",
        "--envoy-binary is not used: there is no Envoy here",
        "what is behind -- is not used, because there is no Envoy here: -l debug",
    ];
    assert_eq!(settings.notes.len(), notes.len(), "{:?}", settings.notes);
    for (note, begins) in settings.notes.iter().zip(notes) {
        assert!(note.starts_with(begins), "{note}");
    }
}

#[test]
fn flags_about_envoy_are_ignored_with_a_note() {
    for arguments in [
        &["-admin-access-log-path", "/dev/null"][..],
        &["-enable-config-gen-logging"],
        &["-envoy-version", "1.14.2"],
        &["-grpc-ca-file=/x"],
        &["-grpc-ca-path", "/x"],
        &["-ignore-envoy-compatibility=true"],
        &["-no-central-config"],
        &["-omit-deprecated-tags", "run"],
        &["-prometheus-backend-port", "1"],
        &["-prometheus-scrape-path", "/x"],
        &["run", "-prometheus-ca-file", "/x"],
        &["-prometheus-ca-path", "/x"],
        &["-prometheus-cert-file", "/x"],
        &["-prometheus-key-file", "/x"],
        &["run", "--", "--log-level", "debug"],
    ] {
        let notes = call(arguments).settings().notes;
        assert!(notes.len() == 1 && notes[0].contains(" is not used"), "{arguments:?}: {notes:?}");
    }
    for arguments in [
        &["-gateway=mesh"][..],
        &["--gateway", "mesh"],
        &["-mesh-gateway"],
        &["-mesh-gateway=false"],
        &["-expose-servers=false"],
        &["-bootstrap=false"],
        &["--"],
    ] {
        assert_eq!(call(arguments).settings().notes, [""; 0], "{arguments:?}");
    }
}

#[test]
fn flags_that_somebody_counts_on_are_refused_with_the_way_out() {
    for (arguments, words) in [
        (&["-gateway=ingress"][..], "this program is a mesh gateway and cannot be of kind \"ingress\""),
        (&["-gateway"], "a value is missing: --gateway=mesh"),
        (&["-bootstrap"], "`check` reads settings and files"),
        (&["-envoy-ready-bind-address", "10.0.0.1"], "use --admin-bind"),
        (&["-envoy-ready-bind-port=1"], "use --admin-bind"),
        (&["-sidecar-for", "web"], "use --proxy-id"),
        (&["-register", "-expose-servers"], "WAN federation"),
        (&["-login-method=x"], "use --token-file"),
        (&["-state-dir", "/x"], "leave it out"),
    ] {
        let said = call(arguments);
        assert_eq!((said.code(), said.out.as_str()), (2, ""), "{arguments:?}");
        assert!(said.err.starts_with("mesh-gw: --") && said.err.contains(words), "{}", said.err);
    }
    assert_eq!(call(&["-bootstrap", "-sidecar-for=x"]).err.lines().count(), 2, "all at once");
}

#[test]
fn a_switch_stands_alone_or_has_a_value_behind_the_sign() {
    let registers = |arguments: &[&str]| {
        let own = call(arguments).settings().consul().unwrap().own.clone();
        matches!(own, OwnService::Register(_))
    };
    for arguments in [&["-register"][..], &["--register=true"], &["-register=1"], &["-register", "run"]] {
        assert!(registers(arguments), "{arguments:?}");
    }
    assert!(!registers(&["-register=false"]));
    assert!(registers(&["run", "-register"]), "behind the command, too");
    let wrong = call(&["-register=maybe"]);
    assert_eq!(wrong.code(), 2);
    assert_eq!(wrong.err, "mesh-gw: --register: \"maybe\" is not a boolean; write true or false\n");
    assert_eq!(call(&["-register", "false"]).code(), 2, "as in Consul it is an argument, and none is taken");
}

#[test]
fn a_catalog_of_files_and_flags_for_consul_are_a_usage_error() {
    let said = call(&["--catalog", "/c", "--http-addr", "h:1"]);
    assert_eq!(said.code(), 2);
    assert!(said.err.contains("give one of the two"), "{}", said.err);
}

#[test]
fn usage_errors_and_bad_settings_have_codes_of_their_own() {
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
    for key in crate::settings::Key::flags(Role::Mesh) {
        let end = if key.is_switch() { "[=" } else { " " };
        assert!(help.contains(&format!("--{}{end}", key.flag())), "{}: {help}", key.name);
    }
    for command in ["run", "check", "explain", "doctor", "ready"] {
        assert!(help.contains(&format!("\n  {command} ")), "{command}: {help}");
    }
    assert!(help.contains("[default: 0.0.0.0:8443]"), "{help}");
    for heading in ["What it serves:", "Consul:", "Its service in Consul:", "Addresses:", "Log:", "Process:"]
    {
        assert!(help.contains(&format!("\n{heading}\n")), "{heading}: {help}");
    }
    assert!(help.contains("--register[=<BOOL>]"), "{help}");
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
    let consul = call(&["check"]);
    assert_eq!(consul.code(), 0, "Consul where an agent listens by default: {}", consul.out);
    assert!(
        consul.out.starts_with("Consul at 127.0.0.1:8500: settings and files are good: "),
        "{}",
        consul.out
    );
    assert_eq!(call(&["explain", &sni("billing.default.fra1"), "-catalog", &good]).code(), 0);
    assert_eq!(call(&["explain", "nobody", "-json", "-catalog", &good]).code(), 1);
    assert_eq!(call(&["ready", "-admin-bind", "127.0.0.1:1"]).code(), 1);
}

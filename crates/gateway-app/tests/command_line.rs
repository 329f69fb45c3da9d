//! The command line from outside, as a program uses it: nothing is printed but through the writers.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where its support fails")]

use std::ffi::OsString;
use std::fs;

use gateway_app::cli::{Call, Invocation, invoke};
use gateway_app::settings::{Role, settings_reference};

fn run(arguments: &[&str]) -> (u8, String, String) {
    run_with(arguments, &[])
}

fn run_with(arguments: &[&str], environment: &[(&str, &str)]) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let call = Call {
        role: Role::Mesh,
        arguments: arguments.iter().map(OsString::from).collect(),
        environment: environment.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        out: &mut out,
        err: &mut err,
    };
    match invoke(call) {
        Invocation::Finished(code) => {
            (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
        }
        Invocation::Run(settings) => panic!("it wants to serve: {settings:?}"),
    }
}

#[test]
fn an_operator_checks_mends_and_explains() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let path = |name: &str| file(name).display().to_string();
    fs::create_dir(file("catalog")).unwrap();
    let good = include_str!("../examples/catalog/mesh.toml");
    fs::write(file("catalog/mesh.toml"), good.replace("Port    = 21000", "Prot = 21000")).unwrap();
    fs::write(file("gw.toml"), format!("catalog = \"{}\"\n[timers]\nhelo = \"1s\"\n", path("catalog")))
        .unwrap();

    let (code, _, err) = run(&["mesh-gw", "check", "-config", &path("gw.toml")]);
    assert_eq!(code, 1);
    assert_eq!(
        err,
        format!("mesh-gw: {}:3: timers.helo: unknown key (did you mean timers.hello?)\n", path("gw.toml"))
    );

    fs::write(file("gw.toml"), format!("catalog = \"{}\"\n", path("catalog"))).unwrap();
    let (code, out, _) = run(&["mesh-gw", "check", "-config", &path("gw.toml")]);
    assert_eq!(code, 1);
    let problem = format!("error: {}:11: Instance[0].Prot: ", path("catalog/mesh.toml"));
    assert!(out.contains(&problem), "{out}");

    fs::write(file("catalog/mesh.toml"), good).unwrap();
    let (code, out, err) = run(&["mesh-gw", "check", "-config", &path("gw.toml")]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");

    let (code, out, _) = run(&["mesh-gw", "explain", "www.legacy.example.com", "-config", &path("gw.toml")]);
    assert_eq!(code, 0);
    assert!(out.contains("static_route *.legacy.example.com"), "{out}");
}

/// What `consul connect envoy -gateway=mesh -register` was given, checked before the command is swapped.
#[test]
fn an_operator_checks_the_flags_and_variables_of_consuls_own_command() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token").display().to_string();
    let flags = ["mesh-gw", "check", "-gateway=mesh", "-register", "-service=edge", "-address=:8443"];
    let environment =
        [("CONSUL_HTTP_ADDR", "unix:///run/consul.sock"), ("CONSUL_HTTP_TOKEN_FILE", token.as_str())];
    let (code, out, _) = run_with(&flags, &environment);
    assert_eq!(code, 1);
    assert!(out.contains(&token) && out.contains("CONSUL_HTTP_TOKEN_FILE"), "{out}");

    fs::write(&token, "a-token\n").unwrap();
    let (code, out, err) = run_with(&flags, &environment);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert_eq!(
        out,
        "Consul at unix:///run/consul.sock: settings and files are good: with a token, registers \"edge\" as \"edge\"\n"
    );

    let wrong = [environment[0], ("CONSUL_HTTP_SSL_VERIFY", "maybe")];
    let (code, _, err) = run_with(&flags, &wrong);
    assert_eq!(code, 1);
    assert_eq!(
        err,
        "mesh-gw: environment CONSUL_HTTP_SSL_VERIFY: \"maybe\" is not a boolean; write true or false\n"
    );
}

#[test]
fn the_reference_is_a_table_of_all_settings() {
    let reference = settings_reference(Role::Mesh);
    assert!(reference.starts_with("| key | type | allowed | default | meaning |\n"));
    assert!(
        reference
            .contains("| `timers.hello` | duration | 1ms to 1h | `10s` | Deadline for a whole ClientHello")
    );
    assert!(reference.contains("| `limits.pipe_size` | bytes, a power of two | 64KiB to 1MiB | `512KiB` |"));
    assert!(
        reference.contains("| `timers.idle` | duration | 1ms to 168h; 0 = no limit | `1h` |"),
        "{reference}"
    );
}

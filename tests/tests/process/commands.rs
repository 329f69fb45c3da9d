//! `check`, `explain`, `doctor` and `ready`, help, and how flags may be written.

use std::net::TcpListener;

use gateway_testkit::{Backend, Deadline, Document, Lab, Pki, Script, Signal};
use serde_json::Value;

use crate::program::{Ran, run, small_catalog, text};

#[tokio::test]
async fn help_names_every_command_and_flag() {
    for flag in ["--help", "-help", "-h"] {
        let Ran { code, out, err } = run(&[flag], &[]).await;
        assert_eq!((code, err.as_str()), (Some(0), ""), "{flag}");
        for word in ["run", "check", "explain", "doctor", "ready"] {
            assert!(out.lines().any(|line| line.trim_start().starts_with(word)), "{word} in {out}");
        }
        for word in ["config", "catalog", "address", "bind-address", "admin-bind", "access-log", "drain-time"]
        {
            assert!(out.contains(&format!("--{word}")), "--{word} in {out}");
        }
    }
    assert!(run(&["--version"], &[]).await.out.starts_with("mesh-gw "));
    assert!(run(&["explain", "--help"], &[]).await.out.contains("--live"));
}

#[tokio::test]
async fn check_says_whether_a_catalog_is_good() {
    let lab = Lab::new().unwrap();
    let catalog = small_catalog(&lab);
    let folder = text(catalog.path());
    for arguments in
        [["check", "--catalog", folder], ["check", "-catalog", folder], ["-catalog", folder, "check"]]
    {
        let Ran { code, out, err } = run(&arguments, &[]).await;
        assert_eq!((code, err.as_str()), (Some(0), ""), "{arguments:?}: {out}");
        assert!(out.starts_with(&format!("{folder}: good: 1 name, 1 service, ")), "{out}");
    }
    // Several at once, each on its own; one bad one decides.
    catalog.write("bad/mesh.toml", "[Mesh]\nDatacentre = \"dc1\"\n").unwrap();
    let (good, bad) = (catalog.file("mesh.toml"), catalog.file("bad"));
    let Ran { code, out, .. } = run(&["check", text(&good), text(&bad)], &[]).await;
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("mesh.toml: good: ") && out.contains("bad: not usable: "), "{out}");
    assert!(
        out.contains("bad/mesh.toml:2: Mesh.Datacentre: ") && out.contains("did you mean Datacenter?"),
        "{out}"
    );
}

#[tokio::test]
async fn explain_says_where_a_name_goes_or_why_nowhere() {
    let lab = Lab::new().unwrap();
    let catalog = small_catalog(&lab);
    let folder = text(catalog.path());
    let name = |service: &str| format!("{service}.default.dc1.internal.{}", Pki::TRUST_DOMAIN);

    let Ran { code, out, .. } =
        run(&["explain", &name("billing").to_uppercase(), "--catalog", folder], &[]).await;
    assert_eq!(code, Some(0), "{out}");
    for words in
        ["billing is a service of this datacenter", "10.0.0.1:20000", "billing-1", "timers.connect, default"]
    {
        assert!(out.contains(words), "{words} in {out}");
    }

    let Ran { code, out, .. } = run(&["explain", &name("biling"), "--catalog", folder], &[]).await;
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("unknown_sni") && out.contains(&name("billing")), "what is near is shown: {out}");

    let Ran { code, out, .. } = run(&["explain", "--json", &name("billing"), "--catalog", folder], &[]).await;
    let page: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &page["routed"]["service"], &page["refused"]),
        (Some(0), &"billing".into(), &Value::Null)
    );
}

#[tokio::test]
async fn ready_and_explain_ask_the_running_gateway() {
    let lab = Lab::new().unwrap();
    let catalog = small_catalog(&lab);
    let gateway = lab.gateway("gateway").catalog(catalog.path()).start().await.unwrap();
    let admin = gateway.admin().unwrap().address().to_string();
    let ready = run(&["ready", "--admin-bind", &admin], &[]).await;
    assert_eq!((ready.code, ready.out.as_str()), (Some(0), "ready\n"), "{ready:?}");

    let name = format!("billing.default.dc1.internal.{}", Pki::TRUST_DOMAIN);
    let arguments = ["explain", "--live", &name, "--catalog", text(catalog.path()), "--admin-bind", &admin];
    let live = run(&arguments, &[]).await;
    assert_eq!(live.code, Some(0), "{live:?}");
    assert!(live.out.contains("live: open 0, pending 0, ejections 0"), "{}", live.out);

    gateway.signal(Signal::TERM).unwrap();
    gateway.exit_code(Deadline::usual()).await.unwrap();
    let ready = run(&["ready", "--admin-bind", &admin], &[]).await;
    assert_eq!(ready.code, Some(1));
    assert!(ready.out.starts_with("not ready: ") && ready.out.contains(&admin), "{}", ready.out);
    // What is not there to ask is a note, no failure: the catalog alone says where the name goes.
    let live = run(&arguments, &[]).await;
    assert_eq!(live.code, Some(0));
    assert!(live.out.contains("no live figures"), "{}", live.out);
}

#[tokio::test]
async fn doctor_tries_what_the_gateway_needs() {
    let lab = Lab::new().unwrap();
    let catalog = small_catalog(&lab);
    let far = Backend::local(Script::Silent).unwrap();
    let refusing = Backend::refusing(&gateway_testkit::Place::Here, ([127, 0, 0, 1], 0).into()).unwrap();
    let gateways = |wan| Document::new().mesh_gateway("dc2", wan);
    catalog.write("gateways.toml", gateways(far.address())).unwrap();
    let folder = text(catalog.path());
    let arguments =
        ["doctor", "--catalog", folder, "--address", "127.0.0.1:0", "--admin-bind", "127.0.0.1:0"];
    let Ran { code, out, .. } = run(&arguments, &[]).await;
    assert_eq!(code, Some(0), "{out}");
    for words in
        ["OK    catalog: ", "OK    listener: default", "OK    admin endpoint: ", "OK    other datacenters: "]
    {
        assert!(out.contains(words), "{words} in {out}");
    }

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    catalog.write("gateways.toml", gateways(refusing.address())).unwrap();
    let arguments = ["doctor", "--catalog", folder, "--address", &address, "--admin-bind", "127.0.0.1:0"];
    let Ran { code, out, .. } = run(&arguments, &[]).await;
    assert_eq!(code, Some(1), "{out}");
    let failed: Vec<_> = out.lines().filter(|line| line.starts_with("FAIL")).collect();
    assert_eq!(failed.len(), 2, "{out}");
    assert!(failed[0].contains(&address) && failed[0].contains("choose another address"), "{out}");
    assert!(failed[1].contains("dc:dc2") && failed[1].contains("is its WanAddress right"), "{out}");
}

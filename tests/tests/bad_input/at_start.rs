//! Settings and catalogs that a gateway does not start with: exit code 1, one line for each mistake.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use gateway_testkit::{Deadline, Document, Lab, Pki};

/// Something wrong, how the message about it begins after the file's name, and the way out that it has.
struct Case {
    text: &'static str,
    place: &'static str,
    way_out: &'static str,
}

const SETTINGS: [Case; 6] = [
    Case {
        text: "drain_tim = \"3s\"\n",
        place: ":1: drain_tim: unknown key",
        way_out: "did you mean drain_time?",
    },
    Case { text: "[timer]\nhello = \"3s\"\n", place: ":1: timer: unknown", way_out: "did you mean timers?" },
    Case {
        text: "\n[timers]\nhello = true\n",
        place: ":3: timers.hello: ",
        way_out: "it must be a string like \"10s\"",
    },
    Case {
        text: "[limits]\npipe_size = \"100KiB\"\n",
        place: ":2: limits.pipe_size: ",
        way_out: "power of two",
    },
    Case { text: "[timers]\nhello = \"0s\"\n", place: ":2: timers.hello: ", way_out: "1ms to 1h" },
    Case { text: "[timers\n", place: ":1: ", way_out: "" },
];

#[tokio::test]
async fn wrong_settings_are_named_by_line_and_key() {
    for Case { text, place, way_out } in SETTINGS {
        let lab = Lab::new().unwrap();
        let config = lab.dir().join("gateway.toml");
        std::fs::write(&config, text).unwrap();
        let line = refused(&lab, Some(&config), &config).await;
        let beginning = format!("mesh-gw: {}{place}", config.display());
        assert!(line.starts_with(&beginning), "{text:?} gave {line}\nnot {beginning}");
        assert!(line.contains(way_out), "{text:?} gave {line}, without {way_out:?}");
    }
}

#[tokio::test]
async fn a_settings_file_that_cannot_be_read_is_named_with_the_reason() {
    let lab = Lab::new().unwrap();
    let missing = lab.dir().join("missing.toml");
    let line = refused(&lab, Some(&missing), &missing).await;
    assert_eq!(
        line,
        format!("mesh-gw: {}: no such file; --config or GATEWAY_CONFIG names it", missing.display())
    );

    let line = refused(&lab, Some(lab.dir()), lab.dir()).await;
    assert!(line.contains("this is a folder; --config takes a file"), "{line}");

    let closed = lab.dir().join("closed.toml");
    std::fs::write(&closed, "").unwrap();
    std::fs::set_permissions(&closed, Permissions::from_mode(0o000)).unwrap();
    // Whoever may read everything cannot be closed out.
    if std::fs::read(&closed).is_err() {
        let line = refused(&lab, Some(&closed), &closed).await;
        assert!(line.contains("this user may not read it; change its owner or mode"), "{line}");
    }
}

const CATALOG: [Case; 7] = [
    Case {
        text: "[[Instance]]\nServce = \"web\"\nService = \"web\"\nAddress = \"10.0.0.1\"\nPort = 1\n",
        place: ":2: Instance[0].Servce: unknown key",
        way_out: "did you mean Service?",
    },
    Case {
        text: "[[Instance]]\nService = \"web\"\nAddress = \"10.0.0.1\"\nPort = \"http\"\n",
        place: ":4: Instance[0].Port: expected a whole number",
        way_out: "expected",
    },
    Case {
        text: "[[Instance]]\nService = \"web\"\nAddress = \"10.0.0.1\"\nPort = 70000\n",
        place: ":4: Instance[0].Port: ",
        way_out: "65535",
    },
    Case {
        text: "[[Instance]]\nService = \"web\"\nKind = \"conect-proxy\"\nAddress = \"10.0.0.1\"\nPort = 1\n",
        place: ":3: Instance[0].Kind: ",
        way_out: "did you mean connect-proxy?",
    },
    Case {
        text: "[[Entry]]\nKind = \"service-resolver\"\nName = \"web\"\nSubsets.v1.Filter = \"Service.Meta.version ==\"\n",
        place: ":4: Entry[0].Subsets.v1.Filter: ",
        way_out: "",
    },
    Case { text: "[[Instnace]]\n", place: ":1: Instnace: unknown table", way_out: "did you mean Instance?" },
    Case { text: "[[Route]\n", place: ":1", way_out: "" },
];

#[tokio::test]
async fn a_wrong_catalog_is_named_by_line_and_key() {
    for Case { text, place, way_out } in CATALOG {
        let lab = Lab::new().unwrap();
        let catalog = lab.catalog("catalog").unwrap();
        catalog.write("mesh.toml", Document::new().mesh("dc1", Pki::TRUST_DOMAIN)).unwrap();
        catalog.write("bad.toml", text).unwrap();
        let line = refused(&lab, None, catalog.path()).await;
        let beginning = format!("{}{place}", catalog.file("bad.toml").display());
        assert!(line.starts_with(&beginning), "{text:?} gave {line}\nnot {beginning}");
        assert!(line.contains(way_out), "{text:?} gave {line}, without {way_out:?}");
    }
}

#[tokio::test]
async fn a_catalog_that_cannot_be_read_is_named_with_the_reason() {
    let lab = Lab::new().unwrap();
    let catalog = lab.catalog("catalog").unwrap();
    catalog.write("mesh.toml", Document::new().mesh("dc1", Pki::TRUST_DOMAIN)).unwrap();
    let missing = lab.dir().join("missing");
    let line = refused(&lab, None, &missing).await;
    assert!(line.starts_with(&format!("{}: cannot be read: No such file", missing.display())), "{line}");

    // A file that nobody can read, not even root.
    catalog.link("loop.toml", Path::new("loop.toml")).unwrap();
    let line = refused(&lab, None, catalog.path()).await;
    assert!(line.starts_with(&format!("{}: ", catalog.file("loop.toml").display())), "{line}");
    assert!(line.contains("symbolic links"), "{line}");
    catalog.remove("loop.toml").unwrap();

    // A file that a document names.
    catalog
        .write("mesh.toml", Document::new().mesh("dc1", Pki::TRUST_DOMAIN).text("Roots = [\"none.pem\"]"))
        .unwrap();
    let line = refused(&lab, None, catalog.path()).await;
    let (place, named) = ("mesh.toml:5: Mesh.Roots[0]: ", catalog.file("none.pem"));
    assert!(line.contains(&format!("{place}{} cannot be read: No such file", named.display())), "{line}");
}

#[tokio::test]
async fn other_files_of_its_own_that_cannot_be_used_are_named() {
    let lab = Lab::new().unwrap();
    let catalog = lab.catalog("catalog").unwrap();
    catalog.write("mesh.toml", Document::new().mesh("dc1", Pki::TRUST_DOMAIN)).unwrap();
    let (missing, empty) = (lab.dir().join("no/token"), lab.dir().join("empty"));
    std::fs::write(&empty, "\n").unwrap();
    for (token, words) in
        [(&missing, "cannot read admin token file"), (&empty, "write a long random word into it")]
    {
        let gateway =
            lab.gateway("gateway").catalog(catalog.path()).argument("--admin-token-file").argument(token);
        let gateway = gateway.spawn().unwrap();
        assert_eq!(gateway.exit_code(Deadline::usual()).await.unwrap(), 1);
        let last = gateway.log().all().pop().unwrap();
        let message = last["message"].as_str().unwrap();
        assert!(message.contains(words) && message.contains(token.to_str().unwrap()), "{message}");
    }
}

/// Starts a gateway, which must end with exit code 1 and one line about `file`. Settings are read before there is a
/// log: what is wrong with them is said in plain text.
async fn refused(lab: &Lab, config: Option<&Path>, file: &Path) -> String {
    let builder = lab.gateway("gateway");
    let log = lab.dir().join("gateway/gateway.log");
    let _ = std::fs::remove_file(&log);
    let builder = match config {
        Some(config) => builder.config(config).argument("--catalog").argument("/nowhere"),
        None => builder.catalog(file),
    };
    let gateway = builder.spawn().unwrap();
    assert_eq!(gateway.exit_code(Deadline::usual()).await.unwrap(), 1, "{}", gateway.log_tail(20));
    let text = std::fs::read_to_string(&log).unwrap();
    assert_eq!(text.lines().count(), 1, "one message: {text}");
    let line = match gateway.log().all().pop() {
        Some(line) => line["message"].as_str().unwrap().to_owned(),
        None => text.trim_end().to_owned(),
    };
    assert!(line.contains(file.to_str().unwrap()), "{line} does not name {}", file.display());
    line
}

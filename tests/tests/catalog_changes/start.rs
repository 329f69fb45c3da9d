//! Bad catalogs at the start: all of what is wrong is said, with file, line and way out, and nothing is opened.

use std::net::TcpListener;

use gateway_testkit::{Deadline, Document, Lab, Pki, gateway_binary};

use crate::world::{DATACENTER, mesh};

const FIVE_INSTANCES: &str = r#"
[[Instance]]
Service = "a"
Address = "10.0.0.1"
Port = 1

[[Instance]]
Service = "b"
Address = "10.0.0.1"
Port = 2

[[Instance]]
Service = "c"
Address = "10.0.0.1"
Port = 3

[[Instance]]
Servce = "web"
Address = "10.0.0.1"
Port = 4
"#;

/// Starts a gateway with these files, which must end with exit code 1 and, as `check` says the same, gives what both
/// said, one problem an item, without the folder's path.
async fn problems(lab: &Lab, files: &[(&str, &str)]) -> Vec<String> {
    let catalog = lab.catalog("catalog").unwrap();
    for (name, text) in files {
        catalog.write(name, text).unwrap();
    }
    // Somebody has the addresses: it must not matter, because no socket is opened before the files are found good.
    let taken = ["127.0.0.1:0"; 2].map(|any| TcpListener::bind(any).unwrap());
    let [own, admin] = taken.each_ref().map(|taken| taken.local_addr().unwrap());
    let gateway = lab.gateway("gateway").catalog(catalog.path()).address(own).admin(admin).spawn().unwrap();
    assert_eq!(gateway.exit_code(Deadline::usual()).await.unwrap(), 1);
    let folder = format!("{}/", catalog.path().display());
    let logged: Vec<_> = gateway
        .log()
        .all()
        .iter()
        .filter(|line| line["level"] == "error")
        .map(|line| line["message"].as_str().unwrap().replace(&folder, ""))
        .collect();

    let mut check = tokio::process::Command::new(gateway_binary().unwrap());
    let output = check.arg("check").arg("--catalog").arg(catalog.path()).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap().replace(&folder, "");
    let checked: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
    assert_eq!(checked, logged, "`check` says what `run` says");
    logged
}

/// S3.
#[tokio::test]
async fn a_misspelt_key_is_named_with_its_place_and_what_was_meant() {
    let lab = Lab::new().unwrap();
    let pki = Pki::development().unwrap();
    let found = problems(&lab, &[("mesh.toml", mesh(&pki).as_str()), ("web.toml", FIVE_INSTANCES)]).await;
    assert!(
        found.iter().any(|line| {
            line.starts_with("web.toml:18: Instance[3].Servce: ") && line.ends_with("(did you mean Service?)")
        }),
        "{found:#?}"
    );
    assert!(found.iter().all(|line| line.starts_with("web.toml:1")), "nothing is said of others: {found:#?}");
}

/// S4.
#[tokio::test]
async fn all_problems_of_all_files_are_said_at_once() {
    let lab = Lab::new().unwrap();
    let pki = Pki::development().unwrap();
    let found = problems(
        &lab,
        &[
            ("mesh.toml", mesh(&pki).as_str()),
            ("a.toml", "[[Instance]]\nService = \"web\"\nAddress = \"10.0.0.1\"\nPort = \"http\"\n"),
            ("b.json", "{\"Kind\": \"service-resolver\",\n \"Name\": \"web\",\n \"DefaultSubsett\": \"v1\"}"),
            ("c.toml", "[[Route]\n"),
        ],
    )
    .await;
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found[0].starts_with("a.toml:4: Instance[0].Port: "), "{found:#?}");
    assert!(
        found[1].starts_with("b.json:3: DefaultSubsett: ") && found[1].contains("DefaultSubset?"),
        "{found:#?}"
    );
    assert!(found[2].starts_with("c.toml:1"), "{found:#?}");
}

/// S13.
#[tokio::test]
async fn a_name_that_has_two_meanings_is_an_error() {
    let lab = Lab::new().unwrap();
    let pki = Pki::development().unwrap();
    let to = ["10.0.0.1:443".parse().unwrap()];
    let name = format!("billing.default.{DATACENTER}.internal.{}", pki.trust_domain());
    let billing = mesh(&pki).sidecar("billing", "billing-1", "10.0.0.2:1".parse().unwrap());
    let routes = Document::new().route(&name, &to).route("a.example", &to).route("A.Example", &to);
    let found = problems(&lab, &[("mesh.toml", billing.as_str()), ("routes.toml", routes.as_str())]).await;
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(
        found[0].starts_with("routes.toml:1: Route[0].SNI: ") && found[0].contains("name of the mesh"),
        "{found:#?}"
    );
    assert!(found[1].contains("Route[2]") && found[1].contains("already in"), "{found:#?}");
}

/// Nothing to serve is a mistake, too: it is what a wrong path looks like.
#[tokio::test]
async fn a_catalog_without_anything_is_refused() {
    for files in [&[][..], &[("notes.txt", "hello")]] {
        let lab = Lab::new().unwrap();
        let found = problems(&lab, files).await;
        assert!(found.iter().any(|line| line.contains(".toml or .json")), "{found:#?}");
    }
}

//! What a running source makes of changes. Tests wait for what must come; that something must not
//! come is tested by what comes after it.

use crate::support::{Catalog, Followed, MESH, behind, config, local, printed, sidecar};
use gateway_state::{
    FileSource, SourceConfig,
    mesh::{MeshRole, MeshSnapshot},
};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    sync::Arc,
    time::Duration,
};

fn has(snapshot: &MeshSnapshot, service: &str, expected: &str) -> bool {
    behind(&snapshot.table, &local(service)).as_deref() == Some(expected)
}

fn knows(snapshot: &MeshSnapshot, service: &str) -> bool {
    snapshot.table.lookup(&local(service)).is_some()
}

fn rejected(snapshot: &MeshSnapshot) -> String {
    snapshot.rejected.iter().map(|it| format!("{}: {}\n", it.document, it.problem)).collect()
}

fn web_and_billing() -> Catalog {
    Catalog::new(&[
        ("mesh.toml", MESH),
        ("web.toml", &sidecar("web", "10.0.0.1:1")),
        ("billing.toml", &sidecar("billing", "10.0.0.2:1")),
    ])
}

/// Adds an instance elsewhere and waits for it: everything before it has been dealt with then.
async fn settled(catalog: &Catalog, followed: &mut Followed, number: u16) -> Arc<MeshSnapshot> {
    let marker = format!("marker-{number}");
    catalog.replace("marker.toml", &sidecar(&marker, "10.9.9.9:9"));
    followed.until(|snapshot| knows(snapshot, &marker)).await
}

#[tokio::test]
async fn a_file_renamed_into_place_is_read_at_once() {
    let catalog = web_and_billing();
    // Nobody waits that long: what is seen was not waited for.
    let slow = SourceConfig { settle: Duration::from_secs(3600), ..config() };
    let mut followed = catalog.follow(&slow);
    tokio::task::yield_now().await;
    catalog.replace("web.toml", &sidecar("web", "10.0.0.9:1"));
    let snapshot = followed.until(|snapshot| has(snapshot, "web", "10.0.0.9:1 w1")).await;
    assert_eq!((snapshot.generation, snapshot.compiled), (2, 1));
    // Both written in place and replaced: what is replaced is whole.
    catalog.write("billing.toml", "half [");
    catalog.replace("billing.toml", &sidecar("billing", "10.0.0.8:1"));
    followed.until(|snapshot| has(snapshot, "billing", "10.0.0.8:1 w1")).await;
}

#[tokio::test]
async fn a_file_written_in_place_is_never_seen_half_written() {
    let catalog = web_and_billing();
    let mut followed = catalog.follow(&config());
    tokio::task::yield_now().await;
    for round in 0..5_u16 {
        let address = format!("10.0.1.{round}:1");
        // Nothing may be awaited between: the file is empty when other changes are read, too.
        fs::write(catalog.path("web.toml"), "").expect("truncated");
        catalog.replace("billing.toml", &sidecar("billing", &format!("10.0.2.{round}:1")));
        let billing = format!("10.0.2.{round}:1 w1");
        let check = |snapshot: &MeshSnapshot| {
            assert!(knows(snapshot, "web"), "the empty file was seen: {snapshot:#?}");
            assert_eq!(rejected(snapshot), "");
        };
        followed
            .until(|snapshot| {
                check(snapshot);
                has(snapshot, "billing", &billing)
            })
            .await;
        catalog.write("web.toml", &sidecar("web", &address));
        followed
            .until(|snapshot| {
                check(snapshot);
                has(snapshot, "web", &format!("{address} w1"))
            })
            .await;
    }
}

#[tokio::test]
async fn a_file_that_is_written_all_the_time_is_read_in_the_end() {
    let catalog = web_and_billing();
    let mut followed = catalog.follow(&SourceConfig { settle: Duration::from_millis(20), ..config() });
    let text = sidecar("web", "10.0.0.9:1");
    let write = async {
        loop {
            catalog.write("web.toml", &text);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = write => {}
        _ = followed.until(|snapshot| has(snapshot, "web", "10.0.0.9:1 w1")) => {}
    }
}

#[tokio::test]
async fn a_bad_document_keeps_its_last_good_version_and_nothing_else_waits_for_it() {
    let resolver = |subset: &str| {
        format!(
            "[[Entry]]\nKind = \"service-resolver\"\nName = \"web\"\nDefaultSubset = \"{subset}\"\nSubsets.v1 = {{}}\n"
        )
    };
    let catalog = web_and_billing();
    catalog.write("web-resolver.toml", &resolver("v1"));
    let mut followed = catalog.follow(&config());
    let first = followed.reader.current();
    catalog.write("web-resolver.toml", &resolver("v2"));
    catalog.write("more.toml", &sidecar("billing", "10.0.0.3:1"));
    let both = "10.0.0.2:1 w1, 10.0.0.3:1 w1";
    let snapshot =
        followed.until(|snapshot| has(snapshot, "billing", both) && !snapshot.rejected.is_empty()).await;
    assert!(knows(&snapshot, "v1.web"), "the subset stays");
    let target = |snapshot: &MeshSnapshot| snapshot.table.lookup(&local("web")).expect("web").target.clone();
    assert!(Arc::ptr_eq(&target(&first), &target(&snapshot)), "and so does the service, untouched");
    let [rejected] = snapshot.rejected.as_slice() else { panic!("{:?}", snapshot.rejected) };
    assert_eq!((rejected.document.as_str(), rejected.kept), ("service-resolver web", true));
    assert!(rejected.problem.to_string().contains("web-resolver.toml:4: Entry[0].DefaultSubset"));
    let status = followed.handle.status();
    assert_eq!((status.rejected, status.reloads_failed), (1, 1));
    let mended = resolver("v2").replace("Subsets.v1", "Subsets.v2");
    catalog.write("web-resolver.toml", &mended);
    let snapshot = followed.until(|snapshot| snapshot.rejected.is_empty()).await;
    assert!(knows(&snapshot, "v2.web") && !knows(&snapshot, "v1.web"));
    assert_eq!(followed.handle.status().rejected, 0);
}

#[tokio::test]
async fn a_bad_row_is_kept_by_its_id_or_else_all_that_are_missing_are() {
    let row = |id: &str, address: &str| format!("{}ID = \"{id}\"\n", sidecar("web", address));
    let catalog = Catalog::of(&(row("a", "10.0.0.1:1") + &row("b", "10.0.0.2:1")));
    let mut followed = catalog.follow(&config());
    catalog.replace("rest.toml", &(row("a", "10.0.0.1:1") + &row("b", "10.0.0.2:1") + "Color = 1\n"));
    followed.until(|snapshot| !snapshot.rejected.is_empty()).await;
    catalog.replace("rest.toml", &(row("a", "10.0.0.7:1") + &row("b", "10.0.0.:1")));
    followed.until(|snapshot| has(snapshot, "web", "10.0.0.2:1 w1, 10.0.0.7:1 w1")).await;
    let nameless = "[[Instance]]\nKind = 7\n";
    catalog.replace("rest.toml", &(row("a", "10.0.0.8:1") + nameless));
    followed.until(|snapshot| has(snapshot, "web", "10.0.0.2:1 w1, 10.0.0.8:1 w1")).await;
    catalog.replace("rest.toml", &(row("a", "10.0.0.9:1") + "[[Instnace]]\n"));
    followed.until(|snapshot| has(snapshot, "web", "10.0.0.2:1 w1, 10.0.0.9:1 w1")).await;
    catalog.replace("rest.toml", &row("a", "10.0.0.9:1"));
    followed.until(|snapshot| has(snapshot, "web", "10.0.0.9:1 w1")).await;
}

#[tokio::test]
async fn a_file_that_is_no_toml_keeps_all_of_its_documents() {
    let catalog = web_and_billing();
    let mut followed = catalog.follow(&config());
    catalog.replace("web.toml", "[[Instance\n");
    let snapshot = followed.until(|snapshot| !snapshot.rejected.is_empty()).await;
    assert!(has(&snapshot, "web", "10.0.0.1:1 w1"));
    assert!(rejected(&snapshot).contains("web.toml:1"), "{}", rejected(&snapshot));
    assert_eq!(snapshot.compiled, 0);
    fs::remove_file(catalog.path("web.toml")).expect("removed");
    let snapshot = followed.until(|snapshot| !knows(snapshot, "web")).await;
    assert_eq!(rejected(&snapshot), "", "nothing is wrong with a file that is gone");
    assert!(knows(&snapshot, "billing"));
}

#[tokio::test]
async fn of_two_that_are_the_same_the_one_in_use_stays() {
    let id = |address: &str| format!("{}ID = \"one\"\n", sidecar("web", address));
    let catalog = Catalog::new(&[("mesh.toml", MESH), ("b.toml", &id("10.0.0.1:1"))]);
    let mut followed = catalog.follow(&config());
    catalog.replace("a.toml", &id("10.0.0.2:1"));
    let snapshot = followed.until(|snapshot| !snapshot.rejected.is_empty()).await;
    assert!(has(&snapshot, "web", "10.0.0.1:1 w1"), "{snapshot:#?}");
    let snapshot = settled(&catalog, &mut followed, 1).await;
    assert!(has(&snapshot, "web", "10.0.0.1:1 w1"), "still");
    fs::remove_file(catalog.path("b.toml")).expect("removed");
    let snapshot = followed.until(|snapshot| has(snapshot, "web", "10.0.0.2:1 w1")).await;
    assert_eq!(rejected(&snapshot), "");
}

#[tokio::test]
async fn the_mesh_stays_when_its_document_goes_or_breaks() {
    let catalog = web_and_billing();
    let mut followed = catalog.follow(&config());
    fs::remove_file(catalog.path("mesh.toml")).expect("removed");
    let snapshot = followed.until(|snapshot| !snapshot.rejected.is_empty()).await;
    assert!(rejected(&snapshot).contains("the catalog has no [Mesh]") && snapshot.rejected[0].kept);
    assert!(knows(&snapshot, "web"));
    let bad = MESH.replace("fra1", "ams2") + "Roots = [\"none.pem\"]\n";
    catalog.write("mesh.toml", &bad);
    let snapshot = followed.until(|snapshot| rejected(snapshot).contains("none.pem")).await;
    assert!(knows(&snapshot, "web") && &*snapshot.mesh.datacenter == "fra1");
    catalog.write("none.pem", "-----BEGIN CERTIFICATE-----");
    let snapshot = followed.until(|snapshot| snapshot.rejected.is_empty()).await;
    assert!(
        !knows(&snapshot, "web") && &*snapshot.mesh.datacenter == "ams2",
        "what was named is watched, too"
    );
}

#[tokio::test]
async fn a_folder_that_is_gone_or_closed_changes_nothing() {
    let catalog = web_and_billing();
    let mut followed = catalog.follow(&config());
    let before = printed(&followed.reader.current());
    let aside = catalog.path("").with_extension("aside");
    fs::rename(catalog.path(""), &aside).expect("moved away");
    let snapshot = followed.until(|snapshot| !snapshot.rejected.is_empty()).await;
    assert_eq!(printed(&snapshot), before);
    assert!(rejected(&snapshot).contains("cannot be read: No such file"), "{}", rejected(&snapshot));
    fs::rename(&aside, catalog.path("")).expect("moved back");
    let snapshot = followed.until(|snapshot| snapshot.rejected.is_empty()).await;
    assert_eq!((printed(&snapshot), snapshot.compiled), (before.clone(), 0));
    // Its watch was lost with it; it works again.
    catalog.replace("web.toml", &sidecar("web", "10.0.0.9:1"));
    followed.until(|snapshot| has(snapshot, "web", "10.0.0.9:1 w1")).await;
    fs::remove_dir_all(catalog.path("")).expect("deleted");
    let snapshot = followed.until(|snapshot| !snapshot.rejected.is_empty()).await;
    assert!(knows(&snapshot, "web") && knows(&snapshot, "billing"));
    let mode = |mode| fs::set_permissions(catalog.path(""), fs::Permissions::from_mode(mode));
    fs::create_dir(catalog.path("")).expect("made again");
    catalog.write("mesh.toml", MESH);
    catalog.write("web.toml", &sidecar("web", "10.0.0.7:1"));
    followed.until(|snapshot| has(snapshot, "web", "10.0.0.7:1 w1") && !knows(snapshot, "billing")).await;
    mode(0o000).expect("closed");
    if fs::read_dir(catalog.path("")).is_err() {
        // Whoever may read everything cannot be closed out.
        let snapshot = followed.until(|snapshot| !snapshot.rejected.is_empty()).await;
        assert!(knows(&snapshot, "web"));
    }
    mode(0o755).expect("opened");
}

#[tokio::test]
async fn files_come_through_swapped_links_as_kubernetes_swaps_them() {
    let catalog =
        Catalog::new(&[("..one/web.toml", &sidecar("web", "10.0.0.1:1")), ("..one/mesh.toml", MESH)]);
    symlink("..one", catalog.path("..data")).expect("a link");
    for name in ["web.toml", "mesh.toml"] {
        symlink(format!("..data/{name}"), catalog.path(name)).expect("a link");
    }
    let slow = SourceConfig { settle: Duration::from_millis(10), ..config() };
    let mut followed = catalog.follow(&slow);
    assert_eq!(followed.reader.current().files.len(), 2, "the folders behind are no part of it");
    for round in 2..5_u8 {
        let (folder, text) = (format!("..{round}"), sidecar("web", &format!("10.0.0.{round}:1")));
        catalog.write(&format!("{folder}/web.toml"), &text);
        catalog.write(&format!("{folder}/mesh.toml"), MESH);
        symlink(&folder, catalog.path("..data_tmp")).expect("a link");
        fs::rename(catalog.path("..data_tmp"), catalog.path("..data")).expect("swapped");
        followed.until(|snapshot| has(snapshot, "web", &format!("10.0.0.{round}:1 w1"))).await;
    }
}

#[tokio::test]
async fn a_catalog_behind_a_link_is_followed_to_where_it_leads() {
    let catalog = Catalog::new(&[("one/mesh.toml", MESH), ("one/web.toml", &sidecar("web", "10.0.0.1:1"))]);
    catalog.write("two/mesh.toml", MESH);
    catalog.write("two/web.toml", &sidecar("web", "10.0.0.2:1"));
    symlink("one", catalog.path("current")).expect("a link");
    let loaded = FileSource::<MeshRole>::load(&catalog.path("current"), &config()).expect("a catalog");
    let (source, mut reader) = (loaded.source, loaded.reader);
    let task = tokio::spawn(source.run(std::future::pending()));
    tokio::task::yield_now().await;
    symlink("two", catalog.path("next")).expect("a link");
    fs::rename(catalog.path("next"), catalog.path("current")).expect("swapped");
    let wait = async {
        while !has(&reader.current(), "web", "10.0.0.2:1 w1") {
            reader.changed().await.expect("it runs");
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("the swap is seen");
    task.abort();
}

#[tokio::test]
async fn folders_and_files_come_and_go() {
    let catalog = web_and_billing();
    let mut followed = catalog.follow(&config());
    catalog.write(
        "deep/er/x.json",
        r#"{"Instance":[{"Service":"x","Kind":"connect-proxy","Address":"10.0.0.5","Port":5}]}"#,
    );
    followed.until(|snapshot| knows(snapshot, "x")).await;
    catalog.write(
        "deep/er/x.json",
        r#"{"Instance":[{"Service":"y","Kind":"connect-proxy","Address":"10.0.0.5","Port":5}]}"#,
    );
    followed.until(|snapshot| knows(snapshot, "y") && !knows(snapshot, "x")).await;
    fs::remove_dir_all(catalog.path("deep")).expect("removed");
    followed.until(|snapshot| !knows(snapshot, "y")).await;
    catalog.write(".hidden.toml", "[");
    let snapshot = settled(&catalog, &mut followed, 1).await;
    assert_eq!(rejected(&snapshot), "");
}

#[tokio::test]
async fn what_no_event_tells_is_found_by_the_poll_and_by_a_reload() {
    let catalog = web_and_billing();
    // Nothing is watched where there are no folders to watch: the poll is the only one to tell.
    let mut followed = catalog.follow(&SourceConfig { poll: Duration::from_millis(20), ..config() });
    catalog.write("web.toml", &sidecar("web", "10.0.0.3:1"));
    followed.until(|snapshot| has(snapshot, "web", "10.0.0.3:1 w1")).await;
    let mut followed = catalog.follow(&SourceConfig { settle: Duration::from_secs(3600), ..config() });
    tokio::task::yield_now().await;
    catalog.write("web.toml", &sidecar("web", "10.0.0.4:1"));
    followed.handle.reload();
    followed.until(|snapshot| has(snapshot, "web", "10.0.0.4:1 w1")).await;
}

#[tokio::test]
async fn one_changed_instance_of_many_compiles_one_service() {
    let rows = |changed: u16| -> String {
        let row = |number: u16| {
            sidecar(
                &format!("s{number}"),
                &format!(
                    "10.0.{}.{}:{}",
                    number / 250,
                    number % 250 + 1,
                    if number == 77 { changed } else { 1 }
                ),
            )
        };
        (0..2000).map(row).collect()
    };
    let catalog = Catalog::of(&rows(1));
    let mut followed = catalog.follow(&config());
    let first = followed.reader.current();
    assert_eq!(first.compiled, 2000);
    catalog.replace("rest.toml", &rows(2));
    let snapshot = followed.until(|snapshot| snapshot.generation > 1).await;
    assert_eq!(snapshot.compiled, 1);
    assert!(has(&snapshot, "s77", "10.0.0.78:2 w1"));
    let (old, new) = (first.table.targets(), snapshot.table.targets());
    let shared = old.iter().zip(new).filter(|(old, new)| Arc::ptr_eq(old, new)).count();
    assert_eq!(shared, 1999);
    assert_eq!(followed.handle.status().compiled_total, 2001);
    catalog.replace("rest.toml", &rows(2));
    let snapshot = settled(&catalog, &mut followed, 1).await;
    assert_eq!((snapshot.generation, snapshot.compiled), (3, 1), "the same again is no change");
}

#[tokio::test]
async fn the_last_instance_takes_the_name_with_it() {
    let catalog = web_and_billing();
    let mut followed = catalog.follow(&config());
    catalog.replace("web.toml", "");
    let snapshot = followed.until(|snapshot| !knows(snapshot, "web")).await;
    assert!(knows(&snapshot, "billing"));
}

#[tokio::test]
async fn a_copied_file_is_reported_within_bounds_and_changes_nothing() {
    let rows: String = (1..=5000).map(|port| sidecar("web", &format!("10.0.0.1:{port}"))).collect();
    let catalog = Catalog::of(&rows);
    let mut followed = catalog.follow(&config());
    let before = printed(&followed.reader.current());
    catalog.replace("copy.toml", &rows);
    let snapshot = followed.until(|snapshot| !snapshot.rejected.is_empty()).await;
    assert_eq!((printed(&snapshot), snapshot.compiled), (before, 0));
    assert_eq!(snapshot.rejected.len(), 1001);
    assert!(rejected(&snapshot).contains("4000 more problems"));
    // Broken as well, every row of them.
    catalog.replace("rest.toml", &rows.replace("Port", "Prt"));
    let snapshot = followed.until(|snapshot| rejected(snapshot).contains("Prt")).await;
    assert_eq!(snapshot.table.targets().len(), 1);
    assert_eq!(snapshot.table.targets()[0].endpoints.len(), 5000);
}

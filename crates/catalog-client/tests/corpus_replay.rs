//! Replays the corpora of the fuzz targets on the stable compiler, through the functions that the targets run.
//!
//! The corpora hold the samples of Consul's answers and a table of filters. After a change of either:
//! `UPDATE_CORPUS=1 cargo test -p catalog-client --test corpus_replay`.
#![expect(clippy::unwrap_used, reason = "helpers of tests: what does not fit fails the test")]

#[path = "invariants/answers.rs"]
mod answers;
#[path = "invariants/filter.rs"]
mod filter;
#[path = "invariants/health_rows.rs"]
mod health_rows;

use std::path::{Path, PathBuf};

const FILTERS: [&str; 34] = [
    "",
    "Service.Meta.version == v1",
    "Service.Meta[\"a b\"] != `x\ny`",
    "Service.Meta[ `version` ]==\"\\x31\\061\\u0031\\U00000031\"",
    "\"blue\" in Service.Tags or v1 not in Service.Tags",
    "Service.Tags contains \"gr\\xc3\\xbcn\" and Service.Tags not contains \"\\xff\"",
    "Service.Tags is empty or Service.Meta is not empty",
    "not not Checks.Status != passing",
    "not (Checks.Status == passing and (Checks.CheckID == a or Checks is empty))",
    "Service.Port == 8443 or Service.Port != \"0x20_fb\" or Service.Port == -1",
    "Service.Connect.Native == false and Service.EnableTagOverride != T",
    "Service.TaggedAddresses.wan.Port == 443 and Service.TaggedAddresses[`absent`].Address matches `.`",
    "Service.Proxy.Upstreams.DestinationName in db",
    "db in Service.Proxy.Upstreams.DestinationName",
    "Service.ID matches `^(?i)WEB-\\d+$`",
    "Service.ID matches `^(?P<n>[[:alpha:]]{1,3}|\\Qa.b\\E)*?\\b[^\\w-]`",
    "Service.ID not matches \"\\\\p{Greek}|\\\\PL|[\\\\x41-\\\\x{5a}]|\\\\101\"",
    "Service.ID matches `(((a{10}){10}){10})`",
    "Service.ID matches `[a&&b]--[]a]{,3}`",
    "Service.ID matches `a**`",
    "not == billing",
    "not in Service.Tags",
    "and == or",
    "Service.Nothing == 1",
    "Service.ID is empty",
    "Service.ID == 1.5",
    "Service.ID == 01",
    "Service.ID == \"open",
    "(Service.ID == a",
    "Service.ID == a)",
    "Service.ID",
    "== 1",
    " ",
    "Service.Meta[\"\\xff\"] == a",
];

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

/// Target, file name and input of every seed.
fn seeds() -> Vec<(&'static str, String, Vec<u8>)> {
    let filters = FILTERS.iter().enumerate();
    let mut seeds: Vec<_> = filters
        .map(|(index, text)| ("filter", format!("seed-{index:02}"), text.as_bytes().to_vec()))
        .collect();
    for version in ["1.10.1", "1.21"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(version);
        let mut files: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            let name = file.file_stem().unwrap().to_str().unwrap();
            let body = std::fs::read(&file).unwrap();
            // Long bodies teach a fuzzer nothing that short ones do not.
            let rows = ["health-connect", "health-service"].iter().any(|start| name.starts_with(start));
            if body.len() < 4100 && !name.contains("leaf") {
                seeds.push((
                    if rows { "health_rows" } else { "answers" },
                    format!("seed-{version}-{name}"),
                    body,
                ));
            }
        }
    }
    seeds
}

#[test]
fn every_file_keeps_the_rules() {
    for (target, check) in [
        ("filter", filter::check as fn(&[u8])),
        ("health_rows", health_rows::check),
        ("answers", answers::check),
    ] {
        let mut files = 0;
        for entry in std::fs::read_dir(corpus(target)).unwrap() {
            check(&std::fs::read(entry.unwrap().path()).unwrap());
            files += 1;
        }
        let seeds = seeds().iter().filter(|(of, ..)| *of == target).count();
        assert!(files >= seeds && seeds > 5, "{files} files for {target}");
    }
}

#[test]
fn the_corpora_hold_the_samples_and_the_table() {
    let update = std::env::var_os("UPDATE_CORPUS").is_some();
    for (target, name, input) in seeds() {
        let file = corpus(target).join(&name);
        if update {
            std::fs::write(&file, &input).unwrap();
        }
        assert!(std::fs::read(&file).is_ok_and(|body| body == input), "{target}/{name} is missing or old");
    }
}

//! Replays the fuzz corpus on the stable compiler, through the function that the fuzz target runs.
//!
//! The corpus holds every row of the table of good and hostile bytes. After a change of the table:
//! `UPDATE_CORPUS=1 cargo test -p sni-peek --test corpus_replay`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests: what does not fit fails the test")]

#[path = "shared/build.rs"]
mod build;
#[path = "shared/invariants.rs"]
mod invariants;
#[path = "shared/table.rs"]
mod table;

use std::path::{Path, PathBuf};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/client_hello")
}

/// File names and inputs of the table: the default limit, reads of single bytes.
fn seeds() -> Vec<(String, Vec<u8>)> {
    // Rows of 60 KiB teach a fuzzer nothing that the short ones do not.
    let rows = table::good().into_iter().chain(table::hostile()).filter(|(_, bytes, _)| bytes.len() < 5000);
    rows.map(|(title, bytes, expect)| {
        table::assert_expected(title, &sni_peek::parse(&bytes, &sni_peek::Limits::default()), &expect);
        let name: String = title.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        (format!("seed-{name}"), [&[0, 0][..], &bytes].concat())
    })
    .collect()
}

#[test]
fn every_file_keeps_the_rules() {
    let mut files = 0;
    for entry in std::fs::read_dir(corpus()).unwrap() {
        let input = std::fs::read(entry.unwrap().path()).unwrap();
        invariants::check(&input);
        files += 1;
    }
    assert!(files >= seeds().len(), "{files} files in {}", corpus().display());
}

#[test]
fn hellos_of_real_clients_keep_the_rules() {
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for cuts in 0..8 {
            invariants::check(&[&[0, cuts][..], &bytes].concat());
        }
    }
}

#[test]
fn the_corpus_holds_the_table() {
    let update = std::env::var_os("UPDATE_CORPUS").is_some();
    for (name, input) in seeds() {
        if update {
            std::fs::write(corpus().join(&name), &input).unwrap();
        }
        assert!(
            std::fs::read(corpus().join(&name)).is_ok_and(|file| file == input),
            "{name} is missing or old"
        );
    }
}

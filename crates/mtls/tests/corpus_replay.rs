//! Replays the corpora of the fuzz targets on the stable compiler, through the functions that the targets run.
//!
//! The corpora hold the samples, whole and spoiled in typical ways. After a change of them:
//! `UPDATE_CORPUS=1 cargo test -p mtls --test corpus_replay`.
#![expect(clippy::unwrap_used, reason = "helpers of tests: what does not fit fails the test")]

#[path = "invariants/documents.rs"]
mod documents;
#[path = "invariants/pem.rs"]
mod pem;

use std::fs;
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn files(name: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// A sample, and what may become of it on the way.
fn spoiled(sample: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let text = String::from_utf8(sample.to_vec()).unwrap();
    let half = sample.get(..sample.len() / 2).unwrap().to_vec();
    vec![
        ("whole", sample.to_vec()),
        ("half", half),
        (
            "joined",
            text.replace("-----\n-----", "----------").replace("-----\\n-----", "----------").into_bytes(),
        ),
        ("crlf", text.replace("\\n", "\\r\\n").into_bytes()),
        ("other-letters", text.replace("MII", "MIJ").into_bytes()),
        ("null", text.replace("true", "null").into_bytes()),
    ]
}

/// Target, file name and input of every seed.
fn seeds() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (target, name) in [
        ("documents", "tests/samples/consul-1.10.1"),
        ("documents", "tests/samples/consul-1.21"),
        ("pem", "tests/samples/openssl"),
    ] {
        for file in files(name) {
            let sample = fs::read(&file).unwrap();
            let stem = file.file_name().unwrap().to_str().unwrap().to_owned();
            // Long bodies teach a fuzzer nothing that short ones do not.
            if stem == "make" || sample.len() > 6000 {
                continue;
            }
            let version = name.rsplit('-').next().unwrap().rsplit('/').next().unwrap();
            let spoiled = spoiled(&sample).into_iter();
            seeds.extend(spoiled.map(|(how, input)| (target, format!("seed-{version}-{stem}-{how}"), input)));
        }
    }
    let settings = r#"{"TLSMinVersion":"TLSv1_2","TLSMaxVersion":"TLS_AUTO","CipherSuites":["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256","x"]}"#;
    seeds.push(("documents", "seed-direction".to_owned(), settings.into()));
    seeds
}

#[test]
fn every_file_keeps_the_rules() {
    for (target, check) in [("documents", documents::check as fn(&[u8])), ("pem", pem::check)] {
        let inputs = files(&format!("fuzz/corpus/{target}"));
        for file in &inputs {
            check(&fs::read(file).unwrap());
        }
        let seeds = seeds().iter().filter(|(of, ..)| *of == target).count();
        assert!(inputs.len() >= seeds && seeds > 5, "{} files for {target}", inputs.len());
    }
}

#[test]
fn the_corpora_hold_the_samples() {
    let update = std::env::var_os("UPDATE_CORPUS").is_some();
    for (target, name, input) in seeds() {
        let file = folder("fuzz/corpus").join(target).join(&name);
        if update {
            fs::write(&file, &input).unwrap();
        }
        assert!(fs::read(&file).is_ok_and(|body| body == input), "{target}/{name} is missing or old");
    }
}

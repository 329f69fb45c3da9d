//! Replays the corpora of the fuzz targets on the stable compiler, through the functions that the targets run.
//!
//! The corpora hold the samples of Consul's answers and the tables of this file. After a change of either:
//! `UPDATE_CORPUS=1 cargo test -p intentions --test corpus_replay`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests: what does not fit fails the test"
)]

#[path = "invariants/check.rs"]
mod check;
#[path = "invariants/normalize.rs"]
mod normalize;
#[path = "invariants/parse.rs"]
mod parse;

use std::path::{Path, PathBuf};

const TARGETS: [&str; 20] = [
    "/",
    "/value/secret?a=%2F",
    "/value//secret",
    "/x/../value/./secret",
    "/../../%73ecret%7E",
    "/a\\..\\b",
    "/a%2Fb%5cc%252F",
    "/%2e%2E/.%2e/x",
    "/%2%65%%32F%zz%",
    "/a%00",
    "/%2F%5Cevil.example",
    "http://h/v1/../secret?x",
    "https://h",
    "h:443",
    "*",
    "/a#b",
    "/a b",
    "/é?é",
    "//./..//",
    "?x",
];

const CHECKS: [&str; 10] = [
    r#"[{"SourceName":"web","DestinationName":"api","Action":"allow"}]
spiffe://t.consul/ns/default/dc/dc1/svc/web
GET /"#,
    r#"[{"SourceName":"web","DestinationName":"api","Action":"deny"},{"SourceName":"*","DestinationName":"*","Action":"allow"}]
spiffe://t.consul/ns/default/dc/dc1/svc/w%65b
GET /"#,
    r#"[{"SourceNS":"*","SourceName":"*","DestinationNS":"*","DestinationName":"*","Action":"allow"}]
spiffe://t.consul/ap/part1/ns/team/dc/dc1/svc/web
POST /a"#,
    r#"[{"SourceName":"*","SourcePeer":"peer1","DestinationName":"api","Permissions":[{"Action":"allow","HTTP":{"PathPrefix":"/a"}}]}]
spiffe://t.consul/gateway/mesh/dc/dc1
GET /a/b
x-forwarded-client-cert:By=spiffe://t.consul/gateway/mesh/dc/dc1;Hash=00;URI=spiffe://p.consul/ns/default/dc/dc1/svc/web"#,
    r#"[{"SourceName":"web","DestinationName":"api","Permissions":[{"Action":"deny","HTTP":{"Header":[{"Name":"x-role","Exact":"a,b","Invert":true}]}},{"Action":"allow","HTTP":{"PathRegex":"/v[12]|/\\d+","Methods":["GET"]}}]}]
spiffe://t.consul/ns/default/dc/dc1/svc/web
GET /v1
x-role:a
x-role:b"#,
    r#"[{"SourceName":"web","DestinationName":"api","Permissions":[{"Action":"allow","HTTP":{"Header":[{"Name":"x","Contains":"A","IgnoreCase":true},{"Name":"y","Suffix":"z"},{"Name":"host","Prefix":"h"},{"Name":":path","Regex":"/.*"}]}}]}]
spiffe://t.consul/ns/default/dc/dc1/svc/web
GET /v1
x: bab
y:xyz
host:h:80"#,
    r#"[{"SourceName":"web","DestinationName":"api","JWT":{"Providers":[{"Name":"okta"}]},"Action":"allow"},{"SourceName":"cron","DestinationName":"api","Permissions":[{"Action":"allow","HTTP":{"PathExact":"/"},"JWT":{}}]}]
spiffe://t.consul/ns/default/dc/dc1/svc/web
GET /"#,
    r#"[{"SourceName":["web"],"DestinationName":"api","Action":"deny"},{"SourceName":"web","DestinationName":"api","Action":"allow"}]
spiffe://t.consul/agent/client/dc/dc1/id/node
GET /"#,
    r#"[{"SourceName":"web","DestinationName":"api","Permissions":[{"Action":"deny","HTTP":{"PathRegex":"("}},{"Action":"allow","HTTP":{"PathPrefix":"/","New":1}}]}]
spiffe://t.consul/ns/default/dc/dc1/svc/web
CONNECT h:443"#,
    r#"[{"SourceName":"web","DestinationName":"api","Action":"allow"},{"SourceName":"web","SourcePartition":"default","DestinationName":"api","Action":"deny"}]
spiffe://p.consul/ns/default/dc/dc1/svc/web
OPTIONS *"#,
];

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

/// Target, file name and input of every seed.
fn seeds() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (index, target) in TARGETS.iter().enumerate() {
        // Two choices of method and options for each.
        for choice in [1, (index * 37 + 6) as u8] {
            let input = [&[choice][..], target.as_bytes()].concat();
            seeds.push(("normalize", format!("seed-{index:02}-{choice:02x}"), input));
        }
    }
    for (index, text) in CHECKS.iter().enumerate() {
        seeds.push(("check", format!("seed-{index:02}"), text.as_bytes().to_vec()));
        let rows = text.lines().next().unwrap();
        seeds.push(("parse", format!("seed-{index:02}"), rows.as_bytes().to_vec()));
        seeds.push(("parse", format!("seed-{index:02}-match"), format!("{{\"api\":{rows}}}").into_bytes()));
    }
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    for version in ["1.8.7", "1.10.1", "1.21"] {
        for file in std::fs::read_dir(samples.join(version)).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            // The key of the answer is the one that the rules ask for.
            let text = std::fs::read_to_string(&path).unwrap().replacen("\"billing\": [", "\"api\": [", 1);
            seeds.push(("parse", format!("seed-{version}-{name}"), text.into_bytes()));
        }
    }
    seeds
}

#[test]
fn every_file_keeps_the_rules() {
    for (target, rules) in [
        ("parse", parse::check as fn(&[u8])),
        ("normalize", normalize::check as fn(&[u8])),
        ("check", check::check as fn(&[u8])),
    ] {
        let mut files = 0;
        for entry in std::fs::read_dir(corpus(target)).unwrap() {
            rules(&std::fs::read(entry.unwrap().path()).unwrap());
            files += 1;
        }
        let expected = seeds().iter().filter(|(name, _, _)| *name == target).count();
        assert!(files >= expected, "{files} files for {target}");
    }
}

#[test]
fn the_corpus_holds_the_tables() {
    let update = std::env::var_os("UPDATE_CORPUS").is_some();
    for (target, name, input) in seeds() {
        let path = corpus(target).join(&name);
        if update {
            std::fs::write(&path, &input).unwrap();
        }
        assert!(std::fs::read(&path).is_ok_and(|file| file == input), "{} is missing or old", path.display());
    }
}

//! Intentions: judging a connection and a request, and compiling, for destinations with few and many of them.

#![allow(missing_docs, reason = "criterion's macros make public items without docs")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use gateway_benches::TRUST_DOMAIN;
use http::{HeaderMap, HeaderValue, Method};
use intentions::{
    DefaultPolicy, Destination, LocalMesh, Normalization, NormalizedPath, Outcome, Parsed, Protocol,
    RequestHead, RuleSet, Source, parse_list,
};
use mesh_id::{ServiceName, SpiffeId, TrustDomain};

const SIZES: [usize; 3] = [10, 100, 10_000];

/// `sources` intentions of which every second has ten permissions, and wildcards below them.
fn answer(sources: usize) -> String {
    let permissions: Vec<_> = (0..10)
        .map(|number| {
            format!(
                r#"{{"Action":"allow","HTTP":{{"PathPrefix":"/v{number}/","Methods":["GET","HEAD"],"Header":[{{"Name":"x-role","Exact":"ops"}}]}}}}"#
            )
        })
        .collect();
    let permissions = permissions.join(",");
    let mut rows: Vec<_> = (0..sources.saturating_sub(2))
        .map(|number| {
            let rule = match number % 2 {
                0 => r#""Action":"allow""#.to_owned(),
                _ => format!(r#""Permissions":[{permissions}]"#),
            };
            row(&format!("service-{number:05}"), "api", &rule, 9)
        })
        .collect();
    rows.push(row("*", "api", r#""Action":"deny""#, 8));
    rows.push(row("*", "*", r#""Action":"deny""#, 5));
    format!("[{}]", rows.join(","))
}

fn row(source: &str, destination: &str, rule: &str, precedence: u8) -> String {
    format!(
        r#"{{"SourceNS":"default","SourceName":"{source}","DestinationNS":"default","DestinationName":"{destination}","SourceType":"consul",{rule},"Precedence":{precedence},"CreateIndex":7,"ModifyIndex":7}}"#
    )
}

fn caller(name: &str) -> Option<SpiffeId> {
    SpiffeId::parse(&format!("spiffe://{TRUST_DOMAIN}/ns/default/dc/dc1/svc/{name}")).ok()
}

struct Scene {
    parsed: Parsed,
    destination: Destination,
    mesh: LocalMesh,
}

impl Scene {
    fn new(sources: usize) -> Option<Self> {
        Some(Self {
            parsed: parse_list(answer(sources).as_bytes()).ok()?,
            destination: Destination::new(ServiceName::parse("api").ok()?),
            mesh: LocalMesh::new(TrustDomain::parse(TRUST_DOMAIN).ok()?),
        })
    }

    fn compile(&self) -> RuleSet {
        RuleSet::compile(&self.destination, &self.parsed.intentions, DefaultPolicy::Deny, &self.mesh)
    }
}

fn intentions(c: &mut Criterion) {
    for size in SIZES {
        let Some(scene) = Scene::new(size) else { return };
        let rules = scene.compile();
        connections(c, &rules, size);
        requests(c, &rules, size);

        let mut group = c.benchmark_group("intentions-build");
        group.sample_size(10);
        let body = answer(size);
        group.bench_function(BenchmarkId::new("parse", size), |b| b.iter(|| parse_list(body.as_bytes())));
        group.bench_function(BenchmarkId::new("compile", size), |b| b.iter(|| scene.compile()));
        group.finish();
    }
    normalization(c);
}

fn connections(c: &mut Criterion, rules: &RuleSet, size: usize) {
    // In the middle, an even number: allowed.
    let exact = format!("service-{:05}", size / 4 * 2);
    let (Some(exact), Some(wildcard)) = (caller(&exact), caller("stranger")) else { return };
    let mut group = c.benchmark_group("intentions-connection");
    for (case, id) in [("exact", &exact), ("wildcard", &wildcard)] {
        group.bench_function(BenchmarkId::new(case, size), |b| {
            b.iter(|| rules.check_connection(Source::Direct(black_box(id)), Protocol::Tcp));
        });
    }
    group.finish();
}

/// Ten permissions; the last one matches, or none.
fn requests(c: &mut Criterion, rules: &RuleSet, size: usize) {
    let Some(id) = caller(&format!("service-{:05}", size / 4 * 2 - 1)) else { return };
    let mut headers = HeaderMap::new();
    for name in ["host", "user-agent", "accept", "x-request-id"] {
        headers.insert(name, HeaderValue::from_static("value"));
    }
    headers.insert("x-role", HeaderValue::from_static("ops"));
    let mut group = c.benchmark_group("intentions-request");
    for (case, target) in [("last-of-10", "/v9/accounts/4711?page=2"), ("none-of-10", "/v10/accounts")] {
        let options = Normalization::default();
        let Outcome::Path(path) = NormalizedPath::normalize(&Method::GET, target, &options) else { return };
        let head = RequestHead {
            method: &Method::GET,
            path: &path,
            authority: None,
            scheme: None,
            headers: &headers,
        };
        let source = Source::Direct(&id);
        if rules.check_request(source, &head).is_ok() != (case == "last-of-10") {
            return;
        }
        group.bench_function(BenchmarkId::new(case, size), |b| {
            b.iter(|| rules.check_request(black_box(source), &head));
        });
    }
    group.finish();
}

fn normalization(c: &mut Criterion) {
    let options = Normalization::default();
    let mut group = c.benchmark_group("intentions-normalize");
    for (case, target) in
        [("plain", "/v9/accounts/4711?page=2"), ("dots", "/v9/./x/../accounts/%34711?page=2")]
    {
        group.bench_function(case, |b| {
            b.iter(|| NormalizedPath::normalize(&Method::GET, black_box(target), &options));
        });
    }
    group.finish();
}

criterion_group!(benches, intentions);
criterion_main!(benches);

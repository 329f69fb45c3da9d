//! The name table: looking a name up, building a snapshot from files, following one change.

#![allow(missing_docs, reason = "criterion's macros make public items without docs")]

use std::fs;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use gateway_benches::{TRUST_DOMAIN, catalog, name};
use gateway_state::mesh::MeshRole;
use gateway_state::{FileSource, SourceConfig};

const SIZES: [usize; 3] = [10, 1_000, 10_000];

fn table(c: &mut Criterion) {
    let config = SourceConfig::default();
    for size in SIZES {
        let Ok(folder) = tempfile::tempdir() else { return };
        let file = folder.path().join("mesh.toml");
        if fs::write(&file, catalog(size)).is_err() {
            return;
        }
        let Ok(loaded) = FileSource::<MeshRole>::load(folder.path(), &config) else { return };
        let snapshot = loaded.reader.current();
        let table = &snapshot.table;

        let (known, unknown) = (name(size / 2), name(size));
        let remote = format!("web.default.dc9.internal.{TRUST_DOMAIN}");
        let mut group = c.benchmark_group("lookup");
        for (case, name) in [("known", &known), ("unknown", &unknown), ("unknown-datacenter", &remote)] {
            group.bench_function(BenchmarkId::new(case, size), |b| {
                b.iter(|| table.lookup(std::hint::black_box(name)).map(|found| found.index));
            });
        }
        group.finish();

        let mut group = c.benchmark_group("build");
        group.sample_size(10);
        for (format, text) in [("toml", catalog(size)), ("json", as_json(size))] {
            let Ok(folder) = tempfile::tempdir() else { return };
            if fs::write(folder.path().join(format!("mesh.{format}")), text).is_err() {
                return;
            }
            group.bench_function(BenchmarkId::new(format, size), |b| {
                b.iter(|| {
                    FileSource::<MeshRole>::load(folder.path(), &config).map(|loaded| loaded.reader.current())
                });
            });
        }
        group.finish();
    }
}

fn as_json(services: usize) -> String {
    let row = |index: usize| {
        let (high, low) = (index / 250, index % 250 + 1);
        format!(
            r#"{{"Service":"service-{index:05}","Kind":"connect-proxy","Address":"10.0.{high}.{low}","Port":21000}}"#
        )
    };
    let rows: Vec<_> = (0..services).map(row).collect();
    format!(
        r#"{{"Mesh":{{"Datacenter":"dc1","TrustDomain":"{TRUST_DOMAIN}"}},"Instance":[{}]}}"#,
        rows.join(",")
    )
}

criterion_group!(benches, table);
criterion_main!(benches);

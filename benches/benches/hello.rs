//! Reading a ClientHello: the usual one, a post-quantum one, and ones made to cost time.

#![allow(missing_docs, reason = "criterion's macros make public items without docs")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use gateway_benches::{hello, in_records, name};
use sni_peek::{HelloReader, Limits, Parsed, parse};

fn hellos(c: &mut Criterion) {
    let limits = Limits::default();
    let usual = hello(&name(7), 32);
    let mut group = c.benchmark_group("hello");
    let cases = [
        ("usual", usual.clone()),
        ("post-quantum", hello(&name(7), 1_216)),
        ("two-records", in_records(&usual, usual.len() / 2)),
        ("records-of-one-byte", in_records(&usual, 1)),
    ];
    for (case, bytes) in cases {
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(case, |b| {
            b.iter(|| match parse(&bytes, &limits) {
                Parsed::Hello(hello) => hello.server_name().map(str::len),
                _ => None,
            });
        });
    }
    let slow = in_records(&hello(&name(7), 8_000), 1);
    group.throughput(Throughput::Bytes(slow.len() as u64));
    group.bench_function("byte-by-byte-in-records-of-one-byte", |b| {
        b.iter_batched(
            || HelloReader::new(limits),
            |mut reader| {
                for byte in &slow {
                    let more = matches!(reader.push(&[*byte]), Parsed::NeedMore { .. });
                    std::hint::black_box(more);
                }
                reader
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, hellos);
criterion_main!(benches);

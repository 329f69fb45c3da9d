//! The work is counted, not timed.

use super::*;
use crate::parse;

/// A hello of `length` message bytes in records of `size`, all padding in one extension.
fn hello(length: usize, size: usize) -> Vec<u8> {
    let u16 = |value: usize| u16::try_from(value).unwrap().to_be_bytes();
    let mut message = vec![1, 0];
    message.extend(u16(length - 4));
    message.extend([3, 3]);
    message.extend([0; 33]);
    message.extend([0, 2, 0x13, 1, 1, 0]);
    message.extend(u16(length - message.len() - 2));
    message.extend([0, 21]);
    message.extend(u16(length - message.len() - 2));
    message.resize(length, 0);
    let records = message.chunks(size).flat_map(|chunk| {
        let length = u16(chunk.len());
        [&[22, 3, 1, length[0], length[1]], chunk].concat()
    });
    records.collect()
}

/// Steps of the scan when `bytes` come in pieces of `piece`.
fn steps(bytes: &[u8], piece: usize) -> usize {
    let mut reader = HelloReader::new(Limits::default());
    for (index, chunk) in bytes.chunks(piece).enumerate() {
        let last = (index + 1) * piece >= bytes.len();
        assert_eq!(matches!(reader.push(chunk), Parsed::Hello(_)), last);
    }
    reader.scan.steps
}

#[test]
fn work_is_proportional_to_the_bytes() {
    for (length, size) in [(10_900, 1), (10_900, 2), (50_000, 16_000), (12_000, 16_384)] {
        let bytes = hello(length, size);
        for piece in [1, 7, 1000, bytes.len()] {
            let steps = steps(&bytes, piece);
            // A byte is passed once, a record costs two steps more, a push at most one.
            let records = length.div_ceil(size);
            let bound = 2 * records + bytes.len().div_ceil(piece) + 10;
            assert!(steps <= bound, "{length} in {size}, pieces of {piece}: {steps} > {bound}");
        }
    }
}

#[test]
fn an_announced_length_costs_nothing() {
    let bytes = hello(60_000, 16_000);
    let mut reader = HelloReader::new(Limits::default());
    assert_eq!(reader.capacity(), 0);
    assert_eq!(reader.push(&bytes[..9]), Parsed::NeedMore { at_least: bytes.len() });
    assert!(reader.capacity() <= 64);
    let _ = reader.push(&bytes[9..1000]);
    assert!(reader.capacity() <= 2000);
}

#[test]
fn a_verdict_stays() {
    let mut reader = HelloReader::new(Limits::default());
    let http = parse(b"GET", &Limits::default());
    assert_eq!(reader.push(b"GE"), http);
    assert_eq!(reader.push(b"T"), http);
    let bytes = hello(100, 40);
    let mut reader = HelloReader::new(Limits::default());
    let _ = reader.push(&bytes);
    assert_eq!(reader.push(b"more"), parse(&bytes, &Limits::default()));
    assert_eq!(reader.into_bytes(), [&bytes[..], b"more"].concat());
}

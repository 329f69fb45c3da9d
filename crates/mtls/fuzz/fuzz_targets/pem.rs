//! Any bytes as PEM: roots, leaves, keys, and certificates of external services. The rules live in one file, shared with the stable
//! replay of the corpus.
#![no_main]

#[path = "../../tests/invariants/pem.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|input: &[u8]| invariants::check(input));

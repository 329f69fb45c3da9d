//! Any bytes as the start of a connection. The rules live in one file, shared with the stable replay of the corpus.
#![no_main]

#[path = "../../tests/shared/invariants.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|input: &[u8]| invariants::check(input));

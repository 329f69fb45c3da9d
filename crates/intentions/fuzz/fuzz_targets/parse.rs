//! Any bytes as documents of intentions. The rules live in one file, shared with the stable replay of the corpus.
#![no_main]

#[path = "../../tests/invariants/parse.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|input: &[u8]| invariants::check(input));

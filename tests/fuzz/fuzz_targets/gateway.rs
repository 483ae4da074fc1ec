//! For cargo-fuzz: see `bully_tests::fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bully_tests::fuzz::gateway(data));

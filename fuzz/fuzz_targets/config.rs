//! The target of this name in `circus_tests::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| circus_tests::fuzz::config(bytes));

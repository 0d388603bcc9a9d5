//! Fuzzes the parser of policy files; see `tests/fuzz.sh`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| poolwarden_tests::fuzz::policy_file(bytes));

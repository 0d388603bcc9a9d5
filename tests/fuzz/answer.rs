//! Fuzzes what the host makes of a plugin's answer; see `tests/fuzz.sh`.
#![no_main]

use std::sync::LazyLock;

use poolwarden_tests::fuzz::Answers;

static ANSWERS: LazyLock<Answers> = LazyLock::new(Answers::default);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ANSWERS.try_one(bytes));

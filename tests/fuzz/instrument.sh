#!/bin/sh
# Compiles one of our own crates with libFuzzer's coverage; cargo calls it with rustc and its arguments.
case " $* " in
    # A build script is no part of what is fuzzed, and has nothing to report its coverage to.
    *" --crate-name build_script_build "*) exec "$@" ;;
esac
exec "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1

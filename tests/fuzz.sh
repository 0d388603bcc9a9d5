#!/usr/bin/env bash
# Drives the fuzzers: what the host makes of a plugin's answer, and the parser of policy files.
#
# libFuzzer, linked into plain binaries of the tests' crate. Only our own crates are instrumented
# (RUSTC_WORKSPACE_WRAPPER), so that the dependencies of an ordinary build serve; that needs no nightly.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: tests/fuzz.sh [--seconds N] [answer|policy_file …]

Fuzzes each target for N seconds (600), one process each and side by side, starting from
tests/fuzz/corpus/. What is new is added to the corpus, made as small as it may be. A finding
ends the run with exit code 1 and is left in target/fuzz/.

examples:
  tests/fuzz.sh
  tests/fuzz.sh --seconds 60 policy_file
USAGE
}

seconds=600
targets=()
while (($#)); do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --seconds) seconds=${2:?"--seconds needs a number"}; shift ;;
        answer | policy_file) targets+=("$1") ;;
        *) usage >&2; exit 2 ;;
    esac
    shift
done
((${#targets[@]})) || targets=(answer policy_file)

cd "$(dirname "${BASH_SOURCE[0]}")/.."
plugins/build.sh --fixtures answers-anything

out=${CARGO_TARGET_DIR:-target}/fuzz
mkdir -p "$out"
wrapper=$PWD/tests/fuzz/instrument.sh
bins=()
for target in "${targets[@]}"; do bins+=(--bin "fuzz-$target"); done
# A folder of its own for what is instrumented; dependencies come from the ordinary build.
RUSTC_WORKSPACE_WRAPPER=$wrapper cargo build -p poolwarden-tests --features fuzz "${bins[@]}" --locked

status=0
pids=()
for target in "${targets[@]}"; do
    corpus=tests/fuzz/corpus/$target
    found=$out/$target
    mkdir -p "$corpus" "$found"
    # Beside its own profile's folders, where the guest is looked for.
    binary=${CARGO_TARGET_DIR:-target}/debug/deps/fuzz-run-$target
    cp "${CARGO_TARGET_DIR:-target}/debug/fuzz-$target" "$binary"
    "$binary" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -max_len=4096 \
        -artifact_prefix="$out/finding-$target-" -print_final_stats=1 "$found" "$corpus" \
        >"$out/$target.log" 2>&1 &
    pids+=($!)
done
trap 'kill "${pids[@]}" 2>/dev/null || true' INT TERM
for at in "${!targets[@]}"; do
    target=${targets[at]}
    if wait "${pids[at]}"; then
        "${CARGO_TARGET_DIR:-target}/debug/deps/fuzz-run-$target" -merge=1 -max_len=4096 \
            "tests/fuzz/corpus/$target" "$out/$target" >>"$out/$target.log" 2>&1
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$target.log" | head -n 1)
        echo "$target: clean for $seconds s, $runs runs, $(ls "tests/fuzz/corpus/$target" | wc -l) files in its corpus"
    else
        status=1
        echo "$target: a finding; the end of $out/$target.log:" >&2
        tail -n 40 "$out/$target.log" >&2
    fi
done
exit "$status"

#!/usr/bin/env bash
# All gates of the repository: formatting, lints, licences, tests. What passes here passes in CI.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: tests/run.sh [--fast] [TEST FILTER…]

Installs what is missing, builds the plugins and the test guests, then runs in this order:
  cargo fmt --check · cargo clippy -D warnings · cargo deny check (if installed) · all tests
(with cargo-nextest if installed). The last line says whether all passed.

  --fast      only the tests
  -h, --help  this text

examples:
  tests/run.sh
  tests/run.sh --fast sandbox
USAGE
}

fast=
filters=()
for argument in "$@"; do
    case $argument in
        -h | --help) usage; exit 0 ;;
        --fast) fast=yes ;;
        -*) usage >&2; exit 2 ;;
        *) filters+=("$argument") ;;
    esac
done

cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/prerequisites.sh

step=start
finish() {
    local status=$?
    if ((status == 0)); then
        [[ -n ${POOLWARDEN_TEST_PGBOUNCER_NEW:-} ]] || say "without tests on a newer PgBouncer"
        say "PASSED"
    else
        say "FAILED in: $step"
    fi
}
trap finish EXIT

run() {
    step=$*
    say "$step"
    "$@"
}

step="installing what is missing"
need_servers
want_newer_pgbouncer
need_compiler
need_rust
need_languages
run plugins/build.sh
run plugins/build.sh --fixtures
# The live tests kill it, so they need it as a program.
run cargo build -p poolwarden --bin poolwarden --locked
run plugins/examples/build.sh
run plugins/sdk/c/generate.sh --check

if [[ -z $fast ]]; then
    run cargo fmt --all --check
    run cargo clippy --workspace --all-targets --locked -- -D warnings
    if cargo deny --version >/dev/null 2>&1; then
        run cargo deny check licenses bans sources
        if cargo deny fetch db >/dev/null 2>&1; then
            run cargo deny check advisories
        else
            say "the advisory database cannot be fetched: advisories are not checked"
        fi
    else
        say "cargo-deny is not installed: licences and advisories are not checked"
    fi
fi

if cargo nextest --version >/dev/null 2>&1; then
    run cargo nextest run --workspace --locked --no-fail-fast "${filters[@]}"
else
    run cargo test --workspace --locked --no-fail-fast -- "${filters[@]}"
fi

#!/usr/bin/env bash
# The scenario suite: Poolwarden against static pool sizes, on real servers.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: tests/scenarios.sh [OPTION…]

Installs what is missing, builds plugins, sidecar (release) and driver, runs ten scenarios with
static pools of 5 and 20, the best static one in hindsight, and Poolwarden, five times each, and
writes the part "Scenarios" of BENCHMARKS.md. Each run is a line of JSON in target/scenarios/.

Takes about 50 minutes on two processors that nothing else uses. Servers run on loopback, in
temporary folders that are removed, also after Ctrl-C.

  --scenario NAME    only this one; may be given several times (then the table is only printed)
  --variant VARIANT  only this size, `best` or `poolwarden`; may be given several times
  --runs N           runs of each variant (5)
  --jobs N           runs at a time (12); peaks (burst, ramp, wave) count as two, and the one about
                     the processor runs alone
  --seed N           first seed (1); one seed is the same requests for every variant
  --quick            a quarter of the length, one run: a look whether all works
  --sidecar PROGRAM  another sidecar; then none is built
  --out FOLDER       where records and the sidecars' logs go (target/scenarios)
  --print            print the table and leave BENCHMARKS.md alone
  --continue RECORD  go on with an earlier record: only what it does not have yet is run
  --report RECORD    run nothing, write the table of an earlier record
  --list             name the scenarios
  -h, --help         this text

examples:
  tests/scenarios.sh
  tests/scenarios.sh --scenario burst --variant poolwarden --runs 1
  tests/scenarios.sh --continue target/scenarios/20261123-171000.jsonl --scenario slow-database --runs 15
  tests/scenarios.sh --report target/scenarios/20261123-171000.jsonl --print
USAGE
}

builds_sidecar=yes
for argument in "$@"; do
    case $argument in
        -h | --help) usage; exit 0 ;;
        --sidecar | --sidecar=* | --report | --report=* | --list) builds_sidecar= ;;
    esac
done

cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/prerequisites.sh

need_servers
need_compiler
need_rust
if [[ -n $builds_sidecar ]]; then
    plugins/build.sh
    cargo build --release --locked -p poolwarden --bin poolwarden
fi
# The driver mostly waits: its dependencies are optimised in this profile too.
cargo build --locked -p poolwarden-tests --bin scenarios
target=${CARGO_TARGET_DIR:-target}
exec "$target/debug/scenarios" "$@"

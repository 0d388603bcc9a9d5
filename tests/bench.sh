#!/usr/bin/env bash
# All benchmarks of the repository, and the page of their results.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: tests/bench.sh [WHAT…]

Installs what is missing, builds the plugins and the sidecar in release, measures, and writes
BENCHMARKS.md. With WHAT, measures only that and prints it:

  evaluate    a plugin through Wasm against the same function called natively
  rules       20 rules in CEL, and one of them as a Rust plugin and in Rego (regorus)
  tick        a whole tick against the bare console round trips that it needs
  overload    from the first waiter to the verified resize, on the whole sidecar
  http        decision queries against a bare axum route
  idle        memory and CPU at idle beside PyPI's prometheus-pgbouncer-exporter
  reload      taking over a plugin, and a write to the store
  languages   the example policy in four languages: time, memory, hot reload

Takes about five minutes. Servers run on loopback, in a temporary folder that is removed.

  -h, --help  this text

examples:
  tests/bench.sh
  tests/bench.sh evaluate tick
USAGE
}

for argument in "$@"; do
    case $argument in
        -h | --help) usage; exit 0 ;;
        -*) usage >&2; exit 2 ;;
    esac
done

cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/prerequisites.sh

need_servers
need_compiler
need_rust
plugins/build.sh
plugins/build.sh --fixtures threshold
cargo build --release --locked -p poolwarden

# The interpreter that one rule is measured beside.
if (($# == 0)) || [[ " $* " == *" rules "* ]]; then
    rego_dir=${CARGO_TARGET_DIR:-target}/rego
    cargo build --release --locked --manifest-path tests/rego/Cargo.toml --target-dir "$rego_dir"
    REGO_BENCH=$(realpath -s "$rego_dir/release/rego") && export REGO_BENCH
fi

if (($# == 0)) || [[ " $* " == *" languages "* ]]; then
    need_languages
    POOLWARDEN=$(realpath "${CARGO_TARGET_DIR:-target}/release/poolwarden") plugins/examples/build.sh
fi

# The exporter that is measured beside the sidecar; without Python its row is left out.
wants_exporter() { (($# == 0)) || [[ " $* " == *" idle "* ]]; }
if wants_exporter "$@"; then
    venv=${CARGO_TARGET_DIR:-target}/exporter-venv
    if ! [[ -x $venv/bin/pgbouncer-exporter ]]; then
        say "installing prometheus-pgbouncer-exporter into $venv"
        if ! { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet --no-deps \
            prometheus-pgbouncer-exporter psycopg2-binary prometheus_client python-json-logger \
            pyyaml; }; then
            say "the exporter cannot be installed (Debian: python3-venv): its row is left out"
            rm -rf "$venv"
        fi
    fi
    [[ -x $venv/bin/python ]] && EXPORTER_PYTHON=$(realpath -s "$venv/bin/python") &&
        export EXPORTER_PYTHON
fi

cargo bench --locked -p poolwarden-tests --bench bench -- "$@"

#!/usr/bin/env bash
# From a fresh Debian machine to Poolwarden's demo: installs what is missing, builds, runs.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: deploy/demo.sh [DEMO OPTION…]

Installs what is missing (PostgreSQL, PgBouncer, a C compiler, Rust), builds Poolwarden and its plugins, and
runs `poolwarden demo` with the options given here. Each thing that gets installed is named.

The demo starts a PostgreSQL and a PgBouncer of its own, in a temporary folder and on free loopback ports. It
touches no server that already runs, and leaves no process and no file behind.

  --keep-running   an option of the demo: stay until Ctrl-C, to ask it over HTTP
  -h, --help       this text

examples:
  deploy/demo.sh
  deploy/demo.sh --keep-running
USAGE
}

for argument in "$@"; do
    case $argument in
        -h | --help) usage; exit 0 ;;
    esac
done

cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/prerequisites.sh

need_servers
need_compiler
need_rust

say "building the plugins"
plugins/build.sh
say "building poolwarden (the first time takes some minutes)"
cargo build --release --quiet --package poolwarden
exec "${CARGO_TARGET_DIR:-target}/release/poolwarden" demo "$@"

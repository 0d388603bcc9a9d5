#!/usr/bin/env bash
# Writes the C bindings of the contract anew, or proves that they are current.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: plugins/sdk/c/generate.sh [--check]

Writes plugins/sdk/c/bindings from plugins/wit/v1 with wit-bindgen. They are checked in, so that an
author needs no generator.

  --check     write nothing, and fail when they are behind the contract
  -h, --help  this text

examples:
  plugins/sdk/c/generate.sh
  plugins/sdk/c/generate.sh --check
USAGE
}

check=
for argument in "$@"; do
    case $argument in
        --check) check=yes ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
done

cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
folder=plugins/sdk/c/bindings
generator=plugins/sdk/c/generate
target=${CARGO_TARGET_DIR:-target}/generate-c-bindings

# The generator need not run again when neither it nor the contract has changed since the last proof.
proof=$target/proven
sum=$(cat plugins/wit/v1/* "$generator"/Cargo.* "$generator"/src/* "$folder"/* | sha256sum)
if [[ -n $check && -f $proof && $(<"$proof") == "$sum" ]]; then
    echo "the C bindings are those of the contract (proven before)"
    exit
fi
out=$folder
if [[ -n $check ]]; then
    out=$(mktemp -d)
    trap 'rm -rf "$out"' EXIT
fi
CARGO_TARGET_DIR=$target cargo run --quiet --locked --manifest-path "$generator/Cargo.toml" -- \
    plugins/wit/v1 "$out"
if [[ -n $check ]]; then
    diff -r "$out" "$folder" >&2 ||
        { echo "the C bindings are behind the contract: run plugins/sdk/c/generate.sh" >&2; exit 1; }
    printf '%s' "$sum" >"$proof"
    echo "the C bindings are those of the contract"
fi

#!/usr/bin/env bash
# Builds policy plugins from plugins/ and puts them where the sidecar looks.
#
# The result is a core module for wasm32-unknown-unknown that carries the contract's types in a
# custom section; the sidecar makes the component itself: an author needs cargo and nothing else.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: plugins/build.sh [--fixtures] [NAME…]

Builds the shipped plugins to policies/<name>.wasm; with --fixtures the test guests to
${CARGO_TARGET_DIR:-target}/fixtures/<name>.wasm. NAME limits it to those: a folder of plugins/,
or of plugins/fixtures/ with --fixtures. Only what changed is built and replaced.

  --fixtures  build the misbehaving guests that the tests use
  -h, --help  this text

Toolchain, the first that works:
  1. the active Rust toolchain, when it has the target wasm32-unknown-unknown
  2. the same after `rustup target add wasm32-unknown-unknown`
  3. Debian's rustc-web and rust-web-src, with the standard library built from source, and a
     linker (rustup's or package lld); installed with apt-get as root or with passwordless sudo

examples:
  plugins/build.sh                     all shipped plugins
  plugins/build.sh autosize            one of them
  plugins/build.sh --fixtures loops    one test guest
USAGE
}

say() { printf 'plugins/build.sh: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

readonly target=wasm32-unknown-unknown
cd "$(dirname "${BASH_SOURCE[0]}")/.."

kind=plugins
names=()
while (($#)); do
    case $1 in
        --fixtures) kind=fixtures ;;
        -h | --help) usage; exit 0 ;;
        -*) usage >&2; exit 2 ;;
        *) names+=("$1") ;;
    esac
    shift
done

if [[ $kind == fixtures ]]; then
    source_dir=plugins/fixtures crate_prefix=fixture-
    output_dir=${CARGO_TARGET_DIR:-target}/fixtures
else
    source_dir=plugins crate_prefix=
    output_dir=policies
fi

if ((${#names[@]} == 0)); then
    for manifest in "$source_dir"/*/Cargo.toml; do
        grep -q cdylib "$manifest" && names+=("$(basename "$(dirname "$manifest")")")
    done
fi
packages=()
for name in "${names[@]}"; do
    [[ -f $source_dir/$name/Cargo.toml ]] || fail "there is no $source_dir/$name/Cargo.toml"
    packages+=(-p "$crate_prefix$name")
done

# Whether a compiler has the target's standard library.
has_target() {
    local libdir
    libdir=$("$1" --print target-libdir --target "$target" 2>/dev/null) || return 1
    compgen -G "$libdir/libstd-*.rlib" >/dev/null
}

debian_compiler=/usr/bin/rustc
debian_source=/usr/lib/rustlib/src/rust/library/std/Cargo.toml

has_debian_compiler() { [[ -x $debian_compiler && -f $debian_source ]] && find_linker >/dev/null; }

# A linker for Wasm: Debian's rustc brings none, rustup's toolchains and package lld do.
find_linker() {
    local sysroot candidate
    sysroot=$(rustc --print sysroot 2>/dev/null) || sysroot=/usr
    for candidate in "$(command -v rust-lld)" "$sysroot"/lib/rustlib/*/bin/rust-lld \
        /usr/lib/llvm-*/bin/wasm-ld "$(command -v wasm-ld)"; do
        if [[ -x $candidate ]]; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    return 1
}

# Objects of a new LLVM need a linker of one that is not much older.
newest_lld() {
    local newest
    newest=$(apt-cache pkgnames lld- | grep -xE 'lld-[0-9]+' | sort -V | tail -n 1)
    printf '%s\n' "${newest:-lld}"
}

install_debian_compiler() {
    command -v apt-get >/dev/null || return 1
    local as_root=()
    if ((EUID != 0)); then
        sudo -n true 2>/dev/null || return 1
        as_root=(sudo -n)
    fi
    local packages=(rustc-web rust-web-src)
    find_linker >/dev/null || packages+=("$(newest_lld)")
    say "installing ${packages[*]} with apt-get"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${packages[@]}" >&2
}

compiler=${RUSTC:-rustc}
extra=()
rustup_says=
if has_target "$compiler"; then
    say "using $("$compiler" --version), which has $target"
elif [[ -z ${RUSTC:-} ]] && command -v rustup >/dev/null \
    && rustup_says=$(rustup target add "$target" 2>&1) && has_target rustc; then
    say "added $target with rustup; using $(rustc --version)"
elif has_debian_compiler || { install_debian_compiler && has_debian_compiler; }; then
    export RUSTC=$debian_compiler RUSTC_BOOTSTRAP=1
    linker=$(find_linker)
    export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$linker
    has_target "$RUSTC" || extra=(-Z build-std=std,panic_abort)
    say "using Debian's $("$RUSTC" --version)${extra[*]:+, with the standard library from source}"
else
    [[ -z $rustup_says ]] || printf '%s\n' "$rustup_says" >&2
    fail "no compiler for $target: run 'rustup target add $target'," \
        "or on Debian 'apt-get install rustc-web rust-web-src'"
fi

# An incremental guest runs at half the speed, and its digest depends on what was built before.
export CARGO_INCREMENTAL=0
cargo build --profile guest --target "$target" --lib "${extra[@]}" "${packages[@]}"

built_dir=${CARGO_TARGET_DIR:-target}/$target/guest
mkdir -p "$output_dir"
for name in "${names[@]}"; do
    crate=${crate_prefix}${name}
    built=$built_dir/${crate//-/_}.wasm
    output=$output_dir/$name.wasm
    if cmp -s "$built" "$output"; then
        say "$output is up to date"
        continue
    fi
    # A reader never sees half a file, and two builds at once never write to one name.
    partial=$(mktemp "$output_dir/.$name.XXXXXX.tmp")
    trap 'rm -f "$partial"' EXIT
    cp "$built" "$partial"
    chmod 644 "$partial"
    mv -f "$partial" "$output"
    trap - EXIT
    say "$output, $(stat -c %s "$output") bytes"
done

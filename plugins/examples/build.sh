#!/usr/bin/env bash
# Builds the example policy in each language, with the tools that a user would have.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: plugins/examples/build.sh [LANGUAGE…]

Builds plugins/examples/<language> with `poolwarden policy build` to
${CARGO_TARGET_DIR:-target}/examples/<language>/queue-watch.wasm; only what changed is built again.
LANGUAGE is rust, javascript, python or c; without one, all four are built.

The npm packages and the Python packages go into folders of the examples that git ignores. Set
POOLWARDEN to the program to build with; by default it is that of the debug build.

  -h, --help  this text

examples:
  plugins/examples/build.sh
  plugins/examples/build.sh python c
USAGE
}

say() { printf 'plugins/examples/build.sh: %s\n' "$*" >&2; }

languages=()
for argument in "$@"; do
    case $argument in
        -h | --help) usage; exit 0 ;;
        rust | javascript | python | c) languages+=("$argument") ;;
        *) usage >&2; exit 2 ;;
    esac
done
((${#languages[@]})) || languages=(rust javascript python c)

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
poolwarden=${POOLWARDEN:-$target/debug/poolwarden}
if ! [[ -x $poolwarden ]]; then
    say "building the program first"
    cargo build -p poolwarden --bin poolwarden --locked
fi

# Whether a plugin is newer than all that it is made of.
is_current() {
    local plugin=$1 language=$2
    [[ -f $plugin ]] && [[ -z $(find "plugins/examples/$language" "plugins/sdk/$language" plugins/wit \
        \( -name node_modules -o -name .venv -o -name target -o -name __pycache__ \) -prune -o \
        -type f -newer "$plugin" -print -quit) ]]
}

for language in "${languages[@]}"; do
    into=$target/examples/$language
    if is_current "$into/queue-watch.wasm" "$language"; then
        say "$language is up to date"
        continue
    fi
    # npm keeps a copy of the SDK, whose version does not tell that it has changed.
    rm -rf plugins/examples/javascript/node_modules/@poolwarden
    CARGO_TARGET_DIR=$target/examples-rust \
        "$poolwarden" policy build --install --into "$into" "plugins/examples/$language"
done

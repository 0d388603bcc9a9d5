# shellcheck shell=bash
# What deploy/demo.sh and tests/run.sh install when it is missing. To be sourced, not run.
#
# Each function looks first and installs only what it does not find, so that a prepared machine needs
# neither root nor a network.

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
fail() { say "$*"; exit 1; }

apt_is_fresh=

# Runs a command as root: directly, or through sudo.
as_root() {
    if ((EUID == 0)); then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "needs root for: $* (no sudo here; run it as root, then start this script again)"
    fi
}

# Brings the package lists up to date, once.
apt_update() {
    [[ -z $apt_is_fresh ]] || return 0
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq >/dev/null
    apt_is_fresh=yes
}

# Whether apt knows a package that can be installed.
has_package() {
    local candidate
    candidate=$(apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: //p')
    [[ -n $candidate && $candidate != "(none)" ]]
}

# Installs Debian packages, naming them.
install() {
    command -v apt-get >/dev/null || fail "please install: $* (no apt-get here to do it)"
    apt_update
    say "installing with apt-get: $*"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

has_postgresql() {
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null
}

# PostgreSQL's and PgBouncer's programs. Ours run privately; the services that the packages bring are not needed.
need_servers() {
    if ! has_postgresql; then
        # Keeps the package from creating a cluster, where nobody has decided about that yet.
        if [[ ! -e /etc/postgresql-common/createcluster.conf ]]; then
            as_root mkdir -p /etc/postgresql-common
            printf 'create_main_cluster = false\n' |
                as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
            say "wrote /etc/postgresql-common/createcluster.conf: the package shall not start a server"
        fi
        install postgresql
    fi
    if ! [[ -x /usr/sbin/pgbouncer ]] && ! command -v pgbouncer >/dev/null; then
        install pgbouncer
        say "Debian's package may have started a PgBouncer service of its own; nothing here uses it"
    fi
}

# What the example policies in JavaScript, Python and C are built with; packages of npm and PyPI go into
# folders of the examples.
need_languages() {
    local missing=()
    # componentize-qjs wants node 18, which is what Debian 12 has.
    node_is_new_enough || missing+=(nodejs)
    command -v npm >/dev/null || missing+=(npm)
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
    has_clang || missing+=(clang lld)
    ((${#missing[@]} == 0)) || install "${missing[@]}"
}

node_is_new_enough() {
    local version
    version=$(node --version 2>/dev/null) || return 1
    version=${version#v}
    ((${version%%.*} >= 18))
}

has_clang() {
    command -v clang >/dev/null || return 1
    command -v wasm-ld >/dev/null || compgen -G '/usr/lib/llvm-*/bin/wasm-ld' >/dev/null
}

# SQLite and the cryptography are built from C.
need_compiler() {
    local missing=()
    command -v cc >/dev/null || missing+=(gcc libc6-dev)
    command -v pkg-config >/dev/null || missing+=(pkg-config)
    [[ -e /etc/ssl/certs/ca-certificates.crt ]] || missing+=(ca-certificates)
    ((${#missing[@]} == 0)) || install "${missing[@]}"
}

# A cargo that obeys rust-toolchain.toml, or one that is new enough by itself.
need_rust() {
    local here=${CARGO_HOME:-$HOME/.cargo}/bin
    case :$PATH: in
        *:"$here":*) ;;
        *) PATH=$PATH:$here ;;
    esac
    if ! command -v cargo >/dev/null; then
        # Debian 13 and later have rustup, which fetches the toolchain that rust-toolchain.toml names.
        # Debian 12 keeps a current compiler for its browsers, under names of its own.
        if command -v apt-get >/dev/null; then
            apt_update
        fi
        if has_package rustup; then
            install rustup
        elif has_package cargo-web; then
            install cargo-web rustc-web
        else
            say "there is no Rust here, and no package that is new enough; install it from https://rustup.rs:"
            say "    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
            fail "then start this script again"
        fi
    fi
    if command -v rustup >/dev/null; then
        # The first look makes rustup fetch the pinned toolchain, where it is not there yet.
        rustup show active-toolchain >/dev/null 2>&1 || rustup toolchain install
    fi
    local wanted have
    wanted=$(sed -n 's/^rust-version *= *"\(.*\)"/\1/p' Cargo.toml)
    have=$(cargo --version | cut -d' ' -f2)
    [[ $(printf '%s\n' "$wanted" "$have" | sort -V | head -n 1) == "$wanted" ]] ||
        fail "cargo $have is too old, $wanted is needed: see https://rustup.rs"
}

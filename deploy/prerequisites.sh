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

# The version of Debian whose PgBouncer is the newer one, and what that needs beside itself.
newer_suite=trixie
newer_packages=(pgbouncer libc6 libaudit1 libcap-ng0 libcap2 libcares2 libevent-2.1-7t64 libgcc-s1 libgcrypt20
    libgpg-error0 libldap2 liblz4-1 liblzma5 libpam0g libsasl2-2 libssl3t64 libsystemd0 libzstd1 zlib1g)

# A newer PgBouncer than the system's, unpacked under target/ and not installed: some tests run on both. Sets
# POOLWARDEN_TEST_PGBOUNCER_NEW where there is one, and says so where there is none.
want_newer_pgbouncer() {
    local folder=$PWD/target/pgbouncer-new
    if [[ -z ${POOLWARDEN_TEST_PGBOUNCER_NEW:-} ]]; then
        if ! [[ -x $folder/pgbouncer ]]; then
            fetch_newer_pgbouncer "$folder" || true
        fi
        [[ ! -x $folder/pgbouncer ]] || export POOLWARDEN_TEST_PGBOUNCER_NEW=$folder/pgbouncer
    fi
    if [[ -n ${POOLWARDEN_TEST_PGBOUNCER_NEW:-} ]]; then
        say "the newer $("$POOLWARDEN_TEST_PGBOUNCER_NEW" --version | head -n 1) is tested too"
    else
        say "NOT TESTED: a newer PgBouncer cannot be had here; set POOLWARDEN_TEST_PGBOUNCER_NEW to one"
    fi
}

# Fetches it with package lists of its own, so that the system's apt learns nothing of another suite.
fetch_newer_pgbouncer() {
    local folder=$1 keys=/usr/share/keyrings/debian-archive-keyring.gpg mirror loader libraries
    [[ -e $keys ]] && command -v apt-get >/dev/null && command -v dpkg >/dev/null || return 1
    apt_update
    # From where the system's own packages come.
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1)
    [[ -n $mirror ]] || return 1
    rm -rf "$folder"
    mkdir -p "$folder"/{lists,cache,debs,root}
    printf 'deb [signed-by=%s] %s %s main\n' "$keys" "$mirror" "$newer_suite" >"$folder/sources.list"
    local options=(-qq -o Dir::Etc::SourceList="$folder/sources.list" -o Dir::Etc::SourceParts=-
        -o Dir::State::Lists="$folder/lists" -o Dir::Cache="$folder/cache" -o APT::Sandbox::User=root)
    say "fetching into target/pgbouncer-new from Debian $newer_suite, installing nothing: ${newer_packages[*]}"
    apt-get "${options[@]}" update >/dev/null || return 1
    (cd "$folder/debs" && apt-get "${options[@]}" download "${newer_packages[@]}" >/dev/null) || return 1
    local package
    for package in "$folder"/debs/*.deb; do
        dpkg -x "$package" "$folder/root" || return 1
    done
    rm -rf "$folder"/{lists,cache,debs}
    # With its own C library: the system's is older.
    loader=$(find "$folder/root" -name 'ld-linux-*.so.*' | head -n 1)
    libraries=$(dirname "$(find "$folder/root" -name 'libc.so.6' | head -n 1)")
    [[ -n $loader && -x $folder/root/usr/sbin/pgbouncer ]] || return 1
    printf '#!/bin/sh\nexec %q --library-path %q %q "$@"\n' \
        "$loader" "$libraries" "$folder/root/usr/sbin/pgbouncer" >"$folder/starting"
    chmod 755 "$folder/starting"
    "$folder/starting" --version >/dev/null || return 1
    mv "$folder/starting" "$folder/pgbouncer"
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

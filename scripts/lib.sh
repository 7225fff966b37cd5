# shellcheck shell=sh
# Set-up shared by scripts/run, test, check and bench. POSIX sh; needs nothing but Python 3.11 or newer.
#
# Everything Python goes into .venv (Debian's own pip refuses system-wide installs, PEP 668). When all
# is there already, nothing is installed and no network is needed.

ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
VENV=$ROOT/.venv

say() { printf '%s\n' "$*" >&2; }
fail() {
    say "error: $*"
    exit 1
}

# --- what the system has -------------------------------------------------------------------------

# Prints the first Python that is new enough.
find_python() {
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

# A program on PATH, or where Debian keeps its daemons.
have() {
    command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || [ -x "/usr/local/sbin/$1" ]
}

have_uv() { uv --version >/dev/null 2>&1; }

# Runs as root: directly, or through a sudo that asks no password.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

may_install() {
    command -v apt-get >/dev/null 2>&1 || return 1
    [ "$(id -u)" -eq 0 ] || sudo -n true >/dev/null 2>&1
}

# What a person types to install system packages here.
how_to_install() {
    if [ "$(uname -s)" = Darwin ]; then
        echo "brew install $*"
    else
        echo "sudo apt install $*"
    fi
}

apt_install() {
    may_install || return 1
    say "Installing $* with apt ..."
    if [ -z "${apt_is_fresh:-}" ]; then
        as_root apt-get update -qq >&2 || say "The package lists could not be refreshed; trying with those at hand"
        apt_is_fresh=yes
    fi
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" >/dev/null || return 1
}

# --- Mosquitto and ffmpeg ------------------------------------------------------------------------

need_programs() {
    missing=
    for program in mosquitto ffmpeg; do
        have "$program" || missing="$missing $program"
    done
    [ -n "$missing" ] || return 0
    # Each word is the name of a package.
    # shellcheck disable=SC2086
    if ! apt_install $missing; then
        say "Missing:$missing. Type: $(how_to_install $missing)"
    elif have systemctl && systemctl is-active --quiet mosquitto 2>/dev/null; then
        say "Debian runs a Mosquitto of its own on port 1883 now; Meerkat leaves it alone and takes another port."
    fi
}

# --- the virtual environment ---------------------------------------------------------------------

make_venv() {
    "$VENV/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && return 0
    # Left half made, or its Python went with an upgrade of the system: `python -m venv` would mend neither.
    if [ -e "$VENV" ]; then
        say "The environment in .venv does not work any more; making it anew"
        rm -rf "$VENV"
    fi
    if ! python=$(find_python); then
        apt_install python3 python3-venv || true
        python=$(find_python) || fail "Python 3.11 or newer is missing. Type: $(how_to_install python3 python3-venv)"
    fi
    say "Making a Python environment in .venv ($("$python" --version))"
    if have_uv; then
        # With pip beside it, so that the extras which the messages name can be installed by hand.
        uv venv --quiet --python "$python" "$VENV" && { need_pip || true; } && return 0
        rm -rf "$VENV"
    fi
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        apt_install python3-venv || fail "Python's venv is missing. Type: $(how_to_install python3-venv)"
    fi
    "$python" -m venv "$VENV" || {
        rm -rf "$VENV"
        fail "no Python environment could be made. Type: $(how_to_install python3-venv)"
    }
}

# Installs one lock file. uv is several times faster than pip; where it is not to be had, pip does it.
# A lock names everything (--no-deps), but for what pyproject.toml's override-dependencies leave out.
install_lock() {
    if have_uv; then
        uv pip install --quiet --python "$VENV/bin/python" --no-deps --require-hashes -r "$1" && return 0
    elif need_pip && need_venv_uv "$1"; then
        "$VENV/bin/uv" pip install --quiet --python "$VENV/bin/python" --no-deps --require-hashes -r "$1" && return 0
    fi
    say "uv did not manage; trying with pip, which takes longer"
    need_pip || return 1
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$1"
}

need_pip() {
    "$VENV/bin/python" -m pip --version >/dev/null 2>&1 ||
        "$VENV/bin/python" -m ensurepip --default-pip >/dev/null 2>&1
}

need_venv_uv() {
    [ -x "$VENV/bin/uv" ] && return 0
    # uv's own entry of the lock, hashes included.
    awk '/^uv==/ { found = 1 } found { print; if ($0 !~ /\\$/) exit }' "$1" >"$VENV/uv.txt"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$VENV/uv.txt" 2>/dev/null
}

# The project itself, in place. The build back end is in the lock, so this needs no network.
install_project() {
    if have_uv; then
        uv pip install --quiet --python "$VENV/bin/python" --no-deps --no-build-isolation -e "$ROOT" && return 0
    elif [ -x "$VENV/bin/uv" ]; then
        "$VENV/bin/uv" pip install --quiet --python "$VENV/bin/python" --no-deps --no-build-isolation -e "$ROOT" &&
            return 0
    fi
    need_pip || return 1
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check \
        --no-deps --no-build-isolation -e "$ROOT"
}

# set_up run | burst-demo | dev: brings .venv and the system's programs up to what the locks say.
set_up() {
    kind=$1
    need_programs
    # An environment once made for development stays one, or `scripts/run` would take its tools away.
    [ -e "$VENV/meerkat-dev.stamp" ] && kind=dev
    stamp=$VENV/meerkat-$kind.stamp
    wanted="$ROOT $(cat "$ROOT/requirements/$kind.txt" "$ROOT/pyproject.toml" | cksum)"
    if [ -x "$VENV/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        return 0
    fi
    make_venv
    if ! "$VENV/bin/python" "$ROOT/scripts/installed.py" "$ROOT/requirements/$kind.txt"; then
        say "Installing Meerkat's Python packages into .venv: a minute or two on the first run ..."
        install_lock "$ROOT/requirements/$kind.txt" ||
            fail "the Python packages could not be installed; see the lines above. Is this machine online?"
    fi
    install_project || fail "Meerkat itself could not be installed into .venv; see the lines above"
    printf '%s\n' "$wanted" >"$stamp"
    say "Set-up is complete"
}

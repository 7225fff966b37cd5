#!/bin/sh
# Install `meerkat device` on a Raspberry Pi as a service: docs/how-to/pi.md.
#   sudo devices/install.sh             install, or bring an installation up to this checkout
#   sudo devices/install.sh --update    only the Python packages, the unit, and a restart
#   devices/install.sh --dry-run        say what would be done, and do nothing
# Raspberry Pi OS bookworm or trixie, 64-bit. Everything goes to /opt/meerkat; your settings in /etc/meerkat
# and what waits for the hub in /var/lib/meerkat are never touched.
set -eu

HERE=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
# Other folders than these are for the tests: the unit names them.
OPT=${MEERKAT_OPT:-/opt/meerkat}
ETC=${MEERKAT_ETC:-/etc}
BIN=${MEERKAT_BIN:-/usr/local/bin}
OS_RELEASE=${MEERKAT_OS_RELEASE:-/etc/os-release}
UNIT=meerkat-device.service

say() { printf '%s\n' "$*"; }
fail() { # what, remedy
    printf 'error: %s\n%s\n' "$1" "$2" >&2
    exit 1
}

dry=
update=
for argument in "$@"; do
    case $argument in
    --dry-run) dry=yes ;;
    --update) update=yes ;;
    -h | --help)
        sed -n '2,7s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *) fail "there is no option $argument" "See $0 --help." ;;
    esac
done

# Runs a command, or says which one would be run.
run() {
    if [ -n "$dry" ]; then
        say "would run: $*"
    else
        "$@"
    fi
}

# --- may it be done here? ------------------------------------------------------------------------

check_architecture() {
    command -v dpkg >/dev/null 2>&1 ||
        fail "this is no Raspberry Pi OS: there is no dpkg" "For other machines see docs/how-to/install.md."
    architecture=$(dpkg --print-architecture)
    kernel=$(uname -m)
    image="Write Raspberry Pi OS (64-bit) to the SD card with Raspberry Pi Imager, then try again."
    case $architecture-$kernel in
    arm64-*) ;;
    armhf-aarch64)
        fail "the programs of this system are 32-bit ($architecture), although its kernel is 64-bit" "$image"
        ;;
    armhf-armv6l | armel-*)
        fail "this Pi is a 32-bit one ($kernel): there is no OpenCV and no PyAV for it" \
            "Meerkat runs on every Pi from the 3 and the Zero 2 W on."
        ;;
    armhf-*)
        fail "this system is 32-bit ($architecture): there is no OpenCV and no PyAV for it" "$image"
        ;;
    *)
        fail "this installs on a Raspberry Pi, and here is $architecture" \
            "For other machines see docs/how-to/install.md."
        ;;
    esac
}

# One value of os-release, without its quotes.
release() {
    sed -n "s/^$1=\"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p" "$OS_RELEASE" 2>/dev/null || true
}

check_release() {
    codename=$(release VERSION_CODENAME)
    name=$(release PRETTY_NAME)
    case $codename in
    bookworm | trixie) ;;
    *)
        fail "this is made for Raspberry Pi OS bookworm and trixie, and here is ${name:-no release that is known}" \
            "Write a new Raspberry Pi OS (64-bit) to the SD card, or see docs/how-to/install.md."
        ;;
    esac
}

check_root() {
    [ -n "$dry" ] || [ "$(id -u)" -eq 0 ] || fail "only root can install" "Type: sudo $0 $*"
}

# --- the parts -----------------------------------------------------------------------------------

packages() {
    run apt-get update -qq
    wanted="python3-venv python3-lgpio"
    # Only Raspberry Pi's own archive has it.
    if apt-cache show python3-picamera2 >/dev/null 2>&1; then
        wanted="$wanted python3-picamera2"
    else
        say "There is no python3-picamera2 here: cameras on the ribbon cable will not work, all others will"
    fi
    # Each word is a package. Without the recommended ones: a desktop's windows are among them.
    # shellcheck disable=SC2086
    run env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $wanted
}

user() {
    if ! id meerkat >/dev/null 2>&1; then
        run useradd --system --user-group --home-dir /var/lib/meerkat --no-create-home \
            --shell /usr/sbin/nologin meerkat
    fi
    # Cameras and encoders, the image processor, pins, gauges, a Coral: what of it there is.
    for group in video render gpio i2c plugdev; do
        if getent group "$group" >/dev/null; then
            run usermod -aG "$group" meerkat
        fi
    done
    # The settings may hold a password.
    run install -d -o meerkat -g meerkat -m 0750 "$ETC/meerkat"
}

# The system's packages have to be seen: libcamera and lgpio come from there.
environment() {
    if [ -e "$OPT" ] && ! "$OPT/bin/python" -c 'import pip' >/dev/null 2>&1; then
        say "The Python of $OPT went with an upgrade of the system: making it anew"
        run rm -rf "$OPT"
    fi
    [ -e "$OPT" ] || run python3 -m venv --system-site-packages "$OPT"
}

python_packages() {
    pip="$OPT/bin/python -m pip --quiet --disable-pip-version-check"
    say "Installing Meerkat into $OPT: some minutes ..."
    # shellcheck disable=SC2086
    run $pip install --no-deps --require-hashes -r "$HERE/requirements/device.txt"
    # shellcheck disable=SC2086
    run $pip install --no-deps --force-reinstall "$HERE"
    # A part of picamera2 that Debian built for Debian's NumPy; bookworm's is older than the one above, and the
    # two do not fit. That it is there already must not count, so it is installed over it.
    fits='import importlib.util as found; found.find_spec("picamera2") and __import__("simplejpeg")'
    if [ -n "$dry" ] || ! "$OPT/bin/python" -c "$fits" >/dev/null 2>&1; then
        # shellcheck disable=SC2086
        run $pip install --no-deps --ignore-installed --only-binary :all: simplejpeg
    fi
    run ln -sf "$OPT/bin/meerkat" "$BIN/meerkat"
}

service() {
    run install -m 0644 "$HERE/devices/systemd/$UNIT" "$ETC/systemd/system/$UNIT"
    run systemctl daemon-reload
    run systemctl enable --quiet "$UNIT"
    if [ -e "$ETC/meerkat/meerkat.yaml" ]; then
        run systemctl restart "$UNIT"
    fi
}

# --- all of it -----------------------------------------------------------------------------------

check_architecture
check_release
check_root "$@"
if [ -n "$update" ]; then
    [ -e "$OPT" ] || fail "there is nothing to update in $OPT" "Type: sudo $0"
else
    packages
    user
fi
environment
python_packages
service

say ""
if [ -e "$ETC/meerkat/meerkat.yaml" ]; then
    say "Done, and started anew. How it is: systemctl status meerkat-device"
else
    say "Done. Next, name it, find the hub and see the first picture:"
    say "    sudo meerkat device init --config $ETC/meerkat/meerkat.yaml"
fi

#!/bin/sh
# What the container runs: the app's options become the environment of `meerkat up`.
set -eu
exec python3 -m meerkat_homeassistant.app "$@"

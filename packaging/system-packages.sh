#!/bin/sh
# Make sure that these Debian packages are here: installed when we are root, named in one line otherwise.
set -eu

command -v dpkg-query >/dev/null 2>&1 || {
    echo "Not a Debian system: please make sure that these libraries are installed: $*" >&2
    exit 0
}

missing=""
for package in "$@"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = "installed" ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "Missing system packages. Please run: sudo apt-get install --no-install-recommends$missing" >&2
    exit 1
fi
echo "Installing system packages:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # one word per package is meant
apt-get install -y -qq --no-install-recommends $missing >/dev/null

#!/bin/sh
# Makes a Debian testing root with the newest CPythons, release and debug builds, each with headers and venv.
#
#   make_root.sh FOLDER [MIRROR]
#
# Exit status 77, with the reason: it cannot be made here. Made once: a folder that is complete is left as it is.
set -eu

root=$1
mirror=${2:-${DEBIAN_MIRROR:-http://deb.debian.org/debian}}
versions="3.14 3.15"

skip() {
    echo "skipped: $1" >&2
    exit 77
}

[ -e "$root/.complete" ] && exit 0
[ "$(id -u)" = 0 ] || skip "a Debian root can only be made by root"
command -v debootstrap >/dev/null || apt-get -qq install -y debootstrap >/dev/null 2>&1 || skip "debootstrap is not installed"

packages=gcc,libc6-dev,make,procps,git,ca-certificates
for version in $versions; do
    packages="$packages,python$version,python$version-dev,python$version-venv,python$version-dbg"
done
mkdir -p "$(dirname "$root")"
rm -rf --one-file-system "$root"
debootstrap --variant=minbase --include="$packages" testing "$root" "$mirror" sid >"$root.log" 2>&1 || {
    tail -n 5 "$root.log" >&2
    skip "debootstrap failed; see $root.log"
}
touch "$root/.complete"

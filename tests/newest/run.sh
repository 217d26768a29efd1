#!/bin/sh
# Builds the project for one Python of the root that make_root.sh made, and runs the tests there, or another module.
#
#   run.sh ROOT PYTHON [PYTEST OPTIONS]        PYTHON: python3.14, python3.14d (the debug build), ...
#   MODULE=benchmarks run.sh ROOT PYTHON run --rounds 9 --results       what it writes stays in ROOT/project-PYTHON
#
# Mounts are made in a namespace of their own and end with it.
set -eu

if [ -z "${PMT_NEWEST_INSIDE:-}" ]; then
    PMT_NEWEST_INSIDE=1 exec unshare --mount --propagation private "$0" "$@"
fi

root=$(cd "$1" && pwd)
python=$2
shift 2
project=/project-$python
here=$(cd "$(dirname "$0")/../.." && pwd)

mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
cp /etc/resolv.conf "$root/etc/resolv.conf"
certificates=/etc/ssl/certs/ca-certificates.crt # of this machine: it may trust a proxy of its own
[ ! -e $certificates ] || cp $certificates "$root$certificates"

rm -rf "$root$project"
mkdir "$root$project"
(cd "$here" && tar -cf - --exclude='*.so' --exclude=__pycache__ --exclude=build --exclude='.[a-z]*' \
    --exclude='*.egg-info' .) | tar -C "$root$project" -xf -

exec chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 TERM=dumb \
    MODULE="${MODULE:-}" PIP_INDEX_URL="${PIP_INDEX_URL:-}" PIP_CERT=$certificates PYTHONDONTWRITEBYTECODE=1 \
    /bin/sh -euc '
        project=$1 python=$2
        shift 2
        [ -n "$PIP_INDEX_URL" ] || unset PIP_INDEX_URL
        cd "$project"
        venv=/venv-$python
        [ -e "$venv/.made" ] || {
            "$python" -m venv --clear "$venv"
            "$venv/bin/pip" install --quiet --disable-pip-version-check "setuptools>=77" \
                pytest pytest-xdist hypothesis psutil rich plotly
            "$venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: numpy ||
                echo "$python: numpy has no wheel for it; the tests of the example are skipped" >&2
            touch "$venv/.made"
        }
        "$venv/bin/python" -VV
        "$venv/bin/pip" install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
        PYMEMTRACE_WERROR=1 "$venv/bin/python" setup.py --quiet build_ext --inplace
        [ -z "$MODULE" ] || exec "$venv/bin/python" -m "$MODULE" "$@"
        exec "$venv/bin/python" -m pytest -p no:cacheprovider "$@"
    ' sh "$project" "$python" "$@"

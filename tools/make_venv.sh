#!/bin/sh
# Make a virtual environment with pip in $VENV from $PYTHON, or say what is missing and how to get it.
set -u

stop() {
    printf 'make: %s\n' "$1" >&2
    exit 1
}

command -v "$PYTHON" >/dev/null || stop "no ${PYTHON:-python3} found; install Python 3.11 or newer (Debian: apt install python3 python3-venv python3-dev)"
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    stop "$PYTHON is $("$PYTHON" -V 2>&1), Calotype needs 3.11 or newer; try: make PYTHON=/path/to/python3.11"
command -v cc >/dev/null || command -v gcc >/dev/null || command -v "${CC:-clang}" >/dev/null ||
    stop "no C compiler found (Debian: apt install gcc)"
header=$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("include") + "/Python.h")')
[ -f "$header" ] || stop "$header is missing; install Python's headers (Debian: apt install python3-dev)"

"$PYTHON" -m venv "$VENV" 2>/dev/null && exit 0
rm -rf "$VENV"
"$PYTHON" -m virtualenv -q "$VENV" 2>/dev/null && exit 0
rm -rf "$VENV"
# Debian keeps ensurepip in a package of its own; a pip that is installed elsewhere can fill the environment.
if "$PYTHON" -m venv --without-pip "$VENV" && "$PYTHON" -m pip --python "$VENV/bin/python" install -q pip 2>/dev/null; then
    exit 0
fi
rm -rf "$VENV"
stop "$PYTHON cannot make virtual environments; install the module (Debian: apt install python3-venv) and try again"

#!/bin/sh
# Wheel and sdist of what is committed into folder $1, the same bytes wherever and whenever the same tools build them:
# from a fresh copy, with the commit's time for all files, one order, one mask. $PYTHON has `build`.
set -eu

out=$1
mkdir -p "$out"
out=$(cd "$out" && pwd)
rm -f "$out"/*.whl "$out"/*.tar.gz
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
umask 022
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH PYTHONHASHSEED=0
mkdir "$copy/calotype"
git archive HEAD | tar -x -C "$copy/calotype"
python=$(command -v "$PYTHON")
case $python in /*) ;; *) python=$(pwd)/$python ;; esac
cd "$copy/calotype"
"$python" -m build -q --outdir "$copy/made" .
cp "$copy"/made/*.whl "$out"
# setuptools writes the time of packing into the sdist: pack it anew
cd "$copy"
tar -xzf made/*.tar.gz
name=$(basename made/*.tar.gz .tar.gz)
tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -cf - "$name" | gzip -9n >"$out/$name.tar.gz"

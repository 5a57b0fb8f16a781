#!/bin/sh
# The kernels of entropy coder, prism and fit, cross-compiled, on an emulated ARM64 processor: random streams are coded, decoded
# and damaged there as on this machine, and all bytes and all that is decoded must be the same. Where something is missing
# it says so and ends well; STRICT=1 makes that a failure. Usage: arm64.sh [rounds]
set -eu

cd "$(dirname "$0")/.."
build=build/arm64
rounds=${1:-40}
mkdir -p "$build"

need() {
    command -v "$1" >/dev/null && return
    echo "arm64: skipped, there is no $1 (Debian: apt install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static)"
    exit "${STRICT:-0}"
}
need gcc
need aarch64-linux-gnu-gcc
need qemu-aarch64-static

for package in coding codecs/prism codecs/fit; do
    kernel=src/calotype/$package/kernel
    name=$build/$(basename "$package")
    set -- -std=gnu11 -O2 -pthread -ffp-contract=off -Wno-psabi -I"$kernel" -Isrc/calotype/coding/kernel
    gcc "$@" tests/"$package"/fuzz.c "$kernel"/*.c -lm -o "$name-here"
    aarch64-linux-gnu-gcc -static "$@" tests/"$package"/fuzz.c "$kernel"/*.c -lm -o "$name-arm64"
    "$name-here" "$rounds" 0 1 >"$name-here.txt"
    qemu-aarch64-static "$name-arm64" "$rounds" 0 1 >"$name-arm64.txt"
    diff "$name-here.txt" "$name-arm64.txt" || { echo "arm64: $package differs"; exit 1; }
    sed "s|^|arm64: $package: |" "$name-arm64.txt"
done

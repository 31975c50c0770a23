#!/bin/sh
# SPDX-License-Identifier: MIT
# What `make bench` prints: how long it takes to start, beside lua5.4; the prompt at a
# pseudo-terminal; tests/bench.lua, tests/bench-kinds.lua, and tests/bench-images.lua; a station's units,
# its records, and sixteen slots in work.
set -eu
cd "$(dirname "$0")/.."

# Milliseconds that a command takes, on average over a hundred runs.
average() {
  start=$(date +%s%N)
  i=0
  while [ $i -lt 100 ]; do
    "$@" >/dev/null 2>&1
    i=$((i + 1))
  done
  end=$(date +%s%N)
  echo "$(((end - start) / 1000000))" | sed 's/..$/.&/'
}

echo "moonflash --version: $(average build/moonflash --version) ms"
if command -v lua5.4 >/dev/null; then
  echo "lua5.4 -v: $(average lua5.4 -v) ms"
fi
build/bench_prompt build/moonflash build/ch.bin
if [ -x build/umockdev/bed ]; then # make bed
  build/umockdev/bed tests/usb/umockdev/bench-list.lua build/moonflash
fi
build/moonflash --virtual-time tests/bench.lua
build/moonflash --virtual-time tests/bench-kinds.lua
build/moonflash tests/bench-images.lua build/moonflash
build/moonflash --virtual-time tests/station/bench_units.lua 20000
store=$(mktemp -d)
trap 'rm -rf "$store"' EXIT
build/moonflash tests/station/bench_records.lua 1000000 "$store"
tests/station/bench_line.sh

#!/bin/sh
# SPDX-License-Identifier: MIT
# Sixteen slots in work, in real time: the share of a core; and how long it takes from the arrival of a
# board to its unit, and from the end of the last step to the verdict in the store.
set -eu
cd "$(dirname "$0")/../.."
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
{
  echo 'local slots = {}'
  echo 'for i = 1, 16 do slots[("s%02d"):format(i)] = "sim:f407#" .. i end'
  echo 'return slots'
} >"$place/slots.lua"
build/moonflash --slots "$place/slots.lua" --progress never station --folder "$place/store" \
  --units 16 tests/station/bench_line.lua build/ch.bin 2>&1 </dev/null | grep '^figure' || true

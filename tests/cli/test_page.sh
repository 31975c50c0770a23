#!/bin/sh
# SPDX-License-Identifier: MIT
# The operator's page of a station, in Debian's chromium. The last line is
# "N passed, N failed, N skipped".
set -u
here=$(cd "$(dirname "$0")" && pwd)
moonflash=$(realpath "${MOONFLASH:-$here/../../build/moonflash}")
for program in chromedriver curl; do
  if ! command -v $program >/dev/null; then
    echo "skipped: $program is not here: 'make deps-test' installs it"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
  fi
done
out=$(mktemp) port=$((9600 + $$ % 20000))
chromedriver --port=$port >/dev/null 2>&1 </dev/null &
driver=$!
trap 'kill $driver 2>/dev/null; rm -f "$out"' EXIT
HOME=${HOME:-/tmp} "$moonflash" "$here/page.lua" $port >"$out" 2>&1 </dev/null
grep -v '^ok ' "$out"
passed=$(grep -c '^ok ' "$out") failed=$(grep -c '^failed: ' "$out")
[ "$passed" -ge 25 ] || failed=$((failed + 1))
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]

#!/bin/sh
# SPDX-License-Identifier: MIT
# A station's store and the disk: the power is cut between any two syncs, a write fails, the disk is
# full. tests/station/power.c records and fails. On the release build: a preloaded library comes before
# the sanitizer's.
# The last line is "N passed, N failed, N skipped".
set -u
here=$(cd "$(dirname "$0")" && pwd)
moonflash=$here/../../build/moonflash
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
. "$here/../verdict.sh"
power=$place/power.so
# shellcheck disable=SC2046
${CC:-cc} -std=c11 -D_GNU_SOURCE -O1 -Wall -Wextra -shared -fPIC -o "$power" \
  "$here/../station/power.c" $(pkg-config --cflags --libs sqlite3) || exit 1

# make_units FOLDER UNITS SETTING...: makes units, with the library.
make_units() {
  folder=$1 units=$2
  shift 2
  mkdir -p "$folder"
  env LD_PRELOAD="$power" "$@" "$moonflash" --virtual-time "$here/../station/make.lua" "$folder" \
    "$units" >"$place/out" 2>&1 </dev/null
}

make_units "$place/one" 30 POWER_LOG="$place/log"
verdict "units are made" "$(grep -q '^made' "$place/out" || cat "$place/out")"
mkdir "$place/cut"
"$moonflash" --virtual-time "$here/../station/cut.lua" "$place/log" "$place/cut" >"$place/out" 2>&1
status=$?
verdict "every state that a power cut leaves is good" \
  "$([ $status -eq 0 ] && grep -q '^[1-9][0-9]* states' "$place/out" || cat "$place/out")"

# sound FOLDER: whether its store is, and no failure is PASS there.
cat >"$place/sound.lua" <<'EOT'
local store = require("moonflash.station.store").open(arg[1])
local n = store.db:row([[SELECT count(*) AS n FROM item JOIN attempt ON attempt.id = attempt_id
  WHERE outcome = 'PASS' AND state <> 'used']]).n
if n > 0 then error("a PASS without its number", 0) end
store:close()
EOT

for at in 3 20 45 80 130 200; do
  make_units "$place/fail$at" 12 POWER_FAIL=$at
  verdict "write $at fails: no crash" "$(grep -q 'Sanitizer\|internal error' "$place/out" &&
    cat "$place/out")"
  "$moonflash" --virtual-time "$place/sound.lua" "$place/fail$at" >"$place/out" 2>&1
  status=$?
  verdict "write $at fails: the store is sound" "$([ $status -eq 0 ] || cat "$place/out")"
done
for at in 60 150; do
  make_units "$place/full$at" 12 POWER_FULL=$at
  "$moonflash" --virtual-time "$place/sound.lua" "$place/full$at" >"$place/out" 2>&1
  status=$?
  verdict "the disk is full from write $at on: the store is sound" \
    "$([ $status -eq 0 ] || cat "$place/out")"
done

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]

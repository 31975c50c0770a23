#!/bin/sh
# SPDX-License-Identifier: MIT
# The main job, end to end: a recipe flashes ch.bin on a simulated Discovery, and the flash that it
# leaves boots on an emulated Cortex-M4, which prints the program's line.
set -u
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
passed=0 failed=0 skipped=0
here=tests/firmware

check() {
  if [ "$2" = "$3" ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf '%s: expected "%s", got "%s"\n' "$1" "$3" "$2"
  fi
}

"$MOONFLASH" --virtual-time --device "sim:f407,flash=$folder/board.img" discovery build/ch.bin \
  2>"$folder/flashed"
check "status" $? 0
check "size of the flash" "$(wc -c <"$folder/board.img")" 1048576
check "ch.bin stands in it" "$(cmp -n 58836 build/ch.bin "$folder/board.img" && echo same)" same
check "the rest is erased" "$(tail -c +58837 "$folder/board.img" | tr -d '\377' | wc -c)" 0

line=$($here/boot.sh "$folder/board.img")
status=$?
if [ $status -eq 77 ]; then
  echo "skipped: $line"
  skipped=2
else
  check "boot" $status 0
  check "its line" "$line" "moonflash: ch.bin runs at 0x08000000"
fi

# a program for another address, put there: behind it stands what was there
"$MOONFLASH" --virtual-time --device "sim:f407,flash=$folder/board.img" flash \
  build/app.bin@0x08010000 2>"$folder/flashed"
check "status of the second" $? 0
check "app.bin at its address" \
  "$(tail -c +65537 "$folder/board.img" | cmp -n 58836 build/app.bin - && echo same)" same
check "ch.bin is still there" "$(cmp -n 58836 build/ch.bin "$folder/board.img" && echo same)" same

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]

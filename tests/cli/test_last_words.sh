#!/bin/sh
# SPDX-License-Identifier: MIT
# A process that a second signal or SIGKILL ends in the middle of --keep: it says in which state the
# flash is, what was kept is in its file, and the same command goes on from there.
# The last line is "N passed, N failed, N skipped".
set -u
here=$(cd "$(dirname "$0")" && pwd)
MOONFLASH=$(realpath "${MOONFLASH:-$here/../../build/moonflash}")
. "$here/../verdict.sh"
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place" || exit 1
kept=moonflash-kept-315A28A0B956-08000000.hex

head -c 16384 /dev/urandom >old.bin
head -c 3000 /dev/urandom >new.bin

# What the flash is at the end: the old bytes with the new ones at 4096.
{ head -c 4096 old.bin; cat new.bin; tail -c +7097 old.bin; } >wanted.bin

flash() { "$MOONFLASH" --virtual-time -q -d sim:f407,flash=board.img flash "$@"; }

# killed NAME SIGNAL...: waits until the first erase is under way; the file of --keep is older.
killed() {
  name=$1
  shift
  rm -f board.img "$kept"
  flash old.bin@0x08000000
  rm -f out
  "$MOONFLASH" -q --trace -d sim:f407,flash=board.img,times=max flash new.bin@0x08001000 --keep \
    --full 2>out &
  pid=$!
  tries=0
  until grep -q "erase 0x" out 2>/dev/null || [ "$tries" -ge 600 ]; do
    sleep 0.05
    tries=$((tries + 1))
  done
  # the signals arrive together: after the first one alone the process might end before the second
  for signal in STOP "$@" CONT; do kill "-$signal" "$pid"; done
  wait "$pid"
  status=$?
  why=
  [ "$status" -gt 128 ] || why="status $status"
  [ -f "$kept" ] || why="$why; $kept is not there"
  flash new.bin@0x08001000 --keep --full >again 2>&1 || why="$why; again: $(cat again)"
  cmp -s -n 16384 board.img wanted.bin || why="$why; the flash is wrong"
  [ ! -f "$kept" ] || why="$why; $kept is still there"
}

killed "two signals" HUP TERM
grep -q "^moonflash: ended by a second signal. sim:f407.*: .* untouched. The kept bytes are in $kept\.$" \
  out || why="$why; it says '$(tail -n 1 out)'"
verdict "two signals" "$why"

killed "SIGKILL" KILL
verdict "SIGKILL" "$why"

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]

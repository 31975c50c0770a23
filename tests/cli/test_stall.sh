#!/bin/sh
# SPDX-License-Identifier: MIT
# A reader that stalls: boards go on, SIGTERM ends the run, what counts is kept, and too much of it
# ends the run.
# The last line is "N passed, N failed, N skipped".
set -u
here=$(cd "$(dirname "$0")" && pwd)
MOONFLASH=$(realpath "${MOONFLASH:-$here/../../build/moonflash}")
. "$here/../verdict.sh"
place=$(mktemp -d)
reader=
trap '[ -z "$reader" ] || kill "$reader"; rm -rf "$place"' EXIT
cd "$place" || exit 1
head -c 300000 /dev/urandom >new.bin
cat >flood.lua <<'END'
return { api = 1, summary = "writes more than anybody reads", run = function(board)
  board:erase_page(0x08000000)
  while true do
    io.write(("x"):rep(1000))
    board:get_state()
  end
end }
END

# stall: makes descriptor 9 a full pipe, which is not read until `catch_up`.
stall() {
  rm -f pipe got gate
  mkfifo pipe
  sh -c 'until [ -f gate ]; do sleep 0.1; done; cat >got' <pipe &
  reader=$!
  exec 9>pipe
  dd if=/dev/zero of=pipe bs=4096 count=16 2>/dev/null
}

catch_up() {
  exec 9>&-
  : >gate
  wait "$reader"
  reader=
}

give_up() {
  exec 9>&-
  kill "$reader"
  reader=
}

# flashed FILE: waits until the board's flash begins with what is in new.bin.
flashed() {
  tries=0
  until cmp -s -n 300000 "$1" new.bin || [ "$tries" -ge 600 ]; do
    sleep 0.1
    tries=$((tries + 1))
  done
  cmp -s -n 300000 "$1" new.bin || why="$why; the board was not flashed"
}

why=
stall
"$MOONFLASH" --json -d sim:f407,flash=a.img,times=zero flash new.bin@0x08000000 >&9 2>err &
pid=$!
flashed a.img
catch_up
wait "$pid" || why="$why; status $?: $(cat err)"
tr -d '\0' <got >events
grep -q '"event":"dropping"' events || why="$why; it does not say that it drops progress"
[ "$(grep -c '"event":"result".*"PASS"' events)" -eq 1 ] || why="$why; there is no result"
grep -q '"event":"plan"' events || why="$why; there is no plan"
verdict "a reader that comes back" "$why"

why=
stall
"$MOONFLASH" --json -d sim:f407,flash=b.img,times=zero flash new.bin@0x08000000 >&9 2>err &
pid=$!
flashed b.img
kill -TERM "$pid"
wait "$pid"
status=$?
[ "$status" -ne 0 ] || why="$why; status 0, though nobody has the result"
verdict "SIGTERM" "$why"

why=
"$MOONFLASH" --virtual-time -d sim:f407 ./flood.lua >&9 2>err
status=$?
[ "$status" -eq 74 ] || why="$why; status $status"
grep -q "more than 16 MB of output wait for a reader" err || why="$why; it says '$(cat err)'"
grep -q "0x08000000..0x08003FFF is erased but not read back" err || why="$why; no word on the flash"
verdict "more than 16 MB" "$why"

# The line that the second signal writes is not read either.
why=
"$MOONFLASH" -d sim:f407,times=max flash new.bin@0x08000000 --full >&9 2>&9 &
pid=$!
sleep 0.5
kill -HUP "$pid"
kill -TERM "$pid"
wait "$pid"
status=$?
[ "$status" -gt 128 ] || why="$why; status $status"
verdict "two signals" "$why"
give_up

# Standard output that is a file, on a full disk.
why=
"$MOONFLASH" -d sim:f407 list >/dev/full 2>err
status=$?
[ "$status" -eq 74 ] || why="$why; status $status"
grep -q "standard output can't be written" err || why="$why; it says '$(cat err)'"
verdict "a full disk" "$why"

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]

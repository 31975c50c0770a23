#!/bin/sh
# SPDX-License-Identifier: MIT
# A process with little room: a limit on memory, and on the size of files. The build without
# sanitizers, whose memory is its own.
# The last line is "N passed, N failed, N skipped".
set -u
here=$(cd "$(dirname "$0")" && pwd)
MOONFLASH=$here/../../build/moonflash
. "$here/../verdict.sh"
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place" || exit 1
head -c 1000000 /dev/urandom >new.bin

# With less and less memory: it works, or says that there is too little; nothing else, and no crash.
why= short=0
for limit in 30000 20000 17000 15000 14000 13000 12000 11000 10000; do
  (
    ulimit -v $limit
    "$MOONFLASH" --virtual-time -d sim:f407,flash=board.img flash new.bin@0x08000000 >out 2>&1
  )
  status=$?
  case $status in
    0) cmp -s -n 1000000 board.img new.bin || why="$why; $limit KB: 0, and the flash is wrong" ;;
    66 | 71 | 74 | 127)
      short=$((short + 1))
      grep -q memory out || why="$why; $limit KB: status $status, '$(cat out)'"
      ;;
    *) why="$why; $limit KB: status $status, '$(cat out)'" ;;
  esac
  rm -f board.img
done
[ $short -gt 0 ] || why="$why; it always worked: the limits are too high to show anything"
verdict "a limit on memory" "$why"

why=
(
  ulimit -f 100
  "$MOONFLASH" --virtual-time -d sim:f407 read out.bin >out 2>&1
)
status=$?
[ "$status" -eq 73 ] || why="$why; status $status"
grep -q "out.bin can't be written: File too large" out || why="$why; it says '$(cat out)'"
[ "$(echo out.bin*)" = "out.bin*" ] || why="$why; it leaves $(echo out.bin*)"
verdict "a limit on files" "$why"

# A file that is replaced is there as it was, where the new one can't be written whole.
why=
head -c 400000 new.bin >part.bin
echo "the old one" >out.hex
(
  ulimit -f 100
  "$MOONFLASH" convert --force part.bin@0x08000000 out.hex >out 2>&1
)
status=$?
[ "$status" -eq 73 ] || why="$why; status $status: $(cat out)"
[ "$(cat out.hex)" = "the old one" ] || why="$why; the old file is spoilt"
[ "$(echo out.hex*)" = "out.hex" ] || why="$why; it leaves $(echo out.hex*)"
verdict "all of a file or nothing" "$why"

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]

# SPDX-License-Identifier: MIT
# SIGINT, SIGTERM and SIGHUP in the middle of an erase: exit 130, and the board is in dfuIDLE. A
# second SIGINT ends at once.
# guest: second
. /tests/lib.sh
serve sim:f407
plug 1-1

for signal in INT TERM HUP; do
  begin_erase said flash --full /tests/ch.bin
  kill -$signal $! # the shell lets background jobs ignore SIGINT; moonflash asks for it again
  wait $!
  got=$?
  cat said
  [ $got = 130 ] || fail "SIG$signal: it ended with $got: $(cat said)"
  says said "1-1: interrupted while erasing 0x0800"
  [ "$(state 1-1)" = dfuIDLE ] || fail "SIG$signal: the board is in $(state 1-1)"
done

begin_erase said erase --address 0x08000000 --length 0x100000
kill -INT $!
usleep 50000
kill -INT $!
began=$(now)
wait $!
got=$?
[ $got -ge 128 ] || fail "a second SIGINT: it ended with $got"
awk "BEGIN { exit !($(since "$began") < 1) }" || fail "a second SIGINT: it took $(since "$began") s"

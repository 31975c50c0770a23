# SPDX-License-Identifier: MIT
# A station with four boards of one serial number, which are attached and detached five times each
# (fifty with SOAK=1): each time it is a unit, with a record, and a number that no other board has.
# guest: second
. /tests/lib.sh
ROUNDS=5
[ -e /tests/soak ] && ROUNDS=50
UNITS=$((ROUNDS * 4))
for n in 1 2 3 4; do
  set -- "$@" "sim:f407#$n,serial=STM32,flash=$n.img,times=zero,usb=ideal"
done
serve "$@"

cat >line.lua <<'END'
return { api = 1, board = "0483:df11", setup = function() return units.open("S%04d") end,
  run = function(board, _, numbers)
    local item = numbers:take(board)
    flash.write(board, image.new { segments = { { address = 0x08000000,
      bytes = item.value .. ("\255"):rep(1024) } } })
  end }
END
moonflash station --folder station line.lua >said 2>&1 </dev/null &
station=$!

passed() { [ "$(grep -c ': PASS$' said)" -ge "$1" ]; }

: >numbers
round=0
while [ $round -lt $ROUNDS ]; do
  round=$((round + 1))
  plug 1-1 1-2 1-3 1-4
  within 60 passed $((round * 4)) || fail "round $round: $(cat said)"
  for n in 1 2 3 4; do
    unplug 1-$n
    within 20 is_away 1-$n
    head -c 5 $n.img >>numbers
    echo >>numbers
  done
  usleep 1300000
done
kill -INT $station
wait $station
got=$?
[ $got = 0 ] || fail "the station ended with $got: $(cat said)"
says said "$UNITS units passed, 0 failed"
[ "$(sort -u numbers | wc -l)" = $UNITS ] || fail "a number stands on two boards: $(cat numbers)"
status 0 moonflash records --folder station
says out "units      $UNITS, $UNITS passed"
status 0 moonflash records --folder station --csv
for number in $(cat numbers); do
  says out "$number"
done

#!/bin/sh
# SPDX-License-Identifier: MIT
# A station as a process: its signals, its lock, its port; SIGKILL at any moment, with sixteen boards
# in work. KILLS says how often (20; `make soak`: 300).
# The last line is "N passed, N failed, N skipped".
set -u
here=$(cd "$(dirname "$0")" && pwd)
moonflash=$(realpath "${MOONFLASH:-$here/../../build/moonflash}")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place" || exit 1
. "$here/../verdict.sh"
KILLS=${KILLS:-20}

cat >slow.lua <<'EOT'
return { api = 1, setup = function() return units.open("N%d") end,
  run = function(board, _, numbers)
    numbers:take(board)
    board:step("work")
    print("at work")
    task.sleep(2)
  end }
EOT

# begin WORDS...: a station in the background; returns when its unit is at work.
begin() {
  "$moonflash" -d sim:f407 "$@" >out 2>&1 </dev/null &
  station=$!
  i=0
  until grep -q 'at work' out || [ $i -gt 500 ]; do i=$((i + 1)); sleep 0.02; done
}

# ends NAME STATUS PATTERN: the station has ended so, and said that.
ends() {
  wait $station
  status=$?
  why=
  [ $status -eq "$2" ] || why="status $status, not $2"
  grep -q -e "$3" out || why="$why; it does not say '$3': $(cat out)"
  verdict "$1" "$why"
}

outcomes() { "$moonflash" records --folder "$1" --csv | tr -d '\r' | sed 1d | cut -d, -f1,5; }

begin station --folder one slow.lua
kill -INT $station
ends "SIGINT finishes the units in work" 0 '1 unit passed, 0 failed'
verdict "and records them" "$([ "$(outcomes one)" = N1,PASS ] || outcomes one)"

begin station --folder two slow.lua
kill -TERM $station
i=0
until grep -q '^Ending: 1 unit in work' out || [ $i -gt 500 ]; do i=$((i + 1)); sleep 0.02; done
kill -TERM $station
ends "a second signal interrupts them" 130 '1 interrupted'
verdict "and that is recorded" "$([ "$(outcomes two)" = '#1,ABORTED' ] || outcomes two)"

(trap '' INT TERM; begin station --folder three slow.lua; kill -INT $station; wait $station
 echo $? >status)
verdict "also where the signals were ignored" "$([ "$(cat status)" = 0 ] || cat status out)"

begin station --folder four slow.lua
"$moonflash" -d sim:f407 station --folder four slow.lua >second 2>&1 </dev/null
status=$?
verdict "one station on one store" "$([ $status -eq 75 ] || cat second)"
kill -INT $station
ends "and the first goes on" 0 '1 unit passed'

begin station --folder five --page 0 slow.lua
port=$(sed -n 's|^Page: http://127.0.0.1:\([0-9]*\)/.*|\1|p' out)
"$moonflash" -d sim:f407 station --folder six --page "$port" slow.lua >second 2>&1 </dev/null
status=$?
verdict "a port in use is told before any board" \
  "$([ $status -eq 75 ] && ! grep -q 'at work' second || cat second)"
kill -INT $station
wait $station

"$moonflash" station slow.lua >out 2>&1 </dev/null
status=$?
verdict "no store is made without a word" "$([ $status -eq 64 ] && [ ! -e station ] || cat out)"
"$moonflash" -d sim:f407 flash --json slow.lua >/dev/null 2>&1
"$moonflash" -d sim:f407 slow.lua >out 2>&1 </dev/null
status=$?
verdict "units.open wants a station" \
  "$([ $status -eq 64 ] && grep -q 'moonflash station' out || cat out)"

# Real and simulated units do not share a store.
begin station --folder seven slow.lua
kill -INT $station
wait $station
"$moonflash" station --folder seven slow.lua >out 2>&1 </dev/null
status=$?
verdict "simulated and real units do not share a store" \
  "$([ $status -eq 64 ] && grep -q 'has simulated units' out || cat out)"

"$moonflash" --dry-run --virtual-time -d sim:f407 station --units 1 slow.lua >out 2>&1 </dev/null
verdict "a dry run keeps its store in memory" \
  "$([ ! -e station ] && grep -q 'Nothing was written' out || cat out)"

# ---- secrets ----

printf 'serial,pin\nA1,4839117\nA2,2244667\n' >pins.csv
cat >pins.lua <<'EOT'
return { api = 1, setup = function() return units.open("pins.csv", { secret = "pin" }) end,
  run = function(board, _, pins)
    local item = pins:take(board)
    print("the pin is", item.pin)
    board:note("pin", item.pin)
    board:erase_page(0x08000000)
    board:write(0x08000000, item.pin .. " ")
    fail("pin %s refused", item.pin)
  end }
EOT
"$moonflash" --virtual-time --json -d sim:f407 --report '{unit}.html' --pcap-blank \
  --pcap '{unit}.pcap' station --folder pins --units 1 pins.lua >out 2>&1 </dev/null
"$moonflash" records --folder pins --json >>out
"$moonflash" records --folder pins --unit A1 >>out
verdict "a secret is in no message, record, report and capture" \
  "$(grep -l 4839117 out pins/* ./*.html ./*.pcap 2>/dev/null)"
verdict "but its unit is there" "$(grep -q '"A1"' out || cat out)"
for option in --trace-bytes "--pcap x.pcap"; do
  # shellcheck disable=SC2086
  "$moonflash" --virtual-time -d sim:f407 $option station --folder pins2 --units 1 pins.lua \
    >out 2>&1 </dev/null
  status=$?
  verdict "$option is refused" "$([ $status -eq 64 ] || cat out)"
done

# ---- SIGKILL ----

# Each number that a board has got is written down by the board's side. After the crash each of these
# is in the store, no number is on two passed units, and what passed has used its number.
cat >witness.lua <<'EOT'
return { api = 1, setup = function() return units.open("K%06d") end,
  run = function(board, _, numbers)
    local item = numbers:take(board)
    local file <close> = io.open("witness", "a")
    file:write(item.value, "\n")
    file:flush()
    flash.write(board, image.new { segments = { { address = 0x08000000,
      bytes = item.value .. ("\255"):rep(1024) } } })
  end }
EOT
cat >crash.lua <<'EOT'
local recipe = require("moonflash.run.recipe").load("./witness.lua")
require("moonflash.station.rehearse").recipe(recipe, {}, { units = 1000000, places = 16,
  seed = tonumber(arg[1]), board = "f407", folder = "killed" })
EOT
cat >judge.lua <<'EOT'
local store = require("moonflash.station.store").open("killed")
local function none(sql)
  local row = store.db:row("SELECT count(*) AS n FROM (" .. sql .. ")")
  if row.n > 0 then error(row.n .. " of: " .. sql, 0) end
end
none "SELECT 1 FROM attempt WHERE outcome = 'PASS' GROUP BY dut_id HAVING count(*) > 1"
none [[SELECT 1 FROM item JOIN attempt ON attempt.id = attempt_id
  WHERE outcome = 'PASS' AND state <> 'used']]
none [[SELECT 1 FROM item JOIN attempt ON attempt.id = attempt_id
  WHERE outcome <> 'PASS' AND state = 'reserved']]
local seen = {}
for value in io.lines("witness") do
  if not seen[value] and not store:item("K%06d", value) then
    error(value .. " was on a board, and is not in the store", 0)
  end
  seen[value] = true
end
store:close()
EOT
mkdir killed
: >witness
why=
i=0
while [ $i -lt "$KILLS" ] && [ -z "$why" ]; do
  i=$((i + 1))
  "$moonflash" --virtual-time crash.lua $i >out 2>&1 </dev/null &
  station=$!
  # At any moment of its start; every other time, of its work.
  before=$(wc -l <witness)
  while [ $((i % 2)) -eq 0 ] && [ "$(wc -l <witness)" -lt $((before + 2)) ] &&
    kill -0 $station 2>/dev/null; do
    sleep 0.01
  done
  sleep "0.$(awk "BEGIN { srand($i); print int(10 + rand() * 60) }")"
  kill -KILL $station
  wait $station 2>/dev/null
  "$moonflash" judge.lua >judged 2>&1 || why="after $i kills: $(cat judged)"
done
verdict "SIGKILL with sixteen boards in work, $KILLS times" "$why"
verdict "units were made between the kills" \
  "$([ "$(sort -u witness | wc -l)" -ge "$KILLS" ] || wc -l witness)"

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]

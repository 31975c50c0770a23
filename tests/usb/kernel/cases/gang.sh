# SPDX-License-Identifier: MIT
# A fixture with four slots, whose boards have one serial number (fault 35 of the field): one is in
# order, one fails, one is pulled out, one hangs. The first is flashed all the same, and each of the
# others is named by its slot with what is the matter.
# guest: second
. /tests/lib.sh
cat >slots.lua <<'END'
return { front = "1-1", left = "1-2", rear = "1-3", right = "1-4" }
END
yes 'other bytes' | head -c 1048576 >1.img
for n in 2 3 4; do cp 1.img $n.img; done
serve sim:f407#1,serial=STM32,flash=1.img sim:f407#2,serial=STM32,flash=2.img,wrp=1 \
  sim:f407#3,serial=STM32,flash=3.img sim:f407#4,serial=STM32,flash=4.img,fault=hang@90
plug 1-1 1-2 1-3 1-4

status 0 moonflash --slots slots.lua slots
says out "right  1-4   STM32"

moonflash --json --slots slots.lua --every-slot flash --full /tests/ch.bin >events 2>said &
all=$!
within 20 grep -q '"path":"1-3","slot":"rear","phase":"erase"' events || fail "$(cat said)"
unplug 1-3
within 60 grep -q '"path":"1-1".*"outcome":"PASS"' events || fail "$(cat said)"
wait $all
got=$?
cat said
[ $got = 80 ] || fail "it ended with $got, not with the first failure's 80"
says said "left: 1-2: the option bytes (nWRP) protect the sectors at 0x08000000"
says said "rear: 1-3: the board went away"
says said "right: 1-4: no answer while"
cmp -n 58836 1.img /tests/ch.bin || fail "the good one was not written"

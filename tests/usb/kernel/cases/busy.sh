# SPDX-License-Identifier: MIT
# Two programs, one board (fault 28 of the field): exit 75 for the second, and the first is not
# disturbed. Looking (list) is free.
. /tests/lib.sh
serve sim:f407,times=zero
plug 1-1

cat >hold.lua <<'END'
io.stdout:setvbuf("line")
local board <close> = dfu.open()
print("holds it")
board:erase_page(0x08000000)
while not io.open("enough") do task.sleep(0.05) end
board:erase_page(0x08000000)
print("done")
END
moonflash hold.lua >held 2>&1 &
holder=$!
within 20 grep -q holds held || fail "$(cat held)"
status 75 moonflash flash /tests/ch.bin
says err "another program, or this one, has the board open"
status 0 moonflash list
says out "315A28A0B956"
dfu-util -a 0 -s 0x08000000:16 -U back.bin >theirs 2>&1 && fail "dfu-util got the board, too"
says theirs "Cannot claim interface"
touch enough
wait $holder || fail "the first was disturbed: $(cat held)"
says held "done"

# the other way round, and once it has ended the board is free: dfu-util sleeps for 35 s after a mass
# erase has begun
dfu-util -a 0 -s :mass-erase:force >theirs 2>&1 &
other=$!
within 20 grep -q 'Setting timeout to 35 seconds' theirs || fail "$(cat theirs)"
status 75 moonflash flash /tests/ch.bin
kill -KILL $other
wait $other
status 0 moonflash erase --address 0x08000000

# SPDX-License-Identifier: MIT
# What doctor reports about a board behind a real kernel: its own claim is not taken for another's.
. /tests/lib.sh
serve sim:f407,times=zero
plug 1-1

status 0 moonflash doctor
says out "no other program has it open"
[ "$(state 1-1)" = dfuERROR ] || [ "$(state 1-1)" = dfuIDLE ] || fail "its state is $(state 1-1)"

cat >hold.lua <<'END'
io.stdout:setvbuf("line")
local board <close> = dfu.open()
print("holds it")
while not io.open("enough") do task.sleep(0.05) end
END
moonflash hold.lua >held 2>&1 &
holder=$!
within 20 grep -q holds held || fail "$(cat held)"
status 75 moonflash doctor
says out "moonflash (pid $holder) has it"
touch enough
wait $holder
status 0 moonflash doctor

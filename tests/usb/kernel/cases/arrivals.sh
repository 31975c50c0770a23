# SPDX-License-Identifier: MIT
# Boards come and go while dfu.open(..., { wait = seconds }) and dfu.arrivals wait; no udevd runs here, which
# is where libusb's own hotplug events don't come.
. /tests/lib.sh
serve sim:f407,serial=A1,times=zero sim:f407,serial=B2,times=zero

cat >open.lua <<'END'
local board <close> = dfu.open("serial=B2", { wait = 20 })
print("opened", board.path, board.serial)
END
cat >arrivals.lua <<'END'
io.stdout:setvbuf("line")
local n = 0
for board in dfu.arrivals("0483:df11") do
  n = n + 1
  print(n, board.path, dfu.list(board.path)[1].serial)
  if n == 4 then break end
end
END
moonflash open.lua >opened 2>&1 &
opener=$!
moonflash arrivals.lua >arrived 2>&1 &
arrivals=$!
sleep 1
[ -s opened ] && fail "a board was opened before there was one: $(cat opened)"

plug 1-1
within 20 grep -q A1 arrived || fail "the first did not arrive: $(cat arrived)"
[ -s opened ] && fail "the wrong board was opened: $(cat opened)"
plug 1-2
wait $opener || fail "dfu.open: $(cat opened)"
says opened "B2"
within 20 grep -q B2 arrived || fail "the second did not arrive: $(cat arrived)"

# one goes and comes back, and counts again
unplug 1-1
within 20 is_away 1-1
plug 1-1
within 20 grep -q '^3.*A1' arrived || fail "the one that came back did not count: $(cat arrived)"
unplug 1-2
within 20 is_away 1-2
plug 1-2
wait $arrivals || fail "dfu.arrivals: $(cat arrived)"
[ "$(wc -l <arrived)" = 4 ] || fail "not four arrivals: $(cat arrived)"
says arrived "4	1-2	B2"

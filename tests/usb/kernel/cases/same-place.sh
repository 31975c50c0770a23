# SPDX-License-Identifier: MIT
# A board that goes, and comes back at the same port under another device number, is the same Board;
# while it is away nothing is taken for it, and its journal goes on.
# guest: second
. /tests/lib.sh
serve sim:f407,times=zero
plug 1-1
first=$(devnum 1-1)

cat >same.lua <<'END'
io.stdout:setvbuf("line")
local board = dfu.at("1-1")
board:open()
local before = dfu.list()[1].generation
board:erase_page(0x08000000)
print("pull")
while pcall(board.get_state, board) do task.sleep(0.05) end
board:close()
local _, err = catch("usb.no-device", board.open, board, { wait = 0.5 })
assert(err and err.was_there, tostring(err))
print("plug")
board:open { wait = 20 }
assert(dfu.list()[1].generation ~= before)
assert(board.path == "1-1" and board.is_open)
board:write(0x08000000, ("same"):rep(16))
assert(board:read(0x08000000, 64) == ("same"):rep(16))
board:close()
print("done")
END
moonflash same.lua >said 2>&1 &
within 20 grep -q pull said || fail "not opened: $(cat said)"
unplug 1-1
within 20 grep -q plug said || fail "it was not found to be away: $(cat said)"
plug 1-1
[ "$(devnum 1-1)" != "$first" ] || fail "the kernel gave it the same number"
wait $! || fail "$(cat said)"
says said "done"

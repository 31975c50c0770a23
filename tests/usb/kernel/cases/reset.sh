# SPDX-License-Identifier: MIT
# board:reset is a USB reset. The ROM is the same afterwards, and so is, for Linux, the device: it
# keeps its number. The same Board can be opened again.
. /tests/lib.sh
serve sim:f407,times=zero
plug 1-1
keep_plugged 1-1
cat >reset.lua <<'END'
local board <close> = dfu.open()
board:erase_page(0x08000000)
board:reset()
assert(not board.is_open)
board:open { wait = 10 }
board:write(0x08000000, ("again..."):rep(8))
assert(board:read(0x08000000, 8) == "again...")
print("done")
END
status 0 moonflash reset.lua

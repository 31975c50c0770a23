# SPDX-License-Identifier: MIT
# What makes a board go away by itself: read unprotect, option bytes, leave. Each time board:open
# waits for the device that comes, and never takes the one that is about to go.
. /tests/lib.sh
serve sim:f407,rdp=1,times=zero
plug 1-1
keep_plugged 1-1

cat >back.lua <<'END'
io.stdout:setvbuf("line")
local board <close> = dfu.open("1-1")
local function generation() return dfu.list("1-1")[1].generation end
local seen = { [generation()] = true }
local function came_back(what)
  board:open { wait = 30 }
  assert(not seen[generation()], what .. ": the stale device was taken for the new one")
  seen[generation()] = true
  print(what, board.found_state)
end

local _, err = catch("board.protected", board.read, board, 0x08000000, 16)
assert(err, "it is not protected")
board:read_unprotect()
came_back("unprotect")
assert(board:read(0x08000000, 16) == ("\xFF"):rep(16))

local options = board:read(0x1FFFC000, 16)
board:write(0x1FFFC000, options)
came_back("options")
assert(board:read(0x1FFFC000, 16) == options)

board:leave(0x08000000)
came_back("leave")
END
status 0 moonflash back.lua
says out "leave"

-- SPDX-License-Identifier: MIT
-- What board:control reads was taken from the board's buffer when its task had its turn; by then
-- another task may have begun a transfer on that board, and stood in the buffer.
local dfu = require "dfu"
local lu = require "luaunit"
local sim = require "sim"
local task = require "task"

local TestControlGivesAnothersBytes = {}

function TestControlGivesAnothersBytes.test()
  local place <close> = sim.new("f407,usb=none")
  local board <close> = dfu.open(place.path)
  local got, tries = nil, 0
  local writer = task.spawn(function()
    while not got do -- as soon as the board is free
      tries = tries + 1
      pcall(board.control, board, 0x40, 99, 0, 0, ("Z"):rep(64))
      task.sleep(0)
    end
  end)
  for _ = 1, 20 do
    local ok, bytes = pcall(board.control, board, 0x80, 6, 0x0100, 0, 18)
    if ok then lu.assertEquals({ #bytes, bytes:byte(1, 2) }, { 18, 18, 1 }) end
    task.sleep(0)
  end
  got = true
  writer:join()
  lu.assertTrue(tries > 5)
end

return { TestControlGivesAnothersBytes = TestControlGivesAnothersBytes }

-- SPDX-License-Identifier: MIT
-- A board that one task closes while another works on it: the other task got a USB error, and
-- asked to look at its cable.
local dfu = require "dfu"
local lu = require "luaunit"
local sim = require "sim"
local support = require "support"
local task = require "task"

local TestClosedInMidOperation = {}

function TestClosedInMidOperation.test()
  local place <close> = sim.new("f407,usb=ideal")
  local board <close> = dfu.open(place.path)
  local job = task.spawn(board.erase_page, board, 0x08004000)
  task.sleep(0.1)
  board:close()
  local err = support.assert_raises("cancelled", job.join, job)
  lu.assertStrContains(err.message, "closed while erasing 0x08004000")
end

return { TestClosedInMidOperation = TestClosedInMidOperation }

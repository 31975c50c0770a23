-- SPDX-License-Identifier: MIT
-- A Board that was lost without being closed kept its place busy until Lua happened to collect it.
local dfu = require "dfu"
local lu = require "luaunit"
local sim = require "sim"
local support = require "support"

local TestABoardThatNobodyHolds = {}

function TestABoardThatNobodyHolds.test()
  local place <close> = sim.new("f407,usb=ideal")
  collectgarbage("stop")
  local _ <close> = support.close_with(function() collectgarbage("restart") end)
  for _ = 1, 3 do dfu.open(place.path):set_address(0x08000000) end
  local board <close> = dfu.open(place.path)
  lu.assertEquals(board.found_state, "dfuIDLE")
end

return { TestABoardThatNobodyHolds = TestABoardThatNobodyHolds }

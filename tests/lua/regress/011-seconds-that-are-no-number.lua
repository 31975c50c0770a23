-- SPDX-License-Identifier: MIT
-- board:open { wait = 0 / 0 } waited for ever, dfu.open(place, { wait = "5" }) took the string for
-- a number, and board:detach("x") spoke of arithmetic in boards.lua.
local dfu = require "dfu"
local support = require "support"
local sim = require "sim"

local TestSecondsThatAreNoNumber = {}

function TestSecondsThatAreNoNumber.test()
  local place <close> = sim.new("f407,usb=ideal")
  place:unplug()
  local board <close> = dfu.at(place.path)
  for _, bad in ipairs { 0 / 0, -1, "5", {} } do
    support.assert_fails("seconds, 0 or more", board.open, board, { wait = bad })
    support.assert_fails("seconds, 0 or more", board.detach, board, bad)
    support.assert_fails("seconds, 0 or more", board.wait_app, board, bad)
    support.assert_fails("seconds, 0 or more", dfu.open, place.path, { wait = bad })
  end
end

return { TestSecondsThatAreNoNumber = TestSecondsThatAreNoNumber }

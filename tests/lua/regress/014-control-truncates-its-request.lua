-- SPDX-License-Identifier: MIT
-- board:control(0x1A1, 0x105, ...) sent request 5 of type 0xA1: numbers that don't fit were cut.
local dfu = require "dfu"
local sim = require "sim"
local support = require "support"

local TestControlTruncatesItsRequest = {}

function TestControlTruncatesItsRequest.test()
  local place <close> = sim.new("f407,usb=ideal")
  local board <close> = dfu.open(place.path)
  support.assert_fails("bad argument #1 to 'control'", board.control, board, 0x1A1, 5, 0, 0, 1)
  support.assert_fails("bad argument #2 to 'control'", board.control, board, 0xA1, 0x105, 0, 0, 1)
  support.assert_fails("bad argument #1 to 'control'", board.control, board, -1, 5, 0, 0, 1)
end

return { TestControlTruncatesItsRequest = TestControlTruncatesItsRequest }

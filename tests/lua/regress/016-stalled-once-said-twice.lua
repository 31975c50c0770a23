-- SPDX-License-Identifier: MIT
-- "(STALL), twice" was said of an ABORT that was stalled once.
local dfu = require "dfu"
local lu = require "luaunit"
local sim = require "sim"
local support = require "support"

local TestStalledOnceSaidTwice = {}

function TestStalledOnceSaidTwice.test_once()
  local place <close> = sim.new("f407,usb=ideal")
  local board <close> = dfu.open(place.path)
  place:fault("stall", place.requests + 1)
  local err = support.assert_raises("dfu.stall", board.abort, board)
  lu.assertStrContains(err.message, "the board refused the request (STALL)")
  lu.assertNotStrContains(err.message, "twice")
end

-- DNLOAD, GETSTATUS, which says that all is well, and the same DNLOAD again
function TestStalledOnceSaidTwice.test_twice()
  local place <close> = sim.new("f407,usb=ideal,state=dfuIDLE")
  local board <close> = dfu.open(place.path)
  board:get_status()
  place:fault("stall", place.requests + 1)
  place:fault("stall", place.requests + 3)
  local err = support.assert_raises("dfu.stall", board.set_address, board, 0x08000000)
  lu.assertStrContains(err.message, "(STALL), twice")
end

return { TestStalledOnceSaidTwice = TestStalledOnceSaidTwice }

-- SPDX-License-Identifier: MIT
-- A board that was left erasing could not be opened, however long the caller would have waited: its
-- ROM holds GETSTATE, which timed out after five seconds.
local dfu = require "dfu"
local lu = require "luaunit"
local sim = require "sim"
local support = require "support"
local task = require "task"

local TestOpenedWhileItErases = {}

-- A mass erase, 16 s, that another program began and did not wait for.
local function erasing(place)
  local board <close> = dfu.open(place.path)
  support.assert_raises("timeout", task.deadline, 0.5, board.mass_erase, board)
end

function TestOpenedWhileItErases.test_without_patience()
  local place <close> = sim.new("f407,usb=ideal")
  erasing(place)
  local err = support.assert_raises("timeout", dfu.open, place.path)
  lu.assertStrContains(err.message, "no answer while reporting its state")
  lu.assertStrContains(err.hint, "The board may still be erasing")
  lu.assertStrContains(err.hint, "--wait 60")
end

function TestOpenedWhileItErases.test_with_patience()
  local place <close> = sim.new("f407,usb=ideal")
  erasing(place)
  local took, board = support.seconds(dfu.open, place.path, { wait = 60 })
  local _ <close> = board
  lu.assertTrue(took > 5 and took < 20, took)
  lu.assertEquals(board:read(0x08000000, 4), "\xFF\xFF\xFF\xFF")
end

function TestOpenedWhileItErases.test_as_long_as_said()
  local place <close> = sim.new("f407,usb=ideal")
  erasing(place)
  local took = support.seconds(support.assert_raises, "timeout", dfu.open, place.path, { wait = 8 })
  lu.assertTrue(took >= 8 and took < 14, took)
end

return { TestOpenedWhileItErases = TestOpenedWhileItErases }

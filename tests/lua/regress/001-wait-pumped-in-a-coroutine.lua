-- SPDX-License-Identifier: MIT
-- A coroutine that waits inside a sort is waited for on the spot. Its task was put on the ready
-- queue all the same, and so the task's next wait ended before its time: an erase seemed done.
local dfu = require "dfu"
local lu = require "luaunit"
local sim = require "sim"
local task = require "task"

local TestWaitPumpedInACoroutine = {}

function TestWaitPumpedInACoroutine.test()
  local place <close> = sim.new("f407,usb=ideal")
  local board <close> = dfu.open(place.path)
  place:poke(0x08020000, "old")
  table.sort({ 1, 2 }, coroutine.wrap(function() task.sleep(0.1) end))
  local before = task.now()
  board:erase_page(0x08020000)
  lu.assertTrue(task.now() - before > 0.5)
  lu.assertEquals(board:read(0x08020000, 3), "\xFF\xFF\xFF")
  before = task.now()
  task.sleep(5)
  lu.assertAlmostEquals(task.now() - before, 5, 0.001)
end

return { TestWaitPumpedInACoroutine = TestWaitPumpedInACoroutine }

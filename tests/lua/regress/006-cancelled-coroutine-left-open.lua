-- SPDX-License-Identifier: MIT
-- A cancellation that goes through coroutine.resume leaves a dead coroutine behind, whose <close>
-- variables never ran: a board stayed open.
local dfu = require "dfu"
local lu = require "luaunit"
local sim = require "sim"
local support = require "support"
local task = require "task"

local TestCancelledCoroutineLeftOpen = {}

function TestCancelledCoroutineLeftOpen.test()
  local place <close> = sim.new("f407,usb=ideal")
  local kept
  local job = task.spawn(function()
    coroutine.resume(coroutine.create(function()
      local board <close> = dfu.open(place.path)
      kept = board
      task.sleep(100)
    end))
  end)
  task.sleep(1)
  job:cancel()
  support.assert_raises("cancelled", job.join, job)
  lu.assertFalse(kept.is_open)
end

return { TestCancelledCoroutineLeftOpen = TestCancelledCoroutineLeftOpen }

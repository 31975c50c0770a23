-- SPDX-License-Identifier: MIT
-- An operation that is cancelled says where, and what state the flash is in. The cancellation was
-- taken for a USB error by explain.lua, and the error that came out knew neither board nor flash.
local dfu = require "dfu"
local lu = require "luaunit"
local sim = require "sim"
local support = require "support"
local task = require "task"

local TestCancelledOperationLostItsPlace = {}

function TestCancelledOperationLostItsPlace.test()
  local place <close> = sim.new("f407,usb=ideal")
  local board <close> = dfu.open(place.path)
  local seen
  local job = task.spawn(function()
    local _ <close> = support.close_with(function(_, err) seen = err end)
    board:erase_page(0x08020000)
  end)
  task.sleep(0.2)
  job:cancel()
  local err = support.assert_raises("cancelled", job.join, job)
  lu.assertIs(seen, err)
  lu.assertEquals({ err.path, err.op, err.address }, { place.path, "erase", 0x08020000 })
  lu.assertStrContains(err.flash, "in doubt")
end

return { TestCancelledOperationLostItsPlace = TestCancelledOperationLostItsPlace }

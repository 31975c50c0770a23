-- SPDX-License-Identifier: MIT
-- A coroutine that raises something else while it is cancelled ended the cancellation: resume
-- returned false, as it does for any error, and the recipe went on.
local lu = require "luaunit"
local support = require "support"
local task = require "task"

local TestCoroutineSwallowsCancellation = {}

function TestCoroutineSwallowsCancellation.test()
  local after = false
  local function work()
    local _ <close> = support.close_with(function() error("instead of it") end)
    task.sleep(100)
  end
  local job = task.spawn(function()
    coroutine.resume(coroutine.create(function() coroutine.wrap(work)() end))
    after = true
  end)
  task.sleep(1)
  job:cancel()
  support.assert_raises("cancelled", job.join, job)
  lu.assertFalse(after)
end

return { TestCoroutineSwallowsCancellation = TestCoroutineSwallowsCancellation }

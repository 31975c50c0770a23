-- SPDX-License-Identifier: MIT
-- The results of a task that had ended lay on the stack of its coroutine, where coroutine.resume
-- took them for a function with arguments, and coroutine.close threw them away before the join.
local lu = require "luaunit"
local task = require "task"

local TestResultsOfATaskTaken = {}

function TestResultsOfATaskTaken.test()
  local co
  local called = false
  local job = task.spawn(function()
    co = coroutine.running()
    return function() called = true end, "second"
  end)
  task.sleep(1)
  lu.assertEquals(coroutine.status(co), "dead")
  lu.assertEquals({ coroutine.resume(co) }, { false, "cannot resume dead coroutine" })
  coroutine.close(co)
  lu.assertFalse(called)
  lu.assertEquals(select(2, job:join()), "second")
  local dead = task.spawn(function()
    co = coroutine.running()
    error("reason", 0)
  end)
  task.sleep(1)
  coroutine.close(co)
  lu.assertEquals({ pcall(dead.join, dead) }, { false, "reason" })
end

return { TestResultsOfATaskTaken = TestResultsOfATaskTaken }

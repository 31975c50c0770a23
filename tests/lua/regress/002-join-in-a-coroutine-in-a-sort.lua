-- SPDX-License-Identifier: MIT
-- A join in a coroutine that a sort resumes can't wait. It went on as if the task had ended, and
-- took what stood on the stack of a task that slept for its results.
local lu = require "luaunit"
local support = require "support"
local task = require "task"

local TestJoinInACoroutineInASort = {}

function TestJoinInACoroutineInASort.test()
  local job = task.spawn(function()
    task.sleep(1)
    return "result"
  end)
  task.sleep(0.5)
  support.assert_fails("can't be joined here", table.sort, { 1, 2 },
    coroutine.wrap(function() job:join() end))
  lu.assertEquals(job:join(), "result")
end

return { TestJoinInACoroutineInASort = TestJoinInACoroutineInASort }

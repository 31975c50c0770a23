-- SPDX-License-Identifier: MIT
-- On the virtual clock a task that polls with task.sleep(0) kept time from passing: nothing that
-- it polled for ever happened.
local lu = require "luaunit"
local task = require "task"

local TestPollingWithSleepZero = {}

function TestPollingWithSleepZero.test()
  local over = false
  task.spawn(function()
    task.sleep(0.01)
    over = true
  end)
  for _ = 1, 100000 do
    if over then break end
    task.sleep(0)
  end
  lu.assertTrue(over)
end

return { TestPollingWithSleepZero = TestPollingWithSleepZero }

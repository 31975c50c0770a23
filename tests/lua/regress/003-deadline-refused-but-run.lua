-- SPDX-License-Identifier: MIT
-- task.deadline in a sort is misuse. It said so, and ran the function all the same.
local lu = require "luaunit"
local support = require "support"
local task = require "task"

local TestDeadlineRefusedButRun = {}

function TestDeadlineRefusedButRun.test()
  local ran = false
  support.assert_fails("sort", table.sort, { 1, 2 }, function()
    task.deadline(1, function() ran = true end)
  end)
  task.sleep(5)
  lu.assertFalse(ran)
end

return { TestDeadlineRefusedButRun = TestDeadlineRefusedButRun }

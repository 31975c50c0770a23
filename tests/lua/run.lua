-- SPDX-License-Identifier: MIT
-- Runs the tests in tests/lua and its folders with luaunit:
--   build/moonflash tests/lua/run.lua [FILE...]
-- Each file returns a table of test classes. After each test no board and no task may be left.
-- They run on the virtual clock: no test has to wait.
local events = require "moonflash.base.events"
local lu = require "luaunit"

sys.virtual_time()
local _ <close> = events.apart() -- nothing is shown of what the library does

local folder = arg[0]:match("^(.*)/") or "."

local files = {}
if arg[1] then
  files = table.move(arg, 1, #arg, 1, {})
else
  local folders = { folder }
  for _, name in ipairs(sys.readdir(folder)) do folders[#folders + 1] = folder .. "/" .. name end
  for _, place in ipairs(folders) do
    for _, name in ipairs(sys.readdir(place) or {}) do
      if name:find("^test_.*%.lua$") or name:find("^%d+%-.*%.lua$") then
        files[#files + 1] = place .. "/" .. name
      end
    end
  end
  table.sort(files)
end

-- luaunit wants its classes as globals
local suite = {}
for _, file in ipairs(files) do
  local chunk = assert(loadfile(file))
  for name, class in pairs(chunk(file)) do
    assert(not suite[name], "two classes are called " .. name)
    suite[name] = class
  end
end

local instances = {}
for name, class in pairs(suite) do
  for key, value in pairs(class) do
    if type(value) == "function" and key:lower():find("^test") then
      instances[#instances + 1] = { name .. "." .. key, class }
    end
  end
end
table.sort(instances, function(a, b) return a[1] < b[1] end)

local runner = lu.LuaUnit.new()
runner:setOutputType("text")
local list = {}
for i, item in ipairs(instances) do list[i] = { item[1], item[2] } end
runner:runSuiteByInstances(list)
local result = runner.result
for _, node in ipairs(result.allTests) do
  if node:isSkipped() then print(("skipped: %s: %s"):format(node.testName, node.msg)) end
end
print(("%d passed, %d failed, %d skipped"):format(result.successCount,
  result.failureCount + result.errorCount, result.skippedCount))
os.exit(result.failureCount + result.errorCount == 0)

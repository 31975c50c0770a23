-- SPDX-License-Identifier: MIT
-- test.lua: runs tests of recipes, on simulated boards and virtual time.
local errors = require "moonflash.errors"
local try = require "moonflash.run.try"

local function found()
  local files = {}
  for _, folder in ipairs { ".", "tests" } do
    for _, name in ipairs(sys.readdir(folder) or {}) do
      if name:find("_test%.lua$") then
        files[#files + 1] = folder == "." and "./" .. name or folder .. "/" .. name
      end
    end
  end
  table.sort(files)
  return files
end

-- Test Anything Protocol, version 13.
local function tap(results)
  local lines = { "TAP version 13", ("1..%d"):format(#results) }
  for i, result in ipairs(results) do
    lines[#lines + 1] = ("%s %d - %s: %s"):format(result.failure and "not ok" or "ok", i,
      result.file, result.name:gsub("#", ""))
    for line in (result.failure or ""):gmatch("[^\n]+") do lines[#lines + 1] = "  # " .. line end
  end
  return table.concat(lines, "\n")
end

local ENTITIES = { ["<"] = "&lt;", [">"] = "&gt;", ["&"] = "&amp;", ['"'] = "&quot;" }

local function xml(s)
  return (s:gsub("[%z\1-\8\11\12\14-\31]", "?"):gsub('[<>&"]', ENTITIES))
end

local function junit(results, failed)
  local lines = { '<?xml version="1.0" encoding="UTF-8"?>',
    ('<testsuite name="moonflash" tests="%d" failures="%d">'):format(#results, failed) }
  for _, result in ipairs(results) do
    local head = ('  <testcase classname="%s" name="%s" time="%.3f"'):format(xml(result.file),
      xml(result.name), result.seconds)
    if result.failure then
      lines[#lines + 1] = head .. ">"
      lines[#lines + 1] = ('    <failure message="%s">%s</failure>'):format(
        xml(result.failure:match("[^\n]*")), xml(result.failure))
      lines[#lines + 1] = "  </testcase>"
    else
      lines[#lines + 1] = head .. "/>"
    end
  end
  lines[#lines + 1] = "</testsuite>"
  return table.concat(lines, "\n")
end

return {
  api         = 1,
  summary     = "Run tests of recipes, on simulated boards",
  description = "A file of tests returns { name = function() ... end }. In it, sim.run runs a\n"
    .. "recipe and gives its results, and sim.rehearse asserts that it keeps its promises.\n"
    .. "Without files, those in this folder and in tests/ whose names end in _test.lua are run.",
  virtual     = true,
  args        = {
    { "files", "files of tests", default = {}, type = "words" },
    { "--junit", "print the results as JUnit's XML, not as TAP", default = false },
  },

  setup = function(opt)
    local files = #opt.files > 0 and opt.files or found()
    if #files == 0 then
      errors.raise { code = "usage", message = "there are no tests: no file ends in _test.lua" }
    end
    local results, failed = try.tests(files), 0
    for _, result in ipairs(results) do failed = failed + (result.failure and 1 or 0) end
    io.stdout:write((opt.junit and junit(results, failed) or tap(results)), "\n")
    if failed > 0 then
      fail("%d of %d tests failed", failed, #results)
    end
  end,
}

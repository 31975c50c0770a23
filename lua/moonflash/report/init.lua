-- SPDX-License-Identifier: MIT
-- --report FILE.html: the report of a run, as one self-contained page.
local dfu = require "dfu"
local files = require "moonflash.base.files"
local page = require "moonflash.report.page"
local pattern = require "moonflash.base.pattern"

local M = {}

-- A report may replace an older report or an empty file, but no other file, such as firmware.
local function may_replace(beginning)
  return beginning == "" or beginning:sub(1, #page.BEGINNING) == page.BEGINNING
end

---Raises `file.write` if a report can't be written. Called before the run.
---@param name string or a pattern
function M.check(name)
  if pattern.is_pattern(name) then return pattern.check(name, "--report") end
  files.check_replaceable(name, may_replace, "a report")
end

---Writes the report of a run: a whole file or nothing. Raises `file.write`.
---@param name string or a pattern
---@param run table see page.make
---@param facts? table of one unit, for a pattern
---@return string name of the file
function M.write(name, run, facts)
  run.dry = dfu.defaults.dry
  if pattern.is_pattern(name) then name = pattern.expand(name, facts) end
  files.write(name, page.make(run))
  return name
end

return M

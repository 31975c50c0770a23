-- SPDX-License-Identifier: MIT
-- --report FILE.html: what a run did, as one page that needs nothing else.
local dfu = require "dfu"
local files = require "moonflash.base.files"
local page = require "moonflash.report.page"

local M = {}

-- An older report may be replaced, and an empty file; never somebody's firmware.
local function may_replace(beginning)
  return beginning == "" or beginning:sub(1, #page.BEGINNING) == page.BEGINNING
end

---Raises `file.write` where a report can't be written, before any work was done for it.
---@param name string
function M.check(name)
  files.check_replaceable(name, may_replace, "a report")
end

---Writes the report of a run; all of it, or nothing. Raises `file.write`.
---@param name string
---@param run table see page.make
function M.write(name, run)
  run.dry = dfu.defaults.dry
  files.write(name, page.make(run))
end

return M

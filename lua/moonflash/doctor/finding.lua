-- SPDX-License-Identifier: MIT
-- A Finding: the result of a check. It has the fact, its level, and the advice.
local text = require "moonflash.base.text"

local M = {}

---@class moonflash.Finding
---@field found string
---@field level string "ok", "note" or "fail"
---@field todo? string
---@field code? string the error code, if the level is "fail"
---@field check? string name of the check; set by the caller of the check
---@field path? string the board's path; set there, too

---@param found string a format for string.format, if arguments follow
---@return moonflash.Finding
function M.ok(found, ...)
  return { found = select("#", ...) > 0 and found:format(...) or found, level = "ok" }
end

---@param found string
---@param todo? string
---@return moonflash.Finding
function M.note(found, todo)
  return { found = found, level = "note", todo = todo }
end

---@param code string
---@param found string
---@param todo? string
---@return moonflash.Finding
function M.fail(code, found, todo)
  return { found = found, level = "fail", todo = todo, code = code }
end

---Makes a finding of an error object. The board's path is left out, because the heading has it.
---@param err table
---@param path? string
---@return moonflash.Finding
function M.from_error(err, path)
  return M.fail(err.code, text.without_path(err.message, path), err.hint)
end

return M

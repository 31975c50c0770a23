-- SPDX-License-Identifier: MIT
-- What a check returns: what was found, how bad that is, and what to do.
local text = require "moonflash.base.text"

local M = {}

---@class moonflash.Finding
---@field found string
---@field level string "ok", "note" or "fail"
---@field todo? string
---@field code? string of the error that it is, where it fails
---@field check? string the name of the check: filled in where it is run
---@field path? string of the board, filled in there, too

---@param found string what string.format takes, where more follows
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

---An error of the library's in these terms, without the board's path, which stands above.
---@param err table
---@param path? string
---@return moonflash.Finding
function M.from_error(err, path)
  return M.fail(err.code, text.without_path(err.message, path), err.hint)
end

return M

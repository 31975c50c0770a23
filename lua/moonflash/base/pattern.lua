-- SPDX-License-Identifier: MIT
-- Names of files with places for facts: runs/{date}-{time}-{slot}-{serial}.html
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local files = require "moonflash.base.files"
local suggest = require "moonflash.base.suggest"

local M = {}

local NAMES = { "date", "time", "slot", "serial", "path", "unit" }

-- The boards that this run has opened: their slots, serial numbers and paths.
local seen = { slot = {}, serial = {}, path = {} }
local following = false

local function follow()
  if following then return end
  following = true
  events.on { board = function(_, board)
    for _, name in ipairs { "slot", "serial", "path" } do
      local value = board[name]
      if value and not seen[name][value] then
        seen[name][value] = true
        table.insert(seen[name], value)
      end
    end
  end }
end

---Whether a name has places for facts.
---@param name string
---@return boolean
function M.is_pattern(name) return name:find("{%a+}") ~= nil end

---Checks a pattern, and follows the run from now on. Raises `usage` for an unknown place.
---@param pattern string
---@param what string the option, for the message
function M.check(pattern, what)
  for name in pattern:gmatch("{(%a+)}") do
    local known = false
    for _, other in ipairs(NAMES) do known = known or name == other end
    if not known then
      errors.raise { code = "usage", message = ("%s: there is no {%s}%s; there are {%s}"):format(
        what, name, suggest.hint(name, NAMES), table.concat(NAMES, "}, {")) }
    end
  end
  follow()
end

-- The value for a place: of the given facts, else of the only board, "several", or "none".
local function fact(name, facts)
  if name == "date" then return os.date("%Y-%m-%d") end
  if name == "time" then return os.date("%H%M%S") end
  if facts then return facts[name] or "none" end
  local values = seen[name] or {}
  return #values == 1 and values[1] or #values == 0 and "none" or "several"
end

---The name of a new file for a pattern: no file has it.
---@param pattern string
---@param facts? table of one unit: slot=, serial=, path=, unit=
---@return string
function M.expand(pattern, facts)
  local name = pattern:gsub("{(%a+)}", function(place)
    return (tostring(fact(place, facts)):gsub("[^%w._-]", "_"))
  end)
  local before, after = name:match("^(.*[^/])(%.[^./]*)$")
  return files.unused(before or name, after or "")
end

return M

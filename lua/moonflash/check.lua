-- SPDX-License-Identifier: MIT
-- Arguments of the library's functions that are not what they should be: misuse, in the same words.
local misuse = require "moonflash.misuse"
local suggest = require "moonflash.suggest"
local text = require "moonflash.text"

local M = {}

---@param usage string "flash.read(board, address, length)"
---@param name string of the argument
---@param value any
---@param least? integer 0
---@param most? integer no limit
function M.integer(usage, name, value, least, most)
  if math.type(value) == "integer" and value >= (least or 0) and value <= (most or value) then
    return
  elseif most then
    misuse("%s: %s is an integer, %s to %s", usage, name, text.hex(least), text.hex(most))
  end
  misuse("%s: %s is an integer, 0 or more", usage, name)
end

---How long to wait: nil, or a number from 0 to math.huge.
---@param usage string
---@param seconds any
---@return number? seconds
function M.seconds(usage, seconds)
  if seconds ~= nil and not (math.type(seconds) and seconds >= 0) then
    misuse("%s: seconds, 0 or more", usage)
  end
  return seconds
end

---The option `wait` of a table of options.
---@param usage string
---@param options any
---@param names string[] all options
---@return number? seconds
function M.wait(usage, options, names)
  if options ~= nil and type(options) ~= "table" then
    misuse("%s: options is a table, { wait = 5 }", usage)
  end
  M.options(usage, options, names)
  return M.seconds(usage, options and options.wait)
end

---A table of options: a key that is none of these names is misspelt. The options of a recipe, which
---have a metatable, may have others besides.
---@param usage string
---@param options any
---@param names string[]
function M.options(usage, options, names)
  if options == nil then return end
  if type(options) ~= "table" then misuse("%s: options is a table", usage) end
  if getmetatable(options) then return end
  local known = {}
  for _, name in ipairs(names) do known[name] = true end
  for _, key in ipairs(suggest.keys(options)) do
    if not known[key] then
      misuse("%s: there is no option '%s'%s", usage, key, suggest.hint(key, names))
    end
  end
end

return M

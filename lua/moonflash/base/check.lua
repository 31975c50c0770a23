-- SPDX-License-Identifier: MIT
-- Checks of arguments of the library's functions. A wrong argument is misuse.
local misuse = require "moonflash.base.misuse"
local suggest = require "moonflash.base.suggest"

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
    misuse("%s: the %s is an integer, 0x%X to 0x%X", usage, name, least, most)
  end
  misuse("%s: the %s is an integer, 0 or more", usage, name)
end

local SPACE = 1 << 32 -- bytes in a 32-bit address space

---@param usage string
---@param address any
function M.address(usage, address)
  M.integer(usage, "address", address, 0, SPACE - 1)
end

---A range of addresses.
---@param usage string
---@param address any
---@param length any
---@param least? integer bytes; 1
function M.range(usage, address, length, least)
  M.address(usage, address)
  M.integer(usage, "length", length, least or 1, SPACE - address)
end

---A range, given by its first and its last address.
---@param usage string
---@param first any
---@param last any
function M.span(usage, first, last)
  M.integer(usage, "first", first, 0, SPACE - 1)
  M.integer(usage, "last", last, first, SPACE - 1)
end

---A number of seconds to wait: nil, or from 0 to math.huge.
---@param usage string
---@param seconds any
---@return number? seconds
function M.seconds(usage, seconds)
  if seconds ~= nil and not (math.type(seconds) and seconds >= 0) then
    misuse("%s: seconds, 0 or more", usage)
  end
  return seconds
end

---Checks a table of options, and returns its option `wait`.
---@param usage string
---@param options any
---@param names string[] the options that the function has
---@return number? seconds
function M.wait(usage, options, names)
  if options ~= nil and type(options) ~= "table" then
    misuse("%s: options is a table, { wait = 5 }", usage)
  end
  M.options(usage, options, names)
  return M.seconds(usage, options and options.wait)
end

-- The tables of options that recipes get.
local of_recipes = setmetatable({}, { __mode = "k" })

---Remembers that a table has the options of a recipe. Returns it.
---@param options table
---@return table
function M.note_recipe_options(options)
  of_recipes[options] = true
  return options
end

---Whether a value is a table with the options of a recipe.
---@param value any
---@return boolean
function M.is_recipe_options(value) return of_recipes[value] == true end

---Checks a table of options: a key that is not in `names` is misuse. A table with a metatable holds
---the options of a recipe, and may have other keys as well.
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

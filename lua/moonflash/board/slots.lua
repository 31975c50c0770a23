-- SPDX-License-Identifier: MIT
-- Slots: names for the places where boards are plugged in. They are in a Lua file:
--   return { left = "1-4.1", right = "1-4.2" }
-- A slot may also say where it is in the fixture: left = { "1-4.1", row = 1, column = 1 }
-- The file is slots.lua in the user's configuration folder, or the one that --slots names.
local datafile = require "moonflash.base.datafile"
local errors = require "moonflash.errors"
local files = require "moonflash.base.files"
local suggest = require "moonflash.base.suggest"
local sys = require "moonflash.system"

local M = {}

local MOST = 1 << 20 -- bytes of a file

-- The file that --slots names; nil: the user's file, if it exists.
local chosen

---Sets the file. It is read when a slot is first looked up.
---@param file? string
function M.use(file)
  chosen, M.loaded = file, nil
end

---The path of the user's own file.
---@return string
function M.default_file()
  return files.config_folder() .. "/slots.lua"
end

local function bad(file, why, remedy)
  errors.raise { code = "usage", message = ("%s: %s"):format(file, why), remedy = { remedy } }
end

---Whether a word is a valid slot name: it can't be mistaken for a path, ids or NAME=VALUE.
---@param name any
---@return boolean
function M.is_name(name)
  return type(name) == "string" and name:find("^%a[%w_-]*$") ~= nil and #name <= 32
end

---Whether a word is a USB path: the bus, and a port of each hub on the way. Neither bus 0 nor port
---0 exists.
---@param word string
---@return boolean
function M.is_path(word)
  local bus, ports = word:match("^([1-9]%d*)%-([%d.]+)$")
  if not bus then return false end
  for port in (ports .. "."):gmatch("([^.]*)%.") do
    if not port:find("^[1-9]%d*$") then return false end
  end
  return true
end

local function is_place(path)
  return type(path) == "string" and (M.is_path(path) or path:find("^sim:.") ~= nil)
end

-- The row and column of a slot.
local function position_of(file, name, entry)
  for key, item in pairs(entry) do
    local right = key == 1 or (key == "row" or key == "column") and math.type(item) == "integer"
      and item >= 1 and item <= 99
    if not right then
      bad(file, ("%s: a slot is a place, or { place, row = 1, column = 1 }"):format(name))
    end
  end
  return { row = entry.row, column = entry.column }
end

local function check(file, value)
  if type(value) ~= "table" then bad(file, "it returns no table of slots", "slots-syntax") end
  local slots = { names = {}, by_name = {}, by_path = {}, position = {}, file = file }
  for name, path in pairs(value) do
    if type(path) == "table" then
      path, slots.position[name] = path[1], position_of(file, name, path)
    end
    if not M.is_name(name) then
      bad(file, ("'%s' is not a slot name: use letters, digits, _ and -"):format(tostring(name)),
        "slots-syntax")
    elseif not is_place(path) then
      bad(file, ("%s = '%s' is not a place: use a USB path like 1-4.2, or sim:..."):format(name,
        tostring(path)), "list")
    elseif slots.by_path[path] then
      bad(file, ("'%s' and '%s' are one place, %s"):format(slots.by_path[path], name, path))
    end
    slots.by_name[name], slots.by_path[path] = path, name
    slots.names[#slots.names + 1] = name
  end
  table.sort(slots.names)
  return slots
end

---The slots: names (sorted), by_name (paths), by_path (names), position (row=, column=), file,
---which need not exist. Raises `usage` for an invalid file.
---@return table
function M.load()
  if M.loaded then return M.loaded end
  local file = chosen or M.default_file()
  if not chosen and not sys.stat(file) then
    M.loaded = { names = {}, by_name = {}, by_path = {}, position = {}, file = file }
    return M.loaded
  end
  local ok, value = datafile.load(file, MOST)
  if not ok then bad(file, value) end
  M.loaded = check(file, value)
  return M.loaded
end

---The path of a slot; nil if it does not exist, and a suggestion.
---@param name string
---@return string? path
---@return string guess "" or " (did you mean 'x'?)"
function M.place(name)
  local slots = M.load()
  return slots.by_name[name], suggest.hint(name, slots.names)
end

---The slot name of a path, if it has one.
---@param path string
---@return string?
function M.name_of(path)
  return M.load().by_path[path]
end

return M

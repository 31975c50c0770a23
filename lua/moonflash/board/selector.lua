-- SPDX-License-Identifier: MIT
-- Selectors, which choose a board: "1-4.2", "0483:df11", "serial=A1,alt=1", "sim:f407", or a table.
local errors = require "moonflash.errors"
local misuse = require "moonflash.base.misuse"
local slots = require "moonflash.board.slots"
local suggest = require "moonflash.base.suggest"

local M = {}

-- The fields of a selector, and the function that converts each from a string.
local function as_it_is(value) return value end
local function id(value) return value:find("^%x%x%x%x$") and tonumber(value, 16) end
local SELECTOR = { path = as_it_is, vid = id, pid = id, serial = as_it_is, alt = as_it_is,
                   mode = as_it_is }

local function bad_selector(selector, why)
  errors.raise {
    code = "usage", message = ("'%s' is not a board selector: %s"):format(tostring(selector), why),
    remedy = { "selector" },
  }
end

local function parse_item(wanted, item, selector)
  local vid, pid = item:match("^0?x?(%x%x%x%x):0?x?(%x%x%x%x)$")
  local key, value = item:match("^(%a+)=(.*)$")
  if vid then
    wanted.vid, wanted.pid = tonumber(vid, 16), tonumber(pid, 16)
  elseif slots.is_path(item) then
    wanted.path = item
  elseif key and not SELECTOR[key] then
    bad_selector(selector, ("there is no '%s='%s"):format(key,
      suggest.hint(key, suggest.keys(SELECTOR))))
  elseif key and value ~= "" then
    wanted[key] = SELECTOR[key](value)
      or bad_selector(selector, ("%s is four hexadecimal digits"):format(key))
  else
    local path, guess = slots.place(item)
    wanted.path = path or bad_selector(selector,
      ("'%s' is no path, slot%s, VID:PID or NAME=VALUE"):format(item, guess))
  end
end

local TYPES = { path = "string", vid = "integer", pid = "integer", serial = "string",
                alt = "string or integer", mode = "string" }

local function check_table(selector)
  for key, value in pairs(selector) do
    if not TYPES[key] then
      misuse("a selector has no '%s'%s", tostring(key),
        suggest.hint(key, suggest.keys(SELECTOR)))
    end
    if not TYPES[key]:find(math.type(value) or type(value), 1, true) then
      misuse("a selector's %s is a %s", key, TYPES[key])
    end
  end
  if selector.mode and selector.mode ~= "dfu" and selector.mode ~= "runtime" then
    misuse("a selector's mode is dfu or runtime")
  end
  return selector
end

---A selector as a table: path, vid, pid, serial, alt, mode. Raises `usage` for an invalid string, a
---plain error for an invalid table.
---@param selector? string|table
---@return table
function M.parse(selector)
  if selector == nil then return {} end
  if type(selector) == "table" then return check_table(selector) end
  if type(selector) ~= "string" then
    misuse("a selector is a string or a table, not a %s", type(selector))
  end
  if selector:find("^sim:") then return { path = selector } end
  local wanted = {}
  for item in selector:gmatch("[^,]+") do parse_item(wanted, item, selector) end
  if wanted.mode and wanted.mode ~= "dfu" and wanted.mode ~= "runtime" then
    bad_selector(selector, "mode is dfu or runtime")
  end
  if next(wanted) == nil then bad_selector(selector, "it is empty") end
  return wanted
end

---The alternate setting with that number, or the first whose name begins with that text.
---@param alts table[]
---@param wanted string|integer
---@return table?
function M.find_alt(alts, wanted)
  local number = math.tointeger(tonumber(wanted))
  for _, alt in ipairs(alts) do
    if alt.number == number then return alt end
  end
  for _, alt in ipairs(alts) do
    if alt.layout.name:lower():find(tostring(wanted):lower(), 1, true) == 1 then return alt end
  end
end

---The selector as text, without its path: "0483:df11,serial=A1".
---@param wanted table from parse
---@return string
function M.text(wanted)
  local items = {}
  local function add(key, format)
    if wanted[key] then items[#items + 1] = format:format(wanted[key]) end
  end
  add("vid", "vid=%04x")
  add("pid", "pid=%04x")
  add("serial", "serial=%s")
  add("alt", "alt=%s")
  return (table.concat(items, ","):gsub("^vid=(%x+),pid=", "%1:"))
end

---@param info table in the format of dfu.list()
---@param wanted table from parse
---@return boolean
function M.matches(info, wanted)
  return (not wanted.path or info.path == wanted.path)
    and (not wanted.vid or info.vid == wanted.vid)
    and (not wanted.pid or info.pid == wanted.pid)
    and (not wanted.serial or info.serial == wanted.serial)
    and (not wanted.mode or info.mode == wanted.mode)
    and (not wanted.alt or M.find_alt(info.alts, wanted.alt) ~= nil)
end

return M

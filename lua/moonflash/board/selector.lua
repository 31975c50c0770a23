-- SPDX-License-Identifier: MIT
-- Selectors, which choose a board: "1-4.2", "0483:df11", "serial=A1,alt=1", "sim:f407", or a table.
-- "1d50:6018/1d50:6017" has the ids that a board has while it runs its program, and those in DFU
-- mode.
local errors = require "moonflash.errors"
local misuse = require "moonflash.base.misuse"
local slots = require "moonflash.board.slots"
local suggest = require "moonflash.base.suggest"

local M = {}

-- The fields of a selector, and the function that converts each from a string.
local function as_it_is(value) return value end
local function id(value) return value:find("^%x%x%x%x$") and tonumber(value, 16) end
local function number(value) return math.tointeger(tonumber(value)) end
local SELECTOR = { path = as_it_is, vid = id, pid = id, serial = as_it_is, alt = as_it_is,
                   mode = as_it_is, devnum = number, runtime_vid = id, runtime_pid = id }

local function bad_selector(selector, why)
  errors.raise {
    code = "usage", message = ("'%s' is not a board selector: %s"):format(tostring(selector), why),
    remedy = { "selector" },
  }
end

local function parse_item(wanted, item, selector)
  local before, after = item:match("^([^/]+:[^/]+)/([^/]+:[^/]+)$")
  local vid, pid = (after or item):match("^0?x?(%x%x%x%x):0?x?(%x%x%x%x)$")
  local runtime_vid, runtime_pid
  if before then runtime_vid, runtime_pid = before:match("^0?x?(%x%x%x%x):0?x?(%x%x%x%x)$") end
  if before and not runtime_vid then vid = nil end
  local key, value = item:match("^(%a+)=(.*)$")
  if vid then
    wanted.vid, wanted.pid = tonumber(vid, 16), tonumber(pid, 16)
    if runtime_vid then
      wanted.runtime_vid, wanted.runtime_pid = tonumber(runtime_vid, 16), tonumber(runtime_pid, 16)
    end
  elseif slots.is_path(item) then
    wanted.path = item
  elseif key and not SELECTOR[key] then
    bad_selector(selector, ("there is no '%s='%s"):format(key,
      suggest.hint(key, suggest.keys(SELECTOR))))
  elseif key and value ~= "" then
    wanted[key] = SELECTOR[key](value)
      or bad_selector(selector, key == "devnum" and "devnum is a number"
        or ("%s is four hexadecimal digits"):format(key))
  else
    local path, guess = slots.place(item)
    wanted.path = path or bad_selector(selector,
      ("'%s' is no path, slot%s, VID:PID or NAME=VALUE"):format(item, guess))
  end
end

local TYPES = { path = "string", vid = "integer", pid = "integer", serial = "string",
                alt = "string or integer", mode = "string", devnum = "integer",
                runtime_vid = "integer", runtime_pid = "integer" }

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

---A selector as a table: path, vid, pid, serial, alt, mode, devnum, and runtime_vid, runtime_pid,
---with which vid and pid are those of DFU mode only. Raises `usage` for an invalid string, a
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

---The alternate setting with that number or name: its string, or its name in the layout; else the
---first whose name begins with that text.
---@param alts table[]
---@param wanted string|integer
---@return table?
function M.find_alt(alts, wanted)
  local number_wanted = math.tointeger(tonumber(wanted))
  local start = tostring(wanted):lower()
  local ways = {
    function(alt) return alt.number == number_wanted end,
    function(alt) return alt.name == wanted end,
    function(alt) return alt.layout.name == wanted end,
    function(alt) return alt.layout.name:lower():find(start, 1, true) == 1 end,
    function(alt) return alt.name:lower():find(start, 1, true) == 1 end,
  }
  for _, is_it in ipairs(ways) do
    for _, alt in ipairs(alts) do
      if is_it(alt) then return alt end
    end
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
  add("runtime_vid", "runtime_vid=%04x")
  add("runtime_pid", "runtime_pid=%04x")
  add("devnum", "devnum=%d")
  add("serial", "serial=%s")
  add("alt", "alt=%s")
  return (table.concat(items, ","):gsub("^vid=(%x+),pid=", "%1:"))
end

local function has_ids(info, wanted)
  local vid, pid = wanted.vid, wanted.pid
  if info.mode == "runtime" and (wanted.runtime_vid or wanted.runtime_pid) then
    vid, pid = wanted.runtime_vid, wanted.runtime_pid
  end
  return (not vid or info.vid == vid) and (not pid or info.pid == pid)
end

---@param info table in the format of dfu.list()
---@param wanted table from parse
---@return boolean
function M.matches(info, wanted)
  return (not wanted.path or info.path == wanted.path)
    and has_ids(info, wanted)
    and (not wanted.devnum or info.devnum == wanted.devnum)
    and (not wanted.serial or info.serial == wanted.serial)
    and (not wanted.mode or info.mode == wanted.mode)
    and (not wanted.alt or M.find_alt(info.alts, wanted.alt) ~= nil)
end

return M

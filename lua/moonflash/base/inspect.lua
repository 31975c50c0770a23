-- SPDX-License-Identifier: MIT
-- Lua values as text. Calls no metamethod but __tostring, so that showing a value changes nothing.
local keywords = require "moonflash.base.keywords"
local text = require "moonflash.base.text"

local M = {}

local WIDTH = 96   -- columns
local DEPTH = 5    -- tables within tables
local ITEMS = 64   -- of one table
local SHORT = 72   -- bytes of a string within a table

-- Fields whose values are shown in hexadecimal.
local ADDRESSES = { address = true, first = true, last = true, start = true, sp = true, pc = true }
local IDS = { vid = true, pid = true, version = true }

---Whether a value is an error object.
---@param value any
---@return boolean
function M.is_error(value)
  return type(value) == "table" and type(rawget(value, "code")) == "string"
    and type(rawget(value, "message")) == "string"
end

---A value as tostring() gives it, also if its __tostring fails. For an error object: its message.
---@param value any
---@return string
function M.words(value)
  local meta = getmetatable(value)
  if M.is_error(value) and not (type(meta) == "table" and meta.__tostring) then
    return value.message
  end
  local ok, words = pcall(tostring, value)
  return ok and words or ("<%s whose __tostring fails>"):format(type(value))
end

---Whether a string has bytes that are not text.
---@param s string
---@return boolean
function M.is_binary(s)
  return s:find("[%z\1-\8\11\12\14-\31\127]") ~= nil or utf8.len(s) == nil
end

local escapes = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\""] = "\\\"", ["\\"] = "\\\\" }

local function quoted(s)
  return '"' .. s:gsub('[\n\r\t"\\]', escapes) .. '"'
end

local function nested_string(s)
  if M.is_binary(s) then
    return #s <= 16 and ("<%s>"):format(text.bytes(s)) or ("<%d bytes>"):format(#s)
  elseif #s > SHORT then
    return ("%s... (%d bytes)"):format(quoted(s:sub(1, utf8.offset(s, 0, SHORT + 1) - 1)), #s)
  end
  return quoted(s)
end

local function number(n, key, options)
  if math.type(n) == "integer" and n >= 0 and n <= 0xFFFFFFFF then
    if IDS[key] and n <= 0xFFFF then return ("0x%04X"):format(n) end
    if ADDRESSES[key] or options.is_address and options.is_address(n) then return text.hex(n) end
  end
  return tostring(n)
end

local function key_text(key, options)
  local is_word = type(key) == "string" and key:find("^[%a_][%w_]*$")
  if is_word and not keywords[key] then return key end
  if type(key) == "string" then return "[" .. nested_string(key) .. "]" end
  return "[" .. (math.type(key) and number(key, nil, options) or M.words(key)) .. "]"
end

local ORDER = { number = 1, string = 2 }

-- The keys that are not in the list part 1 to n: numbers, then strings, then the rest.
local function other_keys(t, n)
  local keys, words = {}, {}
  for key in next, t do
    if not (math.type(key) == "integer" and key >= 1 and key <= n) then keys[#keys + 1] = key end
    if not ORDER[type(key)] then words[key] = M.words(key) end -- once: it may vary
  end
  table.sort(keys, function(a, b)
    local kind_a, kind_b = ORDER[type(a)] or 3, ORDER[type(b)] or 3
    if kind_a ~= kind_b then return kind_a < kind_b end
    if kind_a == 3 then return words[a] < words[b] end
    return a < b
  end)
  return keys
end

local show -- (value, key, indent, options, seen)

local function items_of(t, indent, options, seen)
  local items, n = {}, rawlen(t)
  local keys = other_keys(t, n)
  local total = n + #keys
  for i = 1, math.min(total, ITEMS) do
    local key = i > n and keys[i - n] or i
    local item = show(rawget(t, key), key, indent .. "  ", options, seen)
    items[i] = i > n and ("%s = %s"):format(key_text(key, options), item) or item
  end
  if total > ITEMS then items[#items + 1] = ("... %d more"):format(total - ITEMS) end
  return items
end

local function show_table(t, indent, options, seen)
  if seen[t] then return "<the same again>" end
  if #indent // 2 >= DEPTH then return next(t) == nil and "{}" or "{...}" end
  seen[t] = true
  local items = items_of(t, indent, options, seen)
  seen[t] = nil
  if #items == 0 then return "{}" end
  local line = "{ " .. table.concat(items, ", ") .. " }"
  if #line + #indent <= WIDTH and not line:find("\n") then return line end
  return "{\n" .. indent .. "  " .. table.concat(items, ",\n" .. indent .. "  ") .. "\n" .. indent
    .. "}"
end

show = function(value, key, indent, options, seen)
  local kind = type(value)
  if kind == "number" then return number(value, key, options) end
  if kind == "string" then return nested_string(value) end
  local meta = debug.getmetatable(value)
  local speaks = type(meta) == "table" and rawget(meta, "__tostring") ~= nil
  if kind ~= "table" then return M.words(value) end
  if speaks then return (M.words(value):gsub("\n", "\n" .. indent)) end
  return show_table(value, indent, options, seen)
end

---A value as text. A string is quoted, but not if it has several lines.
---@param value any
---@param options? table is_address: fun(integer): whether to show that number in hexadecimal
---@return string
function M.inspect(value, options)
  if type(value) == "string" and not M.is_binary(value) then
    return value:find("\n") and (value:gsub("\n$", "")) or quoted(value)
  end
  return show(value, nil, "", options or {}, {})
end

return M

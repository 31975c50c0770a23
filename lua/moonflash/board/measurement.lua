-- SPDX-License-Identifier: MIT
-- A measurement: a value, which may have limits, and its text.
local errors = require "moonflash.errors"
local misuse = require "moonflash.base.misuse"

local M = {}

local LIMITS = { min = true, max = true, unit = true }

local function check_limits(what, limits)
  if type(limits) ~= "table" then misuse("%s: limits are { min=, max=, unit= }", what) end
  for key, bound in pairs(limits) do
    if not LIMITS[key] then
      misuse("%s: limits have min, max and unit, not '%s'", what, tostring(key))
    end
    local right = key == "unit" and type(bound) == "string"
      or key ~= "unit" and math.type(bound) and bound == bound
    if not right then misuse("%s: %s is a %s", what, key, key == "unit" and "text" or "number") end
  end
  if limits.min and limits.max and limits.min > limits.max then
    misuse("%s: min is %s, which is more than max, %s", what, limits.min, limits.max)
  end
end

local VALUES = { number = true, string = true, boolean = true }

-- Returns nil if nothing was measured: tonumber() of other text is nil, 0/0 is NaN.
local function check_value(what, value, limits)
  local is_limited = limits.min or limits.max
  if value == nil or value ~= value then
    if is_limited then return nil end
    misuse("%s: there is no value, it is %s", what, value == nil and "nil" or "no number (NaN)")
  end
  if not VALUES[type(value)] then
    misuse("%s: a value is a number, text or a boolean, not a %s", what, type(value))
  end
  if is_limited and type(value) ~= "number" then
    misuse("%s: a value with limits is a number, not a %s", what, type(value))
  end
  return value
end

local function in_digits(value, digits)
  if math.type(value) ~= "float" then return tostring(value) end
  return (("%%.%dg"):format(digits):format(value))
end

-- The number of digits that distinguish the value from its limits: 3.1999999 is not shown as 3.2.
local function digits_of(note)
  local digits = 6
  for _, bound in pairs { note.min or false, note.max or false } do
    while math.type(note.value) and bound and bound ~= note.value and digits < 17
      and tonumber(in_digits(note.value, digits)) == tonumber(in_digits(bound, digits)) do
      digits = digits + 1
    end
  end
  return digits
end

-- The value or one of its limits as text: "3.31 V".
local function text_of(note, number)
  local most, digits = digits_of(note), 6
  local exact = tonumber(in_digits(number, most))
  while tonumber(in_digits(number, digits)) ~= exact do digits = digits + 1 end -- 3.4 stays so
  local words = in_digits(number, digits)
  return note.unit and words .. " " .. note.unit or words
end

---"3.31 V"
---@param note table
---@return string
function M.text(note)
  return note.value == nil and "nothing was measured" or text_of(note, note.value)
end

---The limits as text: "from 3.2 V to 3.4 V".
---@param note table
---@return string
function M.should_be(note)
  local low, high = note.min, note.max
  return low and high and ("from %s to %s"):format(text_of(note, low), text_of(note, high))
    or low and "at least " .. text_of(note, low) or "at most " .. text_of(note, high)
end

---Creates a measurement. Wrong arguments are misuse. The limits are checked by M.check.
---@param name string
---@param value string|number|boolean nil or NaN: nothing was measured (allowed only with limits)
---@param limits? table min=, max=, unit=
---@return table note name=, value=, unit=, min=, max=, ok=
function M.new(name, value, limits)
  local what = ("board:note(%q, value, limits)"):format(name)
  limits = limits or {}
  check_limits(what, limits)
  value = check_value(what, value, limits)
  local low, high = limits.min, limits.max
  return { name = name, value = value, unit = limits.unit, min = low, max = high,
           ok = value ~= nil and (not low or value >= low) and (not high or value <= high) }
end

---Raises `fail` if a value is outside its limits, or was not measured.
---@param board table
---@param note table
function M.check(board, note)
  if note.ok then return end
  local is = note.value == nil and ": nothing was measured; it"
    or (" is %s, and"):format(M.text(note))
  errors.raise { code = "fail", path = board.path,
    message = ("%s: %s%s should be %s"):format(board.path, note.name, is, M.should_be(note)) }
end

return M

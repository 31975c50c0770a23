-- SPDX-License-Identifier: MIT
-- What a recipe says of its work on a board: steps, with a deadline for each, and notes, which are
-- measurements that may have limits. Both are kept with the run's result.
local errors = require "moonflash.errors"
local misuse = require "moonflash.misuse"
local progress = require "moonflash.progress"
local task = require "task"

local M = {}

local function name_of(what, name)
  if type(name) ~= "string" or name == "" then misuse("%s: a name", what) end
  return name
end

local function finish_step(board, fields)
  local step = fields.step
  if not step then return end
  step.seconds = task.now() - step.began
  fields.step = nil
  progress.event { event = "step", path = board.path, name = step.name, seconds = step.seconds }
end

-- The board's task may run until its step or the whole run ends, whichever comes first.
local function limit(fields)
  local job, step = fields.job, fields.step
  if not job then return end
  local now = task.now()
  local left = step and step.limit and fields.step_ends - now
  local whole = fields.ends and fields.ends - now
  if whole and (not left or whole < left) then
    job:limit(math.max(whole, 0), ("not done within %g s"):format(fields.allowed))
  elseif left then
    job:limit(math.max(left, 0), ("step '%s' not done within %g s"):format(step.name, step.limit))
  else
    job:limit()
  end
end

---The deadlines of a board's work stand still until what this returns is closed; nil in a task that
---is not the board's, which has none of these.
---@param fields table
---@return table? paused
function M.pause(fields)
  local job, since = fields.job, task.now()
  if not job or job ~= task.current() then return nil end
  job:limit()
  return setmetatable({}, { __close = function()
    local paused = task.now() - since
    if fields.ends then fields.ends = fields.ends + paused end
    if fields.step_ends then fields.step_ends = fields.step_ends + paused end
    limit(fields)
  end })
end

---The board's work begins, in the task that calls.
---@param fields table the board's
---@param seconds? number that all of it may take
function M.begin(fields, seconds)
  fields.job, fields.allowed = task.current(), seconds
  fields.ends = seconds and task.now() + seconds
  limit(fields)
end

---It has ended, well or not.
---@param board table
---@param fields table
function M.finish(board, fields)
  finish_step(board, fields)
  if fields.job then fields.job:limit() end
  fields.job = nil
end

---Begins a step, and ends the one before.
---@param board table
---@param fields table
---@param name string
---@param seconds? number that it may take
function M.step(board, fields, name, seconds)
  name_of("board:step(name, seconds)", name)
  if seconds ~= nil and not (math.type(seconds) and seconds > 0 and seconds < math.huge) then
    misuse("board:step(name, seconds): seconds, more than 0")
  end
  finish_step(board, fields)
  local step = { name = name, began = task.now(), limit = seconds }
  fields.step, fields.step_ends = step, seconds and step.began + seconds
  table.insert(fields.stats.steps, step)
  limit(fields)
  progress.event { event = "step", path = board.path, name = name, limit = seconds }
  progress.step(board, name)
end

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

-- Nil where nothing was measured: a text that is no number, say, or a quotient of zeros.
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

-- How many digits tell the value from its limits: 3.1999999 is not 3.2.
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

-- "3.31 V", of the value or a limit of it
local function text_of(note, number)
  local most, digits = digits_of(note), 6
  local exact = tonumber(in_digits(number, most))
  while tonumber(in_digits(number, digits)) ~= exact do digits = digits + 1 end -- 3.4 stays so
  local text = in_digits(number, digits)
  return note.unit and text .. " " .. note.unit or text
end

---"3.31 V"
---@param note table
---@return string
function M.value_text(note)
  return note.value == nil and "nothing was measured" or text_of(note, note.value)
end

---"from 3.2 V to 3.4 V": what a note with limits should be.
---@param note table
---@return string
function M.should_be(note)
  local low, high = note.min, note.max
  return low and high and ("from %s to %s"):format(text_of(note, low), text_of(note, high))
    or low and "at least " .. text_of(note, low) or "at most " .. text_of(note, high)
end

---Keeps a measurement with the run. Raises `fail` where it is outside its limits, or is none.
---@param board table
---@param fields table
---@param name string
---@param value string|number|boolean nil and NaN: nothing was measured; only where there are limits
---@param limits? table min=, max=, unit=
function M.note(board, fields, name, value, limits)
  name_of("board:note(name, value, limits)", name)
  local what = ("board:note(%q, value, limits)"):format(name)
  limits = limits or {}
  check_limits(what, limits)
  value = check_value(what, value, limits)
  local low, high = limits.min, limits.max
  local note = { name = name, value = value, unit = limits.unit, min = low, max = high,
                 step = fields.step and fields.step.name }
  note.ok = value ~= nil and (not low or value >= low) and (not high or value <= high)
  table.insert(fields.stats.notes, note)
  progress.note_taken(board, note, M.value_text(note))
  if note.ok then return end
  local is = value == nil and ": nothing was measured; it"
    or (" is %s, and"):format(text_of(note, value))
  errors.raise { code = "fail", path = board.path,
    message = ("%s: %s%s should be %s"):format(board.path, name, is, M.should_be(note)) }
end

return M

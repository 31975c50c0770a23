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
local function limit(fields, step)
  local job = fields.job
  if not job then return end
  local now = task.now()
  local left = step and step.limit
  local whole = fields.ends and fields.ends - now
  if whole and (not left or whole < left) then
    job:limit(math.max(whole, 0), ("not done within %g s"):format(fields.allowed))
  elseif left then
    job:limit(left, ("step '%s' not done within %g s"):format(step.name, left))
  else
    job:limit()
  end
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
  fields.step = step
  table.insert(fields.stats.steps, step)
  limit(fields, step)
  progress.step(board, name)
end

local LIMITS = { min = true, max = true, unit = true }

local function check_limits(value, limits)
  for key, bound in pairs(limits) do
    if not LIMITS[key] then misuse("board:note: limits have min, max and unit, not '%s'", key) end
    local right = key == "unit" and type(bound) == "string" or key ~= "unit" and math.type(bound)
    if not right then
      misuse("board:note: %s is a %s", key, key == "unit" and "text" or "number")
    end
  end
  if (limits.min or limits.max) and not math.type(value) then
    misuse("board:note: a value with limits is a number, not a %s", type(value))
  end
end

---"3.31 V"
---@param note table
---@return string
function M.value_text(note)
  local value = math.type(note.value) == "float" and ("%.6g"):format(note.value)
    or tostring(note.value)
  return note.unit and value .. " " .. note.unit or value
end

---Keeps a measurement with the run. Raises `fail` where it is outside its limits.
---@param board table
---@param fields table
---@param name string
---@param value string|number|boolean
---@param limits? table min=, max=, unit=
function M.note(board, fields, name, value, limits)
  name_of("board:note(name, value, limits)", name)
  limits = limits or {}
  if type(limits) ~= "table" then misuse("board:note: limits are { min=, max=, unit= }") end
  check_limits(value, limits)
  local low, high = limits.min, limits.max
  local note = { name = name, value = value, unit = limits.unit, min = low, max = high,
                 step = fields.step and fields.step.name }
  -- so that a number that is none fails, too
  note.ok = (not low or value >= low) and (not high or value <= high)
  table.insert(fields.stats.notes, note)
  progress.note_taken(board, note, M.value_text(note))
  if note.ok then return end
  local function bound(b) return M.value_text { value = b, unit = limits.unit } end
  errors.raise { code = "fail", path = board.path,
    message = ("%s: %s is %s, and should be %s"):format(board.path, name, M.value_text(note),
      low and high and ("from %s to %s"):format(bound(low), bound(high))
      or low and "at least " .. bound(low) or "at most " .. bound(high)) }
end

return M

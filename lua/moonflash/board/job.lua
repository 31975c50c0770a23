-- SPDX-License-Identifier: MIT
-- A Job: what a run does with one board. Its task with its deadlines, its steps and measurements,
-- and the image and the plan that it carries out. Scripts without a run have one, too.
local events = require "moonflash.base.events"
local measurement = require "moonflash.board.measurement"
local misuse = require "moonflash.base.misuse"
local task = require "task"

---@class moonflash.Job
---@field steps table[] { name=, began=, limit=, seconds= }, in the order of beginning
---@field notes table[] measurements
---@field image? table the image that is written or verified
---@field plan? table the last one that was made for writing
---@field meant? string|table selector: what the recipe's board must be
---@field brought boolean the recipe opens the board itself, when the operator has brought it
---@field refused? table error object: why the board in its slot can't be used
---@field announced? string ids of the device that the event `board` has told of
---@field task? table the task that has the deadlines
---@field allowed? number seconds that the whole work may take
---@field ends? number when that is over
---@field step? table the one that has begun
---@field step_ends? number when its time is over
local Job = {}
Job.__index = Job

local M = {}

---@return moonflash.Job
function M.new()
  return setmetatable({ steps = {}, notes = {}, brought = false }, Job)
end

local function name_of(what, name)
  if type(name) ~= "string" or name == "" then misuse("%s: a name", what) end
  return name
end

-- ---- deadlines ----

-- The task may run until its step or the whole work ends, whichever comes first.
local function limit(job)
  local step = job.step
  if not job.task then return end
  local now = task.now()
  local left = step and step.limit and job.step_ends - now
  local whole = job.ends and job.ends - now
  if whole and (not left or whole < left) then
    job.task:limit(math.max(whole, 0), ("not done within %g s"):format(job.allowed))
  elseif left then
    job.task:limit(math.max(left, 0), ("step '%s' not done within %g s"):format(step.name,
      step.limit))
  else
    job.task:limit()
  end
end

---The work begins, in the task that calls.
---@param seconds? number that all of it may take
function Job:begin(seconds)
  self.task, self.allowed = task.current(), seconds
  self.ends = seconds and task.now() + seconds
  limit(self)
end

---The deadlines stand still until what this returns is closed; nil in a task that is not the job's,
---which has none of these.
---@return table?
function Job:pause()
  local since = task.now()
  if not self.task or self.task ~= task.current() then return nil end
  self.task:limit()
  return setmetatable({}, { __close = function()
    local paused = task.now() - since
    if self.ends then self.ends = self.ends + paused end
    if self.step_ends then self.step_ends = self.step_ends + paused end
    limit(self)
  end })
end

local function end_step(job, board)
  local step = job.step
  if not step then return end
  step.seconds = task.now() - step.began
  job.step = nil
  events.emit("step_end", board, step)
end

---The work has ended, well or not.
---@param board table
function Job:finish(board)
  end_step(self, board)
  if self.task then self.task:limit() end
  self.task = nil
end

-- ---- steps and measurements ----

---Begins a step, and ends the one before.
---@param board table
---@param name string
---@param seconds? number that it may take
function Job:begin_step(board, name, seconds)
  name_of("board:step(name, seconds)", name)
  if seconds ~= nil and not (math.type(seconds) and seconds > 0 and seconds < math.huge) then
    misuse("board:step(name, seconds): seconds, more than 0")
  end
  end_step(self, board)
  local step = { name = name, began = task.now(), limit = seconds }
  self.step, self.step_ends = step, seconds and step.began + seconds
  table.insert(self.steps, step)
  limit(self)
  events.emit("step", board, step)
end

---Keeps a measurement. Raises `fail` where it is outside its limits, or nothing was measured.
---@param board table
---@param name string
---@param value string|number|boolean|nil
---@param limits? table min=, max=, unit=
function Job:measure(board, name, value, limits)
  local note = measurement.new(name_of("board:note(name, value, limits)", name), value, limits)
  note.step = self.step and self.step.name
  table.insert(self.notes, note)
  events.emit("measurement", board, note)
  measurement.check(board, note)
end

-- ---- what the run is for ----

---The recipe is for such boards only.
---@param selector? string|table
---@return any what it was for before
function Job:require(selector)
  local before = self.meant
  self.meant = selector
  return before
end

---The recipe opens the board itself, when the operator has brought it.
function Job:bring()
  self.brought = true
end

---The board in its slot can't be used: the run fails by this error when its turn comes.
---@param err table
function Job:refuse(err)
  self.refused = err
end

---Emits `board` for a device that this run has not opened before.
---@param board table
function Job:announce(board)
  local who = ("%04x:%04x %s"):format(board.vid, board.pid, board.serial)
  if self.announced == who then return end
  self.announced = who
  events.emit("board", board)
end

---@param image table that is going to be written, or verified
---@param plan? table
function Job:take(image, plan)
  self.image, self.plan = image, plan or self.plan
end

return M

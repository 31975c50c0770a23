-- SPDX-License-Identifier: MIT
-- A Job: one board's part of a run. Its task with the deadlines, its steps and measurements, its
-- image and its plan. A Board of a script without a run has a Job, too.
local events = require "moonflash.base.events"
local measurement = require "moonflash.board.measurement"
local misuse = require "moonflash.base.misuse"
local task = require "task"

---@class moonflash.Job
---@field steps table[] { name=, began=, limit=, seconds= }, in the order of beginning
---@field notes table[] measurements
---@field image? table the image that is written or verified
---@field plan? table the last plan for writing
---@field meant? string|table selector that the board must match
---@field brought boolean the operator brings the board, and the recipe opens it
---@field refused? table error object: the reason why the board in this slot can't be used
---@field announced? string ids of the device in the last `board` event
---@field task? table the task that the deadlines limit
---@field allowed? number seconds for the whole run
---@field ends? number the time at which these seconds are over
---@field step? table the current step
---@field step_ends? number the time at which the step's seconds are over
---@field beside table[] the boards of the same run, this one included
---@field waited number seconds that questions to the operator have taken
local Job = {}
Job.__index = Job

local M = {}

---@return moonflash.Job
function M.new()
  return setmetatable({ steps = {}, notes = {}, brought = false, beside = {},
                        waited = 0 }, Job)
end

local function name_of(what, name)
  if type(name) ~= "string" or name == "" then misuse("%s: a name", what) end
  return name
end

-- ---- deadlines ----

-- Limits the task to the end of its step or of the whole run, whichever comes first.
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

---Begins the run in the calling task.
---@param seconds? number limit of the whole run
function Job:begin(seconds)
  self.task, self.allowed, self.waited = task.current(), seconds, 0
  self.ends = seconds and task.now() + seconds
  limit(self)
end

---Pauses the deadlines until the returned value is closed. Returns nil in any other task than the
---job's: these deadlines do not apply there.
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

---@param boards table[] the boards of the run
function Job:stand_beside(boards)
  self.beside = boards
end

---Counts the time of a question to the operator.
---@param seconds number
function Job:asked(seconds)
  self.waited = self.waited + seconds
end

local function end_step(job, board)
  local step = job.step
  if not step then return end
  step.seconds = task.now() - step.began
  job.step = nil
  events.emit("step_end", board, step)
end

---Ends the run, whether it succeeded or failed.
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
---@param seconds? number limit of the step
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

---Keeps a measurement. Raises `fail` if the value is outside its limits, or was not measured.
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

---Sets the selector that says which board is meant.
---@param selector? string|table
---@return any the former selector
function Job:mean(selector)
  local before = self.meant
  self.meant = selector
  return before
end

---Records that the operator brings the board, and the recipe opens it.
function Job:bring()
  self.brought = true
end

---Records why the board in this slot can't be used. The run raises this error at its turn.
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

---@param image table the image that is about to be written or verified
---@param plan? table
function Job:take(image, plan)
  self.image, self.plan = image, plan or self.plan
end

return M

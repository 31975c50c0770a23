-- SPDX-License-Identifier: MIT
-- How far a phase is, and what keeps it waiting; and a clock that tells it each second, so that a
-- drawing of it is never still.
local link = require "moonflash.link"
local task = require "task"

local M = {}

local TICK = 1       -- seconds between two calls
local LONG = 2       -- seconds without an answer that are worth telling
local ALMOST = 0.99  -- the largest share that a typical time gives

---The share of a phase that is done.
---@param phase table
---@return number 0 to 1
function M.share(phase)
  if phase.done >= phase.total then return 1 end
  if phase.typical then return math.min((task.now() - phase.began) / phase.typical, ALMOST) end
  return M.done(phase) / phase.total
end

---The units of a phase that are done, with the bytes of the operation under way.
---@param phase table
---@return integer
function M.done(phase)
  if phase.unit ~= "bytes" or phase.done >= phase.total then return phase.done end
  return math.min(phase.done + (link.progress(phase.board) or 0), phase.total)
end

---The seconds for which a board has not answered, if they are worth telling; else nil.
---@param board table
---@return number? seconds
---@return number? limit the seconds for which it is waited for
function M.silence(board)
  local seconds, limit = link.pending(board)
  if seconds and seconds >= LONG then return seconds, limit end
end

---"no answer for 4 s (waits until 10 s)"; nil while the board answers.
---@param phase table
---@return string? note
---@return string? short the note without the limit
function M.note(phase)
  local seconds, limit = M.silence(phase.board)
  if not seconds or seconds < (phase.typical or 0) then return nil end
  local short = ("no answer for %d s"):format(math.floor(seconds))
  return ("%s (waits until %d s)"):format(short, math.ceil(limit)), short
end

local Watch = {}
Watch.__index = Watch

---@param f function called with each phase under way, each second
---@return table watch
function M.watch(f)
  return setmetatable({ f = f, phases = {}, task = nil }, Watch)
end

local function tick(watch)
  task.supervise()
  while true do
    task.sleep(TICK)
    for _, phase in pairs(watch.phases) do watch.f(phase) end
  end
end

---@param phase table which begins
function Watch:begin(phase)
  self.phases[phase.board] = phase
  self.task = self.task or task.spawn(tick, self)
end

---The phase of a board has ended.
---@param board table
function Watch:finish(board)
  self.phases[board] = nil
  if next(self.phases) == nil then self:stop() end
end

function Watch:stop()
  self.phases = {}
  if self.task then self.task:cancel() end
  self.task = nil
end

return M

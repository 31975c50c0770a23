-- SPDX-License-Identifier: MIT
-- Events: facts that the library emits. Subscribers show, write or keep them. The library itself
-- prints nothing.
--
-- event        arguments
-- boards       the Boards of a run
-- board        board: the run has opened this device for the first time
-- image        board, image, number of the image's sectors, number of sectors of that memory
-- plan         board, plan, dry (boolean)
-- phase        phase, which begins. Fields: board, name, done, total, unit, began, typical
-- advance      phase
-- phase_end    phase
-- sector       board, sector, name of the phase, seconds
-- mass_erase   board, seconds
-- would        board, operation, address?, bytes?: what a dry run would send
-- left         board, address?: the board has left DFU mode
-- step         board, step, which begins
-- step_end     board, step
-- measurement  board, note
-- question     board?, text
-- refusal      board?, text: an answer was not accepted, and the question is asked again
-- accepted     board?, text: the answer that a question has got
-- answer       text?, typed (boolean). text is nil if the question was given up
-- remark       board?, name, facts: a fact without an event of its own (words: ui/words.lua)
-- print        board?, text: printed by a recipe
-- wire         text: requests, formatted by trace/init.lua
-- result       result of one board's run
-- summary      results of all boards, failed (boolean): something besides the boards failed
-- value        the value that the setup of a recipe without `run` has returned
-- failure      error that ends the program
-- complaint    error beside another one
-- report       name of the report file
-- empty        path, slot: no board is in this slot
-- place        a station's place, whose state has changed
-- unit         place, unit: an attempt of a station has begun
-- served       an event of the USB/IP server
local task = require "task"

local M = {}

local subscribers = {} -- in the order of subscribing; a change makes a new list

local filter -- called with each event and its arguments, returns the arguments

---Sets a function that sees each event before all subscribers, and returns its arguments: a station
---takes secrets out.
---@param f? fun(event: string, ...): ...
function M.filter(f) filter = f end

local function deliver(event, ...)
  for _, subscriber in ipairs(subscribers) do
    local f = subscriber[event]
    if f then f(subscriber, ...) end
  end
end

---Calls the method that is named for the event, in each subscriber that has one.
---@param event string
function M.emit(event, ...)
  if filter then return deliver(event, filter(event, ...)) end
  deliver(event, ...)
end

local function closing(f)
  return setmetatable({}, { __close = f })
end

---Unsubscribes. The caller passes the table that on() was given.
---@param subscriber table
function M.off(subscriber)
  local rest = {}
  for _, other in ipairs(subscribers) do
    if other ~= subscriber then rest[#rest + 1] = other end
  end
  subscribers = rest
end

---Subscribes. Methods are called as subscriber:event(...).
---@param subscriber table its methods are named for the events
---@return table to close: closing it unsubscribes
function M.on(subscriber)
  subscribers = table.move(subscribers, 1, #subscribers, 1, {})
  subscribers[#subscribers + 1] = subscriber
  return closing(function() M.off(subscriber) end)
end

---Hides all events but the named ones from the present subscribers, until the returned value is
---closed.
---@param ... string
---@return table to close
function M.apart(...)
  local before, passed = subscribers, {}
  for _, event in ipairs { ... } do
    passed[event] = function(_, ...)
      for _, subscriber in ipairs(before) do
        if subscriber[event] then subscriber[event](subscriber, ...) end
      end
    end
  end
  subscribers = { passed }
  return closing(function() subscribers = before end)
end

local Phase = {}
Phase.__index = Phase

---@param n integer units done since the last call
function Phase:advance(n)
  self.done = self.done + n
  M.emit("advance", self)
end

function Phase:finish()
  M.emit("phase_end", self)
end

---Begins a phase of work on a board.
---@param board table
---@param name string "erase"
---@param total integer
---@param unit string "bytes", or the name of the things counted
---@param typical? number seconds that the phase usually takes, if it can't be counted
---@return table phase :advance(n), :finish()
function M.phase(board, name, total, unit, typical)
  local phase = setmetatable({ board = board, name = name, total = total, unit = unit, done = 0,
                               began = task.now(), typical = typical }, Phase)
  M.emit("phase", phase)
  return phase
end

return M

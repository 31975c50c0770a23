-- SPDX-License-Identifier: MIT
-- Events: the library tells what happens, as facts; subscribers show the facts, write them or keep
-- them. The library itself shows nothing.
--
-- event        arguments
-- boards       the Boards that a run is for
-- board        board: a run has opened it, for the first time
-- image        board, image, number of its sectors, number of sectors of that memory
-- plan         board, plan, dry (boolean)
-- phase        phase: it begins. Fields: board, name, done, total, unit, began
-- advance      phase
-- phase_end    phase
-- sector       board, sector, name of the phase, seconds
-- mass_erase   board, seconds
-- would        board, operation, address?, bytes?: what a dry run would send
-- left         board, address?: the board has left DFU mode
-- step         board, step: it begins
-- step_end     board, step
-- measurement  board, note
-- question     board?, text
-- answer       text?, typed (boolean): nil where the question was given up
-- remark       board?, name, facts: a fact that is no event of its own (ui/words.lua has the words)
-- print        board?, text: a recipe's own
-- wire         text: requests, as trace.lua shows them
-- result       result of one board's run
-- summary      results of all boards, failed (boolean): whether something else has failed, too
-- value        what the setup of a recipe without a run has returned
-- failure      error that ends the program
-- complaint    error beside another one
-- report       name of the file
-- empty        path, slot: a slot in which there is no board
-- served       event of the USB/IP server
local task = require "task"

local M = {}

local subscribers = {} -- in the order of subscribing; the list itself is never changed

---Calls the method that each subscriber has for the event.
---@param event string
function M.emit(event, ...)
  for _, subscriber in ipairs(subscribers) do
    local f = subscriber[event]
    if f then f(subscriber, ...) end
  end
end

local function closing(f)
  return setmetatable({}, { __close = f })
end

---Unsubscribes.
---@param subscriber table
function M.off(subscriber)
  local rest = {}
  for _, other in ipairs(subscribers) do
    if other ~= subscriber then rest[#rest + 1] = other end
  end
  subscribers = rest
end

---Subscribes.
---@param subscriber table its methods are named for the events
---@return table closing it unsubscribes
function M.on(subscriber)
  subscribers = table.move(subscribers, 1, #subscribers, 1, {})
  subscribers[#subscribers + 1] = subscriber
  return closing(function() M.off(subscriber) end)
end

---Until what this returns is closed, today's subscribers hear only of the events that are named.
---@param ... string
---@return table
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

---@param n integer of its unit that are done now
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
---@param unit string "bytes", or the name of what is counted
---@return table phase :advance(n), :finish()
function M.phase(board, name, total, unit)
  local phase = setmetatable({ board = board, name = name, total = total, unit = unit, done = 0,
                               began = task.now() }, Phase)
  M.emit("phase", phase)
  return phase
end

return M

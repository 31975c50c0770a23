-- SPDX-License-Identifier: MIT
-- Boards that run their program: entering DFU mode, and waiting for the program after leave.
local bus = require "moonflash.board.bus"
local check = require "moonflash.base.check"
local class = require "moonflash.board.class"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local link = require "moonflash.link"
local misuse = require "moonflash.base.misuse"
local part_of = require "moonflash.board.part"
local place = require "moonflash.board.place"
local settings = require "moonflash.board.settings"
local task = require "task"

local M = {}

---Tells a board in run-time mode to enter DFU mode, and closes it.
---@param board table
function M.send_detach(board)
  if not board.is_open then place.open(board, nil, { mode = "runtime" }) end
  if board.mode ~= "runtime" then misuse("%s is in DFU mode already", board.path) end
  local functional = class.state(board).info.functional
  link.detach(board, math.min(math.floor((functional.detach_timeout or 1) * 1000), 65535))
  if settings.dry or not board.is_open then return end
  -- DFU 1.1: the host resets the bus, unless the device detaches by itself
  if functional.attributes.will_detach then board:close() else board:reset() end
end

---Board:detach. Takes a board from run-time mode to DFU mode, and opens it again.
---@param board table
---@param seconds? number the longest time until it is back; default 10
---@return table board
function M.detach(board, seconds)
  seconds = check.seconds("board:detach(seconds)", seconds) or 10
  M.send_detach(board)
  if settings.dry then return end
  local info = class.state(board).info
  if info.functional.attributes.will_detach then
    bus.wait_gone(board.path, info.generation, seconds)
  end
  return place.open(board, seconds, {})
end

---Board:wait_app. Waits for the application that runs at this place after leave.
---@param board table
---@param seconds number
---@return table { vid=, pid=, serial=, product=, tty= }; empty on a dry run
function M.wait_app(board, seconds)
  if seconds == nil then misuse("board:wait_app(seconds): seconds, 0 or more") end
  check.seconds("board:wait_app(seconds)", seconds)
  if settings.dry then
    events.emit("would", board, "wait for its program")
    return {}
  end
  local deadline = task.now() + seconds
  local settled -- the time at which its terminal should exist
  while true do
    local application, settling = bus.application(board.path, link.stale(board))
    if application then
      settled = settled or math.min(deadline, task.now() + bus.SETTLING)
      if not settling or task.now() >= settled then return application end
    end
    if not application and task.now() >= deadline then
      errors.raise { code = "timeout", path = board.path,
        message = ("%s: no USB device of the program appeared within %s s"):format(board.path,
          tostring(seconds)),
        remedy = { "look-for-program", boot0 = part_of.may_be_rom(class.state(board).info or {}) } }
    end
    task.sleep(bus.RESCAN)
  end
end

return M

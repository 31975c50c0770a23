-- SPDX-License-Identifier: MIT
-- factory.lua: functions for the recipes in this folder. A module requires what it uses.
local errors = require "moonflash.errors"
local memory = require "moonflash.memory"
local optbytes = require "moonflash.optbytes"
local sys = require "sys"

local M = {}

---Fails unless the board has the product's flash size.
---@param board table open
---@param kilobytes integer size of the flash
function M.expect(board, kilobytes)
  local size = memory.size(board.alts[1].layout.segments) // 1024
  if size ~= kilobytes then
    errors.fail("wrong board: %d KB of flash instead of %d KB", size, kilobytes)
  end
end

---Removes read and write protection, if they are on. Removing read protection erases the chip.
---@param board table open
---@return boolean done false: on a dry run, if nothing can be read, and so nothing more be planned
function M.unprotect(board)
  local _, err = errors.catch("board.protected", optbytes.read, board)
  if err then
    board:read_unprotect()                    -- the board goes away,
    board:open { wait = 40 }                            -- and comes back blank
    if board.dry then return false end
  end
  if optbytes.read(board).nWRP ~= 0xFFF then optbytes.write(board, { nWRP = 0xFFF }) end
  return true
end

---Asks the program on the board a question, by its serial port.
---@param tty string
---@param question string
---@param pattern string of the answer
---@return string
function M.ask_program(tty, question, pattern)
  local port <close> = sys.serial(tty)
  port:write(question .. "\n")
  return port:expect(pattern, 5)
end

---Switches a relay with a program, as usbrelay does: RELAY SLOT on|off.
---@param relay string
---@param slot string
---@param state string
function M.switch(relay, slot, state)
  local ran = sys.run { relay, slot, state, seconds = 3 }
  if ran.status ~= 0 then
    errors.raise { code = "sys", message = ("%s %s %s: %s"):format(relay, slot, state,
      ran.output:match("^(.-)%s*$")) }
  end
end

---Measures the supply of a slot, one slot at a time: the meter has one input, which is switched.
---@param meter table a Stream
---@param semaphore table for the meter
---@param slot string
---@return number volts
function M.measure(meter, semaphore, slot)
  local _ <close> = semaphore:acquire()       -- the others wait here
  meter:write("ROUTE " .. slot .. "\n")
  meter:expect("OK\r?\n", 3)
  meter:write("READ?\n")
  local answer = meter:expect("([^\r\n]*)\r?\n", 3)              -- the whole line: -3.3 is not 3.3
  return tonumber(answer:match("^([%d.eE+-]+) V$")) or errors.fail("the meter reports '%s'", answer)
end

return M

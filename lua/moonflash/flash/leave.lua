-- SPDX-License-Identifier: MIT
-- Board:leave: starts a board's program. The board counts as left once it is off the bus.
local bus = require "moonflash.board.bus"
local class = require "moonflash.board.class"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local link = require "moonflash.link"
local start = require "moonflash.flash.start"
local task = require "task"

local M = {}

local send = link.methods.leave -- the primitive

local LEAVING = 2     -- seconds within which the board has to leave the bus
local COMING_BACK = 2 -- seconds within which a board may come back in DFU mode
local DETACHING = 0.5 -- seconds that plain DFU may take to detach

local function still_there(board)
  local fields = class.state(board)
  errors.raise { code = "dfu.still-there", path = board.path, op = "leave",
    remedy = { "reset-to-run" }, flash = fields.journal:text(), ranges = fields.journal:claims(),
    message = board.path .. ": the board was told to leave, and is still in DFU mode" }
end

-- Whether the same board is in DFU mode again, after a reset.
local function is_back(info)
  return #bus.find { path = info.path, vid = info.vid, pid = info.pid, serial = info.serial,
                     mode = "dfu" } > 0
end

-- Raises if the board stays in DFU mode, or comes back in DFU mode and `may_return` is true.
local function check_gone(board, info, may_return)
  if not bus.wait_gone(info.path, info.generation, LEAVING) then still_there(board) end
  local by = task.now() + (may_return and COMING_BACK or 0)
  while task.now() < by do
    if is_back(info) then still_there(board) end
    if bus.application(info.path, info.generation) then return end
    task.sleep(bus.RESCAN)
  end
end

-- Plain DFU: sends DETACH if bitWillDetach is set, else resets the bus.
local function leave_plain(board)
  local fields = class.state(board)
  local info = fields.info
  if info.functional.attributes.will_detach and not board.dry then
    local taken = pcall(link.detach, board, 1000)
    if bus.wait_gone(info.path, info.generation, taken and DETACHING or 0) then
      board:close()
      return "confirmed"
    end
  end
  return send(board)
end

-- A boot loader that is not a known ROM may come back if there is no program to start. This is
-- checked unless a program was found.
local function leave_dfuse(board, address)
  local may_return = not class.state(board).part.rom
  if address == nil then
    local unread
    address, unread = start.find(board)
    if unread and address then
      events.emit("remark", board, "program-unread", { address = address })
    end
    may_return = may_return and unread
  end
  local how, refused = errors.catch("dfu.state", send, board, address)
  if refused then still_there(board) end
  return how, address, may_return
end

---Board:leave. Leaves DFU mode and starts the program. Without an address, the program is found by
---its vector table.
---@param board table
---@param address? integer
---@return string "confirmed" or "assumed"
function M.leave(board, address)
  if not board.is_open then return send(board, address) end -- misuse
  local state = class.state(board)
  local info, is_dfuse = state.info, state.dfuse
  local how, may_return
  if is_dfuse then
    how, address, may_return = leave_dfuse(board, address)
  else
    how, may_return = leave_plain(board), true
  end
  if board.dry then return how end
  check_gone(board, info, may_return)
  address = is_dfuse and address or nil
  state.history:left(address)
  events.emit("left", board, address)
  return how
end

return M

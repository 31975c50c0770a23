-- SPDX-License-Identifier: MIT
-- Board:leave: starts the program of a board, and sees that the board is gone. Only then it is said
-- to have left.
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local task = require "task"

local LEAVING = 2     -- seconds after which a board that was told to leave is off the bus
local COMING_BACK = 2 -- seconds in which a board that comes back in DFU mode is on the bus again
local DETACHING = 0.5 -- seconds that plain DFU may take to detach

---Adds the method.
---@param link table C's half of `dfu`
---@param bus table
return function(link, bus)
  local function still_there(board)
    local fields = link.fields(board)
    errors.raise { code = "dfu.still-there", path = board.path, op = "leave",
      remedy = { "replug" }, flash = fields.journal:text(), ranges = fields.journal:claims(),
      message = board.path .. ": the board was told to leave, and is still in DFU mode",
      hint = "Reset it, or plug it in again, without what put it into DFU mode." }
  end

  -- The same board in DFU mode, back behind a reset.
  local function is_back(info)
    return #bus.find { path = info.path, vid = info.vid, pid = info.pid, serial = info.serial,
                       mode = "dfu" } > 0
  end

  -- Raises where the board stays, or may_return and comes back in DFU mode.
  local function check_gone(board, info, may_return)
    if not bus.wait_gone(info.path, info.generation, LEAVING) then still_there(board) end
    local by = task.now() + (may_return and COMING_BACK or 0)
    while task.now() < by do
      if is_back(info) then still_there(board) end
      if bus.application(info.path, info.generation) then return end
      task.sleep(bus.RESCAN)
    end
  end

  local leave -- as C has it

  -- Plain DFU: DETACH where the board says that it leaves by that, then a reset of the bus.
  local function leave_plain(board)
    local fields = link.fields(board)
    local info = fields.info
    if info.functional.attributes.will_detach and not fields.dry then
      local taken = pcall(link.detach, board, 1000)
      if bus.wait_gone(info.path, info.generation, taken and DETACHING or 0) then
        board:close()
        return "confirmed"
      end
    end
    return leave(board)
  end

  -- A boot loader that is no known ROM may find nothing to start where no program was seen.
  local function leave_dfuse(board, address)
    local may_return = not link.fields(board).part.rom
    if address == nil then
      local unread
      address, unread = require("moonflash.flash.start").find(board)
      if unread and address then
        events.emit("remark", board, "program-unread", { address = address })
      end
      may_return = may_return and unread
    end
    local how, refused = errors.catch("dfu.state", leave, board, address)
    if refused then still_there(board) end
    return how, address, may_return
  end

  ---Leaves DFU mode and starts the program: without an address, at a place where a vector table
  ---stands.
  ---@param address? integer
  ---@return string "confirmed" or "assumed"
  leave = link.extend("leave", function(board, address)
    local fields = link.fields(board)
    if not board.is_open then return leave(board, address) end
    local plain, info = not fields.dfuse, fields.info
    local how
    local may_return = true
    if plain then
      how = leave_plain(board)
    else
      how, address, may_return = leave_dfuse(board, address)
    end
    if fields.dry then return how end
    check_gone(board, info, may_return)
    fields.mark(board, "left", address)
    return how
  end)
end

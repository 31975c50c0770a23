-- SPDX-License-Identifier: MIT
-- Memory that is written without erasing: the EEPROM of the L0 and L1 ("DATA Memory"; AN2606 table
-- 5), and OTP memory, whose bits only change once. What stands beside the image in a unit is read
-- and written back.
local class = require "moonflash.board.class"
local errors = require "moonflash.errors"
local lay = require "moonflash.flash.lay"
local setting = require "moonflash.flash.setting"
local text = require "moonflash.base.text"

local M = {}

local ERASED = 0xFF -- OTP, before it is written

-- Reads a span, and puts what stands there into its gaps.
local function fill(board, sector, span)
  local found = setting.read(board, sector.alt, span.address, #span.bytes)
  local wanted, at = {}, span.address
  for _, piece in ipairs(span.pieces) do
    wanted[#wanted + 1] = found:sub(at - span.address + 1, piece.address - span.address)
    wanted[#wanted + 1] = piece.bytes
    at = piece.address + #piece.bytes
  end
  wanted[#wanted + 1] = found:sub(at - span.address + 1)
  return table.concat(wanted), found
end

-- Whether OTP with `found` can be made `wanted`: an F2, F4 or F7 clears single bits; other chips
-- write a whole unit once.
local function can_write(unit, wanted, found)
  if unit > 1 then return found == string.char(ERASED):rep(#found) end
  for i = 1, #found do
    if found:byte(i) & wanted:byte(i) ~= wanted:byte(i) then return false end
  end
  return true
end

-- The smallest unit that all families of a board program at once.
local function unit_of(part)
  local unit = 1
  for _, family in ipairs(part.families) do unit = math.max(unit, family.unit or part.unit) end
  return #part.families > 0 and unit or part.unit
end

-- Appends the units of a span that differ, joined.
local function add_runs(board, image, sector, span, wanted, found, runs)
  local part = class.state(board).part
  local size, unit = math.max(part.align, 4), unit_of(part)
  for at = 1, #wanted, size do
    local new, old = wanted:sub(at, at + size - 1), found:sub(at, at + size - 1)
    local address, last = span.address + at - 1, runs[#runs]
    if new ~= old then
      if sector.direct == "otp" and not can_write(unit, new, old) then
        lay.misfit(board, image, ("differs from OTP memory at %s, which was written before and "
          .. "can't be changed"):format(text.hex(address)), { "otp-written" })
      end
      if last and last.address + #last.bytes == address then
        last.bytes = last.bytes .. new
      else
        runs[#runs + 1] = { address = address, bytes = new, alt = sector.alt }
      end
    end
  end
end

---Compares the sectors that are written without erasing, and sets their state, spans and runs.
---Raises `image` if OTP can't become what the image has.
---@param board table
---@param image table
---@param sectors table[]
function M.look(board, image, sectors)
  for _, sector in ipairs(sectors) do
    if sector.direct then
      if not class.state(board).info.functional.attributes.can_upload then
        errors.raise { code = "dfu.unreadable", path = board.path,
          message = board.path .. ": a memory that is not erased can only be written if it can be "
            .. "read; nothing was sent" }
      end
      local runs = {}
      for i, span in ipairs(sector.spans) do
        local wanted, found = fill(board, sector, span)
        add_runs(board, image, sector, span, wanted, found, runs)
        sector.spans[i] = { address = span.address, bytes = wanted, pieces = span.pieces,
                            alt = span.alt }
      end
      sector.runs, sector.erase = runs, false
      sector.state = #runs == 0 and "same" or "differs"
    end
  end
end

---The sectors of a list that are erased before they are written.
---@param sectors table[]
---@return table[]
function M.others(sectors)
  local list = {}
  for _, sector in ipairs(sectors) do
    if not sector.direct then list[#list + 1] = sector end
  end
  return list
end

return M

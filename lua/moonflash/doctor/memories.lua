-- SPDX-License-Identifier: MIT
-- Checks of a board's memories: the layout, the start of the flash, and protection.
local dfu = require "dfu"
local errors = require "moonflash.errors"
local finding = require "moonflash.doctor.finding"
local memory = require "moonflash.memory"
local optbytes = require "moonflash.optbytes"
local rules = require "moonflash.flash.rules"
local text = require "moonflash.base.text"

local M = {}

local MOST_NAMED = 8 -- sectors

local ok, note, fail = finding.ok, finding.note, finding.fail

local GIVE_IT = "give the layout with --layout; an STM32F407's is "
  .. "@Flash/0x08000000/04*016Kg,01*064Kg,07*128Kg."

---Checks the layout. The names of the memories are unknown if the board can't be opened.
---@param patient moonflash.Patient
---@return moonflash.Finding?
function M.layout(patient)
  local info = patient.info
  local alts = patient.board and patient.board.alts or info.alts
  local first = alts[1]
  if info.mode == "runtime" or not patient.board and first.name == "" then return nil end
  local dfuse = patient.board and dfu.fields(patient.board).dfuse or info.functional.dfuse
  for _, alt in ipairs(alts) do
    if alt.layout.dropped then
      return fail("dfu.outside",
        ("invalid: %s, in '%s'"):format(alt.layout.dropped, alt.name),
        "The valid part is used; memory outside of it is left alone.\n"
        .. "Reconnect the board. If that does not help, " .. GIVE_IT)
    end
  end
  if not dfuse then return ok("one memory, without addresses (plain DFU)") end
  if first.name == "" and not first.unread then
    return note("the memory has no name, so no layout is known", "To write it, " .. GIVE_IT)
  elseif #first.layout.segments == 0 then
    return fail("dfu.outside", first.unread and "the name of the memory can't be read"
      or ("the name of the memory has no layout: '%s'"):format(first.name),
      "Reconnect the board. If that does not help, " .. GIVE_IT)
  end
  local segments = first.layout.segments
  return ok("%s, %s from %s%s", text.count(memory.number_of_sectors(segments), "sector"),
    text.size(memory.size(segments)), text.hex(segments[1].address),
    #alts > 1 and "; and " .. (#alts == 2 and "1 other memory"
      or ("%d other memories"):format(#alts - 1)) or "")
end

-- A short description of the first 8 bytes of the flash.
local function program_in(bytes, erased, address)
  local sp, reset = ("<I4I4"):unpack(bytes)
  if bytes == erased:rep(#bytes) then return "the flash is blank: 'leave' has nothing to start" end
  if sp % 4 == 0 and sp >= 0x10000000 and sp < 0x40000000 and reset % 2 == 1 then
    return ("a program at %s starts at %s"):format(text.hex(address), text.hex(reset & ~1))
  end
  return ("no program at %s"):format(text.hex(address))
end

-- Whether the board answered with a refusal, and is not defective.
local function is_refusal(err)
  return errors.matches(err, "dfu.stall") or errors.is(err) and err.code:find("^dfu%.err") ~= nil
end

---@param patient moonflash.Patient
---@return moonflash.Finding?
function M.reading(patient)
  local first = patient.board.alts[1]
  local s = first and first.layout.segments[1]
  if not s or not s.readable or s.size * s.count < 8 then return nil end
  local board, at = patient.board, s.address
  local fields = dfu.fields(board)
  if not fields.info.functional.attributes.can_upload then
    return note("the board does not support reading")
  end
  local done, result = pcall(board.read, board, at, 8)
  if done then return ok("not protected; %s", program_in(result, fields.part.erased, at)) end
  if errors.matches(result, "board.protected") then
    patient.protected = true
    return fail("board.protected", "read protection is on: nothing can be read, erased or written",
      result.hint)
  elseif not fields.part.rom and is_refusal(result) then
    return note(("refuses to read %s (%s)"):format(text.hex(at), result.status or "STALL"))
  end
  error(result, 0)
end

---@param patient moonflash.Patient
---@return moonflash.Finding?
function M.writing(patient)
  local board = patient.board
  if patient.protected or not dfu.fields(board).dfuse then return nil end
  if not optbytes.family(board) then
    return note("write protection can only be detected by writing; not tested")
  end
  local _, err = errors.catch("dfu", optbytes.read, board)
  if err then return note("the option bytes are invalid, so write protection is unknown") end
  rules.settle(board)
  local main, sectors = board.alts[1], {}
  for sector in memory.sectors(main.layout.segments) do
    sector.alt, sector.last = main.number, sector.address + sector.size - 1
    sector.index, sectors[#sectors + 1] = #sectors, sector
  end
  local list, why = rules.protected(board, sectors)
  if #list == 0 then return ok("no sector is write-protected") end
  local names = {}
  for i, sector in ipairs(list) do names[i] = i <= MOST_NAMED and tostring(sector.index) or nil end
  if #list > MOST_NAMED then names[#names + 1] = ("%d more"):format(#list - MOST_NAMED) end
  return note(("write-protected: sector%s %s; writing has no effect there"):format(
    #list > 1 and "s" or "", table.concat(names, ", ")),
    ("'moonflash optbytes %s' removes all write protection."):format(why.unlock))
end

return M

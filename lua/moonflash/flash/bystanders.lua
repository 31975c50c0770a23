-- SPDX-License-Identifier: MIT
-- Bystanders: places beside the erased sectors, which must not change. They are compared because a
-- layout can be wrong, and because some boot loaders and ROMs erase more than requested.
--
-- Each place is read before the first erase and again at the end. Only memory that is certain to
-- exist is read: many strings announce more than the chip has, and some ROMs crash on a read beyond
-- their flash.
local class = require "moonflash.board.class"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local memory = require "moonflash.memory"
local setting = require "moonflash.flash.setting"
local text = require "moonflash.base.text"

local M = {}

local MOST = 4 -- places

-- ---- choosing the places ----

-- The runs of adjacent erased sectors, in each alternate setting.
local function runs_of(erased)
  local runs = {}
  for _, sector in ipairs(erased) do
    local run = runs[#runs]
    local stop = sector.address + sector.size
    if run and run.alt == sector.alt and run.stop == sector.address then
      run.stop, run.last_size = stop, sector.size
    else
      runs[#runs + 1] = { alt = sector.alt, address = sector.address, stop = stop }
    end
  end
  return runs
end

local function layout_of(board, number)
  for _, alt in ipairs(board.alts) do
    if alt.number == number then return alt.layout.segments end
  end
  return {}
end

-- Whether a sector is erased or written by the plan, and so may change.
local function is_touched(plan, alt, first, last)
  for _, sector in ipairs(plan.sectors) do
    if sector.alt == alt and sector.state ~= "same" and sector.address <= last
      and sector.address + sector.size - 1 >= first then
      return true
    end
  end
  return false
end

-- The last address of a memory that the plan reads or writes. Memory up to there exists.
local function reach_of(plan, alt, segments, address)
  local first, last = memory.span(segments, address)
  local reach = -1
  for _, sector in ipairs(plan.sectors) do
    if first and sector.alt == alt and sector.address >= first and sector.address <= last then
      reach = math.max(reach, sector.address + sector.size - 1)
    end
  end
  return reach
end

---Chooses the places to compare for the erased sectors of a plan: at most four. Each is as long as
---a sector or a block, whichever is shorter.
---@param board table
---@param plan table from plan.make
---@param erased table[] sectors, sorted by alternate setting and address
---@return table[] { { address=, length=, alt=, sector=, size= }, ... }
function M.choose(board, plan, erased)
  local list, runs = {}, runs_of(erased)

  local function add(alt, address, adjoins, at_end)
    local segments = layout_of(board, alt)
    local segment, start = memory.find(segments, address)
    if #list >= MOST or not segment or not segment.readable then return end
    local exists = adjoins or address <= reach_of(plan, alt, segments, address)
    if not exists or is_touched(plan, alt, start, start + segment.size - 1) then return end
    for _, known in ipairs(list) do
      if known.sector == start and known.alt == alt then return end
    end
    local length = math.min(segment.size, board.transfer_size)
    list[#list + 1] = { alt = alt, sector = start, size = segment.size, length = length,
                        address = at_end and start + segment.size - length or start }
  end

  local first, last = runs[1], runs[#runs]
  if not first then return list end
  add(last.alt, last.stop, true)
  if first.address > 0 then add(first.alt, first.address - 1, true, true) end
  local segments = layout_of(board, first.alt)
  add(first.alt, memory.span(segments, first.address) or first.address)
  for _, run in ipairs(runs) do
    add(run.alt, run.stop, true)
    if run.address > 0 then add(run.alt, run.address - 1, true, true) end
  end
  return list
end

-- ---- reading and comparing ----

-- The bytes of a place that the plan has compared already, if its pieces cover the place.
local function known_of(plan, place)
  for _, sector in ipairs(plan.sectors) do
    if sector.alt == place.alt and sector.address == place.sector and sector.state == "same" then
      for _, piece in ipairs(sector.pieces) do
        local at = place.address - piece.address
        if at >= 0 and at + place.length <= #piece.bytes then
          return piece.bytes:sub(at + 1, at + place.length)
        end
      end
    end
  end
end

local PASSES = { "dfu", "timeout", "board.protected", "usb.io", "verify" }

local function read(board, place)
  local ok, found = pcall(setting.read, board, place.alt, place.address, place.length)
  if ok then return found end
  for _, code in ipairs(PASSES) do
    if errors.matches(found, code) then return nil end
  end
  error(found, 0)
end

---Reads the places before the first erase. A place that the board refuses, or does not answer for,
---is reported and left out. Afterwards the board is in dfuIDLE, or this raises.
---@param board table
---@param plan table
---@param places table[] from choose; the field `before` is set in those that were read
function M.look(board, plan, places)
  for _, place in ipairs(places) do
    place.before = known_of(plan, place) or read(board, place)
    if not place.before then
      board:clear_status()
      board:abort()
      events.emit("remark", board, "bystander-unread", { first = place.address,
        last = place.address + place.length - 1 })
    end
  end
end

-- Only samples are compared. If one has changed, no part of that memory is known to be untouched,
-- except what was read back since.
local function doubt_the_rest(board, alt)
  local fields = class.state(board)
  local read_back = fields.journal:claims()
  for _, segment in ipairs(layout_of(board, alt)) do
    fields.history:mark("doubt", segment.address,
      segment.address + segment.count * segment.size - 1, alt)
  end
  for _, claim in ipairs(read_back) do
    if claim.state == "verified" or claim.state == "blank" then
      fields.journal:mark(claim.state, claim.first, claim.last, claim.alt)
    end
  end
end

---Compares the places with their earlier contents. Raises `verify.bystander` if one has changed.
---@param places table[] after M.look
---@param places table[] after look
function M.check(board, places)
  local fields, hurt = class.state(board), {}
  for _, place in ipairs(places) do
    if place.before and setting.read(board, place.alt, place.address, place.length) ~= place.before
      and setting.read(board, place.alt, place.address, place.length) ~= place.before then
      hurt[#hurt + 1] = place.sector
      doubt_the_rest(board, place.alt)
    end
  end
  if #hurt == 0 then return end
  local names = {}
  for i, address in ipairs(hurt) do names[i] = text.hex(address) end
  errors.raise { code = "verify.bystander", path = board.path, op = "erase", address = hurt[1],
    sectors = hurt, remedy = { "layout", wrong = true },
    message = ("%s: the erase also changed %s, which it should have left alone"):format(
      board.path, table.concat(names, " and ")),
    flash = fields.journal:text(), ranges = fields.journal:claims() }
end

---The places as text, for a plan; nil if there are none.
---@param places table[]
---@return string?
function M.describe(places)
  local names = {}
  for i, place in ipairs(places) do
    names[i] = text.range(place.address, place.address + place.length - 1)
  end
  return #names > 0 and ("Compared before and after the erase: %s."):format(
    table.concat(names, ", ")) or nil
end

return M

-- SPDX-License-Identifier: MIT
-- Reads back, and compares with the expected bytes.
local class = require "moonflash.board.class"
local difference = require "moonflash.base.difference"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local memory = require "moonflash.memory"
local optbytes = require "moonflash.optbytes"
local part_of = require "moonflash.board.part"
local sectors_of = require "moonflash.flash.sectors"
local setting = require "moonflash.flash.setting"
local task = require "task"
local text = require "moonflash.base.text"

local M = {}

local SHOWN = 4 -- bytes of a difference that a message shows

---The start and the size of the sector that has an address.
---@param board table
---@param address integer
---@param number? integer the alternate setting
---@return integer
---@return integer bytes
function M.sector_at(board, address, number)
  for _, alt in ipairs(board.alts) do
    local segment, start = memory.find(alt.layout.segments, address)
    if segment and (not number or alt.number == number) then return start, segment.size end
  end
  return address, 1
end

-- ---- a board with another block size ----

local function miscounted(board, segments, address)
  local fields = class.state(board)
  for _, s in ipairs(segments) do
    fields.history:mark("doubt", s.address, s.address + #s.bytes - 1, s.alt)
  end
  errors.raise { code = "verify", path = board.path, op = "verify", address = address,
    message = ("%s: %s reads differently on its own: the board does not use the transfer size of "
      .. "%d bytes that it reports"):format(board.path, text.hex(address), board.transfer_size),
    flash = fields.journal:text(), ranges = fields.journal:claims(),
    remedy = { "report-board" } }
end

-- Calls f(segment, offset, block) for each block of the segments, from the last to the first, until
-- f returns true.
local function each_block(segments, size, f)
  for i = #segments, 1, -1 do
    local segment = segments[i]
    for at = (#segment.bytes - 1) // size * size, 0, -size do
      if f(segment, at, segment.bytes:sub(at + 1, at + size)) then return end
    end
  end
end

local function is_even(block)
  return block == block:sub(1, 1):rep(#block)
end

-- Finds a block that no other block of the segments equals or begins with, that is not blank, and
-- that is not the first of its segment, which is read by its own address anyway. If there is none,
-- takes the last block: an address that a board with another block size never wrote to is
-- unchanged.
local function unlike_all_others(segments, size)
  local counts, whole = {}, {}
  each_block(segments, size, function(_, _, block)
    counts[block] = (counts[block] or 0) + 1
    if #block == size then whole[#whole + 1] = block end
  end)
  local function is_alone(block)
    if counts[block] > 1 or is_even(block) then return false end
    for _, other in ipairs(#block < size and whole or {}) do
      if other:sub(1, #block) == block then return false end
    end
    return true
  end
  local found, where, bytes
  each_block(segments, size, function(segment, at, block)
    if at > 0 and is_alone(block) then found, where, bytes = segment, at, block end
    return found ~= nil
  end)
  if found then return found, where, bytes end
  each_block(segments, size, function(segment, at, block)
    if at > 0 then found, where, bytes = segment, at, block end
    return found ~= nil
  end)
  return found, where, bytes
end

---Raises `verify` if the board does not count blocks in the size that it announces. Such a board
---reads from the same wrong addresses to which it wrote, so reading back finds no difference. One
---block, different from all others, is therefore read again after Set Address to its own address.
---@param board table
---@param segments table[] { { address=, bytes=, alt= }, ... } as they were read
function M.check_counting(board, segments)
  local segment, at, block = unlike_all_others(segments, board.transfer_size)
  if not segment then return end
  local address = segment.address + at
  board:set_address(address)
  if setting.read(board, segment.alt, address, #block) ~= block then
    miscounted(board, segments, address)
  end
end

-- ---- comparing ----

-- Splits a chunk by sectors. Calls f(first, last, start, size): the first and last offset in the
-- chunk, and the sector's address and size.
local function each_sector(board, item, address, length, f)
  local dfuse = class.state(board).dfuse
  local at = 0
  while at < length do
    local start, size = address, length
    if dfuse then start, size = M.sector_at(board, address + at, item.alt) end
    local stop = math.min(length, start + size - address)
    f(at, stop - 1, start, size)
    at = stop
  end
end

-- Records that a sector differs.
local function note_bad(board, item, result, sector, expected, found)
  local fields = class.state(board)
  local key = ("%d/%d"):format(item.alt or -1, sector.start)
  if not result.bad[key] then result.bad[key], result.bad_count = true, result.bad_count + 1 end
  if fields.stats.bytes_written > 0 then -- otherwise it differed before the run
    fields.history:mark("doubt", sector.address, sector.address + #expected - 1, item.alt)
    -- a write-protected sector reports success without being erased
    fields.history:doubt_erased(sector.start, sector.start + sector.size - 1, item.alt)
  end
  if not result.first then
    local i = #found < #expected and found == expected:sub(1, #found) and #found + 1
      or difference(expected:sub(1, #found), found)
    result.first = { address = sector.address + i - 1, expected = expected:sub(i, i + SHOWN - 1),
                     found = found:sub(i, i + SHOWN - 1) }
  end
end

local function judge(board, item, result, seen, address, expected, found)
  local fields = class.state(board)
  each_sector(board, item, address, #expected, function(first, last, start, size)
    local key = ("%d/%d"):format(item.alt or -1, start)
    if not seen[key] then seen[key], result.sectors = true, result.sectors + 1 end
    local want, got = expected:sub(first + 1, last + 1), found:sub(first + 1, last + 1)
    if want ~= got then
      note_bad(board, item, result, { start = start, size = size, address = address + first },
        want, got)
    elseif expected ~= found then
      fields.history:mark("verified", address + first, address + last, item.alt)
    end
  end)
  if expected == found then
    fields.history:mark("verified", address, address + #expected - 1, item.alt)
  end
end

---Whether a comparison has found that a sector differs.
---@param result table
---@param sector table address=, alt=
---@return boolean
function M.is_bad(result, sector)
  return result.bad[("%d/%d"):format(sector.alt or -1, sector.address)]
    or result.bad[("-1/%d"):format(sector.address)] or false
end

---Reads segments back and compares them. Records the results in the journal.
---@param board table
---@param segments table[] { { address=, bytes=, alt= }, ... }; found: in plain DFU, the bytes that
---  were read already
---@param told? fun(address: integer, seconds: number) called for each chunk that was read
---@return table result bad= the sectors that differ, for is_bad; bad_count=, sectors=;
---  first={ address=, expected=, found= } or nil
function M.compare(board, segments, told)
  local phase = events.phase(board, "verify", sectors_of.bytes_in(segments), "bytes")
  local fields = class.state(board)
  -- plain DFU reads everything from the start, in one operation
  local size = fields.dfuse and sectors_of.CHUNK * board.transfer_size or math.maxinteger
  local result, seen = { bad = {}, bad_count = 0, sectors = 0 }, {}
  for _, segment in ipairs(segments) do
    for at = 1, #segment.bytes, size do
      local address = segment.address + at - 1
      local expected = segment.bytes:sub(at, at + size - 1)
      local began = task.now()
      local found = segment.found or setting.read(board, segment.alt, address, #expected)
      if told then told(address, task.now() - began) end
      judge(board, segment, result, seen, address, expected, found)
      phase:advance(#expected)
    end
  end
  phase:finish()
  if fields.dfuse and not result.first then M.check_counting(board, segments) end
  return result
end

-- Whether the board is a simulated one that begins each run with blank flash.
local function is_blank_simulated(board, first)
  return board.path:find("^sim:%w+") and not board.path:find("flash=", 1, true)
    and first.found ~= "" and part_of.is_blank(class.state(board).part, first.found)
end

---Raises `verify` for the first difference of a comparison.
---@param board table
---@param result table
function M.complain(board, result)
  local fields, first = class.state(board), result.first
  errors.raise { code = "verify", path = board.path, op = "verify", address = first.address,
    message = ("%s: verify failed at %s: expected %s, found %s"):format(board.path,
      text.hex(first.address), text.bytes(first.expected),
      first.found == "" and "nothing" or text.bytes(first.found)),
    flash = fields.journal:text(), ranges = fields.journal:claims(),
    differing = result.bad_count, checked = result.sectors,
    remedy = { fields.stats.bytes_written > 0 and (fields.plan and fields.plan.protection_known
        and "not-protected" or "write-protection") or is_blank_simulated(board, first)
        and "blank-simulated" or nil, again = true, path = board.path,
               optbytes = optbytes.family(board) ~= nil } }
end

return M

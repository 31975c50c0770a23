-- SPDX-License-Identifier: MIT
-- Compares an image with the board before planning: each sector is the same, blank or different.
local events = require "moonflash.base.events"
local sectors_of = require "moonflash.flash.sectors"
local setting = require "moonflash.flash.setting"
local task = require "task"

local bytes_in = sectors_of.bytes_in

local M = {}

-- For each span: the end of the spans that follow it without a gap.
local function ends_of(sectors)
  local ends, stop, next_one, alt = {}, nil, nil, nil
  for i = #sectors, 1, -1 do
    local sector = sectors[i]
    for k = #sector.spans, 1, -1 do
      local span = sector.spans[k]
      local behind = span.address + #span.bytes
      stop = alt == sector.alt and next_one == behind and stop or behind
      ends[span], next_one, alt = stop, span.address, sector.alt
    end
  end
  return ends
end

-- Returns a function like setting.read that reads at least a block if more bytes follow: if pages
-- are smaller than blocks, one request serves several pages.
local function reader(board, sectors)
  local ends, ahead = ends_of(sectors), { address = 0, bytes = "" }
  return function(sector, span, at, n)
    local address = span.address + at
    local from = address - ahead.address
    local has = ahead.alt == sector.alt and from >= 0 and from + n <= #ahead.bytes
    if not has then
      local length = math.max(n, math.min(board.transfer_size, ends[span] - address))
      ahead = { alt = sector.alt, address = address,
                bytes = setting.read(board, sector.alt, address, length) }
      from = 0
    end
    return ahead.bytes:sub(from + 1, from + n)
  end
end

-- Reads a span until it is neither the same nor blank. The first requests are short: most sectors
-- that differ do so early.
local function look_at_span(board, read, sector, span, erased, seen)
  local size = board.transfer_size
  local at, blocks = 0, 1
  while at < #span.bytes and (seen.same or seen.blank) do
    local n = math.min(blocks * size, #span.bytes - at)
    local found = read(sector, span, at, n)
    seen.same = seen.same and sectors_of.is_same(span, at, found)
    seen.blank = seen.blank and sectors_of.is_blank(found, erased)
    at = at + n
    seen.advance(n)
    blocks = math.min(blocks * 2, sectors_of.CHUNK)
  end
end

-- Whether the parts of a sector outside its spans are blank. An interrupted erase can have left old
-- bytes there, and only a sector that is blank as a whole needs no erase.
local function is_rest_blank(board, sector, erased)
  for _, range in ipairs(sectors_of.free(sector, sector.spans)) do
    for at = range.first, range.last, sectors_of.CHUNK * board.transfer_size do
      local n = math.min(sectors_of.CHUNK * board.transfer_size, range.last - at + 1)
      local found = setting.read(board, sector.alt, at, n)
      if not sectors_of.is_blank(found, erased) then return false end
    end
  end
  return true
end

---Reads the bytes that the spans cover, and sets each sector's state and seconds.
---@param board table
---@param sectors table[]
---@param grain table erased=
function M.look(board, sectors, grain)
  local total = 0
  for _, sector in ipairs(sectors) do
    total = total + bytes_in(sector.spans)
  end
  local phase = events.phase(board, "compare", total, "bytes")
  local joined_read = reader(board, sectors)
  for _, sector in ipairs(sectors) do
    local began = task.now()
    local read = 0
    local seen = { same = true, blank = true, advance = function(n)
      read = read + n
      phase:advance(n)
    end }
    for _, span in ipairs(sector.spans) do
      look_at_span(board, joined_read, sector, span, grain.erased, seen)
    end
    phase:advance(bytes_in(sector.spans) - read)
    sector.state = seen.same and "same"
      or seen.blank and is_rest_blank(board, sector, grain.erased) and "blank" or "differs"
    sector.seconds = { compare = task.now() - began }
    events.emit("sector", board, sector, "compare", sector.seconds.compare)
  end
  phase:finish()
end

return M

-- SPDX-License-Identifier: MIT
-- Comparing an image with what stands on a board, before anything is planned: for each sector
-- whether it is the same, blank or different.
local events = require "moonflash.base.events"
local sectors_of = require "moonflash.flash.sectors"
local setting = require "moonflash.flash.setting"
local task = require "task"

local bytes_in = sectors_of.bytes_in

local M = {}

-- The address behind the last of the spans that follow one without a gap, for each span.
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

-- Reads like setting.read, but never less than a block where more is going to be compared: where
-- pages are smaller than blocks, one request then serves several of them.
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

-- Reads one span of a sector, for as long as it could be the same or blank. The first requests are
-- short: sectors differ early, or not at all.
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

-- Whether all of a sector is blank that its spans leave out. An erase that was cut short can have
-- left old bytes there; and what is blank needs no erasing because all of it is.
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

---Reads what the spans of sectors cover, and sets each sector's state and seconds.
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

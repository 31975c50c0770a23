-- SPDX-License-Identifier: MIT
-- Parses DfuSe memory-layout strings: the sectors of a board's memory, and their access.
--
--   @Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg
--
-- A name; then groups of "/", a start address, "/" and segments, which follow each other in memory.
-- A segment is count * size, a multiplier (K, M, B, "." or none) and a letter, a to g, whose low
-- bits mean readable (1), erasable (2) and writable (4). Blanks are allowed between any two of
-- these, a "U" (C's suffix) after any number, and the "@" may be missing. A fractional count means
-- whole sectors and a smaller last one: 04.5*01K is four of 1024 bytes and one of 512.
--
-- The string comes from a device and is not trusted. These rules hold for every string:
--
--   * the result is within 4 GiB, disjoint, and has counts and sizes above zero;
--   * a count of zero, which some boards have, is left out;
--   * an address or a segment past 4 GiB, a sector of no bytes or of a part of a byte, a segment
--     that overlaps an earlier one, and one past the 256th are dropped, with the rest of their
--     group, whose addresses depend on them; the next group is parsed again;
--   * text that can't be parsed ends the layout, and the valid part before it is kept: ROMs of the
--     STM32F42x send junk after the string;
--   * only the first 4096 bytes are parsed, which bounds the work. A descriptor has 253;
--   * `dropped` is the first reason for dropping something, in one line.

local misuse = require "moonflash.base.misuse"

local clean = require("moonflash.base.text").clean

local M = {}

local LIMIT = 1 << 32                       -- addresses have 32 bits
local MOST_SEGMENTS = 256
local MOST_BYTES = 4096
local MULTIPLIER = { K = 1024, M = 1024 * 1024 }

---@class moonflash.Segment
---@field address integer
---@field count integer
---@field size integer bytes in a sector
---@field readable boolean
---@field erasable boolean
---@field writable boolean

---@class moonflash.Sector
---@field address integer
---@field size integer
---@field readable boolean
---@field erasable boolean
---@field writable boolean

---@class moonflash.Layout
---@field name string
---@field segments moonflash.Segment[] in the order of the string
---@field dropped? string the reason if a part is missing

-- The address after a segment.
local function stop_of(segment)
  return segment.address + segment.count * segment.size
end

-- Decimal digits as an integer. A number of more than ten digits is invalid anyway: it becomes ten
-- nines, which is past 4 GiB and can be multiplied without overflow.
local function decimal(digits)
  digits = digits:gsub("^0+", "")
  if #digits > 10 then
    return 9999999999
  end
  return tonumber(digits) or 0
end

-- The bytes in a fraction (".5") of a sector; 0 without a fraction, nil if the bytes are not whole.
-- Nine digits are enough for every valid fraction of a size below 4 GiB.
local function part_of(size, fraction)
  local digits = fraction:sub(2):gsub("0+$", "")
  if #digits > 9 then
    return nil
  end
  local scale = math.tointeger(10 ^ #digits)
  local product = size * decimal(digits)
  return product % scale == 0 and product // scale or nil
end

-- Appends a segment. Returns the address after it, or nil and the reason.
local function append(segments, address, count, size, kind)
  if count == 0 then
    return address
  end
  local where = ("segment at 0x%08X "):format(address)
  if size == 0 then
    return nil, where .. "has sectors of no bytes"
  end
  if count > (LIMIT - address) // size then -- division, because the product could overflow
    return nil, where .. "passes 4 GiB"
  end
  if #segments >= MOST_SEGMENTS then
    return nil, ("more than %d segments"):format(MOST_SEGMENTS)
  end
  local stop = address + count * size
  for _, other in ipairs(segments) do
    if address < stop_of(other) and other.address < stop then
      return nil, where .. "overlaps another"
    end
  end
  local bits = kind:byte() & 7
  segments[#segments + 1] = {
    address = address,
    count = count,
    size = size,
    readable = bits & 1 ~= 0,
    erasable = bits & 2 ~= 0,
    writable = bits & 4 ~= 0,
  }
  return stop
end

-- Appends one entry of a group: whole sectors, then a part of one if there is a fraction.
local function append_entry(segments, address, entry)
  local size = decimal(entry.size) * (MULTIPLIER[entry.unit] or 1)
  local stop, reason = append(segments, address, decimal(entry.whole), size, entry.kind)
  if not stop or entry.fraction == "" then
    return stop, reason
  end
  if size > LIMIT then                      -- append does not check the size if the count is zero
    return nil, ("segment at 0x%08X passes 4 GiB"):format(stop)
  end
  local part = part_of(size, entry.fraction)
  if not part then
    return nil, ("segment at 0x%08X ends within a byte"):format(stop)
  end
  return append(segments, stop, part > 0 and 1 or 0, part, entry.kind)
end

-- Parses the groups of a layout that begins at a position of text.
local function parse_groups(text, position)
  local segments, dropped = {}, nil
  local good = position                     -- the position after the last valid part

  -- Takes one token, with blanks before it. A single pattern for a whole segment could backtrack
  -- for hours.
  local function take(pattern)
    local token, after = text:match("^%s*(" .. pattern .. ")()", position)
    position = after or position
    return token
  end

  local function take_address()
    local digits = take("/") and take("0[xX]%x+")
    if not digits then return nil end
    take("U")
    return take("/") and digits:sub(3):gsub("^0+", "")
  end

  local function take_entry()
    local entry = { whole = take("%d+") }
    if not entry.whole then return nil end
    entry.fraction = take("%.%d+") or ""
    take("U")
    entry.size = take("%*") and take("%d+")
    if not entry.size then return nil end
    take("U")
    entry.unit = take("[KMB.]")
    entry.kind = take("[a-g]")
    return entry.kind and entry
  end

  local digits = take_address()
  while digits do
    local address, reason = nil, "address past 4 GiB"
    if #digits <= 8 then
      address, reason = tonumber(digits, 16) or 0, nil
    end
    repeat
      local entry = take_entry()
      if not entry then break end
      good = position
      if address then
        address, reason = append_entry(segments, address, entry)
      end
      dropped = dropped or reason
    until not take(",")
    if good ~= position then break end      -- an entry was expected
    digits = take_address()
  end

  if text:find("%S", good) then
    dropped = dropped or ("unreadable from character %d on"):format(good)
  end
  return segments, dropped
end

---Parses a memory-layout string. A string without a layout gives a name and no segments.
---@param text string
---@return moonflash.Layout
function M.parse(text)
  if type(text) ~= "string" then
    misuse("memory.parse takes a string, not a %s", type(text))
  end
  local dropped
  if #text > MOST_BYTES then
    text, dropped = text:sub(1, MOST_BYTES), ("longer than %d bytes"):format(MOST_BYTES)
  end
  local slash = text:find("/%s*0[xX]%x")
  local name = text:sub(1, slash and slash - 1):gsub("^%s*@?%s*", "")
  local layout = { name = clean(name:match(".*%S") or ""), segments = {} }
  if slash then
    local reason
    layout.segments, reason = parse_groups(text, slash)
    dropped = dropped or reason
  end
  layout.dropped = dropped
  return layout
end

-- Returns a caller's number as an integer: 1e3 is accepted, 1.5 is misuse.
local function integer(value, what)
  local whole = math.type(value) and math.tointeger(value)
  return whole or misuse("%s must be a whole number", what)
end

-- The segments in ascending order; groups may be in any order.
local function ascending(segments)
  local sorted = table.move(segments, 1, #segments, 1, {})
  table.sort(sorted, function(a, b) return a.address < b.address end)
  return sorted
end

---Iterates over the sectors that overlap [first, last], in ascending order, and skips gaps. They
---are made one at a time: a layout may announce four thousand million of them.
---@param segments moonflash.Segment[]
---@param first? integer default: the lowest
---@param last? integer included; default: the highest
---@return fun(): moonflash.Sector?
function M.sectors(segments, first, last)
  first = integer(first or 0, "first")
  last = integer(last or LIMIT - 1, "last")
  local sorted, index = ascending(segments), 0
  local address                             -- of the next sector, in the segment at index
  return function()
    local segment = sorted[index]
    while not segment or address >= stop_of(segment) do
      index = index + 1
      segment = sorted[index]
      if not segment then return nil end
      address = segment.address
      if first > address then
        address = address + (first - address) // segment.size * segment.size
      end
    end
    if address > last or first > last then return nil end
    local sector = {
      address = address,
      size = segment.size,
      readable = segment.readable,
      erasable = segment.erasable,
      writable = segment.writable,
    }
    address = address + segment.size
    return sector
  end
end

---The segment and the sector that have an address.
---@param segments moonflash.Segment[]
---@param address integer
---@return moonflash.Segment? segment nil if no memory is there
---@return integer? sector_address
function M.find(segments, address)
  address = integer(address, "address")
  for _, segment in ipairs(segments) do
    if address >= segment.address and address < stop_of(segment) then
      local offset = address - segment.address
      return segment, address - offset % segment.size
    end
  end
  return nil
end

---The number of bytes in the segments.
---@param segments moonflash.Segment[]
---@return integer
function M.size(segments)
  local size = 0
  for _, segment in ipairs(segments) do
    size = size + segment.count * segment.size
  end
  return size
end

---The number of sectors in the segments.
---@param segments moonflash.Segment[]
---@return integer
function M.number_of_sectors(segments)
  local number = 0
  for _, segment in ipairs(segments) do
    number = number + segment.count
  end
  return number
end

---The first and last address of the memory around an address, up to the next gaps. The access of
---its parts does not matter.
---@param segments moonflash.Segment[]
---@param address integer
---@return integer? first nil if no memory is there
---@return integer? last
function M.span(segments, address)
  address = integer(address, "address")
  local first, stop
  for _, segment in ipairs(ascending(segments)) do
    if segment.address ~= stop then         -- a gap, or the start: a new run
      if first and address < stop then break end
      first = segment.address
    end
    stop = stop_of(segment)
  end
  if not first or address < first or address >= stop then
    return nil
  end
  return first, stop - 1
end

---Whether a memory is the option bytes. Writing these makes the chip load them, in many families by
---a reset (AN3156). The U0 calls them "OB Bytes".
---@param layout table
---@return boolean
function M.is_option_bytes(layout)
  local name = layout.name:lower()
  return name:find("^option byte") ~= nil or name:find("^ob bytes") ~= nil
end

return M

-- SPDX-License-Identifier: MIT
-- Cortex-M vector tables: whether one is plausible at an address, where an image has one, and for
-- which address a raw binary was linked.
--
-- A table begins with the stack pointer and the reset vector (ARMv7-M reference manual, B1.5.3). It
-- is plausible if the first word points to a RAM of any STM32 family, and the second is odd (Thumb)
-- and points into the image. The other words are ignored.

local M = {}

local byte, unpack = string.byte, string.unpack

-- The RAMs of all families, { first address, address after the last }: CCM and SRAM2; the main
-- SRAM, 3 MB at most (U5F/5G); SRAM4 of the U5; AXI SRAM of the H7 and H7R/S; SRAMs of domain 2 of
-- the H7, whose addresses are the secure alias on L5, U5 and H5; SRAM4 of the H7.
local RAMS = {
  { 0x10000000, 0x10010000 }, { 0x20000000, 0x20300000 }, { 0x28000000, 0x28004000 },
  { 0x24000000, 0x24100000 }, { 0x30000000, 0x30300000 }, { 0x38000000, 0x38010000 },
}

-- The address ranges of programs: the flash with all of its banks, its secure alias, and memory
-- that is mapped by a QUADSPI, OCTOSPI or XSPI.
local CODE = {
  { 0x08000000, 0x09000000 }, { 0x0C000000, 0x0D000000 },
  { 0x70000000, 0x80000000 }, { 0x90000000, 0xA0000000 },
}

local ALIGNMENT = 0x80 -- of a vector table: VTOR has no lower bits

-- A stack pointer may point past the last byte: it is decremented before the first word is stored.
local function is_ram(sp)
  for _, ram in ipairs(RAMS) do
    if sp > ram[1] and sp <= ram[2] then return sp % 4 == 0 end
  end
  return false
end

-- The start of the program range that has an address; nil if none has it.
local function area_of(address)
  for _, area in ipairs(CODE) do
    if address >= area[1] and address < area[2] then return area[1] end
  end
end

local function is_code(handler)
  return handler % 2 == 1 and area_of(handler) ~= nil
end

-- ---- one table ----

---Whether bytes begin with a table whose reset vector points to an address for which holds() is
---true.
---@param bytes string 8 or more
---@param holds fun(address: integer): boolean
---@param at? integer position of the table in bytes, default 1
---@return boolean
function M.is_table(bytes, holds, at)
  at = at or 1
  if #bytes < at + 7 then return false end
  local sp, reset = unpack("<I4I4", bytes, at)
  return is_ram(sp) and reset % 2 == 1 and holds(reset - 1)
end

-- Returns a function that tests whether one of the segments has an address. There may be as many
-- tables as segments, so each search is binary. Segments of two alternate settings may overlap, so
-- stops[i] is the highest end of the segments 1 to i.
local function holder(list)
  local starts, stops, highest = {}, {}, 0
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted, function(a, b) return a.address < b.address end)
  for i, segment in ipairs(sorted) do
    highest = math.max(highest, segment.address + #segment.bytes)
    starts[i], stops[i] = segment.address, highest
  end
  return function(address)
    local low, high = 0, #starts -- the last segment that begins at or before the address
    while low < high do
      local middle = (low + high + 1) // 2
      if starts[middle] <= address then low = middle else high = middle - 1 end
    end
    return low > 0 and address < stops[low]
  end
end

-- Calls f(address, reset vector) for each plausible table in a list of segments, until f returns a
-- value. Returns that value.
local function each_table(list, f)
  local holds = holder(list)
  for _, segment in ipairs(list) do
    local first, bytes = segment.address, segment.bytes
    for at = -first % ALIGNMENT, #bytes - 8, ALIGNMENT do
      local sp = unpack("<I4", bytes, at + 1)
      if is_ram(sp) and M.is_table(bytes, holds, at + 1) then
        local found = f(first + at, (unpack("<I4", bytes, at + 5)))
        if found then return found end
      end
    end
  end
end

---The address of an image's vector table: the one with the entry point, else the lowest.
---@param list table[] segments, sorted
---@param entry? integer from the file: address of the first instruction or of the table
---@return integer? address nil if there is no plausible table
function M.find(list, entry)
  local lowest
  local fitting = each_table(list, function(address, reset)
    lowest = lowest and math.min(lowest, address) or address
    if entry and (address == entry or reset - 1 == entry & ~1) then return address end
  end)
  return fitting or lowest
end

-- ---- the address that a raw binary was linked for ----

-- Beginnings of functions in Thumb code: mask and value of the first half word, and of the second
-- one where 32 bits are needed. Default handlers are often "b .".
local STARTS = {
  { 0xFFFF, 0xE7FE },                         -- b .
  { 0xFF00, 0xB500 },                         -- push { ..., lr }
  { 0xFFFF, 0xE92D, 0x4000, 0x4000 },         -- push.w { ..., lr }
  { 0xFFFF, 0xF3EF, 0xD0FF, 0x8008 },         -- mrs rX, msp or psp
  { 0xFFFF, 0xF01E, 0xFFFF, 0x0F04 },         -- tst lr, #4
  { 0xFFFF, 0xF8DF, 0x0000, 0x0000 },         -- ldr.w rX, [pc, #n]
  { 0xFFFF, 0xB672 },                         -- cpsid i
  { 0xFFFF, 0x4770 },                         -- bx lr
  { 0xFF80, 0xB080 },                         -- sub sp, #n
  { 0xF800, 0x4800 },                         -- ldr rX, [pc, #n]
  { 0xFF00, 0xB400 },                         -- push { ... }
  { 0xFBF0, 0xF240, 0x8000, 0x0000 },         -- movw rX, #n
}
-- The probability that a function begins with each pattern. Guesses, rounded up for rare patterns;
-- their sum is below 1.
local LIKELY = { 0.2, 0.3, 0.1, 0.03, 0.03, 0.05, 0.03, 0.05, 0.03, 0.1, 0.02, 0.03 }
local OTHERWISE = 0.1 -- the probability that a function begins with none of them

local VECTORS = 128        -- entries of a table that are examined
local MOST_HANDLERS = 24   -- different handlers that are examined
local STEP = 0x100         -- program addresses are multiples of this
local MOST_SAMPLE = 16384  -- bytes from which the frequency of each pattern is estimated
-- Tables with few handlers, including the reset vector, are weak evidence:
local FEW = 4              -- tables with fewer need CERTAIN
local SEVERAL = 6          -- tables with fewer need FAR_MARGIN
-- Log-likelihood ratios (natural logarithm):
local MARGIN = 5           -- another address must beat the given one by this much
local FAR_MARGIN = 8       -- the same, if the given address is itself plausible
local SURE = 6             -- the best must beat the second best by this much to be reported
local CERTAIN = 10         -- the required likelihood for tables with few handlers

-- By high byte of a half word: the numbers of the patterns that can match. Most bytes match none.
local by_high = {}
for high = 0, 0xFF do
  for i, start in ipairs(STARTS) do
    if high << 8 & start[1] & 0xFF00 == start[2] & 0xFF00 then
      by_high[high] = by_high[high] or {}
      table.insert(by_high[high], i)
    end
  end
end

-- The number of the pattern at an offset, or nil.
local function start_at(bytes, offset)
  local candidates = by_high[byte(bytes, offset + 2)]
  if not candidates then return nil end
  local first = unpack("<I2", bytes, offset + 1)
  local second = offset + 4 <= #bytes and unpack("<I2", bytes, offset + 3) or 0
  for _, i in ipairs(candidates) do
    local start = STARTS[i]
    if first & start[1] == start[2] and (not start[3] or second & start[3] == start[4]) then
      return i
    end
  end
end

-- The weight of each pattern as evidence for a function, as a logarithm. A pattern that is frequent
-- everywhere has little weight. Index 0 is for half words that match no pattern.
local function weights_of(bytes)
  local counts, total = {}, 0
  for offset = 0, math.min(#bytes, MOST_SAMPLE) - 4, 2 do
    local i = start_at(bytes, offset) or 0
    counts[i], total = (counts[i] or 0) + 1, total + 1
  end
  local weights = { [0] = math.log(OTHERWISE / (((counts[0] or 0) + 1) / (total + 2))) }
  for i = 1, #STARTS do
    weights[i] = math.log(LIKELY[i] / (((counts[i] or 0) + 1) / (total + 2)))
  end
  return weights
end

-- The different handlers of a table, ascending. Behind the exceptions, the first word that is not a
-- handler ends the table.
local function handlers_of(bytes)
  local seen, list = {}, {}
  for i = 1, math.min(VECTORS, #bytes // 4) - 1 do
    local handler = unpack("<I4", bytes, i * 4 + 1)
    if handler ~= 0 then
      if not is_code(handler) then
        if i >= 16 then break end -- the first 16 words are the exceptions
      elseif not seen[handler] and #list < MOST_HANDLERS then
        seen[handler] = true
        list[#list + 1] = handler - 1
      end
    end
  end
  table.sort(list)
  return list
end

-- The evidence for a base address; nil if a handler would be outside the bytes.
local function score(bytes, base, handlers, weights)
  local sum = 0
  for _, handler in ipairs(handlers) do
    local offset = handler - base
    if offset < 8 or offset + 2 > #bytes then return nil end
    sum = sum + weights[start_at(bytes, offset) or 0]
  end
  return sum
end

-- The evidence for a base address apart from code: programs begin at pages, and code often follows
-- the table directly.
local function prior(bytes, base, lowest)
  local points = base % 0x1000 == 0 and 1.5 or base % 0x400 == 0 and 0.7 or 0
  local words = (lowest - base) // 4
  if words >= 16 and words <= 2 * VECTORS and words * 4 <= #bytes then
    for i = 2, words - 1 do
      local word = unpack("<I4", bytes, i * 4 + 1)
      if word ~= 0 and not is_code(word) then return points end
    end
    points = points + 3
  end
  return points
end

-- The handlers near the reset vector. A word that is not a handler would exclude every base
-- address.
local function near(handlers, reset, length)
  local list = {}
  for _, handler in ipairs(handlers) do
    if math.abs(handler - reset) < length then list[#list + 1] = handler end
  end
  return list
end

---Compares the address that raw bytes with a vector table were linked for with the given one.
---@param bytes string
---@param address integer the given address
---@return boolean elsewhere the bytes were certainly linked for another address
---@return integer? reset the reset vector, if the bytes begin with a table
---@return integer? base the address that they were linked for, if it is certain
function M.linked(bytes, address)
  if #bytes < 8 then return false end
  local sp, reset = unpack("<I4I4", bytes)
  if not is_ram(sp) or not is_code(reset) then return false end
  local handlers = near(handlers_of(bytes), reset - 1, #bytes)
  local weights = weights_of(bytes)
  local lowest, highest = handlers[1] or reset - 1, handlers[#handlers] or reset - 1
  local best, second, base = -math.huge, -math.huge, nil
  local from = (highest - #bytes) // STEP * STEP
  for candidate = math.max(from, area_of(reset)), lowest // STEP * STEP, STEP do
    local points = score(bytes, candidate, handlers, weights)
    points = points and points + prior(bytes, candidate, lowest)
    if points and points > best then
      best, second, base = points, best, candidate
    elseif points and points > second then
      second = points
    end
  end
  local here = score(bytes, address, handlers, weights)
  here = here and here + prior(bytes, address, lowest)
  local inside = reset - 1 >= address and reset - 1 < address + #bytes
  local doubtful = here and (here >= 0 or #handlers < SEVERAL)
  local margin = doubtful and FAR_MARGIN or MARGIN
  local sure = base and base ~= address and best >= MARGIN and best - second >= SURE
  local enough = #handlers >= FEW or sure and best >= CERTAIN
  local elsewhere = not inside or enough
    and base ~= address and best >= MARGIN and best - (here or -math.huge) >= margin
  return elsewhere, reset, sure and base or nil
end

return M

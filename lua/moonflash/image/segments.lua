-- SPDX-License-Identifier: MIT
-- Sparse bytes: joins pieces, in any order, to segments that are sorted, disjoint and maximal.
--
-- A file may have a million pieces of one byte. So adjacent pieces are joined as they arrive,
-- nothing is stored for single bytes, and the sort keys are integers: the address in the high bits,
-- the number of the run in the low ones.
local difference = require "moonflash.base.difference"
local wrong = require "moonflash.image.wrong"

local M = {}

local FOLD = 4096   -- pieces that are concatenated at once
local BITS = 20     -- of a run's number
local MOST = 1 << BITS
local NONE = -1     -- for pieces without an alternate setting

-- ---- a rope: consecutive bytes that more are appended to ----

local Rope = {}
Rope.__index = Rope

local function new_rope()
  return setmetatable({ first = -1, stop = -1, parts = {}, count = 0, chunks = {}, starts = {},
                        folded = 0 }, Rope)
end

function Rope:begin(address)
  self.first, self.stop, self.count, self.folded = address, address, 0, 0
end

-- Concatenates the latest pieces to a chunk.
function Rope:fold()
  local count = self.count
  if count == 0 then return end
  local parts, n = self.parts, self.folded + 1
  local chunk = count == 1 and parts[1] or table.concat(parts, "", 1, count)
  self.chunks[n], self.starts[n] = chunk, self.stop - #chunk
  self.count, self.folded = 0, n
end

function Rope:append(bytes)
  local count = self.count + 1
  self.parts[count], self.count = bytes, count
  self.stop = self.stop + #bytes
  if count == FOLD then self:fold() end
end

function Rope:bytes()
  self:fold()
  return self.folded == 1 and self.chunks[1] or table.concat(self.chunks, "", 1, self.folded)
end

-- The bytes from an address within the rope; fewer than `length` at its end.
function Rope:slice(address, length)
  self:fold()
  local starts, low, high = self.starts, 1, self.folded
  while low < high do
    local middle = (low + high + 1) // 2
    if starts[middle] <= address then low = middle else high = middle - 1 end
  end
  local found, stop = {}, math.min(address + length, self.stop)
  while address < stop do
    local at = address - starts[low]
    local bytes = self.chunks[low]:sub(at + 1, at + stop - address)
    found[#found + 1] = bytes
    address, low = address + #bytes, low + 1
  end
  return table.concat(found)
end

-- ---- the builder ----

local Builder = {}
Builder.__index = Builder

---Returns a new builder, which takes pieces and makes segments.
---@param name string the name of the file, for messages
---@return table builder
function M.builder(name)
  return setmetatable({ name = name, rope = new_rope(), keys = {}, runs = {}, count = 0,
                        sorted = true }, Builder)
end

function Builder:end_run()
  local rope, n = self.rope, self.count
  if rope.stop == rope.first then return end
  if n == MOST then wrong.file(self.name, "more than %d pieces lie apart: no firmware does", n) end
  local key = rope.first << BITS | n
  if n > 0 and key < self.keys[n] then self.sorted = false end
  n = n + 1
  self.keys[n], self.runs[n], self.count = key, rope:bytes(), n
end

---Adds bytes at an address.
---@param address integer
---@param bytes string
function Builder:add(address, bytes)
  local rope = self.rope
  if address ~= rope.stop then
    self:end_run()
    rope:begin(address)
  end
  rope:append(bytes)
end

---The segments: { { address=, bytes= }, ... }; or nil and the first address at which two pieces
---differ. Pieces may overlap if their bytes agree.
---@return integer? address
function Builder:finish()
  self:end_run()
  local keys, runs, rope, list = self.keys, self.runs, new_rope(), {}
  if not self.sorted then table.sort(keys) end
  for i = 1, self.count do
    local address, bytes = keys[i] >> BITS, runs[(keys[i] & MOST - 1) + 1]
    if address < rope.stop then
      local there = rope:slice(address, #bytes)
      local different = difference(there, bytes:sub(1, #there))
      if different then return nil, address + different - 1 end
      address, bytes = rope.stop, bytes:sub(#there + 1)
    end
    if address ~= rope.stop then
      if i > 1 then list[#list + 1] = { address = rope.first, bytes = rope:bytes() } end
      rope:begin(address)
    end
    if bytes ~= "" then rope:append(bytes) end
  end
  if self.count > 0 then list[#list + 1] = { address = rope.first, bytes = rope:bytes() } end
  return list
end

-- ---- several alternate settings ----

-- The first common address of two sorted, disjoint lists; nil if there is none.
local function common(one, other)
  local i, j = 1, 1
  while i <= #one and j <= #other do
    local a, b = one[i], other[j]
    if a.address + #a.bytes <= b.address then
      i = i + 1
    elseif b.address + #b.bytes <= a.address then
      j = j + 1
    else
      return math.max(a.address, b.address)
    end
  end
end

local Merger = {}
Merger.__index = Merger

---Returns a new merger, which takes pieces of several alternate settings, and joins those of each.
---@param name string the name of the file, for messages
---@return table merger
function M.merger(name)
  return setmetatable({ name = name, builders = {}, alts = {} }, Merger)
end

---Adds bytes at an address.
---@param address integer
---@param bytes string
---@param alt? integer
function Merger:add(address, bytes, alt)
  alt = alt or NONE
  local builder = self.builders[alt]
  if not builder then
    builder = M.builder(self.name)
    self.builders[alt] = builder
    table.insert(self.alts, alt)
  end
  builder:add(address, bytes)
end

---The segments, sorted by alternate setting (none comes first) and address. Returns nil and an
---address if two pieces differ there, or if one has an alternate setting and the other has not:
---both may mean the same memory, which would then be written twice.
---@return table[]?
---@return integer? address
function Merger:finish()
  local merged, without = {}, {}
  table.sort(self.alts)
  for _, alt in ipairs(self.alts) do
    local list, address = self.builders[alt]:finish()
    if not list then return nil, address end
    if alt == NONE then
      without = list
    else
      address = common(without, list)
      if address then return nil, address end
      for _, segment in ipairs(list) do segment.alt = alt end
    end
    table.move(list, 1, #list, #merged + 1, merged)
  end
  return merged
end

---Merges a list of pieces, as a merger does.
---@param pieces table[] { { address=, bytes=, alt= }, ... }
---@param name string
---@return table[]?
---@return integer? address
function M.merge(pieces, name)
  local merger = M.merger(name)
  for _, piece in ipairs(pieces) do merger:add(piece.address, piece.bytes, piece.alt) end
  return merger:finish()
end

---The segments without alternate settings, for formats that have none.
---@param image table
---@return table[]
function M.flat(image)
  local builder = M.builder(image.name)
  for _, segment in ipairs(image.segments) do builder:add(segment.address, segment.bytes) end
  local list, address = builder:finish()
  if not list then
    wrong.file(image.name, "two alternate settings differ at 0x%08X, and only .dfu can hold both",
      address)
  end
  return list
end

---The pieces that have an address.
---@param pieces table[]
---@param address integer
---@return table[]
function M.holding(pieces, address)
  local found = {}
  for _, piece in ipairs(pieces) do
    if address >= piece.address and address < piece.address + #piece.bytes then
      found[#found + 1] = piece
    end
  end
  return found
end

return M

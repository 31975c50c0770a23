-- SPDX-License-Identifier: MIT
-- Maps an image to sectors: the sectors that it overlaps, and its pieces in each.
--
-- Flash is written in units (a byte on an F4, eight on an L4) and by blocks. So the pieces in a
-- sector are grouped into spans: pieces close together, with erased bytes in the gaps and up to
-- whole units. A span lists its pieces: only their bytes are the image's.
local memory = require "moonflash.memory"

local M = {}

---@class moonflash.Piece
---@field address integer
---@field bytes string

---@class moonflash.Span: moonflash.Piece
---@field pieces moonflash.Piece[] the image's bytes, without the filling

M.CHUNK = 8 -- blocks of one call to a primitive; after each call there is a progress event

---Whether all bytes are the erased byte.
---@param bytes string
---@param erased string one byte
---@return boolean
function M.is_blank(bytes, erased)
  return bytes == erased:rep(#bytes)
end

---The number of bytes that pieces have together.
---@param pieces moonflash.Piece[]
---@return integer
function M.bytes_in(pieces)
  local total = 0
  for _, piece in ipairs(pieces) do total = total + #piece.bytes end
  return total
end

---Groups pieces into spans.
---@param pieces moonflash.Piece[] disjoint and ascending
---@param grain table unit=, reach=: a gap of that many bytes is not filled, erased=
---@return moonflash.Span[]
function M.spans(pieces, grain)
  local spans = {}
  local first, stop, group, parts -- of the current span

  local function fill(to)
    if to > stop then
      parts[#parts + 1] = grain.erased:rep(to - stop)
      stop = to
    end
  end

  local function finish()
    if not first then return end
    fill(stop + -stop % grain.unit)
    spans[#spans + 1] = { address = first, bytes = table.concat(parts), pieces = group }
  end

  for _, piece in ipairs(pieces) do
    local from = piece.address - piece.address % grain.unit
    if not first or from - stop >= grain.reach then
      finish()
      first, stop, group, parts = from, from, {}, {}
    end
    fill(piece.address)
    parts[#parts + 1], group[#group + 1] = piece.bytes, piece
    stop = piece.address + #piece.bytes
  end
  finish()
  return spans
end

---Whether the bytes found at an offset of a span equal those of its pieces. Filling is ignored.
---@param span moonflash.Span
---@param offset integer
---@param found string
---@return boolean
function M.is_same(span, offset, found)
  if span.bytes:sub(offset + 1, offset + #found) == found then return true end
  local first = span.address + offset
  local stop = first + #found
  for _, piece in ipairs(span.pieces) do
    local from = math.max(first, piece.address)
    local to = math.min(stop, piece.address + #piece.bytes)
    if from < to and piece.bytes:sub(from - piece.address + 1, to - piece.address)
      ~= found:sub(from - first + 1, to - first) then
      return false
    end
  end
  return true
end

---Appends the sectors that a piece overlaps, or adds the piece to sectors in the list.
---@param list table[] ascending
---@param segments table[] of the memory that has the piece
---@param piece moonflash.Piece
---@param alt integer the alternate setting of that memory
function M.add(list, segments, piece, alt)
  local stop = piece.address + #piece.bytes
  for sector in memory.sectors(segments, piece.address, stop - 1) do
    local known = list[#list]
    if not known or known.address ~= sector.address or known.alt ~= alt then
      known = sector
      known.alt = alt
      known.last, known.pieces = sector.address + sector.size - 1, {}
      list[#list + 1] = known
    end
    local from = math.max(piece.address, known.address)
    local to = math.min(stop - 1, known.last)
    local whole = from == piece.address and to == stop - 1
    table.insert(known.pieces, whole and piece or {
      address = from, bytes = piece.bytes:sub(from - piece.address + 1, to - piece.address + 1) })
  end
end

---The ranges of a sector outside the pieces: before the first, between them, and after the last.
---@param sector table
---@param pieces moonflash.Piece[]
---@return table[] { { first=, last= }, ... }
function M.free(sector, pieces)
  local ranges, at = {}, sector.address
  for _, piece in ipairs(pieces) do
    if piece.address > at then ranges[#ranges + 1] = { first = at, last = piece.address - 1 } end
    at = piece.address + #piece.bytes
  end
  if at <= sector.last then ranges[#ranges + 1] = { first = at, last = sector.last } end
  return ranges
end

return M

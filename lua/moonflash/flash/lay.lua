-- SPDX-License-Identifier: MIT
-- Maps the pieces of an image to the sectors of a board's memories, and refuses those that do not
-- fit.
local class = require "moonflash.board.class"
local errors = require "moonflash.errors"
local failure = require "moonflash.board.failure"
local link = require "moonflash.link"
local memory = require "moonflash.memory"
local prefixes = require "moonflash.image.prefix"
local scope = require "moonflash.flash.scope"
local sectors_of = require "moonflash.flash.sectors"
local text = require "moonflash.base.text"

local M = {}

---Raises `image` for a piece that does not fit.
---@param board table
---@param image table its name begins the message
---@param what string
---@param remedy string[]
---@param place? table the memory concerned (failure.memory)
function M.misfit(board, image, what, remedy, place)
  errors.raise { code = "image", path = board.path, remedy = remedy,
    message = ("%s: %s %s"):format(board.path, image.name, what),
    memory = place }
end

local function memory_of(board)
  return failure.memory(class.state(board))
end

---Raises `dfu.outside` if a memory has no known layout: without one, any address could be wrong.
function M.check_layout(board, alt)
  if alt and #alt.layout.segments > 0 then return end
  errors.raise { code = "dfu.outside", path = board.path,
    message = ("%s: the board does not report its memory layout%s; nothing was sent"):format(
      board.path, alt and (" (alternate setting %d, '%s')"):format(alt.number, alt.layout.name)
      or ""),
    memory = memory_of(board) }
end

---Raises `image` unless the image is one piece: plain DFU has no addresses.
---@param board table
---@param image table
function M.check_plain(board, image)
  if #image.segments == 1 then return end
  M.misfit(board, image, "has gaps, and plain DFU has no addresses", { "only" }, memory_of(board))
end

---The bytes that plain DFU sends for an image of one piece. A file's prefix is for the boot loader,
---which takes the address or the length from it.
---@param image table
---@return string
function M.plain_bytes(image)
  local piece = image.segments[1]
  if not image.prefix then return piece.bytes end
  return prefixes.add(image.prefix.kind, piece.address, piece.bytes)
end

local OUTSIDE = { "skip-outside", "only" } -- remedies for pieces without a memory

---The memory that has all of [first, last]. Raises `image` or `dfu.outside` if there is none.
---@param board table
---@param image table for the message
---@param first integer
---@param last integer
---@param number? integer the required alternate setting; default: the selected one
---@return table alt
function M.memory_of(board, image, first, last, number)
  number = number or link.selected(board)
  for _, alt in ipairs(board.alts) do
    local from, to = memory.span(alt.layout.segments, first)
    if from and (not number or number == alt.number) then
      if to < last then
        M.misfit(board, image, ("does not fit: it needs %s, and %s ends at %s"):format(
          text.range(first, last), alt.layout.name, text.hex(to)), OUTSIDE, memory_of(board))
      end
      return alt
    end
  end
  M.check_layout(board, board.alts[1])
  M.misfit(board, image, ("needs %s, where %s"):format(
    image.segments and scope.outside(board, image) or text.hex(first), number
    and ("alternate setting %d of this board has no memory"):format(number)
    or "this board has no memory"), OUTSIDE, memory_of(board))
end

-- Raises the error for a sector that can't be erased and written. Names the next one that can.
local function read_only(board, image, alt, sector)
  if sector.writable and scope.without_erase(alt.layout) == "otp" then
    M.misfit(board, image, ("has data for OTP memory at %s, which can be written only once"):format(
      text.hex(sector.address)), { "otp", "skip-outside", "only" }, memory_of(board))
  end
  local from
  for _, s in ipairs(alt.layout.segments) do
    if s.erasable and s.writable and s.address > sector.address then
      from = math.min(from or s.address, s.address)
    end
  end
  M.misfit(board, image, ("has data for %s, which can't be erased and written%s"):format(
    text.hex(sector.address), from and ("; the first sector that can is %s"):format(
      text.hex(from)) or ""), OUTSIDE, memory_of(board))
end

---The sectors that an image overlaps, with their pieces, and the number of sectors in the memory of
---the last piece. sector.direct: how a sector is written that is not erased.
---@param board table
---@param image table
---@param otp? boolean OTP memory may be written
---@return table[] sectors
---@return integer total
function M.out(board, image, otp)
  local sectors, total = {}, 0
  for _, segment in ipairs(image.segments) do
    local last = segment.address + #segment.bytes - 1
    local alt = M.memory_of(board, image, segment.address, last, segment.alt)
    if memory.is_option_bytes(alt.layout) then
      M.misfit(board, image, ("has data for the option bytes at %s (%s)"):format(
        text.hex(segment.address), text.size(#segment.bytes)),
        OUTSIDE, { option_bytes = true })
    end
    local before = #sectors
    sectors_of.add(sectors, alt.layout.segments, segment, alt.number)
    for i = before + 1, #sectors do
      local sector = sectors[i]
      local kind = not sector.erasable and sector.writable and scope.without_erase(alt.layout)
      sector.direct = (kind == "eeprom" or otp and kind) or nil
      if not sector.direct and not (sector.erasable and sector.writable) then
        read_only(board, image, alt, sector)
      end
    end
    total = memory.number_of_sectors(alt.layout.segments)
  end
  return sectors, total
end

local function by_address(a, b) return a.address < b.address end

---Adds kept pieces to the sectors of an image. They are treated like the image's own pieces.
---@param sectors table[]
---@param pieces table[]
function M.add(sectors, pieces)
  for _, sector in ipairs(sectors) do
    for _, piece in ipairs(pieces) do
      local from = math.max(piece.address, sector.address)
      local to = math.min(piece.address + #piece.bytes - 1, sector.last)
      if from <= to and (not piece.alt or piece.alt == sector.alt) then
        local part = { address = from, alt = piece.alt,
                       bytes = piece.bytes:sub(from - piece.address + 1, to - piece.address + 1) }
        sector.kept = sector.kept or {}
        table.insert(sector.kept, part)
        table.insert(sector.pieces, part)
      end
    end
    table.sort(sector.pieces, by_address)
  end
end

return M

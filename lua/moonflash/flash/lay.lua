-- SPDX-License-Identifier: MIT
-- Where an image goes: its pieces laid over the sectors of a board's memories, or what does not
-- fit.
local class = require "moonflash.board.class"
local errors = require "moonflash.errors"
local failure = require "moonflash.board.failure"
local link = require "moonflash.link"
local memory = require "moonflash.memory"
local scope = require "moonflash.flash.scope"
local sectors_of = require "moonflash.flash.sectors"
local text = require "moonflash.base.text"

local M = {}

---Raises `image`: what does not fit.
---@param board table
---@param image table its name says whose it is
---@param what string
---@param remedy string[]
---@param place? table the memory that it is about (failure.memory)
function M.misfit(board, image, what, remedy, place)
  errors.raise { code = "image", path = board.path, remedy = remedy,
    message = ("%s: %s %s"):format(board.path, image.name, what),
    memory = place }
end

local function memory_of(board)
  return failure.memory(class.state(board))
end

---A board that refuses the string with its layout can have any memory anywhere.
function M.check_layout(board, alt)
  if alt and #alt.layout.segments > 0 then return end
  errors.raise { code = "dfu.outside", path = board.path,
    message = ("%s: the board does not report its memory layout%s; nothing was sent"):format(
      board.path, alt and (" (alternate setting %d, '%s')"):format(alt.number, alt.layout.name)
      or ""),
    memory = memory_of(board) }
end

---Plain DFU takes one piece, from its start.
---@param board table
---@param image table
function M.check_plain(board, image)
  if #image.segments == 1 then return end
  M.misfit(board, image, "has gaps, and plain DFU has no addresses", { "only" }, memory_of(board))
end

local OUTSIDE = { "skip-outside", "only" } -- what can be done about pieces without a memory

---The memory that holds all of [first, last].
---@param board table
---@param image table whose it is, for the message
---@param first integer
---@param last integer
---@param number? integer the alternate setting that it must be; else the one that was selected
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

-- A sector of an image can't be erased and written: says from where on that is so.
local function read_only(board, image, alt, sector)
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

---The sectors that an image touches, with what it has in each; and how many the memory of its last
---piece has.
---@param board table
---@param image table
---@return table[] sectors
---@return integer total
function M.out(board, image)
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
      if not (sectors[i].erasable and sectors[i].writable) then
        read_only(board, image, alt, sectors[i])
      end
    end
    total = memory.number_of_sectors(alt.layout.segments)
  end
  return sectors, total
end

local function by_address(a, b) return a.address < b.address end

---Adds pieces that --keep had read to the sectors of an image: they belong to it as its own do.
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

-- SPDX-License-Identifier: MIT
-- Looks whether what was erased is blank: a write-protected sector says that it was erased, and was
-- not (RM0090); boot loaders that are no ROM take commands that they do not know for done.
local class = require "moonflash.board.class"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local optbytes = require "moonflash.optbytes"
local parts = require "moonflash.board.families"
local sectors_of = require "moonflash.flash.sectors"
local setting = require "moonflash.flash.setting"
local text = require "moonflash.base.text"

local M = {}

local SHOWN = 4 -- bytes of what is not blank that a message shows

-- The position of the first byte that is not as erasing leaves it.
local function first_of(part, bytes)
  local blank = part.blank and part.blank:byte() or bytes:byte()
  if not part.blank and blank ~= 0 and blank ~= 0xFF then return 1 end
  return bytes:find(("[^%%%s]"):format(string.char(blank))) or 1
end

-- Raises what is wrong with bytes that should be blank: of so many sectors, `count` are like that.
local function complain(board, address, bytes, sectors, count)
  local fields = class.state(board)
  local at = first_of(fields.part, bytes)
  errors.raise { code = "verify.not-blank", path = board.path, op = "erase",
    address = address + at - 1, differing = count, checked = count and sectors,
    remedy = { "write-protection", optbytes = optbytes.family(board) ~= nil },
    message = ("%s: %s is not blank after erasing: found %s"):format(board.path,
      text.hex(address + at - 1), text.bytes(bytes:sub(at, at + SHOWN - 1))),
    flash = fields.journal:text(), ranges = fields.journal:claims() }
end

---Reads erased sectors back, and raises `verify.not-blank` where one is not blank. Marks in the
---journal what it saw.
---@param board table
---@param sectors table[] { address=, size=, alt= }
function M.check(board, sectors)
  local fields, total = class.state(board), 0
  for _, sector in ipairs(sectors) do total = total + sector.size end
  local phase = events.phase(board, "look", total, "bytes")
  local count, first = 0, nil
  for _, sector in ipairs(sectors) do
    local last, bad = sector.address + sector.size - 1, nil
    for at = sector.address, last, sectors_of.CHUNK * board.transfer_size do
      local n = math.min(sectors_of.CHUNK * board.transfer_size, last - at + 1)
      local bytes = setting.read(board, sector.alt, at, n)
      phase:advance(n)
      if not bad and not parts.is_blank(fields.part, bytes) then
        bad = { address = at, bytes = bytes }
      end
    end
    fields.history:mark(bad and "doubt" or "blank", sector.address, last, sector.alt)
    if bad then count, first = count + 1, first or bad end
  end
  phase:finish()
  if first then complain(board, first.address, first.bytes, #sectors, count) end
end

-- Reads a piece of a memory; nil where it is refused, twice, and is not the first: a board whose
-- string announces more than it has refuses what is behind its end.
local function read_up_to_end(board, alt, at, n, is_first)
  local bytes, err = errors.catch("dfu", setting.read, board, alt.number, at, n)
  if err then bytes, err = errors.catch("dfu", setting.read, board, alt.number, at, n) end
  if err and is_first then error(err, 0) end
  return bytes
end

---Reads a memory from its start up to the first address that the board refuses, and raises
---`verify.not-blank` where it is not blank.
---@param board table
---@param alt table of board.alts
---@return integer? refused the first address that was refused; nil: all could be read
function M.check_memory(board, alt)
  local fields = class.state(board)
  local size = sectors_of.CHUNK * board.transfer_size
  local phase = events.phase(board, "look", require("moonflash.memory").size(alt.layout.segments),
    "bytes")
  for _, s in ipairs(alt.layout.segments) do
    local last = s.address + s.count * s.size - 1
    for at = s.address, s.readable and s.erasable and last or s.address - 1, size do
      local n = math.min(size, last - at + 1)
      local bytes = read_up_to_end(board, alt, at, n, at == alt.layout.segments[1].address)
      if not bytes then return at end
      if not parts.is_blank(fields.part, bytes) then
        for _, other in ipairs(alt.layout.segments) do
          fields.history:doubt_erased(other.address, other.address + other.count * other.size - 1,
            alt.number)
        end
        complain(board, at, bytes)
      end
      fields.history:mark("blank", at, at + n - 1, alt.number)
      phase:advance(n)
    end
  end
  phase:finish()
end

return M

-- SPDX-License-Identifier: MIT
-- Checks that erased memory is blank. A write-protected sector reports success without being erased
-- (RM0090), and some boot loaders report success for commands that they do not know.
local class = require "moonflash.board.class"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local optbytes = require "moonflash.optbytes"
local part_of = require "moonflash.board.part"
local sectors_of = require "moonflash.flash.sectors"
local setting = require "moonflash.flash.setting"
local text = require "moonflash.base.text"

local M = {}

local SHOWN = 4 -- bytes that a message shows, from the first that is not blank

-- The position of the first byte that is not blank.
local function first_of(part, bytes)
  local blank = part.blank and part.blank:byte() or bytes:byte()
  if not part.blank and blank ~= 0 and blank ~= 0xFF then return 1 end
  return bytes:find(("[^%%%s]"):format(string.char(blank))) or 1
end

-- Raises the error for bytes that should be blank. `count` of the `sectors` sectors are not blank.
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

---Reads erased sectors back, and raises `verify.not-blank` if one of them is not blank. Records the
---result of each sector in the journal.
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
      if not bad and not part_of.is_blank(fields.part, bytes) then
        bad = { address = at, bytes = bytes }
      end
    end
    fields.history:mark(bad and "doubt" or "blank", sector.address, last, sector.alt)
    if bad then count, first = count + 1, first or bad end
  end
  phase:finish()
  if first then complain(board, first.address, first.bytes, #sectors, count) end
end

-- Reads a piece of a memory. Returns nil if the board refuses it twice, unless it is the first
-- piece: a board that announces more memory than it has refuses addresses beyond its end.
local function read_up_to_end(board, alt, at, n, is_first)
  local bytes, err = errors.catch("dfu", setting.read, board, alt.number, at, n)
  if err then bytes, err = errors.catch("dfu", setting.read, board, alt.number, at, n) end
  if err and is_first then error(err, 0) end
  return bytes
end

---Reads a memory from its start to the first address that the board refuses. Raises
---`verify.not-blank` if a byte is not blank.
---@param board table
---@param alt table one of board.alts
---@return integer? refused the first refused address; nil if all of the memory was read
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
      if not part_of.is_blank(fields.part, bytes) then
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

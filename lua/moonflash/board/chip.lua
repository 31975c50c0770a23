-- SPDX-License-Identifier: MIT
-- Method `chip` of Board: the unique id, the size of the flash, and the version of the boot loader,
-- read from the chip where it is known that they can be read.
local class = require "moonflash.board.class"
local errors = require "moonflash.errors"
local memory = require "moonflash.memory"
local shown = require "moonflash.base.shown"
local text = require "moonflash.base.text"

local M = {}

-- ---- serial numbers ----

-- How boot loaders make a serial number of the words of the unique id (sources: ST's sample code,
-- libopencm3, commaai's panda).
local RULES = {
  { name = "w0 + w2, w1 >> 16", f = function(w0, w1, w2)
    return ("%08X%04X"):format(w0 + w2 & 0xFFFFFFFF, w1 >> 16)
  end },
  { name = "bytes 0 and 2 of w0 + w2 without carry", f = function(w0, w1, w2)
    local sum = 0
    for shift = 0, 24, 8 do
      sum = sum | ((w0 >> shift & 0xFF) + (w2 >> shift & 0xFF) & 0xFF) << shift
    end
    return ("%08X%04X"):format(sum, w1 >> 16)
  end },
  { name = "w0 + w2, w1 >> 16, without zeros", f = function(w0, w1, w2)
    return ("%X%X"):format(w0 + w2 & 0xFFFFFFFF, w1 >> 16)
  end },
  { name = "half words h1 + h5, h0 + h4, h3", f = function(w0, w1, w2)
    return ("%04X%04X%04X"):format((w0 >> 16) + (w2 >> 16) & 0xFFFF, w0 + w2 & 0xFFFF, w1 >> 16)
  end },
  { name = "half words h1 + h5, h0 + h4 + 10, h3", f = function(w0, w1, w2)
    return ("%04X%04X%04X"):format((w0 >> 16) + (w2 >> 16) & 0xFFFF, w0 + w2 + 10 & 0xFFFF,
      w1 >> 16)
  end },
}

---The rule by which a serial number is made of a unique id; nil if it is none that is known.
---@param uid string 12 bytes
---@param serial? string
---@return string?
function M.rule_of(uid, serial)
  local w0, w1, w2 = ("<I4I4I4"):unpack(uid)
  for _, rule in ipairs(RULES) do
    if serial and rule.f(w0, w1, w2) == serial:upper() then return rule.name end
  end
end

-- ---- reading ----

-- Whether a memory that the board announces as readable has all of these bytes.
local function is_announced(board, address, length)
  for _, alt in ipairs(class.state(board).info.alts) do
    local s = memory.find(alt.layout.segments, address)
    local _, last = memory.span(alt.layout.segments, address)
    if s and s.readable and last >= address + length - 1 then return true end
  end
  return false
end

-- Reads system memory, which no setting announces.
local function read_system(board, address, length)
  board:set_address(address)
  board:abort()
  local bytes = board:upload_block(2, length)
  board:abort()
  return #bytes == length and bytes or nil
end

-- The value that all families of a board have; nil if they differ.
local function common(families, key)
  local value
  for i, family in ipairs(families) do
    local own = family[key]
    if own == nil or i > 1 and (type(own) == "table" and table.concat(own,
      ",") or own) ~= value then
      return nil
    end
    value = type(own) == "table" and table.concat(own, ",") or own
  end
  return value and families[1][key]
end

local SYSTEM_READ = 2 -- bytes: the least that AN3156 allows

---The id of the boot loader, a byte in system memory: 0x91 is V9.1. AN3156 allows to read system
---memory. Nil if its place is not known, or the board does not give it.
---@param board table
---@return integer?
function M.loader_id(board)
  local part = class.state(board).part
  local at = part.rom and common(part.families, "loader_id")
  if not at or not class.state(board).info.functional.attributes.can_upload then return nil end
  local bytes, err = errors.catch("dfu", read_system, board, at - at % SYSTEM_READ, SYSTEM_READ)
  if err then
    board:clear_status()
    board:abort()
  end
  return bytes and bytes:byte(1 + at % SYSTEM_READ) or nil
end

local function read_uid(board, part)
  local uid = common(part.families, "uid")
  if not uid or not is_announced(board, uid[1], uid[3] + 4) then return nil end
  local words = {}
  for i, offset in ipairs { 0, uid[2], uid[3] } do
    words[i] = board:read(uid[1] + offset, 4)
  end
  return table.concat(words)
end

---The unique id of a board's chip, 12 bytes, if an announced memory has it; else nil. Nothing is
---sent to a board of another family.
---@param board table open
---@return string?
function M.uid(board)
  local part = class.state(board).part
  return part and part.rom and read_uid(board, part) or nil
end

local function read_size(board, part)
  local at = common(part.families, "size_at")
  if not at or not is_announced(board, at, 2) then return nil end
  local kb = ("<I2"):unpack(board:read(at, 2))
  return kb ~= 0 and kb ~= 0xFFFF and kb * 1024 or nil
end

---The version of a boot loader with an id.
---@param id integer
---@return string "V9.1"
function M.version(id) return ("V%d.%d"):format(id >> 4, id & 0xF) end

local function describe(chip)
  local rows = {}
  local function row(name, value) rows[#rows + 1] = { name, value } end
  row("chip", chip.family or "unknown")
  row("boot loader", chip.loader and ("%s (0x%02X)"):format(chip.loader, chip.loader_id)
    or "its version can't be read")
  row("unique id", chip.uid and text.bytes(chip.uid) or "not known to be readable over USB")
  row("flash size", chip.flash_size and text.size(chip.flash_size)
    or "not known to be readable over USB")
  if chip.uid then
    row("serial number", chip.serial_rule and ("made of the unique id (%s)"):format(
      chip.serial_rule) or "not made of the unique id in a known way")
  end
  return shown.columns(rows)
end

---Board:chip. Reads what the chip says of itself.
---@param board table
---@return table { family=?, loader_id=?, loader=?, uid=?, flash_size=?, serial_rule=? }
function M.chip(board)
  class.check("board:chip()", board)
  local part = class.state(board).part
  local id = M.loader_id(board)
  local uid = read_uid(board, part)
  return shown.as({ family = part.family, loader_id = id, loader = id and M.version(id),
    uid = uid, flash_size = read_size(board, part),
    serial_rule = uid and M.rule_of(uid, board.serial) or nil }, describe)
end

return M

-- SPDX-License-Identifier: MIT
-- Checks data before it is sent: refuses values of the read-protection byte that close a chip for
-- ever, and computes the ranges that a script's raw blocks may change.
local errors = require "moonflash.errors"
local protection = require "moonflash.board.protection"

local M = {}

local SET_ADDRESS, ERASE, READ_UNPROTECT = 0x21, 0x41, 0x92 -- DfuSe commands (AN3156)

---The rows of protection.lua for a family; all rows if the family is unknown.
---@param family? string
---@return table[]
function M.rows(family)
  local rows = {}
  for _, row in ipairs(protection) do
    if row.family == family then rows[#rows + 1] = row end
  end
  return family and rows or protection
end

-- The reason why a value closes the chip; nil if it does not.
local function closes(row, value)
  if row.closes[value] then return row.closes[value] end
  if not row.only then return nil end
  for _, open in ipairs(row.only) do
    if value == open then return nil end
  end
  return "a value that is not valid, which counts as read protection level 2"
end

local function refuse(board, op, address, value, why)
  errors.raise { code = "dfu.irreversible", path = board.path, address = address, op = op,
    remedy = { "irreversible-block" },
    message = ("%s: %s: 0x%02X at 0x%08X is irreversible (%s); it was not sent")
      :format(board.path, op, value, address, why) }
end

-- Refuses bytes with a known address.
local function look(board, fields, op, address, bytes)
  for _, row in ipairs(fields.part.protection) do
    for _, at in ipairs(row.at) do
      local value = bytes:byte(at - address + 1)
      local why = at >= address and value and closes(row, value)
      if why then refuse(board, op, at, value, why) end
    end
  end
end

-- Refuses bytes whose address is unknown. They are checked as if they were written to the start of
-- each family's option bytes.
local function look_anywhere(board, fields, op, bytes)
  for _, row in ipairs(fields.part.protection) do
    for _, at in ipairs(row.at) do
      local value = bytes:byte(at - row.memory + 1)
      local why = value and row.closes[value]
      if why then refuse(board, op, at, value, why) end
    end
  end
end

---Raises `dfu.irreversible` for bytes that would close the chip for ever.
---@param fields moonflash.State of the board
---@param board table
---@param address integer
---@param bytes string
function M.write(fields, board, address, bytes)
  if fields.dfuse then look(board, fields, "write", address, bytes) end
end

---The same check for a raw block, which a script numbers itself.
---@param fields moonflash.State of the board
---@param board table
---@param where table block=, pointer= (integer; nil if the board's address pointer is unknown)
---@param bytes string
function M.block(fields, board, where, bytes)
  if not fields.dfuse or where.block < 2 or bytes == "" then return end
  local op, pointer = "download block", where.pointer
  if not pointer then return look_anywhere(board, fields, op, bytes) end
  -- AN3156 computes the address with the length of the block, ST's library with wTransferSize.
  for _, size in ipairs { board.transfer_size, #bytes } do
    look(board, fields, op, pointer + (where.block - 2) * size, bytes)
  end
end

-- ---- ranges that a raw block may change ----

local function each_erasable(fields, f)
  for _, alt in ipairs(fields.alts) do
    for _, s in ipairs(alt.layout.segments) do
      if s.erasable or s.writable then
        f(s.address, s.address + s.count * s.size - 1, alt.number)
      end
    end
  end
end

-- The first and last address of the sector that has an address, and its alternate setting.
local function sector_of(fields, address)
  for _, alt in ipairs(fields.alts) do
    for _, s in ipairs(alt.layout.segments) do
      if address >= s.address and address < s.address + s.count * s.size then
        local first = address - (address - s.address) % s.size
        return first, first + s.size - 1, alt.number
      end
    end
  end
end

---Calls f(first, last, alternate setting) for each range that a raw block may change. Plain DFU:
---the bytes of the block. DfuSe: the range of an erase or read unprotect; none for Set Address; all
---memories for any other block.
---@param fields moonflash.State of the board
---@param block integer -1 stands for a request that DFU 1.1 does not have
---@param bytes string
---@param f fun(first: integer, last: integer, alt?: integer)
function M.each_changed(fields, block, bytes, f)
  if not fields.dfuse then
    local first = math.max(block, 0) * fields.transfer_size
    if bytes ~= "" then f(first, first + #bytes - 1) end
    return
  end
  local command, length = bytes:byte(), #bytes
  if block == 0 and command == SET_ADDRESS and length == 5 or block >= 0 and bytes == "" then
    return
  end
  if block == 0 and command == ERASE and length == 5 then
    local first, last, alt = sector_of(fields, (("<I4"):unpack(bytes, 2)))
    if first then return f(first, last, alt) end
  elseif block == 0 and (command == ERASE or command == READ_UNPROTECT) and length == 1 then
    for _, s in ipairs(fields.alts[1] and fields.alts[1].layout.segments or {}) do
      if s.erasable then f(s.address, s.address + s.count * s.size - 1, fields.alts[1].number) end
    end
    return
  end
  each_erasable(fields, f)
end

return M

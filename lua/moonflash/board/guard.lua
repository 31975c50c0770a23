-- SPDX-License-Identifier: MIT
-- Checks data before it is sent: refuses values of the read-protection byte that close a chip for
-- ever, and computes the ranges that a script's raw blocks may change.
local errors = require "moonflash.errors"
local option_bytes = require "moonflash.board.option_bytes"

local M = {}

local SET_ADDRESS, ERASE, READ_UNPROTECT = 0x21, 0x41, 0x92 -- DfuSe commands (AN3156)

-- The values and blocks to refuse: of the families of a known ROM, else those of all families.
local cache = setmetatable({}, { __mode = "k" })
local function rules(part)
  local rule = cache[part]
  if not rule then
    local locks, sealed = option_bytes.locks(part.rom and part.families)
    rule = { locks = locks, sealed = sealed, known = part.rom ~= nil }
    cache[part] = rule
  end
  return rule
end

-- Whether a byte has a value that can't be undone.
local function closes(lock, byte)
  if not byte then return false end
  if lock.only then return not lock.only[byte] end
  return byte & lock.mask == lock.value
end

local function refuse(board, op, address, what, why)
  errors.raise { code = "dfu.irreversible", path = board.path, address = address, op = op,
    remedy = { "irreversible-block" },
    message = ("%s: %s: %s is irreversible (%s); it was not sent"):format(board.path, op, what,
      why) }
end

-- Refuses bytes with a known address.
local function look(board, fields, op, address, bytes)
  local rule = rules(fields.part)
  for _, lock in ipairs(rule.locks) do
    local byte = lock.address >= address and bytes:byte(lock.address - address + 1)
    if byte and closes(lock, byte) then
      refuse(board, op, lock.address, ("0x%02X at 0x%08X"):format(byte, lock.address), lock.why)
    end
  end
  for _, range in ipairs(rule.sealed) do
    if address <= range.last and address + #bytes > range.first then
      refuse(board, op, address, ("writing to 0x%08X"):format(address), range.why)
    end
  end
end

-- Refuses bytes whose address is unknown. They are checked as if they were written to the start of
-- each family's option bytes. If the family is unknown, only its protection byte counts.
local function look_anywhere(board, fields, op, bytes)
  local rule = rules(fields.part)
  for _, lock in ipairs(rule.locks) do
    local byte = bytes:byte(lock.address - lock.start + 1)
    if byte and not lock.only and (rule.known or lock.level) and closes(lock, byte) then
      refuse(board, op, lock.address, ("0x%02X at 0x%08X"):format(byte, lock.address), lock.why)
    end
  end
end

---Whether bytes have a value that can't be undone.
---@param part moonflash.Part
---@param address integer
---@param bytes string
---@return boolean
function M.is_locked(part, address, bytes)
  for _, lock in ipairs(rules(part).locks) do
    local byte = lock.address >= address and bytes:byte(lock.address - address + 1)
    if byte and closes(lock, byte) then return true end
  end
  for _, range in ipairs(rules(part).sealed) do
    if address <= range.last and address + #bytes > range.first then return true end
  end
  return false
end

---Raises `dfu.irreversible` for bytes that would close the chip for ever.
---@param fields moonflash.State of the board
---@param board table
---@param address integer
---@param bytes string
function M.write(fields, board, address, bytes)
  if fields.dfuse then look(board, fields, "write", address, bytes) end
end

-- Commands of DfuSe, and their lengths. Others change product states, unlock or provision (AN2606,
-- special commands): what a boot loader makes of them is not known.
local COMMANDS = { [SET_ADDRESS] = { [5] = true }, [ERASE] = { [1] = true, [5] = true },
                   [READ_UNPROTECT] = { [1] = true } }

local function check_command(fields, board, bytes)
  local command = bytes:byte()
  if not (COMMANDS[command] or {})[#bytes] then
    refuse(board, "download block", nil, ("the command 0x%02X"):format(command),
      "it is none of DfuSe's, and some change a chip for ever")
  end
  M.command(fields, board, command, "download block")
end

---Raises `dfu.rom` for a command that the boot loader is known not to have.
---@param fields moonflash.State of the board
---@param board table
---@param command integer
---@param op string
function M.command(fields, board, command, op)
  local known = fields.part and fields.part.commands
  if not known then return end
  for _, own in ipairs(known) do
    if own == command then return end
  end
  errors.raise { code = "dfu.rom", path = board.path, op = op, remedy = { "no-command" },
    message = ("%s: %s: the boot loader does not have the command 0x%02X; it was not sent"):format(
      board.path, op, command) }
end

---The same check for a raw block, which a script numbers itself.
---@param fields moonflash.State of the board
---@param board table
---@param where table block=, pointer= (integer; nil if the board's address pointer is unknown)
---@param bytes string
function M.block(fields, board, where, bytes)
  if not fields.dfuse or bytes == "" then return end
  if where.block == 0 then return check_command(fields, board, bytes) end
  if where.block < 2 then return end
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

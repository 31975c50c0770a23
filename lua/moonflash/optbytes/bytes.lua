-- SPDX-License-Identifier: MIT
-- The bytes of option bytes: values of fields, and complements. No board is needed.
local M = {}

---The largest value of a field.
---@param field table
---@return integer
function M.most(field) return (1 << field.high - field.low + 1) - 1 end

---The value of a field.
---@param field table
---@param bytes string of its block
---@return integer
function M.get(field, bytes)
  return string.unpack("<I4", bytes, field.word + 1) >> field.low & M.most(field)
end

local function put(bytes, offset, packed)
  return bytes:sub(1, offset) .. packed .. bytes:sub(offset + #packed + 1)
end

-- Where complements are, by form: the distance of two values, the length of one, and the distance
-- to its complement.
local COMPLEMENTS = { byte = { 2, 1, 1 }, half = { 4, 2, 2 }, word = { 8, 4, 4 } }

local function inverted(bytes)
  return (bytes:gsub(".", function(c) return string.char(~c:byte() & 0xFF) end))
end

-- Sets the complements of those values that had correct ones before.
local function complement(form, before, after)
  local step, length, distance = table.unpack(COMPLEMENTS[form])
  for at = 0, #before - length - distance, step do
    local old = before:sub(at + 1, at + length)
    if before:sub(at + distance + 1, at + distance + length) == inverted(old) then
      after = put(after, at + distance, inverted(after:sub(at + 1, at + length)))
    end
  end
  return after
end

---Whether the complement of a field is right. Chips take an option with a wrong one as erased. The
---F2, F4 and F7 can have nothing in the place of a complement (docs/protocol.md), so theirs do not
---count, unless 1 protects.
---@param options table
---@param field table
---@param bytes string of its block
---@return boolean
function M.is_sound(options, field, bytes)
  local complements = COMPLEMENTS[options.form]
  local protects = options.protects
  if not complements or options.form == "half" and not (protects and protects.protected == 1) then
    return true
  end
  local step, length, distance = table.unpack(complements)
  local at = field.word + field.low // 8
  at = at - at % step
  return bytes:sub(at + distance + 1, at + distance + length)
    == inverted(bytes:sub(at + 1, at + length))
end

---The bytes of a block with other values. Registers have a copy behind each word, which gets the
---same value.
---@param form string "byte", "half", "word" or "registers"
---@param bytes string
---@param changes table<table, integer> by field
---@return string
function M.set(form, bytes, changes)
  local after = bytes
  local function change(field, offset, value)
    local word = string.unpack("<I4", after, offset + 1)
    word = word & ~(M.most(field) << field.low) | value << field.low
    after = put(after, offset, string.pack("<I4", word))
  end
  for field, value in pairs(changes) do
    change(field, field.word, value)
    if form == "registers" then change(field, field.word + 4, value) end
  end
  return COMPLEMENTS[form] and complement(form, bytes, after) or after
end

return M

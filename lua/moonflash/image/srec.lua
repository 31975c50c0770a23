-- SPDX-License-Identifier: MIT
-- Motorola S-records: "S", a digit for the type, then in hex digits the number of bytes that
-- follow, an address of 2 to 4 bytes, the data, and a checksum that makes the sum of all bytes
-- 0xFF.
local records = require "moonflash.image.records"
local segments = require "moonflash.image.segments"
local wrong = require "moonflash.image.wrong"

local M = { title = "Motorola S-records" }

local byte, sub, unpack = string.byte, string.sub, string.unpack

---Whether the bytes begin like S-records.
---@param bytes string
---@param at integer position of the first record (records.head)
---@return boolean
function M.recognise(bytes, at)
  return records.begin(bytes, at, "S%d")
end

local SPACE = 1 << 32
local ZERO = ("0"):byte()

-- By type: the bytes of the address (of the count in S5 and S6), and the format to unpack them.
local WIDTHS = { [0] = 2, 2, 3, 4, nil, 2, 3, 4, 3, 2 }
local FORMATS = { [2] = ">I2", [3] = ">I3", [4] = ">I4" }

-- Calls f(line, address, data) for each data record. Returns the entry point.
local function each(name, text, f, joined)
  local entry, ended, counted -- counted: the line of a correct count record after the last data
  local last, count = 0, 0

  local function check_end(line)
    if ended then
      wrong.line(name, line, "a record behind the end record, which is line %d", ended)
    end
  end

  local function take(line, bytes, sum, kind)
    local length, width = byte(bytes), WIDTHS[kind]
    if not width then
      wrong.line(name, line, "there is no such type of record")
    elseif #bytes ~= length + 1 then
      wrong.line(name, line, "the record declares %d bytes and has %d", length, #bytes - 1)
    elseif length < width + 1 then
      wrong.line(name, line, "a record S%d has %d bytes at least, not %d", kind, width + 1, length)
    elseif sum ~= 0xFF then
      local checksum = byte(bytes, -1)
      wrong.line(name, line, "checksum is %02X, the line adds up to %02X", checksum,
        checksum + 0xFF - sum & 0xFF)
    end
    check_end(line)
    local value = unpack(FORMATS[width], bytes, 2)
    if kind >= 1 and kind <= 3 then
      local data = sub(bytes, width + 2, -2)
      if value + #data > SPACE then wrong.line(name, line, "data past 4 GiB") end
      f(line, value, data)
      count, counted = count + 1, nil
    elseif kind ~= 0 and length ~= width + 1 then
      wrong.line(name, line, "a record S%d has no data", kind)
    elseif kind == 5 or kind == 6 then
      if value ~= count then
        wrong.line(name, line, "it counts %d records with data, and there are %d", value, count)
      end
      counted = line
    elseif kind ~= 0 then
      entry, ended = value, line
    end
  end

  for line, bytes, sum, kind, address, records_joined in records.each(name, text, "S", 2, joined) do
    if address then
      check_end(line)
      f(line, address, bytes)
      count, counted, last = count + records_joined, nil, line + records_joined - 1
    else
      take(line, bytes, sum, kind - ZERO)
      last = line
    end
  end
  if not ended and not counted then -- srec_cat can omit the end record after a count
    wrong.line(name, last, "no end record (S7, S8, S9) follows: the file is cut off")
  end
  return entry
end

---@param name string of the file
---@param text string
---@return table[] segments
---@return integer? entry point
function M.parse(name, text)
  return records.parse(name, text, each)
end

local function record(kind, width, address, data)
  local bytes = (">BI" .. width):pack(#data + width + 1, address) .. data
  return ("S%d%s%02X\r\n"):format(kind, records.encode(bytes), ~records.sum(bytes) & 0xFF)
end

---@param image table
---@return string
function M.write(image)
  local lines = { record(0, 2, 0, image.name:sub(1, 40)) }
  records.cut(segments.flat(image), function(address, data)
    lines[#lines + 1] = record(3, 4, address, data)
  end)
  lines[#lines + 1] = record(7, 4, image.start or 0, "")
  return table.concat(lines)
end

return M

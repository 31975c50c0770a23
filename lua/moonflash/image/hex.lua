-- SPDX-License-Identifier: MIT
-- Intel HEX: ":", then in hex digits the number of data bytes, a 16-bit address, the type, the
-- data, and a checksum that makes the sum of all bytes 0 (Intel, Hexadecimal Object File Format
-- Specification, 1988).
local records = require "moonflash.image.records"
local segments = require "moonflash.image.segments"
local wrong = require "moonflash.image.wrong"

local M = { title = "Intel HEX" }

local byte, sub, unpack = string.byte, string.sub, string.unpack

---Whether the bytes begin like Intel HEX.
---@param bytes string
---@param at integer position of the first record (records.head)
---@return boolean
function M.recognise(bytes, at)
  return records.begin(bytes, at, ":")
end

local SPACE = 1 << 32
local SEGMENT = 1 << 16

-- The length of records other than data, by type.
local LENGTHS = { [1] = 0, [2] = 2, [3] = 4, [4] = 2, [5] = 4 }

-- Calls f(line, address, data) for each data record. Returns the entry point.
local function each(name, text, f, joined)
  local base, most, entry, ended = 0, SEGMENT, nil, nil
  local last = 0

  local function check_end(line)
    if ended then
      wrong.line(name, line, "a record behind the end record, which is line %d", ended)
    end
  end

  local function take(line, bytes, sum)
    local length = byte(bytes)
    if #bytes < 5 then
      wrong.line(name, line, "a record has 5 bytes at least, and this one %d", #bytes)
    elseif #bytes ~= length + 5 then
      wrong.line(name, line, "the record declares %d bytes of data and has %d", length, #bytes - 5)
    elseif sum ~= 0 then
      local checksum = byte(bytes, -1)
      wrong.line(name, line, "checksum is %02X, the line adds up to %02X", checksum,
        checksum - sum & 0xFF)
    end
    check_end(line)
    local _, offset, kind = unpack(">BI2B", bytes)
    if kind == 0 then
      if offset + length > most then
        wrong.line(name, line, base + offset + length > SPACE and "data past 4 GiB"
          or "data past the end of its 64 KB")
      end
      f(line, base + offset, sub(bytes, 5, -2))
    elseif LENGTHS[kind] ~= length then
      wrong.line(name, line, LENGTHS[kind] and "a record of type %02X has %d bytes of data, not %d"
        or "there is no record type %02X", kind, LENGTHS[kind], length)
    elseif kind == 1 then
      ended = line
    elseif kind == 2 then -- a segment of the 8086; an address that would wrap around is refused
      base, most = unpack(">I2", bytes, 5) << 4, SEGMENT
    elseif kind == 4 then
      base = unpack(">I2", bytes, 5) << 16
      most = SPACE - base
    elseif kind == 3 then
      local cs, ip = unpack(">I2I2", bytes, 5)
      entry = (cs << 4) + ip
    else
      entry = unpack(">I4", bytes, 5)
    end
  end

  for line, bytes, sum, _, offset, count in records.each(name, text, ":", 1, joined) do
    if offset then -- joined data records, which stay within 64 KB
      check_end(line)
      f(line, base + offset, bytes)
      last = line + count - 1
    else
      take(line, bytes, sum)
      last = line
    end
  end
  if not ended then wrong.line(name, last, "no end record (01) follows: the file is cut off") end
  return entry
end

---@param name string of the file
---@param text string
---@return table[] segments
---@return integer? entry point
function M.parse(name, text)
  return records.parse(name, text, each)
end

local function record(offset, kind, data)
  local bytes = (">BI2B"):pack(#data, offset, kind) .. data
  return (":%s%02X\r\n"):format(records.encode(bytes), -records.sum(bytes) & 0xFF)
end

---@param image table
---@return string
function M.write(image)
  local lines, high = {}, 0
  records.cut(segments.flat(image), function(address, data)
    if address >> 16 ~= high then
      high = address >> 16
      lines[#lines + 1] = record(0, 4, (">I2"):pack(high))
    end
    lines[#lines + 1] = record(address & 0xFFFF, 0, data)
  end)
  if image.start then lines[#lines + 1] = record(0, 5, (">I4"):pack(image.start)) end
  lines[#lines + 1] = record(0, 1, "")
  return table.concat(lines)
end

return M

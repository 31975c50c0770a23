-- SPDX-License-Identifier: MIT
-- The common part of Intel HEX and S-records: lines of a mark and hex digits, with a checksum.
local segments = require "moonflash.image.segments"
local sys = require "moonflash.system"
local wrong = require "moonflash.image.wrong"

local M = {}

local byte, find, unhex, unhex_run = string.byte, string.find, sys.unhex, sys.unhex_run

local MOST = 255 + 5 -- bytes of a record
local CTRL_Z, SEMICOLON = 0x1A, (";"):byte()

-- ---- reading ----

---The position of the first record, after a UTF-8 mark, blanks, and comment lines (";"), which
---moonflash's own files of kept bytes have.
---@param bytes string
---@return integer position
---@return integer lines that end before that position
function M.head(bytes)
  local at, lines = 1, 0
  if bytes:sub(1, 3) == "\xEF\xBB\xBF" then at = 4 end
  while true do
    local _, blank = find(bytes, "^[ \t\r\n]*", at)
    lines = lines + select(2, bytes:sub(at, blank):gsub("\n", ""))
    at = blank + 1
    if byte(bytes, at) ~= SEMICOLON then return at, lines end
    at = find(bytes, "\n", at, true) or #bytes + 1
  end
end

-- The position after the text: CP/M and DOS mark its end with one or more Ctrl-Z.
local function stop_of(text)
  local last, stop = #text, #text + 1
  while last > 0 and byte(text, last) <= 32 do
    if byte(text, last) == CTRL_Z then stop = last end
    last = last - 1
  end
  return stop
end

---Whether a text begins with a record, or with an incomplete one: then the line has digits only.
---@param bytes string
---@param at integer
---@param mark string a pattern
---@return boolean
function M.begin(bytes, at, mark)
  return bytes:find("^" .. mark .. "%x%x%x%x%x%x", at) ~= nil
    or bytes:find("^" .. mark .. "%x+[\r\n]", at) ~= nil
    or bytes:find("^" .. mark .. "%x+$", at) ~= nil
end

local function shown(c)
  return c > 32 and c < 127 and ("'%c'"):format(c) or ("byte 0x%02X"):format(c)
end

-- Raises the error for a character that is not a blank, after a record or in its place.
local function refuse(name, line, bytes, c)
  if not bytes or not string.char(c):find("%x") then
    wrong.line(name, line, "%s belongs to no record", shown(c))
  elseif #bytes == MOST then
    wrong.line(name, line, "more than the %d bytes that a record can have", MOST)
  end
  wrong.line(name, line, "an odd number of hex digits: the record is cut, or one is lost")
end

---An iterator over the records of a text. It returns the line, the bytes, their sum modulo 256, and
---the character after the mark. Blanks at the end of a line and empty lines are skipped; anything
---else raises. If `joined`, consecutive valid data records are returned as one: the line of the
---first, their data, nil, the character, their address, their number.
---@param name string of the file
---@param text string
---@param mark string the first character of a record: ":"
---@param width integer characters in front of the digits
---@param joined boolean
---@return function
function M.each(name, text, mark, width, joined)
  local at, line = M.head(text)
  local past = stop_of(text)
  mark = mark:byte()
  return function()
    if joined and at < past and byte(text, at) == mark then
      local data, address, count, after = unhex_run(text, at)
      if data and after <= past then
        local first, kind = line + 1, byte(text, at + 1)
        line, at = line + count, after
        return first, data, nil, kind, address, count
      end
    end
    while at < past do -- unhex stops at Ctrl-Z, which is not a digit
      line = line + 1
      local bytes, sum, kind
      local after = at
      if byte(text, at) == mark then
        kind = byte(text, at + 1)
        bytes, sum, after = unhex(text, at + width, MOST)
      end
      local c = byte(text, after)
      if c ~= 10 then
        after = math.min(find(text, "[^ \t\r]", after) or past, past)
        c = after < past and byte(text, after) or nil
        if c and c ~= 10 then refuse(name, line, bytes, c) end
      end
      at = after + 1
      if bytes then
        if bytes == "" then wrong.line(name, line, "a record without digits") end
        return line, bytes, sum, kind
      end
    end
  end
end

-- Returns a function for each() that raises at the line that gives an address a second value.
local function watch(name, address)
  local first, given
  return function(line, from, data)
    if address < from or address >= from + #data then return end
    local value = byte(data, address - from + 1)
    if not first then
      first, given = line, value
    elseif value ~= given then
      wrong.line(name, line, "0x%08X gets %02X, and line %d gave it %02X", address, value, first,
        given)
    end
  end
end

---Parses a text to segments and an entry point.
---@param name string of the file
---@param text string
---@param each function each(name, text, f, joined) calls f(line, address, data), and returns the
---  entry point
---@return table[] segments
---@return integer? entry
function M.parse(name, text, each)
  local builder = segments.builder(name)
  local entry = each(name, text, function(_, address, data)
    return builder:add(address, data)
  end, true)
  local list, address = builder:finish()
  if not list then each(name, text, watch(name, address), false) end
  return list, entry
end

-- ---- writing ----

local formats = setmetatable({}, { __index = function(t, n)
  t[n] = ("%02X"):rep(n)
  return t[n]
end })

---The sum of bytes.
---@param bytes string
---@return integer
function M.sum(bytes)
  local sum = 0
  for i = 1, #bytes do sum = sum + byte(bytes, i) end
  return sum
end

---Bytes as hex digits; at most 250 bytes.
---@param bytes string
---@return string
function M.encode(bytes)
  return formats[#bytes]:format(byte(bytes, 1, -1))
end

---Splits segments for records: calls f(address, data) with at most 16 bytes, which never cross a
---multiple of 64 KB.
---@param list table[] segments
---@param f function
function M.cut(list, f)
  for _, segment in ipairs(list) do
    local bytes, at = segment.bytes, 0
    while at < #bytes do
      local address = segment.address + at
      local n = math.min(16, 0x10000 - (address & 0xFFFF))
      f(address, bytes:sub(at + 1, at + n))
      at = at + n
    end
  end
end

return M

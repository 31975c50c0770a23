-- SPDX-License-Identifier: MIT
-- A hex dump: address, hexadecimal, text; sixteen bytes a line, or as many as the terminal has room
-- for.
local columns = require "moonflash.base.columns"

local WIDE, NARROW = 77, 44 -- columns for a line of 16 bytes, and of 8

local function bytes_a_line()
  local width = columns(1) or WIDE
  return width >= WIDE and 16 or width >= NARROW and 8 or 4
end

local function half(n) return (" %02x"):rep(n) end

-- The format of a line with n of `row` bytes, and `gap` in its middle.
local function line_format(n, row, gap)
  local second = math.max(n - row // 2, 0)
  return "%s%08X " .. half(n - second) .. gap .. half(second) .. ("   "):rep(row - n) .. "  "
end

---@param bytes string
---@param address? integer of the first byte; default 0
---@param layout? table indent: text in front of each line. gap: text in the middle, default " ".
---  whole: repeated lines are printed, instead of a "*"
---@return string lines, without a newline at the end
return function(bytes, address, layout)
  address, layout = address or 0, layout or {}
  local row = bytes_a_line()
  local indent, gap = layout.indent or "", layout.gap or " "
  local full = line_format(row, row, gap)
  local shown = bytes:gsub("[^ -~]", ".")
  local lines, before, skipped = {}, nil, false
  for at = 1, #bytes, row do
    local n = math.min(row, #bytes - at + 1)
    local is_last = at + row > #bytes
    local part = not layout.whole and bytes:sub(at, at + n - 1)
    if part and part == before and not is_last then
      if not skipped then lines[#lines + 1] = "*" end
      skipped = true
    else
      local format = n == row and full or line_format(n, row, gap)
      lines[#lines + 1] = format:format(indent, address + at - 1, bytes:byte(at, at + n - 1))
        .. shown:sub(at, at + n - 1)
      before, skipped = part, false
    end
  end
  return table.concat(lines, "\n")
end

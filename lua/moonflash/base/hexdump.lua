-- SPDX-License-Identifier: MIT
-- A hex dump: address, hexadecimal, text; sixteen bytes a line.
local ROW = 16

local function half(n) return (" %02x"):rep(n) end

-- The format of a line of n bytes, with `gap` between the eighth and the ninth byte.
local function line_format(n, gap)
  local second = math.max(n - ROW // 2, 0)
  return "%s%08X " .. half(n - second) .. gap .. half(second) .. ("   "):rep(ROW - n) .. "  "
end

---@param bytes string
---@param address? integer of the first byte; default 0
---@param layout? table indent: text in front of each line. gap: text in the middle, default " ".
---  whole: repeated lines are printed, instead of a "*"
---@return string lines, without a newline at the end
return function(bytes, address, layout)
  address, layout = address or 0, layout or {}
  local indent, gap = layout.indent or "", layout.gap or " "
  local full = line_format(ROW, gap)
  local shown = bytes:gsub("[^ -~]", ".")
  local lines, before, skipped = {}, nil, false
  for at = 1, #bytes, ROW do
    local n = math.min(ROW, #bytes - at + 1)
    local is_last = at + ROW > #bytes
    local part = not layout.whole and bytes:sub(at, at + n - 1)
    if part and part == before and not is_last then
      if not skipped then lines[#lines + 1] = "*" end
      skipped = true
    else
      local format = n == ROW and full or line_format(n, gap)
      lines[#lines + 1] = format:format(indent, address + at - 1, bytes:byte(at, at + n - 1))
        .. shown:sub(at, at + n - 1)
      before, skipped = part, false
    end
  end
  return table.concat(lines, "\n")
end

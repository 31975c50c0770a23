-- SPDX-License-Identifier: MIT
-- Bytes as people read them: addresses, hexadecimal, text. Lines like the one before are a "*".
local ROW = 16

local function row_of(bytes, address)
  local hex = {}
  for i = 1, ROW do
    hex[i] = i <= #bytes and ("%02x"):format(bytes:byte(i)) or "  "
  end
  local left, right = table.concat(hex, " ", 1, ROW // 2), table.concat(hex, " ", ROW // 2 + 1)
  return ("%08X  %s  %s  %s"):format(address, left, right, (bytes:gsub("[^ -~]", ".")))
end

---@param bytes string
---@param address? integer of the first byte; 0
---@return string lines, without a newline at the end
return function(bytes, address)
  address = address or 0
  local lines, before, skipped = {}, nil, false
  for at = 1, #bytes, ROW do
    local part = bytes:sub(at, at + ROW - 1)
    local is_last = at + ROW > #bytes
    if part == before and not is_last then
      if not skipped then lines[#lines + 1] = "*" end
      skipped = true
    else
      lines[#lines + 1] = row_of(part, address + at - 1)
      before, skipped = part, false
    end
  end
  return table.concat(lines, "\n")
end

-- SPDX-License-Identifier: MIT
-- Numbers as people read them, and words from strangers.
local M = {}

---"0x08000000"
---@param address integer
---@return string
function M.hex(address)
  return ("0x%08X"):format(address)
end

---"0x08000000..0x08003FFF"
---@param first integer
---@param last integer
---@return string
function M.range(first, last)
  return M.hex(first) .. ".." .. M.hex(last)
end

---"512 B", "58.3 KB", "1 MB": 1024 bytes are a KB, as on a chip's data sheet.
---@param bytes number
---@return string
function M.size(bytes)
  local value, unit = bytes, "B"
  if bytes >= 1024 * 1024 then
    value, unit = bytes / (1024 * 1024), "MB"
  elseif bytes >= 1024 then
    value, unit = bytes / 1024, "KB"
  end
  local digits = (unit == "B" or value % 1 == 0) and "%.0f" or value < 100 and "%.1f" or "%.0f"
  return (digits .. " %s"):format(value, unit)
end

---"2.8 s"
---@param seconds number
---@return string
function M.seconds(seconds)
  return ("%.1f s"):format(seconds)
end

---"1 sector", "4 sectors"
---@param n integer
---@param noun string
---@return string
function M.count(n, noun)
  return ("%d %s%s"):format(n, noun, n == 1 and "" or "s")
end

---The first bytes, as hex: "5b e1 00 20"
---@param bytes string
---@return string
function M.bytes(bytes)
  return (bytes:gsub(".", function(c) return ("%02x "):format(c:byte()) end):gsub(" $", ""))
end

---Words of a stranger, fit for a terminal: what controls it, and what is no UTF-8, becomes "?".
---Lines stay lines.
---@param s string
---@return string
function M.plain(s)
  s = s:gsub("[%c\127]", function(c) return c ~= "\n" and c ~= "\t" and "?" or nil end)
  s = utf8.len(s) and s or s:gsub("[\128-\255]", "?")
  return (s:gsub("\xC2[\x80-\x9F]", "?"))
end

---An address or another number as people type it: 0x08000000, 134217728. Nil and why, if it is
---none or does not fit.
---@param s string
---@param most integer
---@return integer?, string?
function M.parse_integer(s, most)
  local digits = s:match("^0[xX](%x+)$")
  local n = digits and #digits:gsub("^0+", "") <= 15 and tonumber(digits, 16)
  if not digits then
    digits = s:match("^%d+$")
    n = digits and #digits:gsub("^0+", "") <= 18 and math.tointeger(tonumber(digits))
  end
  if not digits then return nil, ("'%s' is not a number"):format(s) end
  if not n or n > most then
    return nil, ("%s is too large: at most 0x%X"):format(s, most)
  end
  return n
end

return M

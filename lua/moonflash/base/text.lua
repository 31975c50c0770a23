-- SPDX-License-Identifier: MIT
-- Numbers formatted for people, and text from devices and files made safe to print.
local M = {}

---"0x08000000"
---@param address integer
---@return string
function M.hex(address)
  return ("0x%08X"):format(address)
end

---bcdDFUVersion as text: 0x0110 is "1.1", 0x011A is "1.1a".
---@param version integer
---@return string
function M.dfu_version(version)
  return (("%x.%x%x"):format(version >> 8, version >> 4 & 0xF, version & 0xF):gsub("0$", ""))
end

---"0x08000000..0x08003FFF"
---@param first integer
---@param last integer
---@return string
function M.range(first, last)
  return M.hex(first) .. ".." .. M.hex(last)
end

---"512 B", "58.3 KB", "1 MB"; 1 KB is 1024 bytes, as in data sheets.
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

---Bytes as hexadecimal: "5b e1 00 20"
---@param bytes string
---@return string
function M.bytes(bytes)
  return (bytes:gsub(".", function(c) return ("%02x "):format(c:byte()) end):gsub(" $", ""))
end

-- Characters that control a terminal, change the direction of writing, or are invisible: C1;
-- U+061C; U+200B to 200F, 2028 to 202E, 2066 to 2069; FEFF; FFFE, FFFF; E0001.
local HIDDEN = { "\xC2[\x80-\x9F]", "\xD8\x9C", "\xE2\x80[\x8B-\x8F\xA8-\xAE]",
                 "\xE2\x81[\xA6-\xA9]", "\xEF\xBB\xBF", "\xEF\xBF[\xBE\xBF]",
                 "\xF3\xA0\x80\x81" }

-- JSON escapes are UTF-16: above U+FFFF they are surrogate pairs.
local function json_escape(code)
  if code < 0x10000 then return ("\\u%04x"):format(code) end
  code = code - 0x10000
  return ("\\u%04x\\u%04x"):format(0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF))
end

-- Replaces bytes that are not UTF-8 by "?".
local function valid(s)
  local parts, from = {}, 1
  while true do
    local good, bad = utf8.len(s, from)
    if good then break end
    parts[#parts + 1] = s:sub(from, bad - 1)
    from = bad + 1
  end
  parts[#parts + 1] = s:sub(from)
  return table.concat(parts, "?")
end

---Untrusted text made safe for a terminal: control characters, hidden characters and invalid UTF-8
---become "?". Newlines and tabs stay.
---@param s string
---@return string
function M.plain(s)
  s = valid(s):gsub("[%z\1-\8\11-\31\127]", "?")
  if not s:find("[\128-\255]") then return s end
  for _, pattern in ipairs(HIDDEN) do s = s:gsub(pattern, "?") end
  return s
end

---A line of JSON with its hidden characters escaped, so that none of the data is lost.
---@param line string
---@return string
function M.json(line)
  line = valid(line)
  for _, pattern in ipairs(HIDDEN) do
    line = line:gsub(pattern, function(c)
      return (json_escape(utf8.codepoint(c, 1, 1)))
    end)
  end
  return line
end

---Like plain, but newlines and tabs become "?", too.
---@param s string
---@return string
function M.clean(s)
  return (M.plain(s):gsub("[\n\t]", "?"))
end

---A message without the board's path in front, for output that shows the path already.
---@param message string
---@param path? string
---@return string
function M.without_path(message, path)
  local before = path and path .. ": "
  return before and message:sub(1, #before) == before and message:sub(#before + 1) or message
end

-- Characters that take two cells of a terminal (WIDE) or none (NONE: combining characters).
local WIDE = {
  { 0x1100, 0x115F }, { 0x2E80, 0x303E }, { 0x3041, 0xA4CF }, { 0xA960, 0xA97F },
  { 0xAC00, 0xD7A3 }, { 0xF900, 0xFAFF }, { 0xFE30, 0xFE6F }, { 0xFF00, 0xFF60 },
  { 0xFFE0, 0xFFE6 }, { 0x1F300, 0x1F64F }, { 0x1F680, 0x1F6FF }, { 0x1F900, 0x1F9FF },
  { 0x20000, 0x3FFFD } }
local NONE = { { 0x0300, 0x036F }, { 0x200B, 0x200F }, { 0x20D0, 0x20FF }, { 0xFE00, 0xFE0F } }

local function is_in(ranges, code)
  for _, range in ipairs(ranges) do
    if code >= range[1] and code <= range[2] then return true end
  end
  return false
end

local function cells_of(code)
  if code < 0x300 then return 1 end
  return is_in(WIDE, code) and 2 or is_in(NONE, code) and 0 or 1
end

---The number of terminal cells that a string takes.
---@param s string UTF-8
---@return integer
function M.width(s)
  if not s:find("[\128-\255]") or not utf8.len(s) then return #s end
  local cells = 0
  for _, code in utf8.codes(s) do cells = cells + cells_of(code) end
  return cells
end

---The beginning of a string that fits in a number of cells. Cuts between characters.
---@param s string UTF-8
---@param cells integer
---@return string
function M.cut(s, cells)
  if not utf8.len(s) then return s:sub(1, cells) end
  local width = 0
  for at, code in utf8.codes(s) do
    width = width + cells_of(code)
    if width > cells then return s:sub(1, at - 1) end
  end
  return s
end

---A string that fits in a number of cells; a "~" at its end shows that it was cut.
---@param s string UTF-8
---@param cells integer
---@return string
function M.shortened(s, cells)
  return M.width(s) > cells and M.cut(s, cells - 1) .. "~" or s
end

---Parses an integer as people type it: 0x08000000, 134217728. Returns nil and the reason if the
---string is not a number or the number is above `most`.
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

---Wraps a paragraph into lines of at most `width` columns. A longer word stays whole.
---@param s string
---@param width integer
---@return string[]
function M.wrap(s, width)
  local lines, line = {}, nil
  for word in s:gmatch("%S+") do
    local longer = line and line .. " " .. word or word
    if line and (utf8.len(longer) or #longer) > width then
      lines[#lines + 1] = line
      longer = word
    end
    line = longer
  end
  lines[#lines + 1] = line
  return lines
end

-- A line, broken at spaces. Spaces inside of the new lines stay as they are.
local function fold_line(line, width)
  local indent = line:match("^ *")
  local out = {}
  while M.width(line) > width do
    local fits = M.cut(line, width + 1)
    local at = fits:match("^.*()%s") -- the last space, where one is behind the indentation
    if not at or at <= #indent then at = line:find(" ", #indent + 1, true) end
    if not at then break end
    out[#out + 1] = line:sub(1, at - 1):gsub(" +$", "")
    line = indent .. line:sub(at):gsub("^ +", "")
  end
  out[#out + 1] = line
  return table.concat(out, "\n")
end

---Text whose lines fit in a number of columns, wrapped at words. New lines have the indentation of
---the wrapped one.
---@param s string
---@param width integer
---@return string
function M.fold(s, width)
  return (s:gsub("[^\n]+", function(line) return fold_line(line, width) end))
end

---The field of an option: "--dry-run" and "dry-run" become dry_run.
---@param name string
---@return string
function M.field_name(name)
  return (name:gsub("^%-+", ""):gsub("%-", "_"))
end

---A word as it is typed in a shell.
---@param word string
---@return string
function M.shell_word(word)
  return word:find("^[%w./_,:=@#+%%-]+$") and word or "'" .. word:gsub("'", "'\\''") .. "'"
end

return M

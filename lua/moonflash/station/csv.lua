-- SPDX-License-Identifier: MIT
-- CSV as RFC 4180 has it: cells may be quoted, and a quoted cell may hold commas, quotes (doubled)
-- and newlines.
local M = {}

-- Reads a quoted cell, which begins behind the quote at `at`. Returns it, and the position behind
-- it; nil if its end is missing.
local function quoted(s, at)
  local parts = {}
  while true do
    local stop = s:find('"', at, true)
    if not stop then return nil end
    parts[#parts + 1] = s:sub(at, stop - 1)
    if s:sub(stop + 1, stop + 1) ~= '"' then return table.concat(parts), stop + 1 end
    parts[#parts + 1], at = '"', stop + 2
  end
end

---Parses CSV. A UTF-8 byte order mark is left out; so are empty lines.
---@param s string
---@return table[]? rows lists of cells, each with the field `line`
---@return string? why
function M.parse(s)
  local rows, row, at, line = {}, {}, s:sub(1, 3) == "\xEF\xBB\xBF" and 4 or 1, 1
  while at <= #s do
    local cell
    row.line = row.line or line
    if s:sub(at, at) == '"' then
      local begun = line
      cell, at = quoted(s, at + 1)
      if not cell then return nil, ("line %d: a quote is not closed"):format(begun) end
      line = line + select(2, cell:gsub("\n", ""))
    else
      cell, at = s:match("^([^,\r\n]*)()", at)
    end
    row[#row + 1] = cell
    local mark = s:match("^\r?\n", at) or s:match("^[,\r]", at)
    if not mark and at <= #s then
      return nil, ("line %d: text follows a quoted cell"):format(line)
    elseif mark ~= "," then
      if #row > 1 or row[1] ~= "" then rows[#rows + 1] = row end
      row, line = {}, line + 1
    elseif at == #s then
      row[#row + 1] = "" -- the file ends behind a comma
      rows[#rows + 1] = row
    end
    at = at + #(mark or "")
  end
  return rows
end

-- A cell that spreadsheets would take for a formula gets a quote in front.
local function safe(s)
  return s:find("^[=+@-]") and not tonumber(s) and "'" .. s or s
end

---One line of CSV, without its newline.
---@param cells any[] nil is an empty cell
---@param count integer
---@return string
function M.line(cells, count)
  local out = {}
  for i = 1, count do
    local s = safe(cells[i] == nil and "" or tostring(cells[i]))
    out[i] = s:find('[",\r\n]') and '"' .. s:gsub('"', '""') .. '"' or s
  end
  return table.concat(out, ",")
end

return M

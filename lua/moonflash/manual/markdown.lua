-- SPDX-License-Identifier: MIT
-- Markdown as text for a terminal: headings, paragraphs, lists, tables and code. These are all that
-- docs/ uses.
local columns = require "moonflash.base.columns"
local text = require "moonflash.base.text"

local M = {}

local MOST = 96 -- columns

M.LEAST = 40 -- columns of a table's last cell; if less is left, it begins below the others

---The columns of the text: it is made for the terminal that it is shown on.
---@return integer
function M.width()
  return math.min((columns(1) or MOST + 1) - 1, MOST)
end

-- A link within the page becomes its words; for another chapter, what shows it is added.
local function link(words, target)
  local chapter = target:match("^([%w-]+)%.md")
  return chapter and ("%s (help docs/%s)"):format(words, chapter) or words
end

---Words without Markdown's marks.
---@param s string
---@return string
function M.plain(s)
  return (s:gsub("%[([^%]]*)%]%(([^)]*)%)", link):gsub("%*%*", ""):gsub("`", ""))
end

---The cells of a table's row, with their marks.
---@param line string
---@return string[]
function M.marked_cells(line)
  local cells = {}
  for cell in line:gsub("\\|", "\0"):gmatch("|([^|]*)") do
    cells[#cells + 1] = cell:gsub("%z", "|"):match("^%s*(.-)%s*$")
  end
  if line:find("|%s*$") then cells[#cells] = nil end
  return cells
end

---The cells of a table's row.
---@param line string
---@return string[]
function M.cells(line)
  local cells = M.marked_cells(line)
  for i, cell in ipairs(cells) do cells[i] = M.plain(cell) end
  return cells
end

---Appends wrapped text: `before` is in front of the first line, the other lines are indented.
---@param out string[] lines
---@param before string
---@param s string
function M.hang(out, before, s)
  local at = text.width(before)
  local lines = text.wrap(s, M.width() - at)
  out[#out + 1] = (before .. (lines[1] or "")):gsub(" +$", "")
  for i = 2, #lines do out[#out + 1] = (" "):rep(at) .. lines[i] end
end

local function add_table(out, rows)
  local widths, left = {}, 2
  for _, row in ipairs(rows) do
    for i = 1, #row - 1 do widths[i] = math.max(widths[i] or 0, text.width(row[i])) end
  end
  for _, cells in ipairs(widths) do left = left + cells + 2 end
  for _, row in ipairs(rows) do
    local before = "  "
    for i = 1, #row - 1 do
      before = before .. row[i] .. (" "):rep(widths[i] - text.width(row[i]) + 2)
    end
    if M.width() - left >= M.LEAST then
      M.hang(out, before, row[#row])
    else
      M.hang(out, "  ", before)
      M.hang(out, "      ", row[#row])
    end
  end
end

local RULES = { "=", "-" } -- below headings, by their rank

local function add_heading(out, marks, title)
  out[#out + 1] = M.plain(title)
  local rule = RULES[#marks]
  if rule then out[#out + 1] = rule:rep(math.min(text.width(title), M.width())) end
end

-- The marker of a list's item: "- " or "1. ".
local function marker(line)
  return line:match("^%- ") or line:match("^%d+%. ")
end

---@param lines string[] Markdown
---@return string
function M.render(lines)
  local out, rows, words, code = {}, {}, nil, false
  local function finish()
    if words then
      local s = M.plain(words)
      local mark = marker(s) or ""
      M.hang(out, mark, s:sub(#mark + 1))
    end
    add_table(out, rows)
    rows, words = {}, nil
  end
  for _, line in ipairs(lines) do
    local is_row = line:find("^|") and not code
    local marks, title = line:match("^(#+) (.*)$")
    if not is_row and #rows > 0 or is_row and words then finish() end
    if line:find("^```") then
      finish()
      code = not code
    elseif code then
      out[#out + 1] = "    " .. line
    elseif line:find("^|[-|: ]+$") then
      rows[#rows + 1] = nil -- the rule below a table's head
    elseif marks then
      finish()
      add_heading(out, marks, title)
    elseif is_row then
      rows[#rows + 1] = M.cells(line)
    elseif line == "" then
      finish()
      out[#out + 1] = ""
    else
      if marker(line) then finish() end
      words = words and words .. " " .. line or line
    end
  end
  finish()
  return (table.concat(out, "\n"):gsub("^\n+", ""):gsub("\n+$", ""))
end

return M

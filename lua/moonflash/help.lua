-- SPDX-License-Identifier: MIT
-- help(): what docs/api.md says of a function, a module or a word, as text for a terminal.
local suggest = require "moonflash.suggest"
local sys = require "sys"

local M = {}

local WIDTH = 96 -- columns

-- { sections = { { title=, rank=, text=, name=, arguments= }, ... }, by_name = { name = section } }
local manual

-- "### board:read(address, length)" is a section with a name.
local function read_manual()
  if manual then return manual end
  manual = { sections = {}, by_name = {} }
  local section
  for line in (sys.builtin("docs/api.md") or ""):gmatch("([^\n]*)\n") do
    local marks, title = line:match("^(##+) (.*)$")
    if marks then
      section = { title = title, rank = #marks, lines = {}, name = title:match("^([%w_.:]+)%(") }
      table.insert(manual.sections, section)
      manual.by_name[section.name or title:lower()] = section
    elseif section then
      table.insert(section.lines, line)
    end
  end
  return manual
end

-- ---- Markdown, for a terminal ----

local function plain(s)
  return (s:gsub("%[([^%]]*)%]%([^)]*%)", "%1"):gsub("%*%*", ""):gsub("`", ""))
end

local function cells_of(line)
  local cells = {}
  for cell in line:gsub("\\|", "\0"):gmatch("|([^|]*)") do
    cells[#cells + 1] = plain(cell:gsub("%z", "|"):match("^%s*(.-)%s*$"))
  end
  if line:find("|%s*$") then cells[#cells] = nil end
  return cells
end

local function table_lines(rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for i = 1, #row - 1 do widths[i] = math.max(widths[i] or 0, utf8.len(row[i]) or #row[i]) end
  end
  local lines = {}
  for _, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do
      local pad = i < #row and (widths[i] or 0) - (utf8.len(cell) or #cell) or 0
      cells[i] = cell .. (" "):rep(pad)
    end
    lines[#lines + 1] = "  " .. table.concat(cells, "  ")
  end
  return lines
end

local function render(lines)
  local out, rows, code = {}, {}, false
  local function end_table()
    table.move(table_lines(rows), 1, #rows, #out + 1, out)
    rows = {}
  end
  for _, line in ipairs(lines) do
    if not line:find("^|") and #rows > 0 then end_table() end
    if line:find("^```") then
      code = not code
    elseif code then
      out[#out + 1] = "    " .. line
    elseif line:find("^|[-|: ]+$") then -- the rule below a table's head
      rows[#rows + 1] = nil
    elseif line:find("^|") then
      rows[#rows + 1] = cells_of(line)
    else
      out[#out + 1] = plain(line)
    end
  end
  if #rows > 0 then end_table() end
  return (table.concat(out, "\n"):gsub("^\n+", ""):gsub("\n+$", ""))
end

local function first_sentence(section)
  local text = render(section.lines):gsub("\n\n.*", ""):gsub("\n", " ")
  return text:match("^(.-[.:])%s") or text
end

-- ---- what is asked for ----

-- A section, and of a whole chapter the functions in it, a line each.
local function explain(section)
  if section.name then return section.title .. "\n\n" .. render(section.lines) end
  local lines, inside = { render(section.lines), "" }, false
  for _, other in ipairs(manual.sections) do
    if other == section then
      inside = true
    elseif inside and other.rank <= section.rank then
      break
    elseif inside and other.name then
      local line = ("  %-38s %s"):format(other.title, first_sentence(other))
      lines[#lines + 1] = #line > WIDTH and line:sub(1, WIDTH - 3) .. "..." or line
    end
  end
  return section.title .. "\n\n" .. table.concat(lines, "\n"):gsub("\n+$", ""):gsub("^\n+", "")
end

local PREFIXES = { "", "hands.", "board:", "task:", "sim:", "server:", "task.", "dfu.", "flash." }

-- "erase_page", "board.erase_page" and "board:erase_page" are the same.
local function find(word)
  local names = read_manual().by_name
  for _, prefix in ipairs(PREFIXES) do
    local name = prefix .. word
    local section = names[name] or names[name:gsub("%.", ":")]
    if section then return section end
  end
  return names[word:lower()]
end

-- The row of a table that begins with a word: an error code, a field, a variable.
local function find_row(word)
  for _, section in ipairs(read_manual().sections) do
    for _, line in ipairs(section.lines) do
      if line:find("|", 1, true) == 1 and line:find("`" .. word .. "`", 1, true) then
        local cells = cells_of(line)
        for name in cells[1]:gmatch("[^, ]+") do
          if name == word then
            return ("%s (%s)\n\n  %s"):format(word, section.title, table.concat(cells, "  ", 2))
          end
        end
      end
    end
  end
end

---What the manual says of a word; nil and a guess where it says nothing.
---@param word string
---@return string? text
---@return string? why
function M.word(word)
  word = word:gsub("%(.*$", "")
  local section = find(word)
  if section then return explain(section) end
  local row = find_row(word)
  if row then return row end
  return nil, ("nothing is written about '%s'%s"):format(word,
    suggest.hint(word, suggest.keys(manual.by_name)))
end

---The name of a function or a module: its own value is looked for among all that the manual has.
---@param value any
---@param places table<string, table> modules, environments and classes, by the prefix of what is
---  in them: "dfu.", "board:", ""
---@return string?
function M.name_of(value, places)
  local names = {}
  for prefix, place in pairs(places) do
    for key, item in next, place do
      if rawequal(item, value) and type(key) == "string" then names[#names + 1] = prefix .. key end
    end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    if find(name) then return name end
  end
  return names[1]
end

---All that the chapters of the manual have, as a list for somebody who looks around.
---@param chapters string[] their titles
---@return string
function M.overview(chapters)
  local lines = {}
  local at, title
  local wanted = {}
  for _, chapter in ipairs(chapters) do wanted[chapter] = true end
  for _, section in ipairs(read_manual().sections) do
    if section.rank == 2 then
      title = section.title:lower()
      at = wanted[section.title] and {} or nil
      if at then lines[#lines + 1] = { section.title, at } end
    elseif at and section.name then
      local prefix, name = section.name:match("^(.*)[.:]([^.:]+)$")
      at[#at + 1] = prefix == title and name or section.name
    end
  end
  for i, row in ipairs(lines) do
    local words, width = {}, 12
    for _, word in ipairs(row[2]) do
      width = width + #word + 1
      if width > WIDTH then
        words[#words + 1] = "\n" .. (" "):rep(11)
        width = 12 + #word
      end
      words[#words + 1] = word
    end
    lines[i] = ("  %-10s%s"):format(row[1], (" " .. table.concat(words, " ")):gsub(" \n", "\n"))
  end
  return table.concat(lines, "\n")
end

return M

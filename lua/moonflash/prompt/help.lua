-- SPDX-License-Identifier: MIT
-- help(): the text of docs/api.md about a function, a module or a word, for a terminal.
local columns = require "moonflash.base.columns"
local suggest = require "moonflash.base.suggest"
local sys = require "sys"
local text = require "moonflash.base.text"

local M = {}

local MOST = 96       -- columns
local LEAST = 40      -- of the last column of a table; if less is left, it begins below the others
local SUMMARY_AT = 41 -- the column of the summaries in a chapter
local NAMES = 16      -- cells of the names of chapters

-- The columns of the text: it is made for the terminal that it is shown on.
local function width()
  return math.min((columns(1) or MOST + 1) - 1, MOST)
end

-- { sections = { { title=, rank=, lines=, name= }, ... }, by_name = { name = section } }
local manual

-- Parses docs/api.md once. "### board:read(address, length)" is a section with a name.
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

-- ---- Markdown to text ----

-- A link within the page becomes its words; for another page, the file is added.
local function link(words, target)
  local page = target:match("^[^#]+")
  return page and ("%s (docs/%s)"):format(words, page) or words
end

local function plain(s)
  return (s:gsub("%[([^%]]*)%]%(([^)]*)%)", link):gsub("%*%*", ""):gsub("`", ""))
end

local function cells_of(line)
  local cells = {}
  for cell in line:gsub("\\|", "\0"):gmatch("|([^|]*)") do
    cells[#cells + 1] = plain(cell:gsub("%z", "|"):match("^%s*(.-)%s*$"))
  end
  if line:find("|%s*$") then cells[#cells] = nil end
  return cells
end

-- Appends wrapped text: `before` is in front of the first line, the other lines are indented.
local function hang(out, before, s)
  local at = text.width(before)
  local lines = text.wrap(s, width() - at)
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
    if width() - left >= LEAST then
      hang(out, before, row[#row])
    else
      hang(out, "  ", before)
      hang(out, "      ", row[#row])
    end
  end
end

-- Renders tables, code, list items and paragraphs.
local function render(lines)
  local out, rows, words, code = {}, {}, nil, false
  local function finish()
    if words then
      local s = plain(words)
      local mark = s:match("^%- ") or ""
      hang(out, mark, s:sub(#mark + 1))
    end
    add_table(out, rows)
    rows, words = {}, nil
  end
  for _, line in ipairs(lines) do
    local is_row = line:find("^|") and not code
    if not is_row and #rows > 0 or is_row and words then finish() end
    if line:find("^```") then
      finish()
      code = not code
    elseif code then
      out[#out + 1] = "    " .. line
    elseif line:find("^|[-|: ]+$") then
      rows[#rows + 1] = nil -- the rule below a table's head
    elseif is_row then
      rows[#rows + 1] = cells_of(line)
    elseif line == "" then
      finish()
      out[#out + 1] = ""
    else
      if line:find("^%- ") then finish() end
      words = words and words .. " " .. line or line
    end
  end
  finish()
  return (table.concat(out, "\n"):gsub("^\n+", ""):gsub("\n+$", ""))
end

local function first_sentence(section)
  local s = render(section.lines):gsub("\n\n.*", ""):gsub("\n *", " ")
  return s:match("^(.-[.:])%s") or s
end

-- ---- looking words up ----

-- A section; for a whole chapter, followed by its functions, one line each.
local function explain(section)
  if section.name then return section.title .. "\n\n" .. render(section.lines) end
  local lines, inside = { render(section.lines), "" }, false
  for _, other in ipairs(manual.sections) do
    if other == section then
      inside = true
    elseif inside and other.rank <= section.rank then
      break
    elseif inside and other.name then
      local before = ("  %-" .. SUMMARY_AT - 3 .. "s "):format(other.title)
      local is_narrow = width() - SUMMARY_AT < LEAST
      if is_narrow or #before > SUMMARY_AT then
        lines[#lines + 1] = before:gsub(" +$", "")
        before = (" "):rep(is_narrow and 4 or SUMMARY_AT)
      end
      hang(lines, before, first_sentence(other))
    end
  end
  return section.title .. "\n\n" .. table.concat(lines, "\n"):gsub("\n+$", ""):gsub("^\n+", "")
end

local PREFIXES = { "", "board:", "task:", "sim:", "server:", "task.", "dfu.", "flash." }
local CHAPTERS = { ["sim:"] = "simulated boards", repl = "the prompt", prompt = "the prompt",
                   err = "errors", error = "errors" }

-- The section of a name: "erase_page", "board.erase_page" and "board:erase_page" are the same.
local function find(word)
  local names = read_manual().by_name
  for _, prefix in ipairs(PREFIXES) do
    local name = prefix .. word
    local section = names[name] or names[name:gsub("%.", ":")]
    if section then return section end
  end
  return names[word:lower()] or names[CHAPTERS[word:lower()]]
end

local function is_named(cell, word)
  for name in cell:gmatch("[^, ]+") do
    if name == word then return true end
  end
  return false
end

-- A row of a table as text; each cell follows the title of its column, if that has one.
local function show_row(section, head, cells)
  local parts = {}
  for i = 2, #cells do
    local title = head[i] or ""
    local has_title = title ~= "" and title ~= "type" and cells[i] ~= ""
    parts[#parts + 1] = cells[i] ~= "" and (has_title and title .. " " or "") .. cells[i] or nil
  end
  local out = { ("%s (%s)"):format(cells[1], plain(section.title)), "" }
  hang(out, "  ", table.concat(parts, "; "))
  return table.concat(out, "\n")
end

-- The table rows that begin with a word: error codes, fields, options, variables. For an error
-- code, also the rows of its children.
local function find_rows(word, chapter)
  local found = {}
  for _, section in ipairs(read_manual().sections) do
    local head
    local is_wanted = not chapter or section.title:lower() == chapter
    for _, line in ipairs(is_wanted and section.lines or {}) do
      local cells = line:find("^|") and cells_of(line)
      local is_child = cells and head and head[1] == "code"
        and cells[1]:sub(1, #word + 1) == word .. "."
      if not cells then
        head = nil
      elseif not head then
        head = cells
      elseif is_child or is_named(cells[1], word) then
        found[#found + 1] = show_row(section, head, cells)
      end
    end
  end
  return found
end

-- The summary and description of a recipe; nil if there is no such recipe.
local function find_recipe(word)
  if not word:find("^[%w_]+$") or not sys.builtin("scripts/" .. word .. ".lua") then return nil end
  local fine, recipe = pcall(require("moonflash.run.recipe").load, word)
  if not (fine and recipe) then return nil end
  local more = recipe.table.description and "\n\n" .. recipe.table.description or ""
  return text.fold(("moonflash %s\n\n%s.%s\n\n'moonflash help %s' has its arguments."):format(word,
    recipe.summary, more, word), width())
end

---The manual's text about a word; nil and a suggestion if there is none.
---@param word string
---@return string? text
---@return string? why
function M.word(word)
  word = word:gsub("%(.*$", "")
  local owner, name = word:match("^(%a+)[.:](.+)$")
  local said = {}
  local section = find(word)
  if section then said[1] = explain(section) end
  for _, row in ipairs(section and not section.name and {} or find_rows(word)) do
    said[#said + 1] = row
  end
  if #said == 0 and owner then -- "board.timeout", "err.hint", "dfu.errTARGET"
    local chapter = CHAPTERS[owner] or owner
    said = find_rows(name, name:find("^err%u") and "errors" or chapter)
  end
  said[#said + 1] = find_recipe(word)
  if #said > 0 then return table.concat(said, "\n\n") end
  return nil, ("no help for '%s'%s"):format(word,
    suggest.hint(word, suggest.keys(manual.by_name)))
end

---The name of a function or a module, found by comparing its value with all documented ones.
---@param value any
---@param places table<string, table> modules, environments and classes, by the prefix of their
---  names: "dfu.", "board:", ""
---@return string?
function M.name_of(value, places)
  local names = {}
  for prefix, place in pairs(places) do
    for key, item in next, place do
      if rawequal(item, value) and type(key) == "string" then names[#names + 1] = prefix .. key end
    end
  end
  table.sort(names, function(one, other) -- so that `fail` comes before `errors.fail`
    if #one ~= #other then return #one < #other end
    return one < other
  end)
  for _, name in ipairs(names) do
    if find(name) then return name end
  end
  return names[1]
end

---The functions of chapters of the manual, a line a chapter.
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
  local out = {}
  for _, row in ipairs(lines) do
    hang(out, ("  %-" .. NAMES .. "s "):format(row[1]), table.concat(row[2], " "))
  end
  return table.concat(out, "\n")
end

return M

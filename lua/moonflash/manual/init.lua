-- SPDX-License-Identifier: MIT
-- The manual for a terminal: the chapters of docs/, and what docs/api.md says about a word.
local markdown = require "moonflash.manual.markdown"
local suggest = require "moonflash.base.suggest"
local sys = require "sys"
local text = require "moonflash.base.text"

local M = {}

local SUMMARY_AT = 41 -- the column of the summaries in a chapter
local NAMES = 16      -- cells of the names of chapters

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

local function first_sentence(section)
  local s = markdown.render(section.lines):gsub("\n\n.*", ""):gsub("\n *", " ")
  return s:match("^(.-[.:])%s") or s
end

-- ---- chapters ----

---The names of the chapters.
---@return string[] sorted: "boards" is docs/boards.md
function M.chapters()
  local names = {}
  for i, file in ipairs(sys.builtins("docs/")) do names[i] = file:match("^docs/(.*)%.md$") end
  table.sort(names)
  return names
end

---A chapter as text.
---@param name string as in chapters()
---@return string?
function M.chapter(name)
  local source = sys.builtin("docs/" .. name .. ".md")
  if not source then return nil end
  local lines = {}
  for line in source:gmatch("([^\n]*)\n") do lines[#lines + 1] = line end
  return markdown.render(lines)
end

---The functions that docs/api.md describes.
---@return string[] in its order: "dfu.list", "board:read"
function M.names()
  local names = {}
  for _, section in ipairs(read_manual().sections) do names[#names + 1] = section.name end
  return names
end

-- ---- looking words up ----

-- A section; for a whole chapter, followed by its functions, one line each.
local function explain(section)
  if section.name then return section.title .. "\n\n" .. markdown.render(section.lines) end
  local lines, inside = { markdown.render(section.lines), "" }, false
  for _, other in ipairs(manual.sections) do
    if other == section then
      inside = true
    elseif inside and other.rank <= section.rank then
      break
    elseif inside and other.name then
      local before = ("  %-" .. SUMMARY_AT - 3 .. "s "):format(other.title)
      local is_narrow = markdown.width() - SUMMARY_AT < markdown.LEAST
      if is_narrow or #before > SUMMARY_AT then
        lines[#lines + 1] = before:gsub(" +$", "")
        before = (" "):rep(is_narrow and 4 or SUMMARY_AT)
      end
      markdown.hang(lines, before, first_sentence(other))
    end
  end
  return section.title .. "\n\n" .. table.concat(lines, "\n"):gsub("\n+$", ""):gsub("^\n+", "")
end

local PREFIXES = { "", "board:", "task:", "sim:", "server:", "task.", "dfu.", "flash." }
local CHAPTERS = { ["sim:"] = "simulated boards", repl = "the prompt", prompt = "the prompt",
                   err = "errors", error = "errors", exit = "exit statuses",
                   status = "exit statuses",
                   product = "a product of your own" }

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
  local out = { ("%s (%s)"):format(cells[1], markdown.plain(section.title)), "" }
  markdown.hang(out, "  ", table.concat(parts, "; "))
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
      local cells = line:find("^|") and markdown.cells(line)
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
    recipe.summary, more, word), markdown.width())
end

---Where the chapter of a name is, if there is one.
---@param name string
---@return string?
function M.pointer(name)
  return sys.builtin("docs/" .. name .. ".md")
    and ("There is a chapter, too: docs/%s (moonflash help docs/%s)."):format(name, name) or nil
end

---The manual's text about a word; nil and a suggestion if there is none.
---@param word string
---@return string? text
---@return string? why
function M.word(word)
  local chapter = word:match("^docs/([%w-]+)$") or word:match("^docs/([%w-]+)%.md$")
  if chapter then return M.chapter(chapter) end
  word = word:gsub("%(.*$", "")
  local owner, name = word:match("^(%a+)[.:](.+)$")
  local said = {}
  local section = find(word)
  if section then said[1] = explain(section) end
  for _, row in ipairs(section and not section.name and {} or find_rows(word)) do
    said[#said + 1] = row
  end
  if #said == 0 and owner then -- "board.timeout", "err.hint", "dfu.errTARGET"
    said = find_rows(name, name:find("^err%u") and "errors" or CHAPTERS[owner] or owner)
  end
  said[#said + 1] = find_recipe(word)
  if #said == 0 then
    said[1] = M.chapter(word)
  else
    said[#said + 1] = M.pointer(word)
  end
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
    markdown.hang(out, ("  %-" .. NAMES .. "s "):format(row[1]), table.concat(row[2], " "))
  end
  return table.concat(out, "\n")
end

return M

-- SPDX-License-Identifier: MIT
-- The manual pages as Markdown for lowdown, made from the chapters of docs/, from moonflash's
-- options and from its recipes. The Makefile runs it; it is not part of the program.
--   build/moonflash src/manpages.lua moonflash.1 | lowdown -s -tman --out-no-smarty
local markdown = require "moonflash.manual.markdown"
local options = require "moonflash.cli.options"
local recipe = require "moonflash.run.recipe"

-- The pages that stand for chapters; other chapters are in `moonflash help`.
local PAGE_OF = { api = "moonflash-api(3lua)", recipes = "moonflash-recipe(7)",
                  station = "moonflash-station(1)", ["dfu-util"] = "moonflash-dfu-util(1)" }

-- ---- from docs/ to a page ----

local function pointer(chapter)
  return PAGE_OF[chapter] or "`moonflash help docs/" .. chapter .. "`"
end

-- The text of a chapter between its blocks of code, with what a manual page has in the place of
-- links and of names of files. `here` is the chapter whose page it is.
local function without_links(text, name, here)
  local function link(words, target)
    local chapter = target:match("^([%w-]+)%.md") or name
    if chapter == here then return words end
    return words:find("%.md$") and pointer(chapter)
      or ("%s (%s)"):format(words, pointer(chapter))
  end
  return (text:gsub("\nNext: %[.-\n", "\n"):gsub("\nThis is the last chapter.-\n", "\n")
    :gsub("%[([^%]]*)%]%(([^)%s]*)%)", link)
    :gsub("`?docs/([%w-]+)%.md`?", pointer))
end

-- A row of a table as an item of a list: its first cell, and the others with their titles. Tables
-- as such would not fit a page of 80 columns.
local function add_row(out, head, cells)
  local parts = {}
  for i = 2, #cells do
    local titled = #cells > 2 and (head[i] or "") ~= ""
    if cells[i] ~= "" then parts[#parts + 1] = (titled and head[i] .. ": " or "") .. cells[i] end
  end
  out[#out + 1] = ("%s\n\n: %s\n"):format(cells[1] ~= "" and cells[1] or "(none)",
    #parts > 0 and table.concat(parts, "; ") or " ")
end

-- A chapter without links, outside of code.
local function read(name, here)
  local text, out, at = "\n" .. sys.builtin("docs/" .. name .. ".md"), {}, 1
  while true do
    local first, last = text:find("\n```.-\n```\n", at)
    out[#out + 1] = without_links(text:sub(at, first or -1), name, here)
    if not first then return table.concat(out) end
    out[#out + 1] = text:sub(first + 1, last - 1)
    at = last
  end
end

-- A chapter: its sections are the page's, without its title. `here` is the chapter that the page
-- stands for.
local function chapter(name, here)
  local out, head, in_code = {}, nil, false
  for line in read(name, here or name):gmatch("([^\n]*)\n") do
    if line:find("^```") then
      in_code = not in_code
      line = "```"
    end
    local marks, title = line:match("^(#+) (.*)$")
    local cells = not in_code and line:find("^|") and markdown.marked_cells(line)
    if cells and not head then
      head = cells
    elseif cells then
      if not line:find("^|[-|: ]+$") then add_row(out, head, cells) end
    elseif in_code or line == "```" then
      out[#out + 1] = line
    elseif marks then
      out[#out + 1] = #marks == 2 and "# " .. title:upper() or #marks > 2 and "## " .. title or ""
    else
      out[#out + 1] = line
    end
    if not cells then head = nil end
  end
  return table.concat(out, "\n") .. "\n"
end

-- The section of a chapter with that title, without its heading.
local function section(name, title)
  local text = "\n" .. chapter(name, "") .. "\n# "
  local _, last = text:find("\n# " .. title:upper() .. "\n", 1, true)
  return text:sub(last + 1, text:find("\n# ", last, true))
end

-- ---- options and recipes ----

local function item(term, words)
  return ("`%s`\n\n: %s\n"):format(term, words ~= "" and words or " ")
end

local function own_options()
  local out = {}
  for _, arg in ipairs(options.args(true)) do
    local names = (arg.also and arg.also .. " " or "") .. arg.name
    out[#out + 1] = item(names:gsub(" ", ", ") .. (arg.argname and " " .. arg.argname or ""),
      (arg.description:gsub("; also %-%a$", "")))
  end
  return table.concat(out, "\n")
end

-- What the value of an option is called.
local VALUES = { integer = "N", string = "TEXT", address = "ADDRESS", seconds = "SECONDS",
                 file = "FILE", tty = "TTY" }

-- The arguments of a recipe, in the words of its help.
local function arguments(loaded)
  local out = {}
  for _, arg in ipairs(loaded.args) do
    local value = arg.dashed and arg.type ~= "flag" and " " .. VALUES[arg.type] or ""
    out[#out + 1] = item(arg.name .. value, require("moonflash.run.args").description(arg))
  end
  return table.concat(out, "\n")
end

local function about(name)
  local loaded = recipe.load(name)
  local t = loaded.table
  local parts = { "**" .. loaded.summary .. ".**\n" }
  if t.description then parts[#parts + 1] = t.description:gsub("\n", " ") .. "\n" end
  if t.example then parts[#parts + 1] = "```\n" .. t.example .. "\n```\n" end
  parts[#parts + 1] = arguments(loaded)
  return table.concat(parts, "\n")
end

local function recipes()
  local out = {}
  for _, found in ipairs(recipe.all()) do
    if found.from == "built in" then
      out[#out + 1] = ("## moonflash %s\n\n%s"):format(found.name, about(found.name))
    end
  end
  return table.concat(out, "\n")
end

local function fenced(text) return "```\n" .. text .. "\n```\n" end

-- ---- the pages ----

local pages = {}

pages["moonflash.1"] = function()
  return { "flashes boards over USB DFU, by recipes",
    "# SYNOPSIS", "**moonflash** [*options*] *recipe* [*its options*]",
    "**moonflash** **-e** *code* | **-i** | **help** [*word*]",
    "# DESCRIPTION",
    "STM32 chips carry a boot loader that speaks USB DFU with ST's DfuSe extension. moonflash "
      .. "writes firmware to such boards, reads it back, and reports the state of the flash if "
      .. "something goes wrong. Everything that it does is a recipe: a Lua script, built in or "
      .. "yours (moonflash-recipe(7)).",
    "# OPTIONS", "They stand on either side of the recipe; **-e**, **-i** and **--version** in "
      .. "front of it.", own_options(),
    "# RECIPES", recipes(),
    "# EXIT STATUS", section("api", "Exit statuses"),
    "# ENVIRONMENT", section("api", "Environment variables"),
    "# FILES", section("api", "Files"),
    "# EXAMPLES", fenced("moonflash list\nmoonflash flash firmware.bin --leave\n"
      .. "moonflash --device sim:f407 flash firmware.bin") }
end

pages["moonflash-recipe.7"] = function()
  return { "a recipe of moonflash: a Lua script that flashes boards", "# DESCRIPTION",
    chapter("recipes") }
end

pages["moonflash-station.1"] = function()
  return { "runs a recipe for every unit that is put in, with records",
    "# SYNOPSIS", "**moonflash station** [*options*] *recipe* [*its options*]",
    "**moonflash records** [*options*]", "# DESCRIPTION", chapter("station"),
    "# OPTIONS", about("station"), "# OPTIONS OF RECORDS", about("records") }
end

pages["moonflash-dfu-util.1"] = function()
  local help = require("moonflash.dfu_util.options").HELP
  return { "stands in for dfu-util 0.11", "# SYNOPSIS", "**moonflash dfu-util** *option* ...",
    "# OPTIONS", fenced((help:gsub("^[^\n]*\n\n", ""):gsub("\n$", ""))),
    "# DESCRIPTION", chapter("dfu-util") }
end

pages["moonflash-api.3lua"] = function()
  return { "the Lua functions of moonflash", "# DESCRIPTION", chapter("api") }
end

local name, number = arg[1]:match("^([%w-]+)%.(%w+)$")
local parts = pages[arg[1]]()
local others = {}
for page in pairs(pages) do
  if page ~= arg[1] then others[#others + 1] = page:gsub("%.(%w+)$", "(%1)") end
end
table.sort(others)
print(("title: %s\nsection: %s\nsource: moonflash %s\nvolume: moonflash\n"):format(
  name:upper(), number, MOONFLASH_VERSION))
print(("# NAME\n\n%s - %s\n"):format(name, table.remove(parts, 1)))
print(table.concat(parts, "\n\n"))
print("\n# SEE ALSO\n\n" .. table.concat(others, ", "))

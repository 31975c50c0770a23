-- SPDX-License-Identifier: MIT
-- `moonflash complete WORD...`, for the shells' completions (scripts/completions): what may stand
-- in the place of the last word. It opens no board, and runs no recipe that is not built in.
--
-- The first line of the answer is "files", with a pattern if only some will do, "folders" or "-":
-- what the shell itself adds. Each other line is a word, a tab, and what the word means.
local Machine = require "moonflash.doctor.machine"
local clean = require("moonflash.board.descriptor").clean
local dfu_util = require "moonflash.dfu_util.options"
local manual = require "moonflash.manual"
local options = require "moonflash.cli.options"
local recipe = require "moonflash.run.recipe"
local sim = require "sim"
local slots = require "moonflash.board.slots"
local sys = require "sys"

local MOST = 1 << 20 -- bytes of a recipe's file
local SYSFS = "/sys/bus/usb/devices/"

-- An answer: words in their order, and what the shell adds.
local Answer = {}
Answer.__index = Answer

function Answer:add(word, meaning)
  self[#self + 1] = clean(word) .. "\t" .. clean(meaning or "")
end

-- ---- recipes, as far as their text tells ----

-- The arguments that stand in the text of a recipe, which is not run.
local function arguments_in(source)
  local list, at = {}, 1
  while true do
    local first = source:find('{%s*"%-?%-?%a[%w-]*"%s*,%s*"', at)
    local row = first and source:match("^%b{}", first)
    if not first then return list end
    at = first + 1
    if row then
      local name, description = row:match('^{%s*"([^"]+)"%s*,%s*"([^"]*)"')
      local default = row:match("default%s*=%s*([%w\"']+)")
      local is_flag = default == "false" or default == "true"
      list[#list + 1] = { name = name, description = description, dashed = name:find("^%-") ~= nil,
                          type = is_flag and "flag" or row:match('type%s*=%s*"(%a+)"') or "string" }
    end
  end
end

-- The first words of a field of a recipe's text: its summary.
local function field_in(source, field)
  return source:match(field .. '%s*=%s*"([^"]*)"')
end

-- The arguments of a recipe, and whether it runs another one (`rest`) or has options of dfu-util.
local function look_at(name)
  local stat = sys.stat(name)
  if stat and not (stat.type == "file" and stat.size <= MOST) then return { args = {} } end
  local ok, found = pcall(recipe.find, name)
  if not ok then return { args = {} } end
  if found.from ~= "built in" then return { args = arguments_in(found.source) } end
  local loaded = recipe.load(name)
  return { args = loaded.args, rest = loaded.table.rest, words = loaded.table.words }
end

-- ---- what may stand in a place ----

local function add_recipes(answer)
  for _, item in ipairs(recipe.all()) do
    answer:add(item.name, field_in(recipe.find(item.name).source, "summary"))
  end
end

local function add_examples(answer)
  for _, file in ipairs(sys.builtins("scripts/examples/")) do
    answer:add(file:match("^scripts/(.*)%.lua$"), "an example")
  end
end

local function add_kinds(answer)
  for _, kind in ipairs(sim.catalogue()) do answer:add("sim:" .. kind.kind, kind.summary) end
end

-- The boards with a DFU interface, as the operating system lists them.
local function add_boards(answer)
  local machine, seen = Machine.new(), {}
  for _, name in ipairs(machine:names(SYSFS)) do
    local path = name:match("^(%d+%-[%d.]+):")
    local is_dfu = machine:attribute(name, "bInterfaceClass") == "fe"
      and machine:attribute(name, "bInterfaceSubClass") == "01"
    if path and is_dfu and not seen[path] then
      seen[path] = true
      local id = ("%s:%s"):format(machine:attribute(path, "idVendor") or "?",
        machine:attribute(path, "idProduct") or "?")
      local serial = machine:attribute(path, "serial")
      answer:add(path, id .. " " .. (machine:attribute(path, "product") or ""))
      answer:add(id, machine:attribute(path, "product"))
      if serial then answer:add("serial=" .. serial, path) end
    end
  end
end

local function add_selectors(answer)
  local ok, known = pcall(slots.load)
  for _, name in ipairs(ok and known.names or {}) do answer:add(name, known.by_name[name]) end
  add_boards(answer)
  add_kinds(answer)
end

local function add_words_of_help(answer)
  add_recipes(answer)
  for _, name in ipairs(manual.chapters()) do answer:add(name, "a chapter of the manual") end
  for _, name in ipairs(manual.names()) do answer:add(name, "a name of the API") end
end

local function add_families(answer)
  for _, family in ipairs(require("moonflash.board.families").all()) do
    answer:add(family.name, family.covers)
  end
end

local function add_folders(answer) answer.shell = "folders" end

-- What stands in places whose type does not tell.
local PLACES = {
  ["--device"] = add_selectors,
  ["--progress"] = function(answer) answer:add("auto") answer:add("never") end,
  ["--slots"] = function(answer) answer.shell = "files *.lua" end,
  ["boards name"] = add_families,
  ["convert --format"] = function(answer)
    for _, format in ipairs { "bin", "hex", "srec", "dfu" } do answer:add(format) end
  end,
  ["recipes --show"] = function(answer) add_recipes(answer) add_examples(answer) end,
  ["records --folder"] = add_folders,
  ["sim selector"] = add_kinds,
  ["sim --compare"] = add_kinds,
  ["station --folder"] = add_folders,
  ["test files"] = function(answer) answer.shell = "files *_test.lua" end,
}

local FILES = { file = true, words = true, tty = true }

-- What the value of an argument may be.
local function add_values(answer, name, arg)
  local place = PLACES[name and name .. " " .. arg.name] or PLACES[arg.name]
  if place then return place(answer) end
  for _, choice in ipairs(arg.choices or {}) do answer:add(tostring(choice)) end
  if FILES[arg.type] or not arg.dashed and arg.type == "string" then answer.shell = "files" end
end

-- Options of dfu-util.
local function add_options_of_dfu_util(answer)
  for _, row in ipairs(dfu_util.rows) do
    answer:add("-" .. row.letter)
    if row.long then answer:add("--" .. row.long) end
  end
  answer.shell = "files"
end

-- ---- the words before ----

-- Moonflash's own options and those of a recipe, by their names.
local function by_name(args)
  local named = {}
  for _, arg in ipairs(options.args(true)) do
    for name in (arg.name .. " " .. (arg.also or "")):gmatch("%S+") do named[name] = arg end
  end
  for _, arg in ipairs(args) do named[arg.name] = arg end
  return named
end

-- Where the last word stands: { recipe=, args= (of the recipe, or of both), plain= (how many words
-- stand before that are no options), value_of= (the option before it) }.
local function place_of(words)
  local at = { args = {}, plain = 0 }
  local named = by_name({})
  local i = 1
  while i < #words do
    local word = words[i]
    local arg = named[word]
    if arg and arg.type ~= "flag" then
      if i + 1 == #words then at.value_of = arg end
      if arg.name == "--slots" then slots.use(words[i + 1]) end
      i = i + 1
    elseif word:find("^%-.") then
      at.is_code = at.is_code or word:find("^%-e") -- what follows is Lua's business
    elseif not at.recipe or at.rest then
      local about = word == "help" and { args = {} } or look_at(word)
      at.recipe, at.rest, at.words = word, about.rest, about.words
      table.move(about.args, 1, #about.args, #at.args + 1, at.args)
      named = by_name(at.args)
    else
      at.plain = at.plain + 1
    end
    i = i + 1
  end
  return at
end

local function add_options(answer, at)
  local list = options.args(not at.recipe)
  table.move(at.args, 1, #at.args, #list + 1, list)
  for _, arg in ipairs(list) do
    for name in (arg.name .. " " .. (arg.also or "")):gmatch("%S+") do
      if name:find("^%-") then answer:add(name, arg.description) end
    end
  end
end

-- The argument that the last word is.
local function plain_argument(at)
  local number = 0
  for _, arg in ipairs(at.args) do
    number = number + (arg.dashed and 0 or 1)
    if not arg.dashed and (number > at.plain or arg.type == "words") then return arg end
  end
end

local function fill(answer, at, last)
  local option = last:match("^(%-%-[%w-]+)=")
  if option then
    local arg = by_name(at.args)[option]
    if arg and arg.type ~= "flag" then
      local values = setmetatable({ shell = "-" }, Answer)
      add_values(values, at.recipe, arg)
      for _, value in ipairs(values) do answer:add(option .. "=" .. value:match("^[^\t]*")) end
      answer.shell = values.shell
    end
  elseif at.value_of then
    add_values(answer, at.recipe, at.value_of)
  elseif at.words then
    add_options_of_dfu_util(answer)
  elseif last:find("^%-") then
    add_options(answer, at)
  elseif at.recipe == "help" then
    add_words_of_help(answer)
  elseif not at.recipe or at.rest then
    add_recipes(answer)
    if not at.rest then answer:add("help", "what a recipe does, and its options") end
    answer.shell = "files *.lua"
  else
    local arg = plain_argument(at)
    if arg then add_values(answer, at.recipe, arg) end
  end
end

---Prints what may stand in the place of the last word.
---@param words string[] those behind "moonflash", up to the one at the cursor
---@return integer status
return function(words)
  local answer = setmetatable({ shell = "-" }, Answer)
  local last = words[#words] or ""
  fill(answer, place_of(words), last)
  local seen, lines = {}, { answer.shell }
  for _, line in ipairs(answer) do
    local word = line:match("^[^\t]*")
    if word:sub(1, #last) == last and not seen[word] then
      seen[word] = true
      lines[#lines + 1] = line
    end
  end
  io.stdout:write(table.concat(lines, "\n"), "\n")
  return 0
end

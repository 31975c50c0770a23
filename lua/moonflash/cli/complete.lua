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

local MOST = 1 << 18 -- bytes of a recipe's file
local ROW, ROWS = 1000, 500 -- bytes of one of its arguments, and their number
local SYSFS = "/sys/bus/usb/devices/"

-- An answer: words in their order, and what the shell adds.
local Answer = {}
Answer.__index = Answer

function Answer:add(word, meaning)
  self[#self + 1] = clean(word) .. "\t" .. clean(meaning or "")
end

-- Whether a file can be read without waiting: a FIFO, a device or a file of /proc may not end.
local function is_plain(path)
  local stat = sys.stat(path)
  return stat ~= nil and stat.type == "file" and stat.size > 0 and stat.size <= MOST
end

-- ---- recipes, as far as their text tells ----

-- The table that begins at a place of a text, up to its closing brace. Strings in it may have some.
local function table_at(source, first)
  local text = source:sub(first, first + ROW)
  local depth, at = 0, 1
  while true do
    local place = text:find("[\"'{}]", at)
    if not place then return nil end
    local mark = text:sub(place, place)
    at = place + 1
    if mark == "{" then
      depth = depth + 1
    elseif mark == "}" then
      depth = depth - 1
      if depth == 0 then return text:sub(1, place) end
    else
      repeat -- to the end of the string
        local close = text:find("[\\" .. mark .. "]", at)
        if not close then return nil end
        local is_escape = text:sub(close, close) == "\\"
        at = close + (is_escape and 2 or 1)
      until not is_escape
    end
  end
end

-- A text with its escaped quotes in the place of others, and back.
local function hide(source) return (source:gsub('\\"', "\1")) end
local function show(words) return words and (words:gsub("\1", '"')) end

-- The arguments that stand in the text of a recipe, which is not run.
local function arguments_in(source)
  local list, at = {}, 1
  source = hide(source)
  for _ = 1, ROWS do
    local first = source:find('{%s*"%-?%-?%a[%w-]*"%s*,%s*"', at)
    if not first then break end
    at = first + 1
    local row = table_at(source, first)
    local name, description = (row or ""):match('^{%s*"([^"]+)"%s*,%s*"([^"]*)"')
    if name then
      local default = row:match("default%s*=%s*([%w\"']+)")
      local is_flag = default == "false" or default == "true"
      list[#list + 1] = { name = name, description = show(description),
                          dashed = name:find("^%-") ~= nil,
                          type = is_flag and "flag" or row:match('type%s*=%s*"(%a+)"')
                            or "string" }
    end
  end
  return list
end

-- The first words of a field of a recipe's text: its summary.
local function field_in(source, field)
  return show(hide(source):match(field .. '%s*=%s*"([^"]*)"'))
end

-- The arguments of a recipe, and whether it runs another one (`rest`) or has options of dfu-util.
local function look_at(name)
  if sys.stat(name) and not is_plain(name) then return { args = {} } end
  local ok, found = pcall(recipe.find, name)
  if not ok then return { args = {} } end
  if found.from ~= "built in" then return { args = arguments_in(found.source) } end
  local loaded = recipe.load(name)
  return { args = loaded.args, rest = loaded.table.rest, words = loaded.table.words }
end

-- ---- what may stand in a place ----

local slots_file = slots.default_file() -- or the one of --slots

local function add_recipes(answer)
  for _, item in ipairs(recipe.all()) do
    local ok, found = pcall(recipe.find, item.name)
    if ok then answer:add(item.name, field_in(found.source, "summary")) end
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
  slots.use(slots_file)
  local ok, known = pcall(is_plain(slots_file) and slots.load or error)
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
    local word, value = words[i], nil
    if word:find("^%-%-[%w-]+=") then word, value = word:match("^([^=]*)=(.*)$") end
    local arg = named[word]
    if arg and arg.type ~= "flag" then
      if not value and i + 1 == #words then at.value_of = arg end
      if arg.name == "--slots" then slots_file = value or words[i + 1] end
      i = i + (value and 0 or 1)
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
  pcall(function() fill(answer, place_of(words), last) end) -- no answer is better than an error
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

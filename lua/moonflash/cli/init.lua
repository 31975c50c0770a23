-- SPDX-License-Identifier: MIT
-- The command line: from argv to a recipe or a script, and to an exit status.
local errors = require "moonflash.errors"
local options = require "moonflash.cli.options"
local task = require "task"

local USAGE = 64

-- Modules are loaded when they are first needed, so that `moonflash --version` starts quickly.
local function library(name)
  return require("moonflash." .. name)
end

-- ---- argv ----

-- Splits argv into the words in front of the recipe's name (moonflash's own options), the name, and
-- the words behind it.
local function split(argv)
  local before, i = {}, 1
  while argv[i] and argv[i] ~= "--" and argv[i] ~= "-" and argv[i]:sub(1, 1) == "-" do
    local word, value = argv[i], options.takes_value(argv[i]) and argv[i + 1]
    before[#before + 1] = word
    if value and value ~= "" then -- as one word: the value may begin with "-"
      before[#before] = word .. (#word > 2 and "=" or "") .. value
    elseif value then
      before[#before + 1] = value
    end
    i = i + (value and 2 or 1)
  end
  if argv[i] == "--" then i = i + 1 end
  return before, argv[i], table.move(argv, i + 1, #argv, 1, {})
end

-- The command line as text that can be pasted into a shell.
local function as_typed(argv)
  local words = { "moonflash" }
  for _, word in ipairs(argv) do words[#words + 1] = library("base.text").shell_word(word) end
  return table.concat(words, " ")
end

-- ---- help ----

local OVERVIEW = [[
Usage: moonflash [options] RECIPE [its options]

Flashes boards over USB DFU, by recipes: Lua scripts. A recipe is the name of one
of these, or a file (./mine.lua):

%s

Options, on either side of the recipe (-e, -i and --version in front of it):

%s

moonflash help RECIPE     what a recipe does, and its options
moonflash help WORD       what the manual says of a function, a field, an error code
moonflash help CHAPTER    a chapter of the manual; index is the way through:
%s
moonflash repl            a prompt: type Lua, with the board at hand
moonflash recipes --show RECIPE   its source, to copy
]]

-- The help of a recipe: an example, its own options, and where moonflash's are.
local function recipe_help(name, loaded)
  local t = loaded.table
  local parser = library("run.args").parser("moonflash " .. name, loaded.summary, loaded.args, {})
  local parts = { parser:get_help() .. "\n", "Options of every recipe: moonflash help options" }
  if t.example then table.insert(parts, 1, "Example: " .. t.example .. "\n") end
  if t.description then parts[#parts + 1] = "\n" .. t.description end
  local pointer = library("manual").pointer(name)
  if pointer then parts[#parts + 1] = "\n" .. pointer end
  return table.concat(parts, "\n")
end

-- The help of a name: an overview, moonflash's options, a recipe, or a word of the manual.
local function help_of(name)
  local recipe, manual = library("run.recipe"), library("manual")
  if not name then
    local chapters = library("base.text").fold(table.concat(manual.chapters(), " "), 70)
    return OVERVIEW:format(recipe.overview(), options.overview(),
      "  " .. chapters:gsub("\n", "\n  ")):gsub("\n$", "")
  elseif name == "options" then
    return "Options of every recipe:\n\n" .. options.overview()
  end
  local ok, loaded = pcall(recipe.load, name)
  local word = not ok and manual.word(name)
  if word then return word end
  if not ok then error(loaded, 0) end
  return loaded and recipe_help(name, loaded)
    or name .. " is a plain script. The words after its name are arg[1], arg[2], ..."
end

local function help(name)
  library("ui.pager").show(help_of(name) .. "\n")
  return 0
end

-- ---- running ----

-- Emits the error that ends the program, and returns its exit status.
local function describe_failure(err, traceback)
  err = errors.of_memory(err)
  if errors.matches(err, "exit") then return errors.exit_status(err) end
  library("ui").ensure()
  library("base.events").emit("failure", err)
  if not errors.is(err) and traceback and os.getenv("MOONFLASH_TRACEBACK") then
    io.stderr:write(traceback, "\n")
  end
  return errors.exit_status(err)
end

-- The number of words behind a recipe's name that belong to it. A recipe with the field `rest` runs
-- another recipe's command line, which begins with the first word that is not an option.
local function count_own(loaded, after)
  if not loaded.table.rest then return #after end
  local takes_value = {}
  for _, arg in ipairs(loaded.args) do takes_value[arg.name] = arg.type ~= "flag" end
  local i = 1
  while after[i] and after[i]:sub(1, 1) == "-" do
    i = i + ((takes_value[after[i]] or options.takes_value(after[i])) and 2 or 1)
  end
  return math.min(i - 1, #after)
end

-- The options of a recipe that another recipe runs (`rest`), from the words behind its name.
-- Moonflash's options and those of the other recipe may stand there, too. Returns the recipe's own.
local function options_behind(session, outer, outer_values, recipe)
  local args = library("run.args")
  local known, clash = {}, {}
  for _, arg in ipairs(recipe.args) do clash[arg.name] = true end
  for _, arg in ipairs(outer.args) do
    if clash[arg.name] then
      errors.raise { code = "recipe",
        message = ("%s: its option %s is one of 'moonflash %s'"):format(recipe.name, arg.name,
          outer.name) }
    end
    known[#known + 1] = setmetatable({ default = false }, { __index = arg })
  end
  local all = table.move(recipe.args, 1, #recipe.args, 1, {})
  table.move(known, 1, #known, #all + 1, all)
  local command = ("moonflash %s %s"):format(outer.name, recipe.name)
  local parser = args.parser(command, recipe.summary, all, options.args())
  local words = table.move(outer_values.rest, 2, #outer_values.rest, 1, {})
  local values = args.parse(parser, words, command, all)
  args.note_typed(values, recipe.args)
  options.apply(session, values)
  for _, arg in ipairs(known) do
    if values[arg.field] then outer_values[arg.field] = values[arg.field] end
  end
  local own = {}
  for _, arg in ipairs(recipe.args) do own[arg.field] = values[arg.field] end
  return args.complete(own, recipe.args)
end

-- The options of a recipe, from the words behind it. Applies moonflash's options among these. A
-- recipe with the field `words` gets the words as they are.
local function options_of(session, loaded, after)
  if loaded.table.words then return { words = after } end
  local args = library("run.args")
  local own_count = count_own(loaded, after)
  local command = "moonflash " .. loaded.name
  local parser = args.parser(command, loaded.summary, loaded.args, options.args())
  args.explain = library("cli.translate").option
  local values = args.parse(parser, table.move(after, 1, own_count, 1, {}), command, loaded.args)
  args.note_typed(values, loaded.args)
  options.apply(session, values)
  if loaded.table.virtual then options.let_time_jump(session) end
  local own = {}
  for _, arg in ipairs(loaded.args) do own[arg.field] = values[arg.field] end
  if loaded.table.rest then
    own.rest = table.move(after, own_count + 1, #after, 1, {})
    function own.options_behind(recipe) return options_behind(session, loaded, own, recipe) end
    own.session = session
  end
  own = args.complete(own, loaded.args)
  for _, arg in ipairs(loaded.args) do
    if arg.type == "file" and own[arg.field] == "" then
      errors.raise { code = "usage", message = ("%s is empty"):format(arg.name) }
    end
  end
  return own
end

-- Runs a recipe that a script has returned.
local function run_recipe(session, loaded, after)
  local ok, own = pcall(options_of, session, loaded, after)
  session.is_wrong = not ok -- the command line is
  if not ok then error(own, 0) end
  return library("run").recipe(loaded, own, session)
end

-- Whether a file was run for boards that were named on the command line.
local function is_for_boards(session, found)
  return found.folder ~= nil and (#session.devices > 0 or session.every_board
    or session.every_slot) or false
end

-- Runs a compiled script. If it returns a table, the table is a recipe, and is run.
local function run_chunk(session, found, chunk, env, after)
  local script_args = { [0] = found.name }
  for i, word in ipairs(after) do script_args[i] = word end
  rawset(env, "arg", script_args)
  local settings, run = require("dfu").defaults, library("run")
  local opened = settings.opened
  local about = run.beginning(found.name, session)
  about.note = "A plain script: this report does not include its work on boards."
  local loaded
  local status = run.reported(about, session, function()
    loaded = library("run.recipe").from(found, run.shielded(chunk, table.unpack(after)), env)
    if loaded and settings.opened > opened then
      error(found.name .. ": a recipe can't open a board while it is loaded; its run can", 0)
    elseif not loaded and settings.opened == opened and is_for_boards(session, found) then
      errors.raise { code = "recipe", message = found.name .. " returned nothing, and has opened "
        .. "no board", hint = "A recipe ends with: return { api = 1, ... }" }
    end
    return not loaded and 0
  end)
  return status or run_recipe(session, loaded, after)
end

-- Compiles and runs a script. Only its result shows whether it is a recipe.
local function run_script(session, found, after)
  local recipe = library("run.recipe")
  if not session.stay then
    local chunk, env = recipe.compile(found)
    return run_chunk(session, found, chunk, env, after)
  end
  -- -i: a prompt follows, even if the script failed or did not compile
  library("trace").start() -- records requests, so that trace() includes the script's
  local chunk, env
  local ok, raised = pcall(function()
    chunk, env = recipe.compile(found)
    return run_chunk(session, found, chunk, env, after)
  end)
  local err, traceback = errors.origin(raised)
  if session.is_wrong then error(raised, 0) end
  if not ok then describe_failure(err, traceback) end
  library("run").shielded(library("prompt").run, env,
    not ok and (traceback or errors.text(err)) or nil)
  return 0
end

-- The programs that moonflash stands in for, by name: the functions of their recipes.
local STAND_INS = {
  ["dfu-util"] = function(words, choose) return library("dfu_util")(words, choose) end,
  ["dfu-suffix"] = function(words) return library("dfu_util.companions").suffix(words) end,
  ["dfu-prefix"] = function(words) return library("dfu_util.companions").prefix(words) end,
}

-- The name of such a program, if moonflash was called by it: "dfu-util", "/opt/bin/dfu-util.exe".
local function called_as(path)
  local name = (path or ""):match("([^/\\]*)$"):gsub("%.exe$", "")
  return STAND_INS[name] and name
end

-- Runs such a program without looking for recipes: programs call it ten times a second. The one of
-- MOONFLASH_DEVICE is its board.
local function run_program(name, words, command)
  local session = options.session(command)
  local job = task.spawn(STAND_INS[name], words, function() options.choose_boards(session) end)
  return job:join()
end

-- Whether a recipe has an option -h of its own.
local function has_own_help(name)
  local ok, loaded = pcall(library("run.recipe").load, name)
  return ok and loaded and loaded.table.words
end

local function has(words, option, short)
  for _, word in ipairs(words) do
    if word == option or word == short then return true end
  end
  return false
end

-- Raises `usage` with the line that does the same, for options of dfu-util.
local function check_not_dfu_util(argv, before)
  for _, word in ipairs(before) do
    local option = word:match("^(%-%-[^=]+)") or word:sub(1, 2)
    if not options.is_own(option) then
      local line = library("cli.translate").line(argv)
      if not line then return end
      errors.raise { code = "usage", message = "these are options of dfu-util",
        hint = ("Here: %s\nOr: moonflash dfu-util, with the same words"):format(line) }
    end
  end
end

local function main(argv)
  local before, name, after = split(argv)
  local program = called_as(argv[0])
  if program then return run_program(program, table.move(argv, 1, #argv, 1, {}), as_typed(argv)) end
  if argv[1] == "complete" then
    return library("cli.complete")(table.move(argv, 2, #argv, 1, {}))
  end
  if has(before, "--version") then -- whatever else is given
    io.stdout:write("moonflash ", MOONFLASH_VERSION, ", ", _VERSION, "\n")
    return 0
  end
  check_not_dfu_util(argv, before)
  local sim = require "sim" -- what runs recipes is above it
  function sim.run(...) return library("run.try").run(...) end
  function sim.rehearse(...) return library("run.try").rehearse(...) end
  function sim.station(...) return library("station.rehearse").named(...) end
  local session = options.session(as_typed(argv))
  library("run.recipe").reserve(options.is_own)
  local parser = library("run.args").parser("moonflash", "", {}, options.args(true))
  local values = library("run.args").parse(parser, before, "moonflash")
  if name == "help" and not values.e then
    return help(after[1] ~= "help" and after[1] or nil)
  elseif values.help or name and not values.e and has(after, "--help", "-h")
    and not has_own_help(name) then
    return help(name)
  end
  options.apply(session, values)
  if session.code then
    if name then table.insert(after, 1, name) end
    return run_script(session, { name = "-e", source = session.code, chunk = "=-e" }, after)
  end
  if session.stay and not name then name, session.stay = "repl", false end
  if not name then
    io.stderr:write("moonflash: no recipe given\n",
      "  moonflash help        lists them, and the options\n",
      "  moonflash --device sim:f407 flash firmware.bin    flashes a simulated board\n")
    return USAGE
  end
  return run_script(session, library("run.recipe").find(name), after)
end

---@param argv string[] with the program at 0
---@return integer status
return function(argv)
  library("ui.output").begin()
  errors.set_advice(function(err) return library("ui.remedies").hint(err) end)
  task.supervise()
  local ok, status = pcall(function()
    local status = main(argv)
    task.settle()
    return status
  end)
  if not ok then status = describe_failure(errors.origin(status)) end
  local trace = package.loaded["moonflash.trace"]
  local lost = trace and trace.finish()
  if not lost then return status end
  local lost_status = describe_failure(lost)
  return status == 0 and lost_status or status
end

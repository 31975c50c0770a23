-- SPDX-License-Identifier: MIT
-- The command line: from argv to a recipe or a script, and to an exit status.
local errors = require "moonflash.errors"
local task = require "task"

local USAGE = 64

-- Loaded when they are needed: `moonflash --version` is there at once.
local function library(name)
  return require("moonflash." .. name)
end

-- ---- argv ----

local SHORT = { ["-d"] = "--device", ["-q"] = "--quiet", ["-h"] = "--help" }
local TAKES_VALUE = { ["--device"] = true, ["--wait"] = true, ["--layout"] = true,
                       ["--slots"] = true, ["--report"] = true, ["--pcap"] = true,
                       ["-e"] = true }

-- Moonflash's short options stand on either side of a recipe, and argparse should see one name.
local function lengthen(word)
  if SHORT[word] then return SHORT[word] end
  local glued = word:match("^%-d(.+)$")
  return glued and "--device=" .. glued or word
end

-- Splits argv at the recipe's name: what stands before it is ours.
local function split(argv)
  local before, after = {}, {}
  local i = 1
  while argv[i] do
    local word = lengthen(argv[i])
    if word == "--" or word == "-" or word:sub(1, 1) ~= "-" then break end
    before[#before + 1] = word
    if TAKES_VALUE[word] and argv[i + 1] then
      i = i + 1
      before[#before + 1] = argv[i]
    end
    i = i + 1
  end
  if argv[i] == "--" then i = i + 1 end
  local name = argv[i]
  for j = i + 1, #argv do after[#after + 1] = argv[j] end
  return before, name, after
end

local function has(words, wanted)
  for _, word in ipairs(words) do
    if word == wanted then return true end
  end
  return false
end

-- Takes `-e CODE` out of the words; returns the code.
local function take_code(words)
  for i, word in ipairs(words) do
    if word == "-e" then
      table.remove(words, i)
      local code = table.remove(words, i)
      if not code then errors.raise { code = "usage", message = "-e needs some Lua behind it" } end
      return code
    end
  end
end

-- What was typed, as a shell would read it: for the report.
local command_line

local function as_typed(argv)
  local words = { "moonflash" }
  for _, word in ipairs(argv) do
    local plain = word:find("^[%w./_,:=@#+%%-]+$")
    words[#words + 1] = plain and word or "'" .. word:gsub("'", "'\\''") .. "'"
  end
  return table.concat(words, " ")
end

local function take_flag(words, flag)
  for i, word in ipairs(words) do
    if word == flag then return table.remove(words, i) ~= nil end
  end
  return false
end

-- ---- moonflash's own options ----

local function global_args()
  return library("args").check(library("recipe").globals, {})
end

local function several_devices(args)
  for _, arg in ipairs(args) do
    if arg.name == "--device" then arg.count = "*" end
  end
  return args
end

-- --layout: what a board would say of its memory, if it did.
local function parse_layout(words)
  local layout = library("memory").parse(words)
  if layout.dropped or #layout.segments == 0 then
    errors.raise { code = "usage", message = ("--layout '%s': %s"):format(words,
      layout.dropped or "no memory is in it"),
      hint = "--layout @Flash/0x08000000/04*016Kg,01*064Kg,07*128Kg    is an STM32F407's" }
  end
  if layout.name == "" then layout.name = "memory" end
  return layout
end

-- --every-slot says which boards; what says so, too, would be ignored.
local function check_every_slot(values)
  if not values.every_slot then return end
  local other = values.every_board and "--every-board"
    or values.device and #values.device > 0 and "--device"
  if other then
    errors.raise { code = "usage", message = "--every-slot and " .. other .. " exclude each other" }
  end
end

-- What the words before (and around) a recipe ask for, put into force.
local function apply(values)
  local traced = values.trace or values.trace_bytes
  check_every_slot(values)
  library("ui").begin { json = values.json, quiet = values.quiet, trace = traced }
  library("recipe").stdout_is_data = values.json
  if values.report then library("report").check(values.report) end
  if values.virtual_time then require("sys").virtual_time() end
  local devices = values.device
  if not devices or #devices == 0 then
    local default = not values.every_slot and os.getenv("MOONFLASH_DEVICE")
    devices = default and default ~= "" and { default } or nil
  end
  local dfu = require "dfu"
  dfu.defaults.selectors = devices
  dfu.defaults.dry = values.dry_run or false
  if values.slots then library("slots").use(values.slots) end
  dfu.defaults.layout = values.layout and parse_layout(values.layout)
  if traced then
    library("trace").start(values.trace_bytes)
    library("trace").live(true, values.every_board or values.every_slot or #(devices or {}) > 1)
  end
  if values.pcap then library("trace").capture(values.pcap) end
  for _, selector in ipairs(devices or {}) do
    local wanted = library("selector").parse(selector)
    local simulated = (wanted.path or ""):find("^sim:")
    if simulated then require("sim").ensure(wanted.path) end
    if values.virtual_time and not simulated then
      errors.raise { code = "usage",
        message = ("--virtual-time is for simulated boards, and '%s' is none"):format(selector) }
    end
  end
  return { selectors = devices, every_board = values.every_board,
           every_slot = values.every_slot, wait = values.wait,
           report = values.report, command = command_line }
end

-- ---- help ----

local OVERVIEW = [[
Usage: moonflash [options] RECIPE [its options]

Flashes boards over USB DFU, by recipes: Lua scripts. A recipe is the name of one
of these, or a file (./mine.lua):

%s
Options, on either side of the recipe:

  -d, --device SELECTOR   the board: 1-4.2, 0483:df11, serial=..., or sim:f407,
                          which is simulated (may be repeated; $MOONFLASH_DEVICE)
  --every-board           all boards that match
  --every-slot            the boards in all slots (docs/fixtures.md)
  --slots FILE            names for the places of boards, else your slots.lua
  --wait SECONDS          wait so long for a board
  --layout LAYOUT         the memory of a board that does not tell it
  --dry-run               say what would change the board, and do nothing
  --json                  JSON on standard output, one object a line
  --report FILE.html      write what was done, with a picture of the memory
  --trace                 print each USB request, as a person reads it
  --trace-bytes           and its bytes
  --pcap FILE             write all requests into FILE, for Wireshark
  -q, --quiet             no progress
  --virtual-time          simulated boards only: let time jump
  -e CODE                 run Lua code
  -i                      stay at the prompt afterwards
  --version               say which moonflash this is

moonflash help RECIPE     what a recipe does, and its options
moonflash repl            a prompt: type Lua, with the board at hand
moonflash recipes --show RECIPE   its source, to copy
]]

local function help(name)
  local recipe = library("recipe")
  if not name then
    io.stdout:write(OVERVIEW:format(recipe.overview() .. "\n"))
    return 0
  end
  local loaded = recipe.load(name)
  if not loaded then
    io.stdout:write(name, " is a plain script: it just runs, with what follows it as arg[1], ...\n")
    return 0
  end
  local parser = library("args").parser("moonflash " .. name, loaded.summary, loaded.args,
    several_devices(global_args()))
  io.stdout:write(parser:get_help(), "\n")
  if loaded.table.description then io.stdout:write("\n", loaded.table.description, "\n") end
  return 0
end

-- ---- running ----

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

-- A recipe that takes another's command line leaves all from the first word on to it: returns
-- how many words are its own.
local function own_words(loaded, after)
  if not loaded.table.rest then return #after end
  local takes_value = setmetatable({}, { __index = TAKES_VALUE })
  for _, arg in ipairs(loaded.args) do takes_value[arg.name] = arg.type ~= "flag" end
  local i = 1
  while after[i] and after[i]:sub(1, 1) == "-" do
    i = i + (takes_value[lengthen(after[i])] and 2 or 1)
  end
  return math.min(i - 1, #after)
end

-- Runs a script that turned out to be a recipe.
local function run_recipe(loaded, before, after)
  local args = library("args")
  local words = table.move(before, 1, #before, 1, {})
  local own_count = own_words(loaded, after)
  for i = 1, own_count do words[#words + 1] = lengthen(after[i]) end
  local globals = several_devices(global_args())
  local command = "moonflash " .. loaded.name
  local parser = args.parser(command, loaded.summary, loaded.args, globals)
  local values = args.parse(parser, words, command)
  args.note_typed(values, loaded.args)
  values.virtual_time = values.virtual_time or loaded.table.virtual
  local options = apply(values)
  local own = {}
  for _, arg in ipairs(loaded.args) do own[arg.field] = values[arg.field] end
  if loaded.table.rest then own.rest = table.move(after, own_count + 1, #after, 1, {}) end
  own = args.complete(own, loaded.args)
  for _, arg in ipairs(loaded.args) do
    if arg.type == "file" and own[arg.field] == "" then
      errors.raise { code = "usage", message = ("%s is empty"):format(arg.name) }
    end
  end
  return library("run").recipe(loaded, own, options)
end

-- Runs a script; and, if it turns out to be a recipe, that: it returns a table.
local function run_chunk(found, chunk, env, before, after, options)
  local script_args = { [0] = found.name }
  for i, word in ipairs(after) do script_args[i] = word end
  rawset(env, "arg", script_args)
  local opened = require("dfu").defaults.opened
  local run = library("run")
  local about = run.beginning(found.name, options)
  local ok, value, traceback = run.shielded(chunk, table.unpack(after))
  if not ok then return run.ended(about, options, nil, value, traceback) end
  local loaded = library("recipe").from(found, value, env)
  if loaded and require("dfu").defaults.opened > opened then
    error(found.name .. ": a recipe can't open a board while it is loaded; that is for its run", 0)
  end
  if loaded then return run_recipe(loaded, before, after) end
  about.note = "A plain script: what it did to boards is not in here."
  return run.ended(about, options, 0)
end

-- A prompt in the environment of a script that has run.
local function stay_at_prompt(env, failed_at)
  local ok, err, traceback = library("run").shielded(library("repl").run, env, failed_at)
  if ok then return 0 end
  return nil, err, traceback
end

-- Runs a script, and stays at a prompt, also where it failed, or is no Lua.
local function run_and_stay(found, before, after, options)
  library("trace").start() -- so that trace() shows what the script did, too
  local env
  local ok, status, err, traceback = pcall(function()
    local chunk
    chunk, env = library("recipe").compile(found)
    return run_chunk(found, chunk, env, before, after, options)
  end)
  if not ok then status, err = nil, status end
  if errors.matches(err, "usage") and not ok then error(err, 0) end -- the command line is wrong
  if not status then describe_failure(err, traceback) end
  return stay_at_prompt(env, not status and (traceback or errors.text(err)) or nil)
end

-- A script is only known to be a recipe when it has run. stay: with a prompt behind it.
local function run_script(found, before, after, name, stay)
  local recipe = library("recipe")
  local args = library("args")
  if has(after, "--help") or has(after, "-h") then
    -- to ask for help runs nothing but what makes the table
    return help(name)
  end
  local parser = args.parser("moonflash", "", {}, several_devices(global_args()))
  local values = args.parse(parser, before, "moonflash")
  local options = apply(values)
  if stay then return run_and_stay(found, before, after, options) end
  local chunk, env = recipe.compile(found)
  return run_chunk(found, chunk, env, before, after, options)
end

local function main(argv)
  command_line = as_typed(argv)
  local before, name, after = split(argv)
  if has(before, "--version") then
    io.stdout:write("moonflash ", MOONFLASH_VERSION, ", ", _VERSION, "\n")
    return 0
  end
  local stay = take_flag(before, "-i")
  local code = take_code(before)
  if code then
    if name then table.insert(after, 1, name) end
    local found = { name = "-e", source = code, chunk = "=-e", folder = nil }
    return run_script(found, before, after, "-e", stay)
  end
  if stay and not name then name, stay = "repl", false end
  if name == "help" then return help(after[1]) end
  if has(before, "--help") then return help(name) end
  if not name then
    io.stderr:write("moonflash: which recipe?\n",
      "  moonflash help        lists them, and the options\n",
      "  moonflash --device sim:f407 flash firmware.bin    flashes a simulated board\n")
    return USAGE
  end
  return run_script(library("recipe").find(name), before, after, name, stay)
end

---@param argv string[] with the program at 0
---@return integer status
return function(argv)
  library("output").begin()
  errors.set_advice(function(err) return library("ui.remedies").hint(err) end)
  task.supervise()
  local ok, status, err, traceback = pcall(main, argv)
  if not ok then
    status, err = nil, status
  end
  if status then
    local settled, failure = pcall(task.settle)
    if not settled then status, err = nil, failure end
  end
  status = status or describe_failure(err, traceback)
  local trace = package.loaded["moonflash.trace"]
  local lost = trace and trace.finish()
  if not lost then return status end
  local lost_status = describe_failure(lost)
  return status == 0 and lost_status or status
end

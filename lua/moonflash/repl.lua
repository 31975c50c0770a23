-- SPDX-License-Identifier: MIT
-- The prompt: reads Lua, runs each line as a task, and shows what comes of it.
local dfu = require "dfu"
local errors = require "moonflash.errors"
local history = require "moonflash.repl.history"
local misuse = require "moonflash.misuse"
local progress = require "moonflash.progress"
local prompt = require "prompt"
local recipe = require "moonflash.recipe"
local scopes = require "moonflash.repl.scope"
local screen = require "moonflash.repl.screen"
local sys = require "sys"
local task = require "task"
local text = require "moonflash.text"
local values = require "moonflash.repl.values"

local M = {}

local LOOK = 0.25           -- seconds between two looks at the bus, and for tasks that failed
local PATIENCE = 0.5        -- seconds that a board may take back to dfuIDLE without a word
local MOST_LINES = 200      -- that one value may take
local MOST_DUMPED = 1024    -- bytes
local KEPT_READS = 8        -- strings of which it is known where they were read

-- Loaded when they are needed: the prompt is there at once.
local function library(name)
  return require("moonflash." .. name)
end

local function say(line)
  io.stdout:write(line, "\n")
end

-- ---- the board ----

-- Opens the board that is there. One that can't be opened, none and several are only said.
local function open_board()
  local selectors = dfu.defaults.selectors
  local ok, board = pcall(function()
    if selectors and #selectors > 1 then
      errors.raise { code = "usb.several", message = "--device names several boards",
                     hint = "board = dfu.open(\"" .. selectors[1] .. "\") opens one" }
    end
    return dfu.open()
  end)
  if ok then return board end
  if errors.matches(board, "usb.several") and not selectors then
    local lines = {}
    for i, info in ipairs(dfu.list()) do
      lines[i] = ("board = dfu.open(\"%s\")"):format(info.path)
    end
    board.hint = table.concat(lines, "\n")
  end
  return nil, board
end

-- The board of a script that has run before, or the one that is there.
local function board_of(session)
  local board, why = rawget(session.env, "board"), nil
  if not values.is_board(board) then board, why = open_board() end
  session.env.board = board
  return board, why
end

local function greeting(board)
  local found = board and ("board is %s at %s%s."):format(board.product or "a board without a name",
    board.path, board.found and ", found in " .. board.found or ", running its program")
    or "There is no board."
  return ("moonflash %s, %s. %s help() helps, Ctrl-D leaves."):format(MOONFLASH_VERSION, _VERSION,
    found)
end

-- Says when the board goes and when it is back.
local function look_for_board(session)
  local board = rawget(session.env, "board")
  if not values.is_board(board) or not board.found then
    session.seen = nil
    return
  end
  local now = dfu.whereabouts(board)
  local before = session.seen and session.seen.board == board and session.seen.whereabouts
  session.seen = { board = board, whereabouts = now }
  if now == before then return end
  if now == "gone" then
    say(board.path .. " went away")
  elseif now == "back" and before == "gone" then
    say(board.path .. " is back: board:open() opens it")
  end
end

-- A task that failed, and that nobody joined, is told of here; anywhere else it would end the run.
local function tell_failures(session)
  local err, traceback = task.failure()
  while err ~= nil or traceback do
    session.traceback = traceback
    say("a task failed: " .. errors.text(err))
    err, traceback = task.failure()
  end
end

local function keep_watch(session)
  while true do
    look_for_board(session)
    tell_failures(session)
    task.sleep(LOOK)
  end
end

-- ---- showing values ----

local function is_address(board, n)
  for _, alt in ipairs(values.is_board(board) and board.alts or {}) do
    if n ~= 0 and library("memory").find(alt.layout.segments, n) then return true end
  end
  return false
end

local function show_board(board)
  if not board.vid then return tostring(board) end
  return ("%s  %04x:%04x  serial %s  at %s%s\n%s"):format(board.product or "no name", board.vid,
    board.pid, board.serial or "none", board.path,
    board.is_open and ", found in " .. (board.found or "run-time mode") or ", not open",
    library("list").memories(board.alts))
end

local function show_image(image)
  local start = image.start and ", starts at " .. text.hex(image.start) or ""
  local lines = { tostring(image) .. start }
  for _, segment in ipairs(image.segments) do
    lines[#lines + 1] = ("  %s  %s"):format(
      text.range(segment.address, segment.address + #segment.bytes - 1), text.size(#segment.bytes))
  end
  return table.concat(lines, "\n")
end

-- The first item of a list within a table, if it is a table: what kind of thing that is.
local function first_of(t, key)
  local items = key and rawget(t, key) or t
  local first = type(items) == "table" and rawget(items, 1)
  return type(first) == "table" and first or {}
end

local function show_string(session, s)
  local at
  for _, read in ipairs(session.reads) do
    if read.bytes == s then at = read.address end
  end
  if not at and not library("inspect").is_binary(s) then return library("inspect").inspect(s) end
  local shown = library("hexdump")(s:sub(1, MOST_DUMPED), at)
  return #s <= MOST_DUMPED and shown
    or ("%s\n... %d of %d bytes"):format(shown, MOST_DUMPED, #s)
end

local function show(session, value)
  if type(value) == "string" then return show_string(session, value) end
  if values.is_board(value) then return show_board(value) end
  local meta = debug.getmetatable(value) or {}
  if meta.__name == "image" then return show_image(value) end
  if type(value) == "table" and not meta.__tostring then
    if first_of(value, "segments").count then
      return library("list").memories { { number = 0, layout = value } }
    end
    if first_of(value).layout then return library("list").memories(value) end
  end
  local board = rawget(session.env, "board")
  return library("inspect").inspect(value, {
    is_address = function(n) return is_address(board, n) end,
  })
end

local function say_value(session, value)
  local shown, lines = show(session, value), 0
  for line in (shown .. "\n"):gmatch("([^\n]*)\n") do
    lines = lines + 1
    if lines > MOST_LINES then
      say("...")
      break
    end
    say(line)
  end
end

-- board:read() is watched, so that what it gave is shown with the addresses that it is from.
local function watch_reads(session, board)
  local methods = values.methods(board)
  local read = methods.read
  methods.read = function(self, address, length)
    local ok, bytes = pcall(read, self, address, length)
    if not ok then error(bytes, 2) end -- a mistake is the caller's
    table.insert(session.reads, 1, { bytes = bytes, address = address })
    session.reads[KEPT_READS + 1] = nil
    return bytes
  end
  return setmetatable({}, { __close = function() methods.read = read end })
end

-- ---- running a line ----

local function flash_text(session)
  local board = rawget(session.env, "board")
  return values.is_board(board) and dfu.fields(board).journal:text()
end

-- After an operation was cancelled: the board finishes what it was told, and is in dfuIDLE again.
local function settle(session)
  local board = rawget(session.env, "board")
  if not values.is_board(board) or not board.is_open then return end
  local job = task.spawn(dfu.settle, board)
  local slow = task.spawn(function()
    task.sleep(PATIENCE)
    say("The board is still at it; Ctrl-C: don't wait.")
  end)
  task.foreground(job)
  local ok, err = pcall(job.join, job)
  slow:cancel()
  if not ok and not errors.matches(err, "cancelled") then say(errors.text(err)) end
end

local function say_error(session, err, flash_before)
  progress.leave_bar()
  say(errors.text(err))
  if not errors.matches(err, "cancelled") then return end
  local flash = flash_text(session)
  if flash and flash ~= flash_before and not err.flash then say("  " .. flash) end
  settle(session)
end

-- Runs what a line, or a script, came to as a task that Ctrl-C ends.
local function run(session, f)
  local flash = flash_text(session)
  local job = task.spawn(function() return table.pack(f()) end)
  task.foreground(job)
  local ok, results = pcall(job.join, job)
  if not ok then
    session.traceback = job:traceback()
    say_error(session, results, flash)
    return
  end
  for i = 1, results.n do say_value(session, results[i]) end
  if results.n > 0 then rawset(session.env, "_", results[1]) end
end

-- A line that is an expression returns it. Nil and why, where it is not Lua.
local function compile(source)
  if load("return " .. source, "=stdin", "t", {}) then return "return " .. source end
  local chunk, why = load(source, "=stdin", "t", {})
  return chunk and source, why
end

local function evaluate(session, source)
  local ready, why = compile(source)
  local line
  if ready then line, why = session.scope:compile(ready, "=stdin", session.env) end
  if not line then
    say(why)
    return
  end
  run(session, line)
end

-- ---- reading lines ----

-- A line in a task of its own, so that Ctrl-C ends that. False: it was pressed; nil: the end.
local function read_line(text_before)
  local job = task.spawn(screen.read, text_before)
  task.foreground(job)
  local ok, line = pcall(job.join, job)
  if ok then return line end
  if errors.matches(line, "cancelled") then return false end
  error(line, 0)
end

local function is_unfinished(source)
  local _, why = compile(source)
  return why ~= nil and why:find("<eof>$") ~= nil
end

-- All lines of a statement; false: it was dropped by Ctrl-C or Ctrl-D; nil: the end.
local function read_statement()
  local source = read_line("> ")
  while source and is_unfinished(source) do
    local line = read_line(">> ")
    source = line and source .. "\n" .. line or false
  end
  return source
end

-- ---- what the prompt has beyond a script's environment ----

local USAGE = {
  status = "status()", dump = "dump(address, length)", find = "find(bytes)", diff = "diff(file)",
  save = "save(file, address, length)", regions = "regions()",
  fill = "fill(address, length, byte)",
}

-- The short words: on `board`, unless a Board comes first.
local function bind_hands(session)
  for name in pairs(USAGE) do
    rawset(session.env, name, function(...)
      local board = ...
      if values.is_board(board) then return library("hands")[name](...) end
      board = rawget(session.env, "board")
      if not values.is_board(board) then
        misuse("%s: there is no board: board = dfu.open() opens one", USAGE[name])
      end
      return library("hands")[name](board, ...)
    end)
  end
end

M.commands = {}

---help(), help(board.erase_page), help "flash": from docs/api.md.
function M.commands.help(session, ...)
  if select("#", ...) == 0 then
    say(library("help").overview { "The prompt", "hands", "Board", "dfu", "task", "sim", "flash",
      "image", "memory", "optbytes", "trace", "In every script" })
    say("help(board.read), help \"flash\" and help \"usb.gone\" explain. Ctrl-C cancels what runs,"
      .. "\nCtrl-D leaves, Tab completes, the arrow keys bring back what was typed before.")
    return
  end
  local what = ...
  local word = type(what) == "string" and what or values.class(what)
    or library("help").name_of(what, session.places())
  if not word then
    say("nothing is written about " .. tostring(what))
    return
  end
  local explained, why = library("help").word(word)
  say(explained or why)
end

---traceback(): where the last error was.
function M.commands.traceback(session)
  say(session.traceback or "nothing has failed")
end

local function bind_commands(session)
  for name, command in pairs(M.commands) do
    rawset(session.env, name, function(...) return command(session, ...) end)
  end
  bind_hands(session)
end

-- Where the name of a function is looked for.
local function places_of(session)
  return function()
    local places = { [""] = session.env, ["hands."] = library("hands"), ["errors."] = errors,
                     ["coroutine."] = coroutine, ["os."] = os }
    for name, module in pairs(recipe.library) do places[name .. "."] = require(module) end
    local board = rawget(session.env, "board")
    places["board:"] = values.is_board(board) and values.methods(board) or {}
    places["task:"] = values.methods(task.current())
    -- the library itself, for help(flash)
    places[" "] = {}
    for name, module in pairs(recipe.library) do places[" "][name] = require(module) end
    return places
  end
end

-- ---- a session ----

local function new_session(env)
  env = env or recipe.environment { name = "prompt", folder = "." }
  recipe.loosen(env)
  local session = { env = env, scope = scopes.new(), library = recipe.library, reads = {} }
  session.places = places_of(session)
  bind_commands(session)
  return session
end

local function converse(session)
  while true do
    local source = read_statement()
    if source == nil then break end
    if source and source:find("%S") then
      history.add(source)
      evaluate(session, source)
    end
  end
end

-- Standard input is no terminal: a script.
local function run_input(session)
  local source = io.stdin:read("a")
  local chunk, why = load(source:gsub("^#[^\n]*", ""), "=stdin", "t", session.env)
  if not chunk then errors.raise { code = "recipe", message = why } end
  chunk()
end

-- What was spawned goes on when the prompt has gone.
local function say_what_is_left()
  local n = task.others()
  if n > 0 then
    say(("Waiting for %s; Ctrl-C ends %s."):format(text.count(n, "task"),
      n == 1 and "it" or "them"))
  end
end

---A session. It ends by Ctrl-D, or at the end of a script from standard input.
---@param env? table of a script that has run before
function M.run(env)
  local session = new_session(env)
  local interactive = sys.is_terminal(0) and sys.is_terminal(1)
  require("moonflash.trace").start() -- trace() shows the last requests
  local board <close>, why = board_of(session)
  local _ <close> = setmetatable({}, { __close = function() session.scope:close() end })
  if not interactive then
    if why and not errors.matches(why, "usb.no-device") then error(why, 0) end
    return run_input(session)
  end
  local _ <close> = screen.start()
  prompt.open(function(before) return library("repl.complete").complete(session, before) end)
  local _ <close> = setmetatable({}, { __close = function()
    prompt.close()
    task.foreground()
  end })
  history.load()
  say(greeting(board))
  if why and not (errors.matches(why, "usb.no-device") and not dfu.defaults.selectors) then
    say(errors.text(why))
  end
  local _ <close> = board and watch_reads(session, board)
  local watcher = task.spawn(keep_watch, session)
  converse(session)
  watcher:cancel()
  pcall(watcher.join, watcher)
  say_what_is_left()
end

return M

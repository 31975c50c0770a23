-- SPDX-License-Identifier: MIT
-- The prompt: reads Lua, runs each statement as a task, and shows its results.
local console = require "moonflash.ui.console"
local dfu = require "dfu"
local errors = require "moonflash.errors"
local history = require "moonflash.prompt.history"
local misuse = require "moonflash.base.misuse"
local progress = require "moonflash.ui.progress"
local prompt = require "prompt"
local recipe = require "moonflash.run.recipe"
local remedies = require "moonflash.ui.remedies"
local reads = require "moonflash.prompt.reads"
local scopes = require "moonflash.prompt.scope"
local screen = require "moonflash.prompt.screen"
local sys = require "sys"
local task = require "task"
local text = require "moonflash.base.text"
local tokens = require "moonflash.prompt.tokens"
local ui = require "moonflash.ui"
local values = require "moonflash.prompt.values"

local M = {}

local LOOK = 0.25           -- seconds between two checks of the bus and of failed tasks
local PATIENCE = 0.5        -- seconds without a message while a board goes back to dfuIDLE
local MOST_LINES = 200      -- that one value may print

-- Modules are loaded when they are first needed, so that the prompt appears quickly.
local function library(name)
  return require("moonflash." .. name)
end

local function error_text(session, err)
  return library("prompt.show").error(session, err)
end

local function say(line)
  io.stdout:write(line, "\n")
end

-- Sentences, wrapped at words on a terminal.
local function say_words(words)
  say(console.fit(words, 1))
end

-- ---- the board ----

-- Opens the boards of --device: several become `boards`, and the first is the board.
local function open_several(session, selectors)
  local boards = {}
  for i, selector in ipairs(selectors) do boards[i] = dfu.open(selector) end
  session.env.boards = boards
  return boards[1]
end

-- Opens the board on the bus. Returns nil and the error if it can't be opened, or if there is none
-- or more than one.
local function open_board(session)
  local selectors = dfu.defaults.selectors
  local ok, board = pcall(function()
    return selectors and #selectors > 1 and open_several(session, selectors) or dfu.open()
  end)
  if ok then return board end
  return nil, board
end

-- The Board that the script before the prompt has left in `board`; else opens one.
local function board_of(session)
  local board, why = rawget(session.env, "board"), nil
  if not values.is_board(board) then board, why = open_board(session) end
  session.env.board = board
  if not rawget(session.env, "boards") then session.env.boards = { board } end
  return board, why
end

local function greeting(board)
  local found = board and ("board is %s at %s%s."):format(board.product or "a board without a name",
    board.path, board.found_state and ", found in " .. board.found_state or ", running its program")
    or "There is no board."
  return ("moonflash %s, %s. %s help() helps, Ctrl-D leaves."):format(MOONFLASH_VERSION, _VERSION,
    found)
end

-- Prints when the board leaves and when it is back.
local function look_for_board(session)
  local board = values.board_of(session)
  if not board or not board.found_state then
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

-- Prints the errors of failed tasks that were never joined. Outside the prompt they end the run.
local function tell_failures(session)
  local err, traceback = task.failure()
  while err ~= nil or traceback do
    session.traceback = traceback
    say("a task failed: " .. error_text(session, err))
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

local function say_value(session, value, typed)
  local shown = library("prompt.show").value(session, value, typed) .. "\n"
  local _, lines = shown:gsub("\n", "")
  local said = 0
  for line in shown:gmatch("([^\n]*)\n") do
    said = said + 1
    say(line)
    if said == MOST_LINES and lines > said then
      say(("... and %s"):format(text.count(lines - said, "more line")))
      break
    end
  end
end

-- ---- running a line ----

-- Runs f as a task that Ctrl-C cancels. Returns whether it succeeded, its result, and the task.
local function in_foreground(f, ...)
  local job = task.spawn(f, ...)
  task.foreground(job)
  local ok, result = pcall(job.join, job)
  return ok, result, job
end

local function flash_text(session)
  local board = values.board_of(session)
  return board and dfu.fields(board).journal:text()
end

-- Brings the board back to dfuIDLE after a cancelled operation. The board first finishes its
-- request.
local function to_idle(session)
  local board = values.board_of(session)
  if not board or not board.is_open then return end
  local slow = task.spawn(function()
    task.sleep(PATIENCE)
    say(("The board %s. Press Ctrl-C again to stop waiting."):format(
      progress.silence(board) and "does not answer" or "is still busy"))
  end)
  local ok, err = in_foreground(dfu.to_idle, board)
  slow:cancel()
  if ok then return end
  -- the terminal has printed ^C, and the prompt begins a new line
  say(errors.matches(err, "cancelled") and "" or errors.text(err))
end

-- The text of an error. The __tostring of another error value may run for ever, so it is called in
-- a task that Ctrl-C cancels.
local function words_of(session, err)
  if type(err) == "string" or errors.is(err) then return error_text(session, err) end
  local ok, words = in_foreground(error_text, session, err)
  return ok and words or ("<%s>"):format(type(err))
end

local function say_error(session, err, flash_before)
  ui.end_drawing()
  say_words(words_of(session, err))
  if not errors.matches(err, "cancelled") then return end
  local flash = flash_text(session)
  if flash and flash ~= flash_before and not err.flash then say("  " .. flash) end
  to_idle(session)
end

-- Runs a statement and shows its results. Showing may run the user's code, so both are in the task.
local function run(session, f, typed)
  local flash = flash_text(session)
  local ok, err, job = in_foreground(function()
    local results = table.pack(f())
    if results.n > 0 then rawset(session.env, "_", results[1]) end
    for i = 1, results.n do say_value(session, results[i], typed) end
  end)
  if ok then return end
  session.traceback = job:traceback()
  say_error(session, err, flash)
end

-- Compiles an expression as a return statement. Returns the source to use, or nil and the reason.
local function compile(source)
  if load("return " .. source, "=stdin", "t", {}) then return "return " .. source end
  local chunk, why = load(source, "=stdin", "t", {})
  return chunk and source, why
end

-- Whether a statement is just a string literal.
local function is_literal(source)
  local list = tokens.of(source)
  return #list == 1 and list[1].kind == "string"
end

local function evaluate(session, source)
  local ready, why = compile(source)
  local line
  if ready then line, why = session.scope:compile(ready, "=stdin", session.env) end
  if not line then
    say(why)
    return
  end
  run(session, line, is_literal(source))
end

-- ---- reading lines ----

-- Reads a line in a task of its own, which Ctrl-C cancels. Returns false for Ctrl-C, nil at the
-- end.
local function read_line(text_before)
  local ok, line = in_foreground(screen.read, text_before)
  if ok then return line end
  if errors.matches(line, "cancelled") then return false end
  error(line, 0)
end

local function is_unfinished(source)
  if source:find("^%s*help%s+[%a_][%w_.:-]*%s*$") then return false end
  local _, why = compile(source)
  return why ~= nil and why:find("<eof>$") ~= nil
end

-- Reads all lines of a statement. Returns false if Ctrl-C or Ctrl-D dropped it, nil at the end.
local function read_statement()
  local source = read_line("> ")
  while source and is_unfinished(source) do
    local line = read_line(">> ")
    source = line and source .. "\n" .. line or false
  end
  return source
end

-- ---- pages ----

-- Prints lines, a screenful at a time. What has been typed ahead, or pasted, is no answer: then all
-- lines are printed at once.
local function say_pages(session, s)
  local _, height = sys.terminal_size()
  local room = session.interactive and not prompt.pending() and math.max(height - 1, 4)
    or math.maxinteger
  local said = 0
  for line in (s .. "\n"):gmatch("([^\n]*)\n") do
    if said == room then
      local answer = read_line("more (q ends)? ")
      if not answer or answer:find("^%s*q") then return end
      said = 0
    end
    say(line)
    said = said + 1
  end
end

-- ---- functions that only the prompt has ----

-- Methods of Board that are functions at the prompt, for the session's board, and their usage.
local USAGE = {
  status = "status()", dump = "dump(address, length)", find = "find(bytes)", diff = "diff(file)",
  save = "save(file, address, length)", regions = "regions()",
  fill = "fill(address, length, byte)", unprotect = "unprotect()",
}

-- What those want that can't be called without arguments.
local WANTED = {
  dump = "an address: dump(0x08000000)", find = "bytes: find(\"abc\")",
  diff = "a file: diff(\"ch.bin\")", save = "the name of a file: save(\"back.bin\")",
  fill = "an address, a length and a byte: fill(0x08000000, 16, 0)",
}

-- Defines these functions. Their first argument may also be a Board.
local function bind_methods(session)
  for name in pairs(USAGE) do
    rawset(session.env, name, function(...)
      local board = ...
      if values.is_board(board) then return board[name](...) end
      board = values.board_of(session)
      if not board then
        misuse("%s: there is no board: board = dfu.open() opens one", USAGE[name])
      elseif WANTED[name] and select("#", ...) == 0 then
        misuse("%s wants %s", name, WANTED[name])
      end
      return board[name](board, ...)
    end)
  end
end

M.commands = {}

---help(), help(board.erase_page), help "flash": prints from docs/.
function M.commands.help(session, ...)
  if select("#", ...) == 0 then
    say_pages(session, library("manual").overview { "The prompt", "Board", "dfu", "task",
      "sim", "flash", "image", "memory", "optbytes", "trace", "In every script" })
    say_words("help(board.read), help \"flash\" and help \"usb.gone\" explain. Ctrl-C cancels a "
      .. "running statement, Ctrl-D leaves, Tab completes. The up arrow recalls earlier "
      .. "statements; Ctrl-R searches them.")
    return
  end
  local what = ...
  local word = type(what) == "string" and what or values.class(what)
    or library("manual").name_of(what, session.places())
  if not word then
    say("no help for " .. tostring(what))
    return
  end
  local explained, why = library("manual").word(word)
  say_pages(session, explained or why)
end

---traceback(): prints the traceback of the last error.
function M.commands.traceback(session)
  say(session.traceback or "nothing has failed")
end

local function bind_commands(session)
  for name, command in pairs(M.commands) do
    rawset(session.env, name, function(...) return command(session, ...) end)
  end
  bind_methods(session)
end

-- The tables in which help() finds the name of a function.
local function places_of(session)
  return function()
    local places = { [""] = session.env, ["errors."] = errors,
                     ["coroutine."] = coroutine, ["os."] = os }
    for name, module in pairs(recipe.library) do places[name .. "."] = require(module) end
    places["board:"] = values.methods_of("dfu.Board")
    places["task:"] = values.methods(task.current())
    -- the modules themselves, for help(flash)
    places[" "] = {}
    for name, module in pairs(recipe.library) do places[" "][name] = require(module) end
    return places
  end
end

-- ---- words that are no Lua ----

local LEAVE = { quit = true, exit = true }

-- Carries out a line that is a word of other prompts. Returns true if it was one; false if the
-- session ends.
local function plain_word(session, source)
  local word, topic = source:match("^%s*(%S+)%s*(.-)%s*$")
  local is_name = topic == "" or topic:find("^[%a_][%w_.:-]*$")
  if (word == "help" or word == "?") and is_name then
    if topic == "" then M.commands.help(session) else M.commands.help(session, topic) end
    return true
  elseif topic == "" and word == "clear" then
    io.stdout:write("\27[H\27[2J")
    return true
  elseif topic == "" and LEAVE[word] and rawget(session.env, word) == nil then
    return false
  end
end

-- ---- a session ----

local function new_session(env, traceback)
  env = env or recipe.environment { name = "prompt", folder = ".", chunk = "=the prompt" }
  recipe.loosen(env)
  local session = { env = env, scope = scopes.new(), library = recipe.library,
                    traceback = traceback }
  session.places = places_of(session)
  bind_commands(session)
  if rawget(env, "_") == nil then env._ = nil end -- declared, so that it may be nil
  return session
end

local function converse(session)
  while true do
    local source = read_statement()
    if source == nil then break end
    if source and source:find("%S") then
      history.add(source)
      local done = plain_word(session, source)
      if done == false then break end
      if not done then evaluate(session, source) end
    end
  end
end

-- Runs standard input as a script, if it is not a terminal.
local function run_input(session)
  local source = io.stdin:read("a")
  local chunk, why = load(source:gsub("^#[^\n]*", ""), "=stdin", "t", session.env)
  if not chunk then errors.raise { code = "recipe", message = why } end
  chunk()
end

-- Waits for the tasks that the session has spawned, before the board is closed, which they may
-- need.
local function wait_for_others()
  task.foreground()
  task.supervise() -- Ctrl-C cancels the other tasks
  task.settle()
end

local function say_what_is_left()
  local n = task.others()
  if n > 0 then
    say(("Waiting for %s; Ctrl-C ends %s."):format(text.count(n, "task"),
      n == 1 and "it" or "them"))
  end
end

---Runs a session. It ends with Ctrl-D, or at the end of a script on standard input.
---@param env? table the environment of a script that has run before
---@param traceback? string of that script's error
function M.run(env, traceback)
  local session = new_session(env, traceback)
  local interactive = sys.is_terminal(0) and sys.is_terminal(1)
  require("moonflash.trace").start() -- for trace()
  remedies.for_recipe(nil) -- what is typed, and a script from standard input, is Lua
  local _ <close> = remedies.for_prompt()
  local board <close>, why = board_of(session)
  local _ <close> = setmetatable({}, { __close = function() session.scope:close() end })
  if not interactive then
    if why and not errors.matches(why, "usb.no-device") then error(why, 0) end
    if sys.is_terminal(0) then
      io.stderr:write("moonflash: standard output is not a terminal, so there is no prompt: ",
        "what is typed, up to Ctrl-D, is run as a script\n")
    end
    run_input(session)
    return wait_for_others()
  end
  session.interactive = true
  local _ <close> = screen.start()
  prompt.open(function(before) return library("prompt.complete").complete(session, before) end)
  local _ <close> = setmetatable({}, { __close = function()
    prompt.close()
    task.foreground()
  end })
  history.load()
  say_words(greeting(board))
  if why and not (errors.matches(why, "usb.no-device") and not dfu.defaults.selectors) then
    say(errors.text(why))
  end
  local watched <close> = reads.watch()
  session.reads = watched
  local watcher = task.spawn(keep_watch, session)
  converse(session)
  watcher:cancel()
  pcall(watcher.join, watcher)
  tell_failures(session)
  say_what_is_left()
  wait_for_others()
end

return M

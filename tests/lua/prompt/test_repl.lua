-- SPDX-License-Identifier: MIT
-- Tests the parts of the prompt that need no terminal: locals that stay, completion, values as
-- text, dumps, help. What a terminal shows, tests/cli/test_repl.sh reads off one.
local catch = require "moonflash.errors".catch
local complete = require "moonflash.prompt.complete"
local dfu = require "dfu"
local errors = require "moonflash.errors"
local help = require "moonflash.manual"
local hexdump = require "moonflash.base.hexdump"
local image = require "moonflash.image"
local inspect = require "moonflash.base.inspect"
local list = require "moonflash.ui.list"
local lu = require "luaunit"
local reads = require "moonflash.prompt.reads"
local recipe = require "moonflash.run.recipe"
local scopes = require "moonflash.prompt.scope"
local show = require "moonflash.prompt.show"
local sim = require "sim"
local support = require "support"
local sys = require "sys"
local task = require "task"
local tokens = require "moonflash.prompt.tokens"
local values = require "moonflash.prompt.values"

local FLASH = 0x08000000

local function with_board(spec, f)
  local simulated <close> = sim.new(spec)
  local board <close> = dfu.open(simulated.path)
  f(board, simulated)
end

-- ---- locals ----

-- Lines, one after the other; returns what the last one returns.
local function lines(scope, env, ...)
  local results
  for _, source in ipairs { ... } do
    local line, why = scope:compile(source, "=stdin", env)
    if not line then return nil, why end
    results = table.pack(line())
  end
  return table.unpack(results, 1, results.n)
end

local function run(...)
  return lines(scopes.new(), setmetatable({}, { __index = _G }), ...)
end

local TestScope = {}

function TestScope.test_a_local_stays()
  lu.assertEquals(run("local a = 1", "a = a + 1", "return a"), 2)
  lu.assertEquals(run("local a <const>, b = 1, 2", "return a + b"), 3)
  lu.assertEquals({ run("local a, b, c = 1, nil, 3", "return a, b, c") }, { 1, nil, 3 })
  lu.assertNil(run("local a", "return a"))
end

function TestScope.test_functions()
  lu.assertEquals(run("local function f(n) return n < 2 and 1 or n * f(n - 1) end", "return f(5)"),
    120)
  lu.assertEquals(run("local n = 0; local function inc() n = n + 1 end", "inc() inc()",
    "n = n + 10", "inc()", "return n"), 13)
end

function TestScope.test_shadowing_makes_another_variable()
  lu.assertEquals({ run("local x = 1; local f = function() return x end", "local x = x + 1",
    "return x, f()") }, { 2, 1 })
  lu.assertEquals({ run("local x = 1 local f = function() return x end local x = 2",
    "return x, f()") }, { 2, 1 })
end

function TestScope.test_inner_blocks_keep_theirs()
  local scope, env = scopes.new(), {}
  lines(scope, env, "do local a = 1 end", "for i = 1, 2 do local b = i end",
    "if true then local c = 1 else local c = 2 end", "repeat local d = 1 until d",
    "while false do local e end", "local f = function() local g = 1 return g end")
  lu.assertEquals(next(scope.known), "f")
  lu.assertNil(next(scope.known, "f"))
end

function TestScope.test_words_in_strings_and_comments()
  local scope = scopes.new()
  lines(scope, {}, "local a = 'local b = 1' -- local c = 1",
    "--[[ local d ]] local e = [[local f]]")
  local known = {}
  for name in pairs(scope.known) do known[#known + 1] = name end
  table.sort(known)
  lu.assertEquals(known, { "a", "e" })
end

function TestScope.test_a_line_that_returns()
  lu.assertEquals({ run("local a = 5 return a, 6") }, { 5, 6 })
  lu.assertEquals(run("local a = 5 return a", "return a"), 5)
end

function TestScope.test_const()
  local _, why = run("local a <const> = 1", "a = 2")
  lu.assertStrContains(why, "attempt to assign to const variable 'a'")
  _, why = run("local a <close> = nil", "a = 2")
  lu.assertStrContains(why, "attempt to assign to const variable 'a'")
  _, why = run("local a <const> = 1; a = 2")
  lu.assertStrContains(why, "attempt to assign to const variable 'a'")
  lu.assertEquals(run("local a <const> = {}", "a.x = 1", "local a = 3", "a = 4", "return a"), 4)
  lu.assertEquals({ run("local N <const>, s <const> = 42, 'x'", "return N, s") }, { 42, "x" })
end

function TestScope.test_close_is_at_the_end_of_the_session()
  local closed, scope, env = {}, scopes.new(), { setmetatable = setmetatable }
  function env.new(name)
    return setmetatable({}, { __close = function() closed[#closed + 1] = name end })
  end
  lines(scope, env, "local a <close> = new('a')", "local b <close>, c = new('b'), a",
    "local a <close> = new('second a')", "local n <close> = nil")
  lu.assertEquals(closed, {})
  scope:close()
  lu.assertEquals(closed, { "second a", "b", "a" })
  scope:close()
  lu.assertEquals(#closed, 3)
end

function TestScope.test_close_takes_what_can_be_closed()
  local scope = scopes.new()
  support.assert_fails("variable 'a' got a non-closable value", lines, scope, {},
    "local a <close> = 1")
end

function TestScope.test_an_error_in_a_close_lets_the_others_close()
  local closed, scope = {}, scopes.new()
  local env = { good = support.close_with(function() closed[#closed + 1] = "good" end),
                bad = support.close_with(function() error("bad", 0) end) }
  lines(scope, env, "local a <close> = good", "local b <close> = bad", "local c <close> = good")
  lu.assertEquals(select(2, pcall(scope.close, scope)), "bad")
  lu.assertEquals(closed, { "good", "good" })
end

function TestScope.test_a_line_that_fails_declares_nothing()
  local scope = scopes.new()
  pcall(lines, scope, { error = error }, "local a = 1 error('x')")
  lu.assertFalse(scope:value("a"))
  lines(scope, {}, "local a = 1")
  lu.assertEquals({ scope:value("a") }, { true, 1 })
end

function TestScope.test_positions_are_the_line_s_own()
  local scope, env = scopes.new(), { error = error }
  lines(scope, env, "local a, b = 1, 2")
  local _, err = pcall(lines, scope, env, "local c = a +\nb\nerror('here')")
  lu.assertEquals(err, "stdin:3: here")
end

function TestScope.test_globals_and_env()
  local env = {}
  lines(scopes.new(), env, "x = 1", "local y = 2 function f() z = y end f()")
  lu.assertEquals({ env.x, env.z }, { 1, 2 })
  lu.assertEquals(run("local _ENV = { v = 7 }", "return v"), 7)
end

function TestScope.test_many_locals()
  local scope, env = scopes.new(), {}
  for i = 1, 300 do lines(scope, env, ("local v%d = %d"):format(i, i)) end
  lu.assertEquals(lines(scope, env, "return v1 + v300"), 301)
end

function TestScope.test_waiting_in_a_line()
  lu.assertEquals(run("local t = require('task')", "t.sleep(1) local a = 3", "return a"), 3)
end

-- ---- tokens ----

local TestTokens = {}

local function kinds(source)
  local found = {}
  for i, token in ipairs(tokens.of(source)) do
    found[i] = token.kind:sub(1, 1) .. (token.open and "!" or "") .. token.text
  end
  return table.concat(found, " ")
end

function TestTokens.test_kinds()
  lu.assertEquals(kinds("local x=0x1F+'a\\'b' --c"), "nlocal nx s= n0x1F s+ s'a\\'b' c--c")
  lu.assertEquals(kinds("a[[b]]"), "na s[[b]]")
  lu.assertEquals(kinds("--[==[ x ]] ]==] y"), "c--[==[ x ]] ]==] ny")
end

function TestTokens.test_what_is_open()
  lu.assertEquals(kinds('f("ab'), 'nf s( s!"ab')
  lu.assertEquals(kinds("f([[ab"), "nf s( s![[ab")
  lu.assertEquals(kinds("'a\nb"), "s!'a nb")
  lu.assertEquals(kinds("--[[ab"), "c!--[[ab")
end

-- ---- completion ----

local TestComplete = {}

local function new_session()
  local env = recipe.environment { name = "prompt", folder = "." }
  return { env = env, scope = scopes.new(), library = recipe.library }
end

local function completes(session, before)
  return (complete.complete(session, before))
end

-- The candidates that are shown, or inserted.
local function shown(session, before)
  local insert, columns = complete.complete(session, before)
  local words = {}
  for word in (columns or insert or ""):gmatch("%S+") do words[#words + 1] = word end
  return words
end

function TestComplete.test_globals_and_the_library()
  local session = new_session()
  lu.assertEquals(completes(session, "coro"), "utine")
  lu.assertEquals(completes(session, "x = func"), "tion")
  lu.assertEquals(completes(session, "flash.verif"), "y")
  lu.assertEquals(completes(session, "print(string.for"), "mat")
  rawset(session.env, "my_own_thing", 1)
  lu.assertEquals(completes(session, "my_o"), "wn_thing")
  lu.assertNil(completes(session, "nothing_is_called_so"))
  lu.assertNil(completes(session, ""))
end

function TestComplete.test_locals_and_their_fields()
  local session = new_session()
  lines(session.scope, session.env, "local a_local = { inner = { deep = 1 }, { listed = 2 } }")
  lu.assertEquals(completes(session, "a_l"), "ocal")
  lu.assertEquals(completes(session, "a_local.inn"), "er")
  lu.assertEquals(completes(session, "a_local.inner.de"), "ep")
  lu.assertEquals(completes(session, "a_local[1].li"), "sted")
  lu.assertEquals(completes(session, 'a_local["inner"].d'), "eep")
  lu.assertNil(completes(session, "a_local.none.x"))
end

function TestComplete.test_boards()
  local session = new_session()
  local simulated <close> = sim.new("f407")
  local board <close> = dfu.open(simulated.path)
  rawset(session.env, "board", board)
  lu.assertEquals(completes(session, "board:era"), "se_page")
  lu.assertNil(completes(session, "board:ser"))
  lu.assertEquals(completes(session, "board.ser"), "ial")
  lu.assertEquals(shown(session, "board.alts[1].l"), { "ayout" })
  lu.assertTrue(#shown(session, "board:") > 15)
  lu.assertEquals(completes(session, 'board:select("Opt'), "ion Bytes")
  lu.assertEquals(completes(session, 'dfu.open("alt=Opt'), "ion Bytes")
end

function TestComplete.test_a_local_board_comes_first()
  local session = new_session()
  local simulated <close> = sim.new("f407")
  rawset(session.env, "simulated", simulated)
  lines(session.scope, session.env, "local board = dfu.open(simulated.path)")
  lu.assertEquals(completes(session, 'board:select("Opt'), "ion Bytes")
  lines(session.scope, session.env, "board:close()")
end

function TestComplete.test_nothing_is_called()
  local session, called = new_session(), 0
  local function call() called = called + 1 end
  local trap = setmetatable({}, { __index = call, __call = call, __pairs = call, __len = call,
    __name = "trap" })
  rawset(session.env, "trap", trap)
  rawset(session.env, "f", call)
  for _, before in ipairs { "trap.a", "trap.b.c", "trap:m", "f().x", "trap[1].y", "f.x" } do
    complete.complete(session, before)
  end
  lu.assertEquals(called, 0)
end

function TestComplete.test_simulated_boards_and_tasks()
  local session = new_session()
  local simulated <close> = sim.new("f407")
  rawset(session.env, "s", simulated)
  rawset(session.env, "me", task.current())
  lu.assertEquals(completes(session, "s:unp"), "lug")
  lu.assertEquals(completes(session, "me:trace"), "back")
end

function TestComplete.test_files()
  local session = new_session()
  local folder = os.tmpname()
  os.remove(folder)
  lu.assertTrue(sys.mkdir(folder .. "/within/deeper"))
  io.open(folder .. "/firmware.bin", "w"):close()
  lu.assertEquals(completes(session, 'image.load("' .. folder .. "/fir"), 'mware.bin"')
  lu.assertEquals(completes(session, 'image.load("' .. folder .. "/wit"), "hin/")
  lu.assertEquals(shown(session, 'image.load("' .. folder .. "/"), { "firmware.bin", "within/" })
  os.remove(folder .. "/firmware.bin")
  os.remove(folder .. "/within/deeper")
  os.remove(folder .. "/within")
  os.remove(folder)
end

function TestComplete.test_comments_and_numbers_complete_nothing()
  local session = new_session()
  lu.assertNil(completes(session, "--[[ pri"))
  lu.assertNil(completes(session, "0x1"))
end

function TestComplete.test_what_is_shared_is_inserted_first()
  local session = new_session()
  rawset(session.env, "zebra_one", 1)
  rawset(session.env, "zebra_two", 1)
  lu.assertEquals(completes(session, "ze"), "bra_")
  lu.assertEquals(shown(session, "zebra_"), { "zebra_one", "zebra_two" })
end

-- ---- values as text ----

local TestInspect = {}

local function is(value, expected, options)
  lu.assertEquals(inspect.inspect(value, options), expected)
end

function TestInspect.test_simple_values()
  is(nil, "nil")
  is(true, "true")
  is(42, "42")
  is(1.5, "1.5")
  is("a \"b\"", '"a \\"b\\""')
  is("two\nlines\n", "two\nlines")
  is("grün", '"grün"')
end

function TestInspect.test_tables()
  is({}, "{}")
  is({ 1, 2, x = "y" }, '{ 1, 2, x = "y" }')
  is({ b = 1, a = 2, ["a b"] = 3, ["end"] = 4, [10] = 5 },
    '{ [10] = 5, a = 2, ["a b"] = 3, b = 1, ["end"] = 4 }')
  is({ { 1 }, { { 2 } } }, "{ { 1 }, { { 2 } } }")
  is({ ("x"):rep(60), ("y"):rep(60) },
    "{\n  \"" .. ("x"):rep(60) .. "\",\n  \"" .. ("y"):rep(60) .. "\"\n}")
end

function TestInspect.test_addresses()
  is({ address = 0x08000000, count = 134217728 }, "{ address = 0x08000000, count = 134217728 }")
  is({ vid = 0x483 }, "{ vid = 0x0483 }")
  local options = { is_address = function(n) return n >= 0x08000000 end }
  is(0x08000010, "0x08000010", options)
  is({ 1, 0x08000010 }, "{ 1, 0x08000010 }", options)
  is(-1, "-1", options)
  is(1 << 40, "1099511627776", options)
end

function TestInspect.test_bytes_within_tables()
  is({ "\0\1" }, "{ <00 01> }")
  is({ ("\0"):rep(100) }, "{ <100 bytes> }")
  is({ ("x"):rep(1000) }, '{ "' .. ("x"):rep(72) .. '"... (1000 bytes) }')
  lu.assertTrue(inspect.is_binary("\255\254"))
  lu.assertFalse(inspect.is_binary("text\twith\nlines, ü"))
end

function TestInspect.test_limits()
  local t = {}
  t.t = t
  is(t, "{ t = <the same again> }")
  local shared = { 1 }
  is({ shared, shared }, "{ { 1 }, { 1 } }")
  is({ { { { { { { 1 } } } } } } }, "{ { { { { {...} } } } } }")
  local long = {}
  for i = 1, 1000 do long[i] = i end
  lu.assertStrContains(inspect.inspect(long), "... 936 more")
end

function TestInspect.test_metatables()
  is(setmetatable({ 1 }, { __tostring = function() return "mine" end }), "mine")
  is({ setmetatable({}, { __tostring = function() return "mine" end }) }, "{ mine }")
  is(setmetatable({}, { __tostring = function() error("x") end }),
    "<table whose __tostring fails>")
  local function never() error("called") end
  is(setmetatable({ 1 }, { __index = never, __pairs = never, __len = never }), "{ 1 }")
  is(setmetatable({ 1 }, { __metatable = "hidden", __tostring = function() return "m" end }), "m")
end

function TestInspect.test_keys_may_say_anything_of_themselves()
  local function key(f) return setmetatable({}, { __tostring = f }) end
  local n = 0
  local function another() n = n + 1 return tostring(n % 7) end
  local t = { [key(function() error("x") end)] = 1 }
  is(t, "{ [<table whose __tostring fails>] = 1 }")
  for _ = 1, 50 do t[key(another)] = 1 end
  lu.assertStrContains(inspect.inspect(t), "fails>] = 1")
end

-- ---- what is shown of a value ----

local TestShow = {}

-- Calls f(session, board, simulated), with a new session whose `board` is that board.
local function with_session(spec, f)
  local simulated <close> = sim.new(spec)
  local board <close> = dfu.open(simulated.path)
  local watched <close> = reads.watch()
  local session = new_session()
  session.reads = watched
  rawset(session.env, "board", board)
  f(session, board, simulated)
end

function TestShow.test_bytes_stand_where_they_were_read_last()
  with_session("f407", function(session, board)
    show.value(session, board:read(FLASH, 16))
    lu.assertStrContains(show.value(session, board:read(FLASH + 0x4000, 16)), "08004000  ff ff")
    local first, second = board:read(FLASH, 64), board:read(FLASH + 0x4000, 64)
    lu.assertStrContains(show.value(session, first), "08000000  ff ff")
    lu.assertStrContains(show.value(session, second), "08004000  ff ff")
    lu.assertStrContains(show.value(session, ("\255"):rep(64)), "00000000  ff ff")
  end)
end

function TestShow.test_what_was_typed_was_read_nowhere()
  with_session("f407", function(session, board, simulated)
    simulated:poke(FLASH, "text")
    lu.assertStrContains(show.value(session, board:read(FLASH, 4)), "08000000  74 65")
    lu.assertEquals(show.value(session, "text", true), '"text"')
  end)
end

function TestShow.test_reads_of_any_board()
  with_session("f407", function(session)
    with_board("l433", function(board)
      lu.assertStrContains(show.value(session, board:read(FLASH + 64, 4)), "08000040  ff")
    end)
  end)
  local simulated <close> = sim.new("f407")
  local board <close> = dfu.open(simulated.path)
  local session = new_session()
  do
    local watched <close> = reads.watch()
    session.reads = watched
  end
  lu.assertStrContains(show.value(session, board:read(FLASH, 2)), "00000000  ff") -- no more
end

function TestShow.test_a_mistake_is_the_caller_s()
  with_session("f407", function(_, board)
    support.assert_fails("tests/lua/prompt/test_repl.lua:", function() board:read("x") end)
  end)
end

function TestShow.test_what_only_looks_like_ours()
  with_session("f407", function(session)
    local function is_shown(value, expected)
      lu.assertEquals(show.value(session, value), expected)
    end
    is_shown({ segments = { { count = 1 } } }, "{ segments = { { count = 1 } } }")
    is_shown({ { layout = {} } }, "{ { layout = {} } }")
    is_shown({ { layout = 3 } }, "{ { layout = 3 } }")
    is_shown({ layout = { segments = 3 } }, "{ layout = { segments = 3 } }")
    is_shown({ path = 1, functional = 2 }, "{ functional = 2, path = 1 }")
    is_shown(setmetatable({}, { __name = "image" }), "{}")
    is_shown(setmetatable({}, { __metatable = 1, __name = {} }), "{}")
  end)
end

function TestShow.test_errors()
  local session = new_session()
  local function is_shown(err, expected) lu.assertEquals(show.error(session, err), expected) end
  is_shown("two\nlines", "two\nlines")
  is_shown(nil, "nil")
  is_shown({ 1, 2 }, "{ 1, 2 }")
  is_shown(errors.new { code = "x", message = "m", hint = "h" }, "m\n  h")
  local bad = setmetatable({}, { __tostring = function() error("x") end })
  is_shown(bad, "<table whose __tostring fails>")
  is_shown({ code = "x", message = "m", hint = bad }, "m\n  <table whose __tostring fails>")
  is_shown(setmetatable({ code = "x", message = "m" }, { __index = error }), "m")
end

function TestShow.test_boards_on_the_bus_and_memories()
  with_session("f407", function(session, board)
    local found = dfu.list(board.path)
    local expected = list.lines(found)
    lu.assertStrContains(expected, board.path .. "  0483:df11")
    lu.assertEquals(show.value(session, found), expected)
    lu.assertEquals(show.value(session, found[1]), expected)
    lu.assertEquals(show.value(session, board.alts), list.memories(board.alts))
    lu.assertEquals(show.value(session, board.alts[1]), list.memories { board.alts[1] })
    lu.assertStrContains(show.value(session, board.alts[1].layout), "7 x 128 KB")
  end)
end

function TestShow.test_addresses_are_those_of_the_local_board()
  local session = new_session()
  session.reads = { address = function() end }
  local simulated <close> = sim.new("f407")
  rawset(session.env, "simulated", simulated)
  lu.assertEquals(show.value(session, FLASH), "134217728")
  lines(session.scope, session.env, "local board = dfu.open(simulated.path)")
  lu.assertEquals(show.value(session, FLASH), "0x08000000")
  lines(session.scope, session.env, "board:close()", "local board = 5")
  lu.assertNil(values.board_of(session))
end

-- ---- dumps ----

local TestHexdump = {}

function TestHexdump.test_rows()
  lu.assertEquals(hexdump("\0 A\255~\127", FLASH),
    "08000000  00 20 41 ff 7e 7f" .. (" "):rep(33) .. ". A.~.")
  lu.assertEquals(hexdump("0123456789abcdefX"),
    "00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  0123456789abcdef\n"
    .. "00000010  58" .. (" "):rep(48) .. "X")
  lu.assertEquals(hexdump(""), "")
end

function TestHexdump.test_rows_that_are_the_same()
  local text = hexdump(("\255"):rep(64) .. "x", 0)
  local _, count = text:gsub("\n", "")
  lu.assertEquals(count, 2)
  lu.assertStrContains(text, "\n*\n00000040  78")
  local last = hexdump(("\255"):rep(64), 0)
  lu.assertStrContains(last, "\n*\n00000030  ff") -- the last row is always there
end

-- ---- help ----

local TestHelp = {}

function TestHelp.test_functions()
  lu.assertStrContains(help.word("board:erase_page"), "Erases the sector that holds the address")
  lu.assertStrContains(help.word("board.erase_page"), "Erases the sector")
  lu.assertStrContains(help.word("erase_page"), "board:erase_page(address, seconds?)")
  lu.assertStrContains(help.word("dump"), "board:dump(address, length?)")
  lu.assertStrContains(help.word("flash.write(board)"), "Plans, erases, writes")
end

function TestHelp.test_chapters_list_their_functions()
  local text = help.word("flash")
  lu.assertStrContains(text, "flash.write(board, image, options?)")
  lu.assertStrContains(text, "flash.verify(board, image, options?)")
  lu.assertNotStrContains(text, "image.load")
  lu.assertStrContains(help.word("errors"), "usb.gone")
end

function TestHelp.test_rows_of_tables()
  lu.assertStrContains(help.word("usb.gone"), "the board went away")
  lu.assertStrContains(help.word("transfer_size"), "wTransferSize")
end

-- What a word means here and there, and what belongs to something.
function TestHelp.test_words_with_several_meanings()
  local function has(word, ...)
    local said, why = help.word(word)
    lu.assertNotNil(said, why)
    for _, part in ipairs { ... } do lu.assertStrContains(said, part) end
  end
  has("usb", "usb (Errors)\n\n  exit 74; outcome FAIL", "the board went away",
    "what a transfer costs")
  has("timeout", "timeout (Board)", "timeout (Errors)\n\n  exit 82; outcome TIMEOUT; no answer")
  has("verify", "flash.verify(board, image, options?)",
    "exit 79; outcome FAIL; what was read back differs")
  has("dfu.errTARGET", "the address is none of this board's")
  has("errVENDOR", "read protection is on")
  has("board.timeout", "seconds that one request may take")
  has("err.hint", "what to do")
  has("doctor", "moonflash doctor", "Find out why flashing does not work")
  has("repl", "The prompt", "A line is Lua")
  has("trace", "what a line says (help docs/trace).")
end

-- No line is longer than a terminal that is not small, and no word is cut.
function TestHelp.test_it_fits_a_terminal()
  local words = { "errors", "simulated boards", "environment variables" }
  for title in sys.builtin("docs/api.md"):gmatch("\n##+ ([^\n]*)") do
    words[#words + 1] = title:match("^[%w_.:]+%(") and title:match("^[%w_.:]+") or title
  end
  local examined = 0
  for _, word in ipairs(words) do
    for line in assert(help.word(word)):gmatch("[^\n]+") do
      examined = examined + 1
      local most = line:find("^    ") and 104 or 96 -- code stays as it is
      lu.assertTrue((utf8.len(line) or #line) <= most, line)
      lu.assertNil(line:find("%w%.%.%.$"), line)
    end
  end
  lu.assertTrue(examined > 1000)
end

function TestHelp.test_unknown_words()
  local text, why = help.word("flash.wrte")
  lu.assertNil(text)
  lu.assertStrContains(why, "did you mean 'flash.write'?")
end

function TestHelp.test_no_markdown_is_left()
  for _, word in ipairs { "board", "dfu", "flash.write", "simulated boards", "errors" } do
    local text = help.word(word)
    lu.assertNotStrContains(text, "`")
    lu.assertNotStrContains(text, "](")
    lu.assertNotStrContains(text, "|---")
  end
end

function TestHelp.test_names_of_values()
  local simulated <close> = sim.new("f407")
  local board <close> = dfu.open(simulated.path)
  local methods = values.methods(board)
  local places = { ["board:"] = methods, ["dfu."] = dfu, ["errors."] = errors }
  lu.assertEquals(help.name_of(board.erase_page, places), "board:erase_page")
  lu.assertEquals(help.name_of(dfu.open, places), "dfu.open")
  lu.assertNil(help.name_of(function() end, places))
  places[""] = { fail = errors.fail }
  lu.assertEquals(help.name_of(errors.fail, places), "fail", "as it is written here")
end

function TestHelp.test_the_overview_fits_a_terminal()
  for line in help.overview { "Board", "task" }:gmatch("[^\n]+") do
    lu.assertTrue(#line <= 100, line)
  end
end

-- ---- the short words ----

local TestHands = {}

function TestHands.test_status_asks_for_nothing_that_acts()
  with_board("f407", function(board)
    lu.assertEquals(board:status(), { status = "errFIRMWARE", state = "dfuERROR", poll = 0.0 })
  end)
  with_board("f407,state=dfuDNLOAD-SYNC", function(board, simulated)
    simulated:poke(FLASH, "evidence")
    lu.assertEquals(board:status(), { state = "dfuDNLOAD-SYNC" })
    task.sleep(10)
    lu.assertEquals(simulated:peek(FLASH, 8), "evidence")
    lu.assertEquals(board:get_state(), "dfuDNLOAD-SYNC")
  end)
end

function TestHands.test_dump()
  with_board("f407", function(board, simulated)
    simulated:poke(FLASH + 16, "hello")
    local dumped = board:dump(FLASH, 32)
    lu.assertEquals(dumped.address, FLASH)
    lu.assertEquals(dumped.bytes:sub(17, 21), "hello")
    lu.assertStrContains(tostring(dumped), "08000010  68 65 6c 6c 6f")
    lu.assertEquals(#board:dump(FLASH).bytes, 256)
    lu.assertEquals(#board:dump(FLASH, 40000).bytes, 40000)
    lu.assertEquals(#board:dump(FLASH + 0xFFFF0).bytes, 16, "to the end of the memory")
    lu.assertEquals(#board:dump(0x1FFFC000).bytes, 16)
    support.assert_raises("dfu.outside", board.dump, board, FLASH + 0xFFFF0, 17)
    support.assert_raises("dfu.outside", board.dump, board, 0x20000000)
    support.assert_fails("address is an integer", board.dump, board, "x")
    support.assert_fails("length is an integer", board.dump, board, FLASH, 0)
    support.assert_raises("dfu.outside", board.dump, board, 0x20000000, 16)
  end)
end

function TestHands.test_find()
  with_board("f407,usb=none", function(board, simulated)
    simulated:poke(FLASH + 100, "needle")
    simulated:poke(FLASH + 16 * 1024 - 3, "needle") -- over the border of two chunks
    simulated:poke(0x1FFF7800, "needle")
    lu.assertItemsEquals(table.move(board:find("needle"), 1, 9, 1, {}),
      { FLASH + 100, FLASH + 16 * 1024 - 3, 0x1FFF7800 })
    local none = board:find("nowhere")
    lu.assertEquals(#none, 0)
    lu.assertStrContains(tostring(none), "Not found in the memories")
    support.assert_fails("bytes is a string", board.find, board, "")
  end)
end

function TestHands.test_find_of_one_byte_and_of_what_overlaps()
  with_board("f407,usb=none", function(board, simulated)
    simulated:poke(FLASH, ("\255"):rep(16))
    simulated:poke(FLASH + 5, "aaaa")
    lu.assertEquals(table.move(board:find("aaa"), 1, 9, 1, {}), { FLASH + 5, FLASH + 6 })
    lu.assertEquals(#board:find("a"), 4)
    local text = tostring(board:find("\255"))
    local count = 0
    for _ in text:gmatch("[^\n]+") do count = count + 1 end
    lu.assertEquals(count, 65)
    lu.assertStrMatches(text, "0x08000000\n.*\nand %d+ more")
  end)
end

local function image_of(...)
  return image.new { segments = { ... } }
end

function TestHands.test_diff()
  with_board("f407", function(board, simulated)
    simulated:poke(FLASH, "0123456789abcdefghijklmnop")
    local same = board:diff(image_of { address = FLASH, bytes = "0123456789" })
    lu.assertEquals(#same, 0)
    lu.assertEquals(tostring(same), "No differences.")
    local ranges = board:diff(
      image_of { address = FLASH, bytes = "01X345Y789abcdefghijklmnoP" })
    lu.assertEquals({ #ranges, ranges[1].first, ranges[1].last, ranges[2].first },
      { 2, FLASH + 2, FLASH + 6, FLASH + 25 })
    lu.assertEquals({ ranges[2].expected, ranges[2].found }, { "P", "p" })
    lu.assertStrContains(tostring(ranges), "in 2 places")
    support.assert_fails("file is a name, or an image", board.diff, board, 5)
    support.assert_raises("file", board.diff, board, "/no/such/file.bin")
  end)
end

function TestHands.test_save()
  with_board("f407", function(board, simulated)
    simulated:poke(FLASH, "saved")
    local name = os.tmpname()
    support.assert_raises("file.write", board.save, board, name, FLASH, 5) -- it exists already
    os.remove(name)
    board:save(name, FLASH, 5)
    local file = io.open(name, "rb")
    lu.assertEquals(file:read("a"), "saved")
    file:close()
    os.remove(name)
    board:save(name)
    lu.assertEquals(sys.stat(name).size, 1 << 20)
    os.remove(name)
    support.assert_raises("usage", board.save, board, name, 0x1FFF7800)
    support.assert_fails("file is a name", board.save, board)
  end)
end

function TestHands.test_regions()
  with_board("f407", function(board)
    local regions = board:regions()
    lu.assertEquals(regions[1].layout.name, "Internal Flash")
    lu.assertEquals(tostring(regions), list.memories(board.alts))
    lu.assertStrContains(tostring(regions), "0x08020000..0x080FFFFF")
  end)
end

function TestHands.test_fill()
  with_board("f407", function(board, simulated)
    simulated:poke(FLASH, ("old "):rep(4096))
    board:fill(FLASH + 100, 50, 0x5A)
    lu.assertEquals(simulated:peek(FLASH + 100, 50), ("\x5A"):rep(50))
    lu.assertEquals(simulated:peek(FLASH, 100), ("old "):rep(25)) -- what else was there
    lu.assertEquals(simulated:peek(FLASH + 150, 16384 - 150), ("old "):rep(4096):sub(151))
    board:fill(FLASH + 100, 50)
    lu.assertEquals(simulated:peek(FLASH + 100, 50), ("\255"):rep(50))
    lu.assertEquals(simulated:peek(FLASH, 100), ("old "):rep(25))
  end)
end

function TestHands.test_what_fill_refuses()
  with_board("f407", function(board, simulated)
    local before = simulated.requests
    support.assert_raises("image", board.fill, board, 0x20000000, 16, 0)
    support.assert_raises("image", board.fill, board, FLASH, 0x80000000, 0)
    support.assert_raises("image", board.fill, board, 0x1FFFC000, 16, 0) -- option bytes
    support.assert_fails("byte is an integer", board.fill, board, FLASH, 16, 256)
    support.assert_fails("length is an integer", board.fill, board, FLASH, 0)
    lu.assertEquals(simulated.requests, before)
  end)
  local simulated <close> = sim.new("dfu11")
  local board <close> = dfu.at(simulated.path):detach()
  support.assert_raises("dfu.not-dfuse", board.fill, board, 0, 16, 0)
end

-- ---- tasks, boards ----

local TestUnderneath = {}

function TestUnderneath.test_failures_are_told_once()
  while task.failure() do end -- those of other tests
  task.spawn(error, "first")
  task.spawn(error, "second")
  task.sleep(1)
  lu.assertEquals((task.failure()), "first")
  local err, traceback = task.failure()
  lu.assertEquals(err, "second")
  lu.assertStrContains(traceback, "stack traceback")
  lu.assertNil(task.failure())
end

function TestUnderneath.test_others()
  local before = task.others()
  local job = task.spawn(task.sleep, 1)
  lu.assertEquals(task.others(), before + 1)
  job:join()
  lu.assertEquals(task.others(), before)
end

function TestUnderneath.test_whereabouts()
  with_board("f407", function(board, simulated)
    lu.assertEquals(dfu.whereabouts(board), "there")
    simulated:unplug()
    lu.assertEquals(dfu.whereabouts(board), "gone")
    simulated:plug()
    lu.assertEquals(dfu.whereabouts(board), "back")
    board:open() -- without a close before
    lu.assertEquals(dfu.whereabouts(board), "there")
    support.assert_fails("is open already", board.open, board)
  end)
end

function TestUnderneath.test_to_idle_touches_no_evidence()
  with_board("f407", function(board, simulated)
    local before = simulated.requests
    dfu.to_idle(board)
    lu.assertEquals(simulated.requests, before)
    lu.assertEquals(board:get_state(), "dfuERROR")
  end)
end

function TestUnderneath.test_to_idle_after_an_operation_was_cancelled()
  with_board("f407", function(board)
    catch("timeout", task.deadline, 0.5, board.erase_page, board, 0x08020000)
    dfu.to_idle(board)
    lu.assertEquals(board:get_state(), "dfuIDLE")
  end)
end

return { TestScope = TestScope, TestTokens = TestTokens, TestComplete = TestComplete,
         TestInspect = TestInspect, TestShow = TestShow, TestHexdump = TestHexdump,
         TestHelp = TestHelp, TestHands = TestHands, TestUnderneath = TestUnderneath }

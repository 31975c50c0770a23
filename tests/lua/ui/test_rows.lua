-- SPDX-License-Identifier: MIT
-- The rows of several boards on a terminal, as they stand there in the end.
local dfu = require "dfu"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local json = require "cjson"
local lu = require "luaunit"
local rows = require "moonflash.ui.rows"
local screen = require "screen"
local sim = require "sim"
local support = require "support"
local sys = require "sys"
local task = require "task"
local ui = require "moonflash.ui"

local TestRows = {}

function TestRows:setUp()
  self.terminal = screen.new(80, 24)
end

function TestRows:tearDown()
  self.terminal:close()
end

function TestRows:screen() return self.terminal:read() end

local function boards(count, name)
  local list = {}
  for i = 1, count do
    list[i] = { path = ("1-4.%d"):format(i), slot = name and name .. i or nil }
  end
  return list
end

-- A character cut in two would be garbage on the terminal.
function TestRows:test_characters_are_never_cut()
  self.terminal.size = { 40, 24 }
  local list = boards(1, "plätze")
  rows.begin(list)
  for n = 1, 30 do
    rows.result(list[1], "FAIL", ("x"):rep(n) .. ("ü"):rep(40))
    for _, line in ipairs(self:screen()) do
      lu.assertNotNil(utf8.len(line), line)
      lu.assertTrue(utf8.len(line) <= 39, line)
    end
  end
end

function TestRows:test_a_row_each()
  local list = boards(2, "slot")
  rows.begin(list)
  rows.update(list[1], "write", 0.5)
  rows.result(list[2], "FAIL", "the board went away")
  lu.assertEquals(self:screen(), {
    " slot1  write    " .. ("█"):rep(12) .. ("░"):rep(12) .. "   50 %",
    " slot2  FAIL     the board went away" })
end

function TestRows:test_print_above()
  local list = boards(2)
  rows.begin(list)
  rows.result(list[1], "PASS", "1 s")
  rows.print("a line")
  rows.result(list[2], "PASS", "2 s")
  lu.assertEquals(self:screen(), { "a line", " 1-4.1  PASS     1 s", " 1-4.2  PASS     2 s" })
end

-- Bars and questions that come after the rows' end stand below them.
function TestRows:test_what_comes_after_the_rows()
  local _ <close> = support.close_with(function() ui.begin { quiet = true } end)
  local list = boards(2)
  ui.begin {}
  events.emit("boards", list)
  local results = {}
  for i, board in ipairs(list) do
    results[i] = { board = board, outcome = "FAIL", err = errors.new { code = "fail",
                   message = "no" }, at_end = {} }
    events.emit("result", results[i])
  end
  events.emit("summary", results, false)
  local simulated <close> = sim.new "f407"
  events.emit("phase", { board = dfu.open(simulated.path), name = "erase", done = 1, total = 2,
                         unit = "sectors", began = 0 })
  ui.end_drawing()
  local lines = self:screen()
  lu.assertEquals(#lines, 6) -- two messages, two rows, how many failed, and the bar
  lu.assertStrContains(lines[4], "1-4.2  FAIL")
  lu.assertStrMatches(lines[6], "  erase .* left")
end

-- A slow reader gets lines instead of rows, and the results at the end.
function TestRows:test_a_reader_that_stalls()
  local list, backlog = boards(2), sys.backlog
  local _ <close> = support.close_with(function() sys.backlog = backlog end)
  rows.begin(list)
  rows.update(list[1], "write", 0.5)
  sys.backlog = function() return 1 end
  rows.update(list[1], "write", 0.6)
  rows.print("a line")
  rows.result(list[1], "PASS", "NOT VERIFIED")
  rows.result(list[2], "FAIL", "it went")
  rows.finish()
  local text = table.concat(self:screen(), "\n")
  for _, words in ipairs { "output stalled", "a line", "NOT VERIFIED", "it went" } do
    lu.assertStrContains(text, words)
  end
end

-- Boards at work come first, and no picture is higher than the screen.
function TestRows:test_sixteen_in_few_lines()
  self.terminal.size = { 80, 8 }
  local list = boards(16, "s")
  rows.begin(list)
  for i = 1, 12 do rows.result(list[i], "PASS", "1 s") end
  local lines = self:screen()
  lu.assertEquals(#lines, 6)
  lu.assertEquals(lines[6], " and 11 more")
  lu.assertStrContains(table.concat(lines, "\n"), "s16")
  for i = 13, 16 do rows.result(list[i], "FAIL", "no") end
  local scrolled
  lines, scrolled = self:screen()
  lu.assertEquals({ #lines, scrolled }, { 6, 0 })
end

local function outcomes(lines)
  local list = {}
  for i, line in ipairs(lines) do list[i] = line:match("^ s%d+ .-(%u%u%u%u)") or line end
  return table.concat(list, "|")
end

-- At the end there is a row for each board, and those that failed are seen.
function TestRows:test_the_last_picture()
  self.terminal.size = { 80, 8 }
  local list = boards(16, "s")
  rows.begin(list)
  for i = 1, 16 do rows.result(list[i], i < 4 and "FAIL" or "PASS", "words") end
  rows.finish()
  lu.assertEquals(outcomes(self:screen()), ("PASS|"):rep(13) .. "FAIL|FAIL|FAIL")
end

-- A picture that is due too soon after the last one is drawn later; no task waits for that.
function TestRows:test_no_change_is_lost()
  local list = boards(2)
  rows.begin(list)
  for _, board in ipairs(list) do rows.update(board, "one") end
  task.sleep(0.01)
  for _, board in ipairs(list) do rows.update(board, "two") end
  local others = task.others()
  task.sleep(1)
  lu.assertEquals(self:screen(), { " 1-4.1  two", " 1-4.2  two" })
  lu.assertEquals(others, 0)
  local count = #self.terminal.written
  task.sleep(1)
  lu.assertEquals(#self.terminal.written, count)
end

-- The rows are over: what comes late draws nothing.
function TestRows:test_nothing_is_drawn_after_the_end()
  local list = boards(2)
  rows.begin(list)
  rows.update(list[1], "one")
  rows.update(list[1], "two")
  rows.finish()
  io.stderr:write("2 boards passed.\n")
  task.sleep(1)
  rows.update(list[2], "late")
  task.sleep(1)
  lu.assertEquals(self:screen(), { " 1-4.1  two", " 1-4.2  ", "2 boards passed." })
end

function TestRows:test_long_names_and_narrow_terminals()
  self.terminal.size = { 40, 24 }
  local list = { { path = "sim:f407#1,flash=a-long-name.img", slot = ("x"):rep(32) },
                 { path = "1-4", slot = "y" } }
  rows.begin(list)
  rows.result(list[1], "FAIL", ("long "):rep(40))
  rows.result(list[2], "PASS", "1 s")
  for _, line in ipairs(self:screen()) do lu.assertTrue(#line < 40, line) end
end

-- The rows are drawn above the open question, which stays with what was typed behind it.
function TestRows:test_a_question()
  local list = boards(2)
  rows.begin(list)
  rows.update(list[1], "erase", 0)
  for n = 1, 3 do
    rows.ask("Barcode? ")
    io.stderr:write("Barcode? A1")
    rows.print("line " .. n)
    rows.result(list[2], "PASS", "1 s")
    local lines = self:screen()
    lu.assertEquals(lines[#lines], "Barcode? A1")
    lu.assertEquals(lines[#lines - 1], " 1-4.2  PASS     1 s")
    lu.assertStrContains(lines[#lines - 2], " 1-4.1  erase")
    lu.assertEquals(lines[#lines - 3], "line " .. n)
    io.stderr:write("7\n")
    rows.answered("Barcode? A17")
  end
  rows.result(list[1], "PASS", "1 s")
  lu.assertEquals(self:screen(), { "line 1", "Barcode? A17", "line 2", "Barcode? A17", "line 3",
    "Barcode? A17", " 1-4.1  PASS     1 s", " 1-4.2  PASS     1 s" })
end

-- As many boards as the screen has lines, and questions of more than one line: rows that have
-- scrolled away could not be drawn over any more.
function TestRows:test_questions_on_a_full_screen()
  self.terminal.size = { 40, 8 }
  local list = boards(16)
  rows.begin(list)
  local question = ("long "):rep(12)
  for _, board in ipairs(list) do
    rows.update(board, "scan")
    rows.ask(question)
    io.stderr:write(question .. "A1")
    rows.print("between")
    io.stderr:write("7\n")
    rows.answered(question .. "A17")
  end
  local lines, seen = self:screen(), 0
  for _, line in ipairs(lines) do seen = seen + (line:find("^ 1%-4") and 1 or 0) end
  lu.assertEquals({ #lines, seen }, { 16 * 3 + 6, 5 })
end

function TestRows:test_what_was_scanned()
  local list = boards(2, "slot")
  rows.begin(list)
  rows.scanned(list[2], "W1\27[31m")
  rows.update(list[1], "erase")
  rows.update(list[2], "erase")
  task.sleep(1)
  lu.assertEquals(self:screen(), { " slot1           erase", " slot2  W1?[31m  erase" })
end

-- Characters of two cells: a row that is too long would go on in the next line.
function TestRows:test_wide_characters()
  self.terminal.size = { 40, 24 }
  local list = boards(2, "測試")
  rows.begin(list)
  for n = 1, 5 do
    rows.update(list[1], ("測試"):rep(15) .. n)
    rows.result(list[2], "FAIL", ("x"):rep(n) .. ("測試"):rep(15))
    rows.print(("測試"):rep(n))
  end
  local lines = self:screen()
  lu.assertEquals(#lines, 7)
  lu.assertEquals(lines[6], " 測試1  " .. ("測試"):rep(7) .. "測~")
end

-- Fault 38: a device's strings and a recipe's words in what is printed, and in JSON.
function TestRows.test_fault_38_hostile_strings()
  local folder, _ <close> = support.folder()
  local file <close> = assert(io.open(folder .. "/hostile.lua", "w"))
  file:write [[return { api = 1, run = function(board)
    board:step("st\27[2Jep\n")
    board:note("=cmd|'calc'!A1", "\27]0;title\7\xFF\"\n{}", { unit = "\r\0" })
    fail("%s", "\27[31m\xC0\n\"result\"")
  end }]]
  file:close()
  local program = sys.readlink("/proc/self/exe")
  local function said(...)
    return sys.run { program, "--virtual-time", "-d", "sim:f407", ... }.output
  end
  local count = 0
  for line in said("--json", folder .. "/hostile.lua"):gmatch("[^\n]+") do
    if line:find("^{") then
      lu.assertNil(line:find("%c"), line)
      lu.assertNotNil(utf8.len(line), line)
      count = count + (json.decode(line).event and 1 or 0)
    end
  end
  lu.assertTrue(count >= 4)
  local shown = said(folder .. "/hostile.lua")
  lu.assertNil(shown:gsub("\n", ""):find("%c"), ("%q"):format(shown))
end

return { TestRows = TestRows }

-- SPDX-License-Identifier: MIT
-- The rows of several boards on a terminal, as they stand there in the end.
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local json = require "cjson"
local lu = require "luaunit"
local rows = require "moonflash.ui.rows"
local support = require "support"
local sys = require "sys"
local task = require "task"
local ui = require "moonflash.ui"

local TestRows = {}

-- io.stderr is recorded, and the terminal has the size that the test sets.
function TestRows:setUp()
  self.stderr, self.columns, self.size = io.stderr, sys.terminal_size, { 80, 24 }
  self.written = {}
  io.stderr = { -- luacheck: ignore 122
    write = function(_, text) table.insert(self.written, text) end }
  sys.terminal_size = function() return table.unpack(self.size) end
end

function TestRows:tearDown()
  io.stderr, sys.terminal_size = self.stderr, self.columns -- luacheck: ignore 122
end

-- What stands on the terminal at last, the scrollback's lines before the screen's: it wraps, it
-- scrolls, and it goes up no further than its top. Returns the lines, and how many scrolled away.
function TestRows:screen()
  local columns, height = table.unpack(self.size)
  local lines, at, column, top = { {} }, 1, 1, 1
  local function go_to(line)
    at = math.max(line, top)
    lines[at] = lines[at] or {}
    top = math.max(top, at - height + 1)
  end
  local function put(character)
    local width = character:byte() >= 0xE4 and 2 or 1 -- of what is written here
    if column + width > columns + 1 then
      go_to(at + 1)
      column = 1
    end
    lines[at][column] = character
    for i = 1, width - 1 do lines[at][column + i] = "" end
    column = column + width
  end
  local stream = table.concat(self.written)
  while stream ~= "" do
    local up, wiped = stream:match("^\27%[(%d+)A"), stream:match("^\27%[K")
    local taken = up and #up + 3 or wiped and 3 or utf8.offset(stream, 2) - 1
    local character = stream:sub(1, taken)
    if up then
      go_to(at - tonumber(up))
    elseif wiped then
      for i = #lines[at], column, -1 do lines[at][i] = nil end
    elseif character == "\n" then -- the terminal makes it \r\n
      go_to(at + 1)
      column = 1
    elseif character == "\r" then
      column = 1
    else
      put(character)
    end
    stream = stream:sub(taken + 1)
  end
  local text = {}
  for i, line in ipairs(lines) do text[i] = table.concat(line) end
  while text[#text] == "" do table.remove(text) end
  return text, top - 1
end

local function boards(count, name)
  local list = {}
  for i = 1, count do
    list[i] = { path = ("1-4.%d"):format(i), slot = name and name .. i or nil }
  end
  return list
end

-- A character cut in two would be garbage on the terminal.
function TestRows:test_characters_are_never_cut()
  self.size = { 40, 24 }
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
    " slot1  1-4.1  write    " .. ("█"):rep(12) .. ("░"):rep(12) .. "   50 %",
    " slot2  1-4.2  FAIL     the board went away" })
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
  local is_terminal, getenv = sys.is_terminal, os.getenv
  sys.is_terminal = function() return true end
  os.getenv = function(name) return name == "TERM" and "xterm" or nil end -- luacheck: ignore 122
  local _ <close> = support.close_with(function()
    sys.is_terminal, os.getenv = is_terminal, getenv -- luacheck: ignore 122
    ui.begin { quiet = true }
  end)
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
  events.emit("phase", { board = list[1], name = "erase", done = 1, total = 2, unit = "sectors",
                         began = 0 })
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
  self.size = { 80, 8 }
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

-- At the end all boards that failed come first.
function TestRows:test_the_last_picture()
  self.size = { 80, 8 }
  local list = boards(16, "s")
  rows.begin(list)
  for i = 1, 16 do rows.result(list[i], i > 13 and "FAIL" or "PASS", "words") end
  rows.finish()
  lu.assertEquals(outcomes(self:screen()), "FAIL|FAIL|FAIL|PASS|PASS| and 11 more")
  rows.begin(list)
  self.written = {}
  for i = 1, 16 do rows.result(list[i], i > 3 and "FAIL" or "PASS", "words") end
  rows.finish()
  lu.assertEquals(outcomes(self:screen()), ("FAIL|"):rep(13) .. " and 3 more")
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
  local count = #self.written
  task.sleep(1)
  lu.assertEquals(#self.written, count)
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
  self.size = { 40, 24 }
  local list = { { path = "sim:f407#1,flash=a-long-name.img", slot = ("x"):rep(32) },
                 { path = "1-4", slot = "y" } }
  rows.begin(list)
  rows.result(list[1], "FAIL", ("long "):rep(40))
  rows.result(list[2], "PASS", "1 s")
  for _, line in ipairs(self:screen()) do lu.assertTrue(#line < 40, line) end
end

-- While a question is open the rows are left alone; then they are where they were, below it.
function TestRows:test_a_question()
  local list = boards(2)
  rows.begin(list)
  rows.update(list[1], "erase", 0)
  for _ = 1, 3 do
    rows.pause("Barcode? ")
    io.stderr:write("Barcode? A17\n")
    local before = #self.written
    rows.update(list[2], "erase", 0.5)
    lu.assertEquals(#self.written, before)
    rows.resume("Barcode? A17", true)
  end
  rows.result(list[1], "PASS", "1 s")
  local lines = self:screen()
  lu.assertEquals({ #lines, lines[3], lines[4] }, { 5, "Barcode? A17", " 1-4.1  PASS     1 s" })
end

-- As many boards as the screen has lines, and questions of more than one line: rows that have
-- scrolled away could not be drawn over any more.
function TestRows:test_questions_on_a_full_screen()
  self.size = { 40, 8 }
  local list = boards(16)
  rows.begin(list)
  local question = ("long "):rep(12)
  for _, board in ipairs(list) do
    rows.update(board, "scan")
    rows.pause(question)
    io.stderr:write(question .. "A17\n")
    rows.resume(question .. "A17", true)
  end
  local lines, seen = self:screen(), 0
  for _, line in ipairs(lines) do seen = seen + (line:find("^ 1%-4") and 1 or 0) end
  lu.assertEquals({ #lines, seen }, { 16 * 2 + 6, 5 })
end

-- After other output the rows are an unknown number of lines up, so they are printed anew.
function TestRows:test_a_question_that_was_disturbed()
  local list = boards(2)
  rows.begin(list)
  rows.update(list[1], "erase")
  rows.pause("Barcode? ")
  io.stderr:write("Barcode? \na line\nBarcode? A17\n")
  rows.resume("Barcode? A17", false)
  lu.assertEquals(self:screen(), { " 1-4.1  erase", " 1-4.2  ", "Barcode? ", "a line",
    "Barcode? A17", " 1-4.1  erase", " 1-4.2  " })
end

-- Characters of two cells: a row that is too long would go on in the next line.
function TestRows:test_wide_characters()
  self.size = { 40, 24 }
  local list = boards(2, "測試")
  rows.begin(list)
  for n = 1, 5 do
    rows.update(list[1], ("測試"):rep(15) .. n)
    rows.result(list[2], "FAIL", ("x"):rep(n) .. ("測試"):rep(15))
    rows.print(("測試"):rep(n))
  end
  local lines = self:screen()
  lu.assertEquals(#lines, 7)
  lu.assertEquals(lines[6], " 測試1  1-4.1  " .. ("測試"):rep(6))
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

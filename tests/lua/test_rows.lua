-- SPDX-License-Identifier: MIT
-- The rows of several boards on a terminal, as they stand there in the end.
local json = require "cjson"
local lu = require "luaunit"
local rows = require "moonflash.rows"
local sys = require "sys"

local TestRows = {}

-- What io.stderr gets is kept, and the terminal is as large as the test says.
function TestRows:setUp()
  self.stderr, self.columns, self.size = io.stderr, sys.columns, { 80, 24 }
  self.written = {}
  io.stderr = { -- luacheck: ignore 122
    write = function(_, text) table.insert(self.written, text) end }
  sys.columns = function() return table.unpack(self.size) end
end

function TestRows:tearDown()
  io.stderr, sys.columns = self.stderr, self.columns -- luacheck: ignore 122
end

-- The lines of the screen. Rows are drawn anew over what they wipe.
function TestRows:screen()
  local lines = {}
  for line in table.concat(self.written):gmatch("([^\n]*)\n") do
    local up, rest = line:match("^\27%[(%d+)A\r\27%[J(.*)$")
    for _ = 1, tonumber(up) or 0 do table.remove(lines) end
    lines[#lines + 1] = rest or line
  end
  return lines
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

-- Those that still work come first, and none is higher than the screen.
function TestRows:test_sixteen_in_few_lines()
  self.size = { 80, 8 }
  local list = boards(16, "s")
  rows.begin(list)
  for i = 1, 12 do rows.result(list[i], "PASS", "1 s") end
  local lines = self:screen()
  lu.assertEquals(#lines, 7)
  lu.assertEquals(lines[7], " and 10 more")
  lu.assertStrContains(table.concat(lines, "\n"), "s16")
  for i = 13, 16 do rows.result(list[i], "FAIL", "no") end
  lu.assertEquals(#self:screen(), 7)
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

-- While a question is open the rows are left alone; then they come anew, below it.
function TestRows:test_a_question()
  local list = boards(2)
  rows.begin(list)
  rows.update(list[1], "erase", 0)
  rows.pause(true)
  local before = #self.written
  rows.update(list[2], "erase", 0.5)
  rows.result(list[1], "PASS", "1 s")
  lu.assertEquals(#self.written, before)
  rows.pause(false)
  local lines = self:screen()
  lu.assertEquals({ #lines, lines[3] }, { 4, " 1-4.1  PASS     1 s" })
end

-- Fault 38: a device's strings and a recipe's words in what is printed, and in JSON.
function TestRows.test_fault_38_hostile_strings()
  local folder = sys.run { "mktemp", "-d" }.output:gsub("\n$", "")
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
  sys.run { "rm", "-r", folder }
  lu.assertNil(shown:gsub("\n", ""):find("%c"), ("%q"):format(shown))
end

return { TestRows = TestRows }

-- SPDX-License-Identifier: MIT
-- One board on a terminal: its bar, what keeps it waiting, colours, and lines of other people.
local events = require "moonflash.base.events"
local flash = require "moonflash.flash"
local image = require "moonflash.image"
local lu = require "luaunit"
local perform = require "moonflash.flash.perform"
local screen = require "screen"
local support = require "support"
local task = require "task"
local text = require "moonflash.base.text"
local ui = require "moonflash.ui"

local FIRMWARE = image.new { segments = { { address = 0x08000000, bytes = ("x"):rep(20000) } } }

local TestBars = {}

function TestBars:setUp()
  self.terminal = screen.new(80, 24)
  ui.begin {}
end

function TestBars:tearDown()
  ui.end_drawing()
  ui.begin { quiet = true }
  self.terminal:close()
end

-- The last line of the screen, in ASCII.
function TestBars:bar()
  local lines = self.terminal:read()
  return (lines[#lines]:gsub("█", "#"):gsub("░", "."))
end

-- Calls f in a task, and returns the bar after these seconds.
function TestBars:bar_after(seconds, f, ...)
  local job = task.spawn(function(...)
    task.supervise()
    return f(...)
  end, ...)
  task.sleep(seconds)
  local bar = self:bar()
  job:cancel()
  pcall(job.join, job)
  return bar
end

-- A mass erase can't be counted: the bar goes by the typical time of the chip.
function TestBars:test_mass_erase()
  local board, _ <close> = support.open "f407"
  local bar = self:bar_after(8.5, perform.erase_all, board)
  local done, left = bar:match("^  erase   (#+)(%.+)  everything, about 16 s +8%.%d s$")
  lu.assertTrue(done and math.abs(#done - #left) <= 1, bar)
end

function TestBars:test_mass_erase_to_its_end()
  local board, _ <close> = support.open "f407"
  perform.erase_all(board)
  lu.assertStrMatches(self:bar(), "  erase   #+  everything +16%.%d s")
end

-- The bar changes each second, whatever the board does.
function TestBars:test_a_board_that_hangs()
  local board, _ <close> = support.open "f407,fault=hang@60"
  local job = task.spawn(function()
    task.supervise()
    return flash.write(board, FIRMWARE, { full = true })
  end)
  local notes, before = 0, nil
  for _ = 1, 11 do
    task.sleep(1)
    local bar = self:bar()
    lu.assertNotEquals(bar, before)
    notes = notes + (bar:find("no answer for %d+ s %(waits until %d+ s%)$") and 1 or 0)
    before = bar
  end
  lu.assertTrue(notes >= 4, notes)
  pcall(job.join, job)
end

-- Nothing is wider than the terminal, and no bar is lost: it would leave its lines behind.
function TestBars:test_narrow()
  for _, columns in ipairs { 24, 40, 59, 60, 80 } do
    self.terminal.written, self.terminal.size = {}, { columns, 24 }
    ui.begin {}
    local board, _ <close> = support.open "f407"
    flash.write(board, FIRMWARE, {})
    local bars = 0
    for _, line in ipairs((self.terminal:read())) do
      lu.assertTrue(text.width(line) < columns, line)
      bars = bars + (line:find("^  %l+ +█") and 1 or 0)
    end
    if columns >= 40 then lu.assertEquals(bars, 3, columns) end
  end
end

-- What scripts write while a bar is drawn goes above it, in whole lines.
function TestBars:test_lines_of_a_script()
  local output = require "moonflash.ui.output"
  local board, _ <close> = support.open "f407"
  local phase = events.phase(board, "erase", 2, "sector")
  local methods = getmetatable(io.stdout).__index
  local kept = { write = methods.write, io_write = io.write, print = print, warn = warn }
  local said = {}
  local redirected <close> = output.redirect(function(_, s) table.insert(said, s) end)
  local _ <close> = support.close_with(function()
    methods.write, io.write = kept.write, kept.io_write -- luacheck: ignore 122
    _G.print, _G.warn = kept.print, kept.warn
  end)
  lu.assertNotNil(redirected)
  output.begin()
  io.write("one, ")
  io.write("two\nthree")
  phase:advance(1)
  io.write(" and four\nfive")
  phase:finish()
  self.terminal.written = said
  local lines = self.terminal:read()
  lu.assertEquals({ lines[1], lines[2], lines[4] }, { "one, two", "three and four", "five" })
  lu.assertStrMatches(lines[3], "  erase .*")
end

function TestBars:test_colours()
  local function colored(line)
    self.terminal.written = {}
    local err = require("moonflash.errors").new { code = "fail", message = "no" }
    events.emit("complaint", err)
    lu.assertEquals(self.terminal:read(), { line })
    return select(3, self.terminal:read())
  end
  lu.assertEquals(colored("moonflash: no"), 2)
  local getenv = os.getenv
  os.getenv = function(name) -- luacheck: ignore 122
    return name == "NO_COLOR" and "1" or getenv(name)
  end
  local _ <close> = support.close_with(function() os.getenv = getenv end) -- luacheck: ignore 122
  lu.assertEquals(colored("moonflash: no"), 0)
  ui.begin {} -- and bars are drawn all the same
  local board, _ <close> = support.open "f407"
  local phase = events.phase(board, "erase", 2, "sector")
  lu.assertStrMatches(self:bar(), "  erase   %.+ .*")
  phase:finish()
end

function TestBars:test_no_bars()
  ui.begin { progress = "never" }
  local board, _ <close> = support.open "f407"
  flash.write(board, FIRMWARE, {})
  lu.assertNil(table.concat(self.terminal.written):find("[█░\r\27]"))
end

return { TestBars = TestBars }

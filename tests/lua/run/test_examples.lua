-- SPDX-License-Identifier: MIT
-- The recipes of scripts/examples on simulated boards. Small programs in tests/fixture stand for
-- what is around the boards: relays, a meter, and the programs that answer on serial ports.
local args = require "moonflash.run.args"
local dfu = require "dfu"
local files = require "moonflash.base.files"
local lu = require "luaunit"
local optbytes = require "moonflash.optbytes"
local recipes = require "moonflash.run.recipe"
local rehearse = require "moonflash.run.rehearse"
local run = require "moonflash.run"
local sim = require "sim"
local slots = require "moonflash.board.slots"
local support = require "support"
local sys = require "sys"
local task = require "task"

local ROOT = ((...):match("^(.*)tests/lua/") or "../../../")
ROOT = ROOT == "" and "./" or ROOT
local FIXTURE = ROOT .. "tests/fixture/"
local SLOTS = { "front", "left", "rear", "right" } -- as they are sorted
local FLASH = 0x08000000

local TestExamples = {}

-- The contents of the boards: a program that can start, and one behind it.
local LOADER = ("<I4I4"):pack(0x20020000, 0x08000101) .. ("loader "):rep(1500)
local APPLICATION = ("application "):rep(900)

local function write(name, bytes, is_program)
  files.write(name, bytes)
  if is_program then sys.run { "chmod", "+x", name } end
  return name
end

function TestExamples:setUp()
  local folder
  folder, self.made = support.folder()
  self.folder = folder .. "/"
  self.sims = {}
  self.log = self.folder .. "relay.log"
  write(self.folder .. "loader.bin", LOADER)
  write(self.folder .. "application.bin", APPLICATION)
end

function TestExamples:tearDown()
  for _, s in pairs(self.sims) do s:close() end
  self:stop_programs()
  self.made.close()
  slots.use(nil)
  dfu.defaults.selectors = nil
end

-- ---- what is around ----

-- Serial ports of `count` programs and of a meter. A daemon holds them: while a program that
-- moonflash started runs, time is real.
function TestExamples:start_programs(count, env)
  local pid = self.folder .. "pid"
  local words, ttys = { "sh", "-c",
    'setsid "$@" -- sh -c "echo \\$\\$ >$0; exec sleep 1000" >/dev/null 2>&1 & '
    .. 'until test -s "$0"; do sleep 0.01; done', pid,
    FIXTURE .. "serial", self.folder .. "meter=meter", env = env }, {}
  for i = 1, count do
    ttys[i] = self.folder .. "tty" .. i
    words[#words + 1] = ttys[i] .. "=program"
  end
  sys.run(words)
  self.daemon = pid
  return ttys
end

function TestExamples:stop_programs()
  if self.daemon then sys.run { "sh", "-c", "kill $(cat $0)", self.daemon } end
  self.daemon = nil
end

function TestExamples:board(name, spec)
  local board = sim.new(spec .. ",usb=none")
  self.sims[name] = board
  return board
end

function TestExamples:product(options)
  local recipe = recipes.load(ROOT .. "scripts/examples/product.lua")
  options.boot_loader = self.folder .. "loader.bin"
  options.application = self.folder .. "application.bin"
  return recipe, args.given(options, recipe.args, "product")
end

-- A run of a recipe: its results by the names of slots or paths.
local function perform(recipe, opt, options)
  local results = {}
  local wrapped = setmetatable({ finish = function(_, all)
    for _, result in ipairs(all) do results[result.board.slot or result.path] = result end
  end }, { __index = recipe.table })
  local status = run.recipe(setmetatable({ table = wrapped }, { __index = recipe }), opt, options)
  return results, status
end

function TestExamples:make(spec, options)
  local recipe, opt = self:product(options or {})
  local board = self:board("it", spec)
  local results = perform(recipe, opt, { selectors = { board.path } })
  return results[board.path], board
end

local function is_made(board)
  lu.assertTrue(board:peek(FLASH, #LOADER) == LOADER)
  lu.assertTrue(board:peek(FLASH + 0x10000, #APPLICATION) == APPLICATION)
  lu.assertTrue(board.started.works)
end

local function names_of(steps)
  local names = {}
  for i, step in ipairs(steps) do names[i] = step.name end
  return table.concat(names, ", ")
end

-- ---- product.lua ----

function TestExamples:test_product()
  local result, board = self:make("f407,tty=" .. self:start_programs(1)[1])
  lu.assertEquals(tostring(result.err), "nil")
  is_made(board)
  lu.assertEquals(names_of(result.stats.steps), "unprotect, flash, option bytes, start, check")
  lu.assertEquals(result.stats.notes[1].value, "1.4")
  board:unplug()
  board:plug()
  local again <close> = dfu.open(board.path)
  local option_bytes = optbytes.read(again)
  lu.assertEquals({ option_bytes.BOR_LEV, option_bytes.nWRP }, { 1, 0xFFE })
end

function TestExamples:test_product_of_boards_that_are_protected()
  for _, state in ipairs { "rdp=1", "wrp=0x3", "rdp=1,wrp=0xFFF" } do
    local result, board = self:make("f407," .. state, { no_check = true })
    lu.assertEquals(tostring(result.err), "nil", state)
    is_made(board)
    board:close()
  end
end

function TestExamples:test_product_made_twice()
  local result, board = self:make("f407", { no_check = true })
  lu.assertEquals(result.outcome, "PASS")
  board:unplug()
  board:plug()
  local recipe, opt = self:product { no_check = true }
  local again = perform(recipe, opt, { selectors = { board.path } })[board.path]
  lu.assertEquals({ again.outcome, again.stats.sectors_erased, again.stats.sectors_same },
    { "PASS", 0, 2 })
end

function TestExamples:test_product_that_does_not_answer_as_it_should()
  local tty = self:start_programs(1, { VERSION = "1.3" })[1]
  local result = self:make("f407,tty=" .. tty)
  lu.assertEquals({ result.outcome, result.err.step }, { "FAIL", "check" })
  lu.assertStrContains(result.err.message, "the version should be 1.4")
  local silent = self:make("f407")
  lu.assertEquals({ silent.outcome, silent.err.step }, { "TIMEOUT", "check" })
end

function TestExamples:test_product_with_faults()
  for fault, code in pairs { unplug = "usb.gone", hang = "timeout" } do
    local recipe, opt = self:product { no_check = true }
    local board = self:board("it", "f407")
    board:fault(fault, "write 0x08010000")
    local result = perform(recipe, opt, { selectors = { board.path } })[board.path]
    lu.assertEquals({ result.err.code, result.err.step }, { code, "flash" })
    board:unplug()
    board:plug()
    result = perform(recipe, opt, { selectors = { board.path } })[board.path]
    lu.assertEquals(result.outcome, "PASS")
    is_made(board)
    board:close()
  end
end

function TestExamples:test_product_rehearsed()
  local recipe, opt = self:product { no_check = true }
  lu.assertTrue(rehearse.recipe(recipe, opt, "f407,usb=none", 30).runs > 100)
  rehearse.recipe(recipe, opt, "f407,usb=none,rdp=1", 5)
  recipe, opt = self:product {}
  rehearse.recipe(recipe, opt, "f407,usb=none,tty=" .. self:start_programs(1)[1], 4)
end

-- ---- fixture.lua ----

local VOLTS = { front = 3.31, left = 3.32, rear = 3.33, right = 3.34 }

-- The fixture: four slots with boards that are without power, and what switches it. The relays
-- plug the boards in, as power does.
function TestExamples:fixture(specs, volts)
  local lines, on_them = {}, {}
  for i, name in ipairs(SLOTS) do on_them[i] = name .. "=" .. (volts or VOLTS)[name] end
  local ttys = self:start_programs(#SLOTS, { VOLTS = table.concat(on_them, " ") })
  for i, name in ipairs(SLOTS) do
    local board = self:board(name, (specs and specs[name] or "f407") .. ",tty=" .. ttys[i])
    board:unplug()
    lines[i] = ("%s = %q,"):format(name, board.path)
  end
  slots.use(write(self.folder .. "slots.lua", "return {" .. table.concat(lines) .. "}"))
  write(self.log, "\n")
  local relay = write(self.folder .. "relay", ('#!/bin/sh\nRELAY_LOG=%s exec "%s" "$@"\n'):format(
    self.log, sys.run { "realpath", FIXTURE .. "relay" }.output:gsub("\n$", "")), true)
  local recipe = recipes.load(ROOT .. "scripts/examples/fixture.lua")
  return recipe, args.given({ relay = relay, meter = self.folder .. "meter",
    boot_loader = self.folder .. "loader.bin", application = self.folder .. "application.bin",
  }, recipe.args, "fixture")
end

function TestExamples:switched()
  local file <close> = assert(io.open(self.log))
  return file:read("a")
end

-- Boards have power as long as their relay is on.
function TestExamples:power()
  local done = 0
  return task.spawn(function()
    while true do
      local text = self:switched()
      for slot, state in text:sub(done + 1):gmatch("(%a+) (%a+)\n") do
        self.sims[slot][state == "on" and "plug" or "unplug"](self.sims[slot])
      end
      done = #text
      task.sleep(0.1)
    end
  end)
end

function TestExamples:run_fixture(recipe, opt)
  local power = self:power()
  local _ <close> = support.close_with(function()
    power:cancel()
    pcall(power.join, power)
  end)
  return perform(recipe, opt, { every_slot = true })
end

-- Each slot was switched on and off, and what setup made is closed.
function TestExamples:assert_all_off()
  local last = {}
  for slot, state in self:switched():gmatch("(%a+) (%a+)\n") do last[slot] = state end
  lu.assertEquals(last, { front = "off", left = "off", rear = "off", right = "off" })
  sys.serial(self.folder .. "meter"):close() -- the recipe has closed it
end

-- Each board has its own voltage: between switching the meter and reading it no other task used it.
function TestExamples:test_fixture()
  local results, status = self:run_fixture(self:fixture())
  for _, name in ipairs(SLOTS) do
    lu.assertEquals(tostring(results[name].err), "nil")
    is_made(self.sims[name])
    local notes = results[name].stats.notes
    lu.assertEquals({ notes[1].name, notes[1].value, notes[2].value },
      { "supply", VOLTS[name], "1.4" })
  end
  lu.assertEquals(status, 0)
  self:assert_all_off()
end

-- Fault 35: one fails, one hangs, one is pulled out; the fourth does not notice.
function TestExamples:test_fault_35_fixture()
  local volts = setmetatable({ front = 2.9 }, { __index = VOLTS })
  local recipe, opt = self:fixture(nil, volts)
  self.sims.left:fault("hang", "write 0x08010000")
  self.sims.rear:fault("unplug", "write 0x08010000")
  local results = self:run_fixture(recipe, opt)
  local seen = {}
  for _, name in ipairs(SLOTS) do
    local err = results[name].err or {}
    seen[name] = ("%s %s %s"):format(results[name].outcome, err.code, err.step)
  end
  lu.assertEquals(seen, { front = "FAIL fail power", left = "TIMEOUT timeout flash",
    rear = "FAIL usb.gone flash", right = "PASS nil nil" })
  is_made(self.sims.right)
  self:assert_all_off()
end

-- Fault 36: a board of another kind, and one that is no board of ST's: refused, and untouched.
function TestExamples:test_fault_36_wrong_board_in_a_slot()
  local recipe, opt = self:fixture { left = "g474", rear = "dfu11" }
  local results = self:run_fixture(recipe, opt)
  lu.assertEquals({ results.front.outcome, results.right.outcome }, { "PASS", "PASS" })
  lu.assertStrContains(results.left.err.message, "wrong board: 512 KB of flash instead of 1024 KB")
  lu.assertStrContains(results.left.err.flash, "untouched")
  lu.assertEquals(results.rear.err.code, "usb.no-device")
  for _, name in ipairs { "left", "rear" } do lu.assertEquals(#results[name].ranges, 0) end
  lu.assertTrue(self.sims.left:peek(FLASH, 4096) == ("\255"):rep(4096))
  self:assert_all_off()
end

-- Ctrl-C: the relays are off, and the meter is gone.
function TestExamples:test_fixture_cancelled()
  local recipe, opt = self:fixture()
  local job = task.spawn(self.run_fixture, self, recipe, opt)
  while not self:switched():find("right on") do task.sleep(0.05) end
  task.sleep(1)
  job:cancel()
  pcall(job.join, job)
  self:assert_all_off()
end

function TestExamples:test_fixture_rehearsed()
  local recipe, opt = self:fixture()
  opt.no_check = true
  rehearse.recipe(recipe, opt, "f407,usb=none", 3)
  require("moonflash.sys.stream").close_all()
end

-- ---- that they stay examples ----

function TestExamples.test_docs_show_the_measuring_as_it_is()
  local function measure_in(name)
    return files.read(ROOT .. name, 1 << 20):match("\nfunction M%.measure.-\nend\n")
  end
  local shown = measure_in "docs/fixtures.md"
  lu.assertNotNil(shown)
  lu.assertEquals(shown, measure_in "scripts/examples/factory.lua")
end

function TestExamples.test_they_have_no_names()
  for _, item in ipairs(recipes.all()) do
    lu.assertFalse(item.name == "product" or item.name == "fixture" or item.name == "factory")
  end
end

return { TestExamples = TestExamples }

-- SPDX-License-Identifier: MIT
-- Slots, steps and notes; recipes on several boards at once.
local lu = require "luaunit"
local dfu = require "dfu"
local errors = require "moonflash.errors"
local files = require "moonflash.base.files"
local places = require "moonflash.run.choose"
local recipes = require "moonflash.run.recipe"
local run = require "moonflash.run"
local selectors = require "moonflash.board.selector"
local sim = require "sim"
local slots = require "moonflash.board.slots"
local support = require "support"
local task = require "task"

local TestSlots, TestSteps = {}, {}

local function slots_file(text)
  local name = os.tmpname()
  os.remove(name)
  files.write(name, text)
  slots.use(name)
  return support.close_with(function()
    os.remove(name)
    slots.use(nil)
  end)
end

-- ---- slots ----

function TestSlots.test_names_for_places()
  local _ <close> = slots_file 'return { left = "1-4.1", ["right-2"] = "sim:f407#2" }'
  lu.assertEquals(slots.load().names, { "left", "right-2" })
  lu.assertEquals(selectors.parse("left").path, "1-4.1")
  lu.assertEquals(selectors.parse("left,alt=1"), { path = "1-4.1", alt = "1" })
  lu.assertEquals(selectors.parse("right-2").path, "sim:f407#2")
  lu.assertEquals(dfu.at("left").slot, "left")
  lu.assertNil(dfu.at("1-9").slot)
  local err = support.assert_raises("usage", selectors.parse, "lfet")
  lu.assertStrContains(err.message, "slot (did you mean 'left'?), VID:PID")
end

function TestSlots.test_files_that_make_no_sense()
  for text, why in pairs {
    ["return"] = "returns no table", ["{"] = "unexpected symbol", ["return 1 + nil"] = "arithmetic",
    ["return { ['a b'] = '1-4' }"] = "not a slot name",
    ["return { '1-4' }"] = "not a slot name",
    ["return { ['1-4'] = '1-4' }"] = "not a slot name",
    ["return { a = 4 }"] = "is not a place", ["return { a = '/dev/x' }"] = "is not a place",
    ["return { a = '1-4', b = '1-4' }"] = "are one place",
    ["return { a = '1-4.' }"] = "is not a place", ["return { a = '1-4..2' }"] = "is not a place",
    ["return { a = '1-0' }"] = "is not a place", ["return { a = '0-1' }"] = "is not a place",
    ["return { a = '1-' }"] = "is not a place", ["return { a = '1-04' }"] = "is not a place",
    ["return os.exit()"] = "global 'os'", ["while true do end"] = "it takes too long",
  } do
    local _ <close> = slots_file(text)
    local err = support.assert_raises("usage", slots.load)
    lu.assertStrContains(err.message, why)
  end
  slots.use("/no/such/file")
  support.assert_raises("file", slots.load)
  slots.use(nil)
end

-- ---- steps and notes ----

function TestSteps:setUp()
  self.sims = {}
end

function TestSteps:tearDown()
  for _, s in ipairs(self.sims) do s:close() end
  dfu.defaults.selectors = nil
end

function TestSteps:boards(count)
  local paths = {}
  for i = 1, count do
    self.sims[i] = sim.new("f407#" .. i .. ",usb=none")
    paths[i] = self.sims[i].path
  end
  return paths
end

local function recipe_of(fields)
  return { name = "it", table = fields }
end

-- The results of a recipe on boards.
local function results_of(fields, paths)
  local results
  fields.finish = function(_, all) results = all end
  local status = run.recipe(recipe_of(fields), {}, { selectors = paths })
  return results, status
end

function TestSteps:test_steps_and_notes_are_kept()
  local results = results_of({ run = function(board)
    board:step("erase")
    task.sleep(2)
    board:step("measure", 5)
    task.sleep(1)
    board:note("Vdd", 3.31, { min = 3, max = 3.6, unit = "V" })
    board:note("label", "A7")
    board:note("at the limits", 5, { min = 5, max = 5 })
  end }, self:boards(1))
  local stats = results[1].stats
  lu.assertEquals(results[1].outcome, "PASS")
  lu.assertEquals({ stats.steps[1].name, stats.steps[2].name }, { "erase", "measure" })
  lu.assertAlmostEquals(stats.steps[1].seconds, 2, 0.01)
  lu.assertAlmostEquals(stats.steps[2].seconds, 1, 0.01)
  lu.assertEquals(stats.notes[1], { name = "Vdd", value = 3.31, unit = "V", min = 3, max = 3.6,
                                    step = "measure", ok = true })
  lu.assertEquals(stats.notes[2].value, "A7")
end

function TestSteps:test_outside_its_limits_the_board_has_failed()
  for i, case in ipairs {
    { 2.9, { min = 3, unit = "V" }, "2.9 V, and should be at least 3 V" },
    { 3.7, { max = 3.6 }, "3.7, and should be at most 3.6" },
    { 7, { min = 1, max = 5, unit = "mA" }, "from 1 mA to 5 mA" },
    { 0 / 0, { min = 1 }, "it: nothing was measured; it should be at least 1" },
    { nil, { min = 1, max = 2 }, "it: nothing was measured; it should be from 1 to 2" },
    { 3.19999999, { min = 3.2, unit = "V" }, "3.19999999 V, and should be at least 3.2 V" },
    { 3.4000000000000004, { max = 3.4 }, "3.4000000000000004, and should be at most 3.4" },
    { 3.0000001, { max = 3 }, "3.0000001, and should be at most 3" },
  } do
    local results, status = results_of({ run = function(board)
      board:step("measure")
      board:note("it", case[1], case[2])
    end }, i == 1 and self:boards(1) or { self.sims[1].path })
    local err = results[1].err
    lu.assertEquals({ results[1].outcome, err.code, err.step, status },
      { "FAIL", "fail", "measure", 1 })
    lu.assertStrContains(err.message, case[3])
    lu.assertFalse(results[1].stats.notes[1].ok)
  end
end

-- Only finite values are notes; limits that no value can meet are misuse.
function TestSteps:test_notes_that_make_no_sense()
  local board <close> = dfu.open(self:boards(1)[1])
  local NAN = 0 / 0
  for _, case in ipairs {
    { 'board:note("v", value, limits): there is no value, it is nil', nil },
    { "it is nil", nil, { unit = "V" } }, { "no number (NaN)", NAN },
    { "not a table", {} }, { "not a function", print }, { "not a string", "3.3", { min = 3 } },
    { "min is 6, which is more than max, 4", 5, { min = 6, max = 4 } },
    { "min is a number", 5, { min = NAN } }, { "max is a number", 5, { max = NAN } },
    { "max is a number", 5, { max = "6" } }, { "not '1'", 5, { 1 } },
  } do
    support.assert_fails(case[1], board.note, board, "v", case[2], case[3])
  end
  support.assert_fails("a name", board.note, board, nil, 5)
  lu.assertEquals(#dfu.fields(board).stats.notes, 0)
end

-- An operator who takes two seconds for an answer.
local function slow_operator()
  local line
  local ask = require "moonflash.sys.ask" { input = function()
    return { discard = function() end,
             wait = function()
               task.sleep(2)
               line = "A17\n"
             end,
             read = function()
               local typed = line
               line = nil
               return typed
             end }
  end }
  return ask
end

-- A board is not to blame for the questions of others, but for its own; and the deadline of the
-- whole goes on where it stood.
function TestSteps:test_a_question_in_the_queue_has_no_deadline()
  local ask = slow_operator()
  local function scan(board)
    board:step("scan", 3)
    ask { text = "Barcode?", tries = 1, check = function() return true end }
    board:step("wait")
    task.sleep(100)
  end
  local results = results_of({ seconds = 4, run = scan }, self:boards(4))
  for _, result in ipairs(results) do
    lu.assertStrContains(result.err.message, "not done within 4 s")
    lu.assertEquals(#result.stats.steps, 2)
    lu.assertAlmostEquals(result.seconds, 2, 0.05) -- without the time of the question
  end
  results = results_of({ run = function(board)
    board:step("scan", 1.5)
    ask { text = "Barcode?", tries = 1, check = function() return true end }
  end }, { self.sims[1].path, self.sims[2].path })
  for _, result in ipairs(results) do
    lu.assertStrContains(result.err.message, "step 'scan' not done within 1.5 s")
  end
end

function TestSteps:test_the_deadline_of_a_step()
  local closed = false
  local results, status = results_of({ run = function(board)
    board:step("first", 1)
    task.sleep(0.9)
    board:step("second", 2)
    local _ <close> = support.close_with(function() closed = true end)
    task.sleep(100)
  end }, self:boards(1))
  lu.assertEquals({ results[1].outcome, status }, { "TIMEOUT", 82 })
  lu.assertStrContains(results[1].err.message, "step 'second' not done within 2 s")
  lu.assertAlmostEquals(results[1].seconds, 2.9, 0.05)
  lu.assertTrue(closed)
end

function TestSteps:test_a_step_without_one_and_the_whole()
  local results = results_of({ seconds = 3, run = function(board)
    board:step("first", 100)
    task.sleep(1)
    board:step("second")
    task.sleep(100)
  end }, self:boards(1))
  lu.assertEquals(results[1].outcome, "TIMEOUT")
  lu.assertStrContains(results[1].err.message, "not done within 3 s")
  lu.assertAlmostEquals(results[1].seconds, 3, 0.05)
end

function TestSteps:test_misuse()
  local path = self:boards(1)[1]
  local board <close> = dfu.open(path)
  for _, call in ipairs {
    function() board:step() end, function() board:step("") end,
    function() board:step("x", 0) end, function() board:step("x", "1") end,
    function() board:note() end, function() board:note("x", "text", { min = 1 }) end,
    function() board:note("x", 1, { mni = 1 }) end, function() board:note("x", 1, { unit = 1 }) end,
    function() board:note("x", 1, 2) end,
  } do
    lu.assertFalse((pcall(call)))
  end
  board:step("fine") -- outside of a run, too
  board:note("fine", true)
end

-- Sixteen boards: some pass, one fails, one hangs, one is pulled out and put back.
function TestSteps:test_one_board_does_not_disturb_the_others()
  local paths = self:boards(16)
  self.sims[3]:fault("unplug", 40)
  self.sims[5]:fault("hang", 50)
  local image = { name = "it", size = 20000, start = 0x08000000,
                  segments = { { address = 0x08000000, bytes = ("x"):rep(20000) } } }
  local flash = require "moonflash.flash"
  local passed = 0
  local results, status = results_of({ seconds = 60, run = function(board)
    board:step("flash", 30)
    flash.write(board, image)
    if board.path == self.sims[7].path then errors.fail("no light") end
    passed = passed + 1
  end }, paths)
  local outcomes = {}
  for i, result in ipairs(results) do outcomes[i] = result.outcome end
  lu.assertEquals(passed, 13)
  lu.assertEquals({ outcomes[3], outcomes[5], outcomes[7] }, { "FAIL", "TIMEOUT", "FAIL" })
  lu.assertEquals(status, 74) -- the first that failed
  for i, result in ipairs(results) do
    if i ~= 3 and i ~= 5 and i ~= 7 then
      lu.assertEquals(result.outcome, "PASS", result.path)
      lu.assertTrue(self.sims[i]:peek(0x08000000, 20000) == image.segments[1].bytes)
    end
  end
  self.sims[3]:plug()
  local again = results_of({ run = function(board) flash.write(board, image) end }, { paths[3] })
  lu.assertEquals(again[1].outcome, "PASS")
end

-- ---- places ----

function TestSteps:test_every_slot_that_has_a_board()
  local paths = self:boards(2)
  local _ <close> = slots_file(('return { left = "%s", middle = "1-99.1", right = "%s" }'):format(
    paths[1], paths[2]))
  local boards = places.choose(recipe_of { run = print }, { every_slot = true })
  lu.assertEquals({ boards[1].slot, boards[2].slot, #boards }, { "left", "right", 2 })
  slots.use(nil)
  local none <close> = slots_file 'return { middle = "1-99.1" }'
  lu.assertNotNil(none)
  support.assert_raises("usb.no-device", places.choose, recipe_of { run = print },
    { every_slot = true })
end

function TestSteps:test_what_cannot_be_used_fails_in_its_slot()
  local right, wrong = sim.new("f407,usb=none"), sim.new("dfu11,usb=none")
  self.sims = { right, wrong }
  local _ <close> = slots_file(('return { a = "%s", b = "%s", c = "1-99.1" }'):format(wrong.path,
    right.path))
  local results
  local recipe = recipe_of { run = function(board) return board.slot end,
                             finish = function(_, all) results = all end }
  local took, status = support.seconds(run.recipe, recipe, {}, { every_slot = true, wait = 5 })
  lu.assertEquals({ results[1].outcome, results[1].err.code, results[1].path, #results, status },
    { "ERROR", "usb.no-device", wrong.path, 2, 69 })
  lu.assertEquals({ results[2].outcome, results[2].data }, { "PASS", "b" })
  lu.assertTrue(took < 6, took) -- it is waited for once
end

function TestSteps.test_no_slots()
  local err = support.assert_raises("usage", places.choose, recipe_of { run = print },
    { every_slot = true })
  lu.assertStrContains(err.message, "there are no slots")
end

function TestSteps:test_a_recipe_that_brings_the_board()
  local path = self:boards(1)[1]
  self.sims[1]:unplug()
  local results = results_of({ start = "operator", run = function(board)
    lu.assertFalse(board.is_open)
    self.sims[1]:plug() -- a relay
    board:open { wait = 5 }
    return board:get_state()
  end }, { path })
  lu.assertEquals({ results[1].outcome, results[1].data }, { "PASS", "dfuERROR" })
  support.assert_raises("usage", places.choose, recipe_of { run = print, start = "operator" }, {})
end

function TestSteps:test_a_recipe_that_brings_the_board_and_says_which()
  local path = self:boards(1)[1]
  for board, outcome in pairs { ["0483:df11"] = "PASS", ["1209:0001"] = "ERROR" } do
    local results = results_of({ start = "operator", board = board, run = function(it)
      it:open()
    end }, { path })
    lu.assertEquals(results[1].outcome, outcome)
  end
end

function TestSteps:test_a_place_is_meant_once()
  local path = self:boards(1)[1]
  local _ <close> = slots_file(('return { left = "%s" }'):format(path))
  for _, start in ipairs { "operator", false } do
    local results = results_of({ start = start or nil, run = function(board)
      if start then board:open() end
    end }, { "left", path, "left,alt=1" })
    lu.assertEquals({ #results, results[1].outcome }, { 1, "PASS" })
  end
end

-- ---- a recipe as a step of another ----

-- The recipe of that text, as `use` gives it; and what removes its file.
local function used(text)
  local name = os.tmpname()
  os.rename(name, name .. ".lua")
  files.write(name .. ".lua", text)
  return recipes.use(name .. ".lua"), support.close_with(function() os.remove(name .. ".lua") end)
end

function TestSteps:test_a_used_recipe_is_for_its_boards()
  local paths = self:boards(1)
  local text = 'return { api = 1, board = "%s", start = %s, run = function(b) %s end }'
  for board, outcome in pairs { ["0483:df11"] = "PASS", ["0483:df12"] = "ERROR" } do
    local it <const>, _ <close> = used(text:format(board, "nil", ""))
    lu.assertEquals(results_of({ run = it }, paths)[1].outcome, outcome)
    -- it opens the board itself: both recipes say what that is
    local brings <const>, _ <close> = used(text:format(board, '"operator"', "b:open { wait = 1 }"))
    for serial, also in pairs { [""] = outcome, [",serial=nobody"] = "ERROR" } do
      local results = results_of({ start = "operator", board = "vid=0483" .. serial,
                                   run = brings }, paths)
      lu.assertEquals(results[1].outcome, also)
    end
  end
end

function TestSteps:test_a_used_recipe_has_its_own_deadline()
  local it <const>, _ <close> = used [[
    return { api = 1, seconds = 5, run = function(b) b:step("it", 9) task.sleep(7) end }]]
  local results = results_of({ seconds = 60, run = function(board)
    local took, _, err = support.seconds(errors.catch, "timeout", it, board)
    lu.assertAlmostEquals(took, 5, 0.1)
    board:step("after", 20)
    task.sleep(10)
    return err.message
  end }, self:boards(1))
  lu.assertEquals(results[1].outcome, "PASS", tostring(results[1].err))
  lu.assertStrContains(results[1].data, "not done within 5 s")
end

return { TestSlots = TestSlots, TestSteps = TestSteps }

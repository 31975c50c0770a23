-- SPDX-License-Identifier: MIT
-- Tests task.at_end: the clean-up at the end of a run, however the run ended.
local dfu = require "dfu"
local errors = require "moonflash.errors"
local lu = require "luaunit"
local run = require "moonflash.run"
local sim = require "sim"
local support = require "support"
local sys = require "sys"
local task = require "task"

local TestCleanup = {}

function TestCleanup:setUp()
  while task.failure() do end -- tasks that earlier tests left failed: run.recipe reports them
  self.sim = sim.new("f407,usb=none,times=zero")
  self.done = {}
end

function TestCleanup:tearDown()
  self.sim:close()
end

function TestCleanup:note(name)
  return function() self.done[#self.done + 1] = name end
end

function TestCleanup:is_done(names)
  lu.assertEquals(table.concat(self.done, " "), names)
end

-- The result of a recipe that does `work` with the board.
function TestCleanup:result(work, seconds)
  return run.on_board({ table = { run = work, seconds = seconds } }, dfu.at(self.sim.path), {})
end

-- The status of a whole run, or nil and its error.
function TestCleanup:whole(recipe)
  recipe.api = 1
  local ok, status = pcall(run.recipe, { name = "it", table = recipe, args = {} }, {},
    { selectors = { self.sim.path } })
  if ok then return status end
  return nil, (errors.origin(status))
end

function TestCleanup:test_the_last_first()
  local result = self:result(function()
    task.at_end(self:note("first"))
    task.at_end(function()
      self:note("second")()
      task.at_end(self:note("asked for at the end"))
    end)
    self:note("run")()
  end)
  lu.assertEquals(result.outcome, "PASS")
  self:is_done("run second asked for at the end first")
end

function TestCleanup:test_the_board_is_closed_by_then()
  self:result(function(board)
    task.at_end(function() self.done[1] = tostring(board.is_open) end)
  end)
  self:is_done("false")
end

function TestCleanup:test_after_failures()
  for _, work in ipairs { function() errors.fail("broken") end, function() error("oops") end,
                          function() error(nil) end, function() task.sleep(1e6) end } do
    self.done = {}
    local result = self:result(function()
      task.at_end(self:note("off"))
      work()
    end, 100)
    lu.assertNotEquals(result.outcome, "PASS")
    self:is_done("off")
  end
end

function TestCleanup:test_a_deadline_that_comes_just_then()
  local result = self:result(function()
    task.at_end(function()
      lu.assertEquals(sys.run { "sleep", "0.1" }.status, 0)
      task.sleep(3)
      self:note("off")()
    end)
    task.sleep(1)
  end, 2)
  lu.assertEquals(result.outcome, "PASS")
  self:is_done("off")
end

function TestCleanup:test_one_that_takes_for_ever()
  local began = task.now()
  local result = self:result(function()
    task.at_end(self:note("off"))
    task.at_end(function() task.sleep(1e6) end)
  end)
  lu.assertAlmostEquals(task.now() - began, 10, 0.5)
  lu.assertEquals(result.err.code, "timeout")
  lu.assertStrContains(result.err.message, "at the end: ")
  self:is_done("off")
end

function TestCleanup:test_what_fails_at_the_end()
  local result = self:result(function()
    task.at_end(function() error("no such relay", 0) end)
    task.at_end(function() error("nor this", 0) end)
  end)
  lu.assertEquals({ result.outcome, result.err }, { "ERROR", "at the end: nor this" })
  lu.assertEquals(result.at_end, { "at the end: no such relay" })
  result = self:result(function() -- beside a failure
    task.at_end(function() errors.raise { code = "sys", message = "no such relay" } end)
    errors.fail("broken")
  end)
  lu.assertEquals(result.err.message, self.sim.path .. ": broken")
  lu.assertEquals(result.at_end[1].message, "at the end: no such relay")
end

function TestCleanup:test_of_the_whole_run()
  local status = self:whole {
    setup = function() task.at_end(self:note("main off")) end,
    run = function() task.at_end(self:note("off")) end,
    finish = function() self:note("finish")() end,
  }
  lu.assertEquals(status, 0)
  self:is_done("off finish main off")
end

-- A program that setup leaves open, and that the collector can't close, ends with the run.
function TestCleanup:test_streams_end_with_the_run()
  local left
  lu.assertEquals(self:whole {
    setup = function() left = sys.start { "cat" } end,
    run = function()
      left:write("still here")
      left:expect("still here")
    end,
  }, 0)
  lu.assertEquals(tostring(left), "Stream (cat, closed)")
end

function TestCleanup:test_after_a_setup_that_fails()
  local status, err = self:whole { setup = function()
    task.at_end(self:note("main off"))
    error("no meter", 0)
  end }
  lu.assertEquals({ status, err }, { nil, "no meter" })
  self:is_done("main off")
end

-- A run that passed but for what happens at the end has not passed.
function TestCleanup:test_a_run_that_does_not_close()
  local closer = setmetatable({}, { __close = function() error("it stays on", 0) end })
  local status, err = self:whole { setup = function() return closer end, run = function() end }
  lu.assertEquals({ status, err }, { nil, "at the end: it stays on" })
  status, err = self:whole { setup = function() return closer end,
                             run = function() errors.fail("broken") end }
  lu.assertEquals({ status, err }, { 1, nil })
end

function TestCleanup.test_misuse()
  support.assert_fails("task.at_end(f): a function", task.at_end, 5)
end

return { TestCleanup = TestCleanup }

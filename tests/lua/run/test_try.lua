-- SPDX-License-Identifier: MIT
-- Tests sim.run, sim.rehearse, sim.at, and `moonflash test`.
local lu = require "luaunit"
local sim = require "sim"
local support = require "support"

local TestTry = {}

local MOONFLASH = os.getenv("MOONFLASH") or "build/moonflash"
if not MOONFLASH:find("^/") then MOONFLASH = os.getenv("PWD") .. "/" .. MOONFLASH end

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
end

function TestTry:setUp()
  self.folder, self.closer = support.folder()
  write(self.folder .. "/r.lua", [[
    return { api = 1, args = { { "--fails", "", default = false } },
      run = function(board, opt)
        board:step("look")
        board:note("voltage", 3.3, { min = 3, max = 4 })
        if opt.fails then fail("it is broken") end
        task.at_end(function() error("the relay is stuck") end)
        return { serial = board.serial }
      end }]])
end

function TestTry:tearDown() self.closer:close() end

function TestTry:test_results()
  local board <close> = sim.new("f407,serial=A1")
  local results = sim.run(self.folder .. "/r.lua", { fails = true }, { board, "f407,serial=A2" })
  lu.assertEquals({ #results, results.status }, { 2, 1 })
  local first = results[1]
  lu.assertEquals({ first.outcome, first.err.code, first.err.step }, { "FAIL", "fail", "look" })
  lu.assertIs(first.sim, board)
  lu.assertEquals(first.steps[1].name, "look")
  lu.assertEquals(first.notes[1].value, 3.3)
  results = sim.run(self.folder .. "/r.lua", nil, { "f407,serial=A2" })
  lu.assertEquals(results[1].data, { serial = "A2" })
  lu.assertStrContains(tostring(results[1].err), "the relay is stuck")
end

function TestTry:test_mistakes()
  support.assert_fails("has no option 'fail'", sim.run, self.folder .. "/r.lua", { fail = true })
  support.assert_raises("usage", sim.run, "there-is-none")
  support.assert_fails("no simulated board", sim.run, self.folder .. "/r.lua", nil, { 5 })
end

function TestTry:test_rehearse()
  lu.assertTrue(sim.rehearse("read", { file = self.folder .. "/x.bin" }, { most = 0 }).runs == 0)
  write(self.folder .. "/lies.lua", [[
    return { api = 1, run = function(board)
      pcall(flash.write, board, image.new { segments = { { address = 0x08000000, bytes = "x" } } })
    end }]])
  local err = support.assert_raises("fail", sim.rehearse, self.folder .. "/lies.lua", nil,
    { most = 20 })
  lu.assertStrContains(err.message, "broke a promise")
end

function TestTry.test_at()
  local board <close> = sim.new("f407")
  lu.assertIs(sim.at(board.path), board)
  lu.assertNil(sim.at("sim:none"))
end

-- The output, and the exit status.
function TestTry:run_tests(words)
  local pipe = io.popen(("cd '%s' && '%s' test %s 2>&1"):format(self.folder, MOONFLASH, words))
  local out = pipe:read("a")
  local _, _, status = pipe:close()
  return out, status
end

function TestTry:test_files()
  write(self.folder .. "/a_test.lua", [[
    return {
      good = function() assert(sim.run("r.lua")[1].steps[1].name == "look") end,
      bad = function() assert(1 == 2, "one & two") end,
    }]])
  write(self.folder .. "/b_test.lua", "error 'it is no test'")
  local out, status = self:run_tests("")
  lu.assertEquals(status, 1)
  lu.assertStrContains(out, "TAP version 13\n1..3\nnot ok 1 - ./a_test.lua: bad\n"
    .. "  # ./a_test.lua:3: one & two\nok 2 - ./a_test.lua: good\n"
    .. "not ok 3 - ./b_test.lua: (the file)")
  out, status = self:run_tests("--junit a_test.lua")
  lu.assertEquals(status, 1)
  lu.assertStrContains(out, '<testsuite name="moonflash" tests="2" failures="1">')
  lu.assertStrContains(out, '<failure message="a_test.lua:3: one &amp; two">')
  os.remove(self.folder .. "/b_test.lua")
  write(self.folder .. "/a_test.lua", "return { good = function() end }")
  out, status = self:run_tests("")
  lu.assertEquals({ out, status }, { "TAP version 13\n1..1\nok 1 - ./a_test.lua: good\n", 0 })
  os.remove(self.folder .. "/a_test.lua")
  lu.assertEquals(select(2, self:run_tests("")), 64)
end

return { TestTry = TestTry }

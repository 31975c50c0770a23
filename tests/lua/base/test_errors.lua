-- SPDX-License-Identifier: MIT
-- Tests error objects: codes and what they mean, catch and fail, and how they print.
local errors = require "moonflash.errors"
local lu = require "luaunit"
local support = require "support"
local task = require "task"

local assert_fails, assert_raises = support.assert_fails, support.assert_raises

local function make(code, more)
  local fields = { code = code, message = "what happened" }
  for key, value in pairs(more or {}) do fields[key] = value end
  return errors.new(fields)
end

-- ---- objects ----

local TestErrors = {}

function TestErrors.test_they_print_as_their_message()
  local err = make("dfu.errTARGET")
  lu.assertEquals(tostring(err), "what happened")
  err.message = "else"
  lu.assertEquals(tostring(err), "else")
  local ok, caught = pcall(error, err)
  lu.assertFalse(ok)
  lu.assertIs(caught, err, "error adds no position")
end

function TestErrors.test_new_and_raise()
  local fields = { code = "x", message = "y", more = 1 }
  lu.assertIs(errors.new(fields), fields)
  lu.assertIs(assert_raises("x", errors.raise, { code = "x", message = "y" }).message, "y")
  for _, bad in ipairs { {}, { code = "x" }, { message = "y" }, { code = 1, message = "y" },
                         { code = "x", message = {} }, 5, "text" } do
    lu.assertFalse(pcall(errors.new, bad))
    lu.assertFalse(pcall(errors.raise, bad))
  end
  lu.assertFalse(pcall(errors.new))
end

function TestErrors.test_is()
  lu.assertTrue(errors.is(make("x")))
  lu.assertTrue(errors.is { code = "x", message = "made by hand" })
  for _, value in ipairs { 1, "x", {}, { code = "x" }, { message = "x" }, print, true,
                           { code = 1, message = "x" }, { code = "x", message = 1 } } do
    lu.assertFalse(errors.is(value))
  end
  lu.assertFalse(errors.is(nil))
  local trap = setmetatable({}, { __index = function() error("looked") end })
  lu.assertFalse(errors.is(trap))
end

function TestErrors.test_matches()
  local err = make("dfu.errTARGET")
  lu.assertTrue(errors.matches(err, "dfu.errTARGET"))
  lu.assertTrue(errors.matches(err, "dfu"))
  lu.assertFalse(errors.matches(err, "df"))
  lu.assertFalse(errors.matches(err, "dfu.err"))
  lu.assertFalse(errors.matches(err, "dfu.errTARGET.more"))
  lu.assertFalse(errors.matches("dfu", "dfu"))
  lu.assertFalse(errors.matches(nil, "dfu"))
end

function TestErrors.test_exit_status_and_outcome()
  for code, expected in pairs {
    ["usage"] = { 64, "ERROR" }, ["image"] = { 65, "ERROR" }, ["image.vectors"] = { 65, "ERROR" },
    ["file"] = { 66, "ERROR" }, ["file.write"] = { 73, "ERROR" },
    ["usb.no-device"] = { 69, "ERROR" }, ["usb"] = { 74, "FAIL" }, ["usb.gone"] = { 74, "FAIL" },
    ["usb.io"] = { 74, "FAIL" }, ["usb.busy"] = { 75, "ERROR" }, ["dfu"] = { 76, "FAIL" },
    ["dfu.errTARGET"] = { 76, "FAIL" }, ["dfu.outside"] = { 76, "FAIL" },
    ["usb.permission"] = { 77, "ERROR" }, ["verify"] = { 79, "FAIL" },
    ["board.protected"] = { 80, "FAIL" }, ["usb.several"] = { 81, "ERROR" },
    ["timeout"] = { 82, "TIMEOUT" }, ["cancelled"] = { 130, "ABORTED" }, ["fail"] = { 1, "FAIL" },
    ["of.their.own"] = { 1, "ERROR" }, ["dfux"] = { 1, "ERROR" }, [""] = { 1, "ERROR" },
    [".."] = { 1, "ERROR" },
  } do
    local err = make(code)
    lu.assertEquals({ errors.exit_status(err), errors.outcome(err) }, expected, code)
  end
  lu.assertEquals(errors.exit_status("text"), 1)
  lu.assertEquals(errors.exit_status(nil), 1)
  lu.assertEquals(errors.outcome("text"), "ERROR")
  lu.assertEquals(errors.outcome(nil), "PASS")
  lu.assertEquals(errors.outcome(make("usb.no-device", { was_there = true })), "FAIL")
end

function TestErrors.test_exit()
  lu.assertEquals(errors.exit_status(make("exit", { status = 3 })), 3)
  lu.assertEquals(errors.exit_status(make("exit", { status = 0 })), 0)
  -- an error object made by hand is a failure, too
  lu.assertEquals(errors.exit_status(make("exit")), 1)
  lu.assertEquals(errors.exit_status(make("exit", { status = "0" })), 1)
end

function TestErrors.test_text()
  lu.assertEquals(errors.text(make("x")), "what happened")
  lu.assertEquals(errors.text(make("x", { flash = "The flash is untouched.", hint = "Do\nthis." })),
    "what happened\n  The flash is untouched.\n  Do\n  this.")
  lu.assertEquals(errors.text("plain"), "plain")
  lu.assertEquals(errors.text(nil), "nil")
  lu.assertEquals(errors.text(make("x", { hint = 5 })), "what happened\n  5")
end

-- ---- catch and fail ----

local TestCatch = {}

function TestCatch.test_results()
  lu.assertEquals(table.pack(errors.catch("dfu", function(...) return ... end, 1, nil, 3, nil)),
    { 1, nil, 3, nil, n = 4 })
  lu.assertEquals(select("#", errors.catch("dfu", function() end)), 0)
end

function TestCatch.test_the_code_and_its_children()
  local err = make("dfu.errTARGET")
  lu.assertEquals(table.pack(errors.catch("dfu", error, err)), { nil, err, n = 2 })
  lu.assertEquals(table.pack(errors.catch("dfu.errTARGET", error, err)), { nil, err, n = 2 })
end

function TestCatch.test_all_else_passes()
  local err = make("usb.gone")
  local ok, caught = pcall(errors.catch, "dfu", error, err)
  lu.assertFalse(ok)
  lu.assertIs(caught, err)
  assert_fails("plain", errors.catch, "dfu", error, "plain")
  assert_fails("attempt to call", errors.catch, "dfu", nil)
  ok, caught = pcall(errors.catch, "dfu", error, nil)
  lu.assertFalse(ok)
  lu.assertNil(caught)
end

function TestCatch.test_it_waits_as_any_call()
  local err = make("dfu.state")
  local took, value, caught = support.seconds(errors.catch, "dfu", function()
    task.sleep(2)
    errors.raise(err)
  end)
  lu.assertEquals({ value, caught }, { nil, err })
  lu.assertAlmostEquals(took, 2, 0.001)
end

function TestCatch.test_misuse()
  for _, bad in ipairs { 5, print, {} } do
    assert_fails("takes an error code", errors.catch, bad, print)
  end
end

function TestCatch.test_codes_that_are_misspelt()
  for code, guess in pairs { ["usb.gon"] = "usb.gone", ubs = "usb", verfy = "verify",
                             ["dfu.errtarget"] = "dfu.errTARGET", ["timeout.x"] = "timeout" } do
    lu.assertErrorMsgContains(("no error code '%s' (did you mean '%s'?)"):format(code, guess),
      errors.catch, code, print)
  end
  for _, code in ipairs { "relay", "relay.stuck", "meter.usb", "exit", "dfu.errUNKNOWN" } do
    lu.assertEquals(errors.catch(code, tostring, 1), "1")
  end
end

function TestCatch.test_fail()
  local before = task.tag(nil)
  local err = assert_raises("fail", errors.fail, "LED does not light")
  lu.assertEquals({ err.message, err.path }, { "LED does not light" })
  lu.assertEquals(assert_raises("fail", errors.fail, "%d of %d", 1, 2).message, "1 of 2")
  lu.assertEquals(assert_raises("fail", errors.fail, "100%").message, "100%")
  lu.assertEquals(assert_raises("fail", errors.fail, 5).message, "5")
  lu.assertEquals(assert_raises("fail", errors.fail).message, "nil")
  task.tag { path = "1-4.2" }
  err = assert_raises("fail", errors.fail, "dark")
  lu.assertEquals({ err.message, err.path }, { "1-4.2: dark", "1-4.2" })
  task.tag(before)
end

return { TestErrors = TestErrors, TestCatch = TestCatch }

-- SPDX-License-Identifier: MIT
-- The promises, held by our own recipes: every kind of fault, at requests all along the way. And
-- the rehearsal itself: a recipe that breaks a promise is found out.
local lu = require "luaunit"
local dfu = require "dfu"
local recipes = require "moonflash.run.recipe"
local rehearse = require "moonflash.run.rehearse"
local support = require "support"
local sys = require "sys"

local file_with = support.file_with

local TestRehearse = {}

local MOST = 16 -- requests that get faults; `moonflash rehearse` alone takes them all

function TestRehearse:setUp()
  -- Each run copies a flash: the collector would take as long as all the rest.
  self.pause = collectgarbage("setpause", 1000)
  if not sys.is_virtual() then lu.skip("needs --virtual-time") end
  self.selectors = dfu.defaults.selectors
end

function TestRehearse:tearDown()
  dfu.defaults.selectors = self.selectors
  collectgarbage("setpause", self.pause)
end

-- A program of so many bytes: a vector table for 0x08000000, and noise.
local function program(length)
  math.randomseed(1)
  local bytes = { ("<I4I4"):pack(0x20020000, 0x08000041) }
  for i = 2, length - 7 do bytes[i] = string.char(math.random(0, 255)) end
  return table.concat(bytes)
end

local function run(name, options, spec, most)
  local recipe = recipes.load(name)
  local opt = require("moonflash.run.args").given(options, recipe.args, name)
  return rehearse.recipe(recipe, opt, spec, most or MOST)
end

function TestRehearse.test_flash_on_each_kind()
  local name = file_with(program(20000))
  for _, spec in ipairs { "f407", "f407,usb=none,times=zero", "g474", "l433" } do
    local done = run("flash", { file = name, leave = true }, spec)
    lu.assertTrue(done.runs >= 6 * MOST, spec)
  end
  os.remove(name)
end

function TestRehearse.test_discovery_at_every_request()
  local name = file_with(program(5000))
  local done = run("discovery", { file = name }, "f407", math.maxinteger)
  lu.assertEquals(done.runs, 6 * done.requests)
  os.remove(name)
end

function TestRehearse.test_the_other_recipes()
  local name = file_with(program(3000))
  run("erase", { address = 0x08008000, length = 40000 }, "f407")
  run("erase", { all = true }, "f407")
  run("leave", {}, "f407,flash=" .. name)
  run("info", {}, "f407")
  run("unprotect", { yes = true }, "f407,rdp=1", math.maxinteger)
  os.remove(name)
end

-- Rehearses a recipe made of a run function; returns what is complained of.
local function complaint(body)
  local recipe = { name = "it", args = {}, table = { run = body } }
  local ok, err = pcall(rehearse.recipe, recipe, {}, "f407,usb=none", MOST)
  lu.assertFalse(ok)
  lu.assertEquals(err.code, "fail")
  return err.hint
end

local DATA = ("data"):rep(2000)

-- Each way to flash.
function TestRehearse.test_the_options_of_flash()
  local name = file_with(program(20000))
  for _, options in ipairs { { full = true }, { start_last = true, retry = 1 }, { keep = true },
                             { erase_all = true }, { lose = true } } do
    options.file = name
    run("flash", options, "f407")
  end
  os.remove(name)
end

-- The flash begins with the content of the file, which is only read.
function TestRehearse.test_verify_on_a_board_that_has_it()
  local bytes = program(20000)
  local name = file_with(bytes)
  run("verify", { file = name }, "f407,flash=" .. name)
  local file <close> = assert(io.open(name, "rb"))
  lu.assertTrue(file:read("a") == bytes)
  os.remove(name)
end

-- Whatever `most` is, no fault strikes behind the last request.
function TestRehearse.test_faults_are_spread_over_all_requests()
  local name = file_with(program(3000))
  for most = 7, 33, 13 do
    lu.assertEquals(run("flash", { file = name, full = true }, "f407", most).runs % 6, 0)
  end
  os.remove(name)
end

function TestRehearse.test_false_success_is_found_out()
  lu.assertStrContains(complaint(function(board)
    board:erase_page(0x08000000)
    pcall(board.write, board, 0x08000000, DATA)
  end), "the run passed, but the flash is wrong at 0x0800")
end

function TestRehearse.test_corruption_without_verification_is_found_out()
  lu.assertStrContains(complaint(function(board)
    board:erase_page(0x08000000)
    board:write(0x08000000, DATA)
  end), "corrupt at request")
end

function TestRehearse.test_a_foreign_sector_is_found_out()
  lu.assertStrContains(complaint(function(board)
    local ok = pcall(board.erase_page, board, 0x08000000)
    if not ok then pcall(board.erase_page, board, 0x08020000) end
    board:write(0x08000000, DATA)
    assert(board:read(0x08000000, #DATA) == DATA)
  end), "which the run without faults leaves alone")
end

function TestRehearse.test_a_recipe_that_cannot_run_again_is_found_out()
  local runs = 0
  lu.assertStrContains(complaint(function(board)
    runs = runs + 1
    if runs > 1 and board:read(0x08000000, 4) == DATA:sub(1, 4) then fail("there already") end
    board:erase_page(0x08000000)
    board:write(0x08000000, DATA)
    if board:read(0x08000000, #DATA) ~= DATA then fail("not what was written") end
  end), "the second run failed")
end

function TestRehearse.test_a_recipe_that_fails_without_faults()
  local recipe = { name = "it", args = {}, table = { run = function() fail("always") end } }
  local ok, err = pcall(rehearse.recipe, recipe, {}, "f407")
  lu.assertFalse(ok)
  lu.assertStrContains(err.message, "without any fault")
end

return { TestRehearse = TestRehearse }

-- SPDX-License-Identifier: MIT
-- A whole station on simulated boards that come and go, in virtual time.
local lu = require "luaunit"
local acts = require "moonflash.station.acts"
local events = require "moonflash.base.events"
local policies = require "moonflash.station.policy"
local recipes = require "moonflash.run.recipe"
local rehearse = require "moonflash.station.rehearse"
local secret = require "moonflash.station.secret"
local sim = require "sim"
local stations = require "moonflash.station"
local stores = require "moonflash.station.store"
local support = require "support"
local sys = require "sys"
local task = require "task"

local TestStation = {}

function TestStation.setUp()
  if not sys.is_virtual() then lu.skip("needs --virtual-time") end
end

-- A recipe from the fields of its table, as text.
local function recipe_of(fields)
  local name = support.file_with("return { api = 1, board = '0483:df11', " .. fields .. " }")
  os.rename(name, name .. ".lua")
  local recipe = recipes.load(name .. ".lua")
  os.remove(name .. ".lua")
  return recipe
end

local SIMPLE = [[setup = function() return { numbers = units.open("N%d") } end,
  run = function(board, opt, line)
    local item = line.numbers:take(board)
    board:step("write", 30)
    board:erase_page(0x08000000)
    board:write(0x08000000, item.value .. ("\255"):rep(16 - #item.value))
  end]]

-- Runs a station with boards at its places, which are out at first. drive(station, boards, places)
-- plays the operator; then the station ends. Returns the station, whose store is still open, and
-- what it said.
local function play(recipe, specs, drive, options)
  options = options or {}
  local boards, paths, said = {}, {}, {}
  for i, spec in ipairs(specs) do
    boards[i] = sim.new(spec)
    if not options.plugged then boards[i]:unplug() end
    paths[i] = boards[i].path
  end
  local _ <close> = events.apart()
  local _ <close> = events.on { print = function(_, _, line) said[#said + 1] = line end }
  local store = options.store or stores.open(options.folder, { fast = true })
  local station = stations.new(recipe, { store = store, session = { selectors = paths } })
  local failure
  station:run(options.opt or {}, { attend = function()
    task.spawn(function()
      local job = task.spawn(drive, station, boards, station.places)
      local ok, err = pcall(job.join, job)
      failure = not ok and err or nil
      station:stop()
    end)
  end })
  for _, board in ipairs(boards) do board:close() end
  if failure then error(failure, 0) end
  return station, table.concat(said, "\n")
end

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
end

local function wait_for(place, state)
  for _ = 1, 2000 do
    if place.state == state then return end
    task.sleep(0.05)
  end
  error(("%s is %s and not %s (%s)"):format(place.name, place.state, state, place.why))
end

local function attempts(station)
  local list = {}
  for row in station.store.db:rows("SELECT * FROM attempt ORDER BY id") do list[#list + 1] = row end
  return list
end

local function outcomes(station)
  local list = {}
  for i, row in ipairs(attempts(station)) do list[i] = row.dut_id .. " " .. row.outcome end
  return list
end

local function item(station, value) return station.store:item("N%d", value) end

-- ---- units ----

function TestStation.test_from_empty_to_pass_and_the_next_one()
  local station = play(recipe_of(SIMPLE), { "f407" }, function(_, boards, places)
    local board, place = boards[1], places[1]
    lu.assertEquals(place.state, "EMPTY")
    for i = 1, 3 do
      board:plug()
      wait_for(place, "RUNNING")
      wait_for(place, "PASS")
      lu.assertEquals(board:peek(0x08000000, 2), "N" .. i)
      task.sleep(2)
      lu.assertEquals(place.state, "PASS")
      board:unplug()
      task.sleep(1.5)
    end
  end)
  lu.assertEquals(outcomes(station), { "N1 PASS", "N2 PASS", "N3 PASS" })
  lu.assertEquals(item(station, "N3").state, "used")
  lu.assertEquals({ station.counts.passed, station.counts.failed }, { 3, 0 })
  lu.assertTrue(attempts(station)[2].handling > 1)
end

function TestStation.test_a_number_that_may_be_in_a_flash_is_void()
  local station = play(recipe_of(SIMPLE), { "f407" }, function(_, boards, places)
    boards[1]:plug()
    wait_for(places[1], "RUNNING")
    boards[1]:fault("unplug", boards[1].requests + 6)
    wait_for(places[1], "FAIL")
  end)
  local row = attempts(station)[1]
  lu.assertEquals({ row.outcome, row.code }, { "FAIL", "usb.gone" })
  lu.assertStrContains(row.flash, "0x0800")
  lu.assertEquals(item(station, "N1").state, "void")
end

function TestStation.test_a_number_is_free_again_where_nothing_was_sent()
  local recipe = recipe_of([[setup = function() return units.open("N%d") end,
    run = function(board, opt, numbers)
      numbers:take(board)
      board:read(0x08000000, 64)
      fail("before anything was sent")
    end]])
  local station = play(recipe, { "f407" }, function(_, boards, places)
    boards[1]:plug()
    wait_for(places[1], "FAIL")
  end)
  lu.assertEquals(item(station, "N1").state, "free")
  lu.assertEquals(outcomes(station), { "#1 FAIL" })
end

function TestStation.test_retry_here_has_the_same_number()
  local recipe = recipe_of([[
    setup = function() return { numbers = units.open("N%d"), runs = 0 } end,
    run = function(board, opt, line)
      line.numbers:take(board)
      board:erase_page(0x08000000)
      line.runs = line.runs + 1
      if line.runs == 1 then fail("cold joint") end
    end]])
  local station = play(recipe, { "f407" }, function(station, boards, places)
    local board, place = boards[1], places[1]
    board:plug()
    wait_for(place, "FAIL")
    lu.assertNil(acts.line(station, "")) -- Enter: the board that is there
    wait_for(place, "PASS")
    board:unplug()
    task.sleep(1.5)
    board:plug()
    wait_for(place, "RUNNING")
    wait_for(place, "PASS")
  end)
  lu.assertEquals(outcomes(station), { "N1 FAIL", "N1 PASS", "N2 PASS" })
  lu.assertEquals(attempts(station)[2].retry_of, 1)
  lu.assertEquals({ station.counts.tried, station.counts.first }, { 2, 1 })
end

function TestStation.test_the_same_chip_again()
  local station, said = play(recipe_of(SIMPLE:gsub("0x08000000", "0x08000000")), { "u083" },
    function(_, boards, places)
      for _ = 1, 2 do
        boards[1]:plug()
        wait_for(places[1], "PASS")
        boards[1]:unplug()
        task.sleep(1.5)
        places[1].state = "EMPTY"
      end
      lu.assertStrContains(places[1].note, "this is N1, passed")
    end)
  lu.assertEquals(outcomes(station), { "N1 PASS" })
  lu.assertEquals(said, "new store: numbers begin at N1")
end

function TestStation.test_the_recipe_may_want_it_again()
  local recipe = recipe_of(SIMPLE .. ", station = { again = 'run' }")
  local station = play(recipe, { "u083" }, function(_, boards, places)
    for _ = 1, 2 do
      boards[1]:plug()
      wait_for(places[1], "PASS")
      boards[1]:unplug()
      task.sleep(1.5)
      places[1].state = "EMPTY"
    end
  end)
  lu.assertEquals(outcomes(station), { "N1 PASS", "N1 PASS" })
end

function TestStation.test_boards_that_are_there_at_the_start()
  local store = stores.open(nil)
  local recipe = recipe_of(SIMPLE)
  local path
  local station = play(recipe, { "f407" }, function(_, boards, places)
    wait_for(places[1], "PASS")
    path = boards[1].path
  end, { plugged = true, store = store })
  lu.assertEquals(outcomes(station), { "N1 PASS" })
  -- the same place at the next start: it passed there
  local again = sim.new(path:gsub("^sim:", ""))
  lu.assertEquals(again.path:match("^sim:f407"), "sim:f407")
  again:close()
end

function TestStation.test_a_place_that_passed_before_waits()
  local store = stores.open(nil)
  local recipe = recipe_of(SIMPLE)
  play(recipe, { "f407,serial=P" }, function(_, _, places) wait_for(places[1], "PASS") end,
    { plugged = true, store = store })
  store:write("UPDATE attempt SET path = 'sim:f407#9,serial=P'")
  store:durable()
  local board = sim.new("f407,serial=P")
  store:write("UPDATE attempt SET path = ?", board.path)
  store:durable()
  local _ <close> = events.apart()
  local station = stations.new(recipe, { store = store, session = { selectors = { board.path } } })
  station:run({}, { attend = function()
    task.spawn(function()
      wait_for(station.places[1], "BLOCKED")
      lu.assertStrContains(station.places[1].why, "N1 passed here")
      task.sleep(3)
      lu.assertEquals(#attempts(station), 1)
      acts.line(station, "")
      wait_for(station.places[1], "PASS")
      station:stop()
    end)
  end })
  lu.assertEquals(outcomes(station), { "N1 PASS", "N2 PASS" })
  board:close()
end

function TestStation.test_a_board_that_comes_too_soon()
  local station, said = play(recipe_of(SIMPLE), { "f407" }, function(_, boards, places)
    boards[1]:plug()
    wait_for(places[1], "PASS")
    boards[1]:unplug()
    task.sleep(0.4)
    boards[1]:plug()
    wait_for(places[1], "BLOCKED")
    boards[1]:unplug()
    task.sleep(1.2)
    boards[1]:plug()
    wait_for(places[1], "PASS")
  end)
  lu.assertEquals(#attempts(station), 2)
  lu.assertStrContains(said, "take it out and put it in again")
end

function TestStation.test_starting_by_a_scan()
  local recipe = recipe_of([[start = "scan", setup = function() end,
    run = function(board) board:erase_page(0x08000000) end]])
  local station, said = play(recipe, { "f407", "f407" }, function(station, boards, places)
    boards[1]:plug()
    boards[2]:plug()
    wait_for(places[1], "READY")
    wait_for(places[2], "READY")
    lu.assertEquals(acts.line(station, "W1"), "which place? scan or type its name first")
    lu.assertNil(acts.line(station, places[2].name))
    lu.assertNil(acts.line(station, "W2"))
    wait_for(places[2], "PASS")
    lu.assertNil(acts.line(station, "W1")) -- the only one that waits
    wait_for(places[1], "PASS")
    boards[1]:unplug()
    task.sleep(1.5)
    boards[1]:plug()
    wait_for(places[1], "READY")
    lu.assertStrContains(acts.line(station, "W2"), "W2 has passed already")
  end)
  lu.assertEquals(outcomes(station), { "W2 PASS", "W1 PASS" })
  lu.assertStrContains(said, "W2 has passed already")
end

function TestStation.test_starting_by_enter()
  local station = play(recipe_of(SIMPLE .. ", start = 'enter'"), { "f407" },
    function(station, boards, places)
      boards[1]:plug()
      wait_for(places[1], "READY")
      task.sleep(5)
      lu.assertEquals(#attempts(station), 0)
      acts.line(station, "")
      wait_for(places[1], "PASS")
    end)
  lu.assertEquals(outcomes(station), { "N1 PASS" })
end

function TestStation.test_a_reference_takes_no_number()
  local station = play(recipe_of(SIMPLE), { "f407" }, function(station, boards, places)
    acts.line(station, "r GOLD")
    boards[1]:plug()
    wait_for(places[1], "PASS")
    boards[1]:unplug()
    task.sleep(1.5)
    boards[1]:plug()
    wait_for(places[1], "RUNNING")
    wait_for(places[1], "PASS")
  end)
  local list = attempts(station)
  lu.assertEquals({ list[1].reference, list[2].reference, list[2].dut_id }, { 1, 0, "N1" })
  lu.assertEquals(station.counts.passed, 1)
end

function TestStation.test_what_a_run_leaves_behind_ends_with_its_unit()
  local recipe = recipe_of([[setup = function() return { ticks = 0 } end,
    run = function(board, opt, shared)
      tick = task.spawn(function()
        while true do shared.ticks = shared.ticks + 1 task.sleep(0.1) end
      end)
      stream = sys.start { "sleep", "100" }
      task.sleep(1)
    end]])
  for _, name in ipairs { "tick", "stream" } do rawset(recipe.env, name, false) end
  getmetatable(recipe.env).loose = true
  local station = play(recipe, { "f407" }, function(station, boards, places)
    boards[1]:plug()
    wait_for(places[1], "PASS")
    local before = station.value.ticks
    lu.assertTrue(before > 5)
    task.sleep(3)
    lu.assertEquals(station.value.ticks, before)
    lu.assertFalse(pcall(recipe.env.stream.write, recipe.env.stream, "x"))
  end)
  lu.assertEquals(#attempts(station), 1)
end

function TestStation.test_a_file_that_changes_is_told()
  local name = support.file_with("one")
  local recipe = recipe_of([[args = { { "file", "firmware", type = "file" } },
    setup = function() end, run = function() end]])
  local _, said = play(recipe, { "f407" }, function(_, boards, places)
    for _ = 1, 2 do
      boards[1]:plug()
      wait_for(places[1], "PASS")
      write(name, "another")
      boards[1]:unplug()
      task.sleep(1.5)
      places[1].state = "EMPTY"
    end
  end, { opt = { file = name } })
  lu.assertStrContains(said, "has changed on the disk")
  os.remove(name)
end

-- ---- stops ----

function TestStation.test_a_pool_that_is_empty_blocks_before_a_board_is_touched()
  local recipe = recipe_of((SIMPLE:gsub('"N%%d"', '"N%%d", { to = 1 }')))
  local station = play(recipe, { "f407", "f407" }, function(station, boards, places)
    boards[1]:plug()
    wait_for(places[1], "PASS")
    local before = boards[2].requests
    boards[2]:plug()
    wait_for(places[2], "BLOCKED")
    lu.assertEquals(places[2].why, "N%d is used up")
    task.sleep(1)
    lu.assertEquals(acts.line(station, places[2].name), "N%d is used up")
    lu.assertEquals(boards[2].requests, before)
  end)
  lu.assertEquals(#attempts(station), 1)
end

function TestStation.test_failures_in_a_row_stop_the_station()
  local recipe = recipe_of([[setup = function() end, station = { stop = { failures_in_a_row = 2 } },
    run = function() fail("no") end]])
  local station, said = play(recipe, { "f407" }, function(station, boards, places)
    for _ = 1, 2 do
      boards[1]:plug()
      wait_for(places[1], "FAIL")
      boards[1]:unplug()
      task.sleep(1.5)
      places[1].state = "EMPTY"
    end
    boards[1]:plug()
    wait_for(places[1], "BLOCKED")
    acts.line(station, "reset")
    wait_for(places[1], "FAIL")
  end)
  lu.assertEquals(#attempts(station), 3)
  lu.assertStrContains(said, "The station stops: 2 failures in a row. 'reset' goes on.")
  lu.assertEquals({ station.store:check_audit() }, { 1 })
end

-- ---- crashes ----

-- A store in which a station was killed while N1 was reserved, and on a board.
local function crashed()
  local store = stores.open(nil)
  store:begin_run {}
  local of = store:begin_attempt { path = "sim:x", slot = "one" }
  store:reserve({ pool = "N%d", number = 1, value = "N1" }, { id = of })
  store:durable()
  store.run = nil
  return store
end

function TestStation.test_a_lost_number_is_never_given_out_and_blocks_nothing()
  local station, said = play(recipe_of(SIMPLE), { "f407" }, function(station, boards, places)
    boards[1]:plug()
    wait_for(places[1], "PASS")
    lu.assertNil(acts.line(station, "void N1"))
    lu.assertEquals(acts.line(station, "void N1"), "N1 is void already")
    lu.assertEquals(acts.line(station, "void N7"), "N7 was never given out")
  end, { store = crashed() })
  lu.assertStrContains(said, "Not settled: N1.")
  lu.assertEquals(item(station, "N1").state, "void")
  lu.assertEquals(item(station, "N2").state, "used")
end

function TestStation.test_the_board_that_has_a_lost_number_gets_it_again()
  local recipe = recipe_of(SIMPLE .. [[, identify = function(board)
    return board:read(0x08000000, 8):match("^N%d+") end]])
  local station, said = play(recipe, { "f407" }, function(_, boards, places)
    boards[1]:poke(0x08000000, "N1\255\255")
    boards[1]:plug()
    wait_for(places[1], "PASS")
  end, { store = crashed() })
  lu.assertStrContains(said, "N1: found on the board; it is settled.")
  lu.assertEquals(item(station, "N1").state, "used")
  lu.assertNil(item(station, "N2"))
end

-- A commit that fails: the unit has no record, and is not PASS.
function TestStation.test_a_unit_without_a_record_is_not_pass()
  local station = play(recipe_of(SIMPLE), { "f407" }, function(station, boards, places)
    local store = station.store
    boards[1]:plug()
    wait_for(places[1], "RUNNING")
    local durable = store.durable
    function store.durable(self)
      if places[1].state ~= "RUNNING" or not self.committer then return durable(self) end
      if station.units[places[1]] == nil then error("database or disk is full", 0) end
      return durable(self)
    end
    for _ = 1, 400 do
      if places[1].state ~= "RUNNING" then break end
      task.sleep(0.05)
    end
    store.durable = nil
    lu.assertEquals(places[1].state, "FAIL")
    lu.assertStrContains(places[1].facts.message, "the record can't be stored")
  end)
  lu.assertEquals({ station.counts.passed, station.counts.errors }, { 0, 1 })
end

-- ---- policy ----

function TestStation.test_rules_of_another_person()
  local folder, _ <close> = support.folder()
  write(folder .. "/station.lua", "return { id = 'line4', operators = { 'anna' } }")
  local recipe = recipe_of(SIMPLE)
  local station = play(recipe, { "f407" }, function(station, boards, places)
    boards[1]:plug()
    wait_for(places[1], "BLOCKED")
    lu.assertEquals(places[1].why, "nobody has signed on: type sign-on NAME")
    lu.assertStrContains(acts.line(station, "sign-on eve"), "not among the operators")
    acts.line(station, "sign-on anna")
    wait_for(places[1], "PASS")
  end, { folder = folder })
  lu.assertEquals(attempts(station)[1].operator, "anna")
  station.store:close()
  write(folder .. "/station.lua", "return { id = 'line4' }")
  station = play(recipe, { "f407" }, function(again, boards, places)
    boards[1]:plug()
    wait_for(places[1], "BLOCKED")
    lu.assertEquals(places[1].why, "station.lua was changed: type accept")
    acts.line(again, "accept")
    wait_for(places[1], "PASS")
  end, { folder = folder })
  lu.assertEquals({ station.store:check_audit() }, { 3 })
  station.store:close()
end

function TestStation.test_only_approved_images()
  local folder, _ <close> = support.folder()
  local good, bad = folder .. "/good.bin", folder .. "/bad.bin"
  local vectors = ("<I4I4"):pack(0x20020000, 0x08000041)
  write(good, vectors .. ("A"):rep(200))
  write(bad, vectors .. ("B"):rep(200))
  write(folder .. "/approved.txt", sys.sha256(vectors .. ("A"):rep(200)) .. "  good.bin\n")
  write(folder .. "/station.lua", "return { approved = 'approved.txt' }")
  local policy = policies.load(folder)
  local image = require "moonflash.image"
  policies.check_image(policy, image.load(good):patch(0x08000010, "own"))
  local ok, err = pcall(policies.check_image, policy, image.load(bad))
  lu.assertFalse(ok)
  lu.assertEquals(err.code, "station.policy")
  ok, err = pcall(policies.check_image, policy, image.new { segments = {
    { address = 0x08000000, bytes = "x" } } })
  lu.assertFalse(ok)
  lu.assertStrContains(err.message, "comes from no file")
end

-- ---- what comes after PASS ----

function TestStation.test_the_label_follows_and_changes_no_verdict()
  local recipe = recipe_of(SIMPLE .. [[, finish_unit = function(unit)
    tries = tries + 1
    if tries == 1 then fail("no paper") end
    printed = unit.value
  end]])
  rawset(recipe.env, "tries", 0)
  rawset(recipe.env, "printed", false)
  getmetatable(recipe.env).loose = true
  local station = play(recipe, { "f407" }, function(station, boards, places)
    boards[1]:plug()
    wait_for(places[1], "PASS")
    task.sleep(0.5)
    lu.assertEquals(places[1].note, "no paper")
    acts.line(station, "")
    task.sleep(0.5)
    lu.assertNil(places[1].unfinished)
  end)
  lu.assertEquals(recipe.env.printed, "N1")
  lu.assertEquals(outcomes(station), { "N1 PASS" })
end

-- ---- the rehearsal ----

function TestStation.test_a_thousand_units_at_sixteen_places()
  local recipe = recipe_of(SIMPLE:gsub("board:erase_page.-\n", "")
    :gsub("board:write.-\n", 'flash.write(board, image.new { segments = { { address = 0x08000000, '
      .. 'bytes = item.value .. ("\\255"):rep(4096 - #item.value) } } })\n'))
  local done = rehearse.recipe(recipe, {}, { units = 1000, places = 16, seed = 7, board = "f407" })
  lu.assertTrue(done.passed > 700, done.shown)
  lu.assertEquals(done.used, done.passed)
end

-- A station that calls failures PASS is found out.
function TestStation.test_the_rehearsal_finds_a_false_pass()
  local recipe = recipe_of([[setup = function() return units.open("N%d") end,
    run = function(board, opt, numbers)
      local item = numbers:take(board)
      pcall(flash.write, board, image.new { segments = { { address = 0x08000000,
        bytes = item.value .. ("\255"):rep(4096 - #item.value) } } })
    end]])
  local ok, err = pcall(rehearse.recipe, recipe, {}, { units = 60, places = 4, seed = 1,
    board = "f407" })
  lu.assertFalse(ok)
  lu.assertStrContains(err.hint, "is called PASS")
end

function TestStation.tearDown() secret.reset() end

return { TestStation = TestStation }

-- SPDX-License-Identifier: MIT
-- Tests how boards are found and opened: selectors, lists, places; and a place that a device
-- leaves, and another comes to.
local dfu = require "dfu"
local remedies = require "moonflash.ui.remedies"
local memory = require "moonflash.memory"
local selectors = require "moonflash.board.selector"
local lu = require "luaunit"
local sim = require "sim"
local support = require "support"
local task = require "task"

local FLASH = 0x08000000

local assert_fails, assert_raises = support.assert_fails, support.assert_raises
local open, seconds = support.open, support.seconds

local function paths(list)
  local found = {}
  for i, info in ipairs(list) do found[i] = info.path end
  return table.concat(found, " ")
end

-- The entries of dfu.list for the given Sims. Boards of other tests may still be listed.
local function list(selector, ...)
  local ours, found = {}, {}
  for _, place in ipairs { ... } do ours[place.path] = true end
  for _, info in ipairs(dfu.list(selector)) do
    if ours[info.path] then found[#found + 1] = info end
  end
  return paths(found)
end

-- ---- selectors ----

local TestSelectors = {}

function TestSelectors.test_strings()
  local function parsed(selector, expected)
    lu.assertEquals(selectors.parse(selector), expected)
  end
  parsed(nil, {})
  parsed("1-4.2", { path = "1-4.2" })
  parsed("path=1-4.2", { path = "1-4.2" })
  parsed("0483:df11", { vid = 0x0483, pid = 0xDF11 })
  parsed("0x0483:0xDF11", { vid = 0x0483, pid = 0xDF11 })
  parsed("vid=0483,pid=df11", { vid = 0x0483, pid = 0xDF11 })
  parsed("serial=315A,alt=1,mode=dfu", { serial = "315A", alt = "1", mode = "dfu" })
  parsed("serial=a=b", { serial = "a=b" })
  parsed("devnum=12", { devnum = 12 })
  parsed("1d50:6018/1d50:6017",
    { vid = 0x1D50, pid = 0x6017, runtime_vid = 0x1D50, runtime_pid = 0x6018 })
  parsed("2-1,0483:df11", { path = "2-1", vid = 0x0483, pid = 0xDF11 })
  parsed("sim:f407,serial=A,usb=ideal", { path = "sim:f407,serial=A,usb=ideal" })
end

function TestSelectors.test_bad_strings()
  for _, bad in ipairs { "", ",", "x", "1-", "0483:", "0483:df1", "serial=", "vid=483", "pid=xxxx",
                         "mode=off", "speed=fast", "0483:df11:1", "=x", "serial",
                         "devnum=x", "1d50:6018/1d50", "1d50/1d50:6017", "a/b" } do
    local err = assert_raises("usage", selectors.parse, bad)
    lu.assertStrContains(err.message, ("'%s' is not a board selector"):format(bad))
    lu.assertIsString(err.hint)
  end
  lu.assertStrContains(assert_raises("usage", dfu.list, "seral=x").message,
    "did you mean 'serial'?")
end

function TestSelectors.test_tables()
  local selector = { path = "1-4", vid = 1, pid = 2, serial = "A,1", alt = 0, mode = "runtime" }
  lu.assertEquals(selectors.parse(selector), selector)
  for _, bad in ipairs { { pth = "1-4" }, { "1-4" }, { path = 5 }, { vid = "0483" }, { pid = 1.5 },
                         { serial = 5 }, { mode = "off" }, { alt = {} } } do
    lu.assertFalse(pcall(dfu.open, bad))
  end
  assert_fails("did you mean 'path'?", dfu.list, { pth = "1-4" })
  assert_fails("test_boards.lua", function() dfu.list { pth = "1-4" } end)
end

function TestSelectors.test_other_types()
  for _, bad in ipairs { 5, true, print } do
    assert_fails("a selector is a string or a table", dfu.open, bad)
    assert_fails("a selector is a string or a table", dfu.list, bad)
    assert_fails("a selector is a string or a table", dfu.at, bad)
    assert_fails("a selector is a string or a table", dfu.arrivals, bad)
  end
end

-- A board has other ids while it runs its program.
function TestSelectors.test_pairs_of_ids()
  local board <close> = sim.new("dfu11,usb=ideal")
  lu.assertEquals(list("1209:0001/1209:0002", board), board.path)
  lu.assertEquals(list("1209:0002/1209:0001", board), "")
  lu.assertEquals(list("1209:0002", board), "")
  local _ <close> = dfu.at(board.path):detach()
  lu.assertEquals(list("1209:0001/1209:0002", board), board.path)
  lu.assertEquals(list("1209:0002/1209:0001", board), "")
end

function TestSelectors.test_device_number()
  local board <close> = sim.new("f407,usb=ideal")
  local info = dfu.list(board.path)[1]
  lu.assertEquals({ info.configuration, info.interface }, { 1, 0 })
  lu.assertEquals(list({ path = board.path, devnum = info.devnum }, board), board.path)
  lu.assertEquals(list({ path = board.path, devnum = info.devnum + 1 }, board), "")
end

-- A whole name counts before one that only begins so.
function TestSelectors.test_names_of_alternate_settings()
  local alts = {}
  for i, name in ipairs { "fw2", "fw", "@Internal Flash  /0x08000000/04*016Kg" } do
    alts[i] = { number = i - 1, name = name, layout = memory.parse(name) }
  end
  local function found(wanted) return (selectors.find_alt(alts, wanted) or {}).number end
  lu.assertEquals({ found("fw"), found("fw2"), found("f"), found("FW") }, { 1, 0, 0, 0 })
  lu.assertEquals({ found("internal"), found("@Internal"), found(alts[3].name), found(2) },
    { 2, 2, 2, 2 })
  lu.assertNil(found("other"))
  lu.assertNil(found(9))
end

-- Two products of one vendor.
function TestSelectors.test_they_match_the_product_id()
  local other_file <close> = support.product [[{ base = "f407", pid = 0xDF12 }]]
  local a <close> = sim.new("f407,usb=ideal")
  local b <close> = sim.new(other_file.name .. ",usb=ideal")
  lu.assertEquals(list("vid=0483", a, b), paths { b, a })
  lu.assertEquals(list("0483:df11", a, b), a.path)
  lu.assertEquals(list("0483:df12", a, b), b.path)
  lu.assertEquals(list("pid=df12", a, b), b.path)
  lu.assertEquals(list({ vid = 0x0483, pid = 0xDF13 }, a, b), "")
end

function TestSelectors.test_what_they_match()
  local a <close> = sim.new("f407,usb=ideal,serial=SEL1")
  local b <close> = sim.new("l433,usb=ideal,serial=SEL2")
  local c <close> = sim.new("dfu11,usb=ideal,serial=SEL3")
  lu.assertEquals(list("serial=SEL1", a, b, c), a.path)
  lu.assertEquals(list("0483:df11", a, b, c), paths { a, b })
  lu.assertEquals(list("0483:df11,serial=SEL2", a, b, c), b.path)
  lu.assertEquals(list("serial=sel1", a, b, c), "")
  lu.assertEquals(list("mode=runtime", a, b, c), c.path)
  lu.assertEquals(list("1209:0001", a, b, c), c.path)
  lu.assertEquals(list("mode=dfu", a, b, c), paths { a, b })
  lu.assertEquals(list("alt=otp", a, b, c), paths { a, b })
  lu.assertEquals(list("alt=3", a, b, c), paths { a, b })
  lu.assertEquals(list("alt=7", a, b, c), "")
  lu.assertEquals(list({ path = a.path, serial = "SEL1" }, a, b, c), a.path)
  lu.assertEquals(list({ path = a.path, serial = "SEL2" }, a, b, c), "")
end

-- ---- lists ----

local TestList = {}

function TestList.test_entries()
  local place <close> = sim.new("f407,usb=ideal,serial=L1")
  local info = dfu.list(place.path)[1]
  lu.assertEquals({ info.path, info.vid, info.pid, info.version, info.mode, info.serial,
                    info.product, info.manufacturer },
    { place.path, 0x0483, 0xDF11, 0x2100, "dfu", "L1", "STM32  BOOTLOADER",
      "STMicroelectronics" })
  lu.assertEquals(#info.alts, 4)
  lu.assertEquals({ info.alts[2].number, info.alts[2].layout.name }, { 1, "Option Bytes" })
end

function TestList.test_it_changes_nothing()
  local place <close> = sim.new("f407,usb=ideal,state=dfuDNLOAD-SYNC")
  dfu.list(place.path)
  lu.assertEquals(place.requests, 0)
end

function TestList.test_what_is_away_is_not_there()
  local place <close> = sim.new("f407,usb=ideal")
  place:unplug()
  lu.assertEquals(dfu.list(place.path), {})
  place:plug()
  lu.assertEquals(#dfu.list(place.path), 1)
end

function TestList.test_beside_an_operation()
  local place <close> = sim.new("f407,usb=ideal")
  local board <close> = dfu.open(place.path)
  local job = task.spawn(board.erase_page, board, FLASH)
  task.sleep(0.1)
  lu.assertEquals(#dfu.list(place.path), 1)
  job:join()
end

function TestList.test_a_board_that_does_not_answer_is_listed_without_strings()
  local place <close> = sim.new("f407,usb=ideal")
  place:fault("hang", 1)
  do
    local handle <close> = dfu.at(place.path)
    pcall(handle.open, handle) -- its first class request: from here on it hangs
  end
  place:reset()
  lu.assertEquals(dfu.list(place.path)[1].product, "STM32  BOOTLOADER")
end

-- ---- opening ----

local TestOpening = {}

function TestOpening.test_no_device()
  local err = assert_raises("usb.no-device", dfu.open, "serial=nobody-has-this")
  lu.assertStrContains(err.message, "no board in DFU mode")
  lu.assertIsString(err.hint)
  assert_raises("usb.no-device", dfu.open, "9-9")
  assert_raises("usb.no-device", dfu.at, "serial=nobody-has-this")
end

function TestOpening.test_waiting()
  local took = seconds(assert_raises, "usb.no-device", dfu.open, "serial=nobody", { wait = 3 })
  lu.assertAlmostEquals(took, 3, 0.1)
  local place <close> = sim.new("f407,usb=ideal")
  place:unplug()
  task.spawn(function()
    task.sleep(2)
    place:plug()
  end)
  local board
  took, board = seconds(dfu.open, place.path, { wait = 10 })
  board:close()
  lu.assertTrue(took >= 2 and took < 4, took)
  place:unplug()
  task.spawn(function()
    task.sleep(2)
    place:plug()
  end)
  took = seconds(board.open, board, { wait = math.huge })
  lu.assertTrue(took >= 2 and took < 4, took)
  board:close()
end

function TestOpening.test_several()
  local a <close> = sim.new("f407,usb=ideal,serial=TWIN")
  local b <close> = sim.new("f407,usb=ideal,serial=TWIN")
  local err = assert_raises("usb.several", dfu.open, "serial=TWIN")
  lu.assertStrContains(err.message, "2 boards match")
  lu.assertStrContains(err.hint, a.path)
  lu.assertStrContains(err.hint, b.path)
  assert_raises("usb.several", dfu.at, "serial=TWIN")
end

function TestOpening.test_a_board_in_run_time_mode()
  local place <close> = sim.new("dfu11,usb=ideal")
  local err = assert_raises("usb.no-device", dfu.open, place.path)
  lu.assertStrContains(err.message, "runs its program")
  lu.assertEquals(err.hint,
    ("'moonflash -d %s detach' puts it into DFU mode."):format(place.path))
  do
    local _ <close> = remedies.for_prompt()
    err = assert_raises("usb.no-device", dfu.open, place.path)
    lu.assertEquals(err.hint,
      ('board = dfu.at("%s"); board:detach() puts it into DFU mode.'):format(place.path))
  end
  -- just that
  local there <close> = dfu.at(place.path)
  there:detach()
  lu.assertEquals(there.mode, "dfu")
  there:close()
  place:unplug()
  place:plug()
  local board <close> = dfu.at(place.path)
  board:open { wait = 0, selector = "mode=runtime" }
  lu.assertEquals(board.mode, "runtime")
  lu.assertNil(board.found_state)
end

function TestOpening.test_what_it_must_be_too()
  local place <close> = sim.new("f407,usb=ideal")
  local board <close> = dfu.at(place.path)
  local err = assert_raises("usb.no-device", board.open, board,
    { wait = 1, selector = "1209:0002,serial=A1" })
  lu.assertStrContains(err.message, place.path .. ": the board there is STM32  BOOTLOADER, 0483:")
  lu.assertStrContains(err.message, "and not 1209:0002,serial=A1")
  board:open { wait = 1, selector = "0483:df11" }
end

function TestOpening.test_an_alternate_setting()
  local place <close> = sim.new("f407,usb=ideal")
  do
    local board <close> = dfu.open { path = place.path, alt = "otp" }
    lu.assertEquals(board.alt, 2)
  end
  assert_raises("usb.no-device", dfu.open, { path = place.path, alt = 7 })
  local board <close> = dfu.at { path = place.path, alt = 7 }
  assert_fails("has no alternate setting '7'", board.open, board)
  lu.assertFalse(board.is_open)
end

function TestOpening.test_what_fails_is_closed_again()
  local place <close> = sim.new("f407,usb=ideal")
  place:fault("unplug", 1)
  local board <close> = dfu.at(place.path)
  lu.assertFalse(pcall(board.open, board))
  lu.assertFalse(board.is_open)
  place:plug()
  board:open()
  board:close()
  place:fault("unplug", place.requests + 1)
  assert_raises("usb.gone", board.open, board)
  lu.assertFalse(board.is_open)
end

function TestOpening.test_fields_before()
  local place <close> = sim.new("f407,usb=ideal")
  local board = dfu.at(place.path)
  lu.assertEquals(board.path, place.path)
  lu.assertEquals({ board.serial, board.vid, board.mode }, {})
  lu.assertEquals(board.alts, {})
  lu.assertFalse(board.is_open)
end

function TestOpening.test_a_place_on_the_bus_with_nothing_there()
  local board = dfu.at("7-7")
  assert_raises("usb.no-device", board.open, board)
  assert_raises("timeout", board.wait_app, board, 1)
end

-- ---- arrivals ----

local TestArrivals = {}

function TestArrivals.test_each_once()
  local a <close> = sim.new("f407,usb=ideal,serial=ARRIVE")
  local b <close> = sim.new("f407,usb=ideal,serial=ARRIVE")
  b:unplug()
  local came = {}
  local watcher = task.spawn(function()
    for board in dfu.arrivals("serial=ARRIVE") do
      lu.assertFalse(board.is_open)
      came[#came + 1] = board.path
    end
  end)
  task.sleep(1)
  lu.assertEquals(came, { a.path })
  b:plug()
  task.sleep(1)
  lu.assertEquals(came, { a.path, b.path })
  a:unplug()
  task.sleep(1)
  a:plug()
  task.sleep(1)
  lu.assertEquals(came, { a.path, b.path, a.path })
  b:unplug()
  b:plug() -- at once: no listing missed it
  task.sleep(1)
  lu.assertEquals(came, { a.path, b.path, a.path, b.path })
  watcher:cancel()
  assert_raises("cancelled", watcher.join, watcher)
end

-- ---- a place that a device leaves ----

local TestAgain = {}

function TestAgain.test_after_leave()
  local board, _ <close>, place = open("f407,usb=ideal")
  board:leave(FLASH)
  assert_raises("usb.no-device", board.open, board)
  task.spawn(function()
    task.sleep(2)
    place:reset()
  end)
  board:open { wait = 10 }
  lu.assertEquals(board.found_state, "dfuERROR")
end

function TestAgain.test_after_read_unprotect()
  local board, _ <close>, place = open("f407,usb=ideal,rdp=1")
  place:poke(FLASH, "secret")
  assert_raises("board.protected", board.read, board, FLASH, 6)
  board:read_unprotect()
  lu.assertFalse(board.is_open)
  board:open { wait = 60 }
  lu.assertEquals(board:read(FLASH, 6), ("\xFF"):rep(6))
end

function TestAgain.test_after_option_bytes()
  local board, _ <close> = open("f407,usb=ideal")
  local options = board:read(0x1FFFC000, 16)
  board:write(0x1FFFC000, options)
  lu.assertFalse(board.is_open)
  board:open { wait = 10 }
  lu.assertEquals(board:read(0x1FFFC000, 16), options)
end

function TestAgain.test_after_detach()
  local place <close> = sim.new("dfu11,usb=ideal")
  local board <close> = dfu.at(place.path)
  lu.assertIs(board:detach(), board)
  lu.assertEquals({ board.mode, board.pid, board.found_state }, { "dfu", 2, "dfuIDLE" })
  assert_fails("is in DFU mode already", board.detach, board)
  board:leave()
  local app = board:wait_app(5)
  lu.assertEquals({ app.vid, app.pid, app.serial }, { 0x1209, 0x0001, "D110000001" })
  board:detach(5)
  lu.assertEquals(board.mode, "dfu")
end

function TestAgain.test_detach_of_a_board_that_stays_away()
  local place <close> = sim.new("dfu11,usb=ideal")
  local board <close> = dfu.at(place.path)
  place:fault("unplug", 1)
  local took = seconds(assert_raises, "usb.no-device", board.detach, board, 3)
  lu.assertTrue(took >= 3 and took < 8, took)
  lu.assertFalse(board.is_open)
end

function TestAgain.test_never_the_device_that_has_left()
  for _, spec in ipairs { "f407,usb=ideal,rdp=1", "l433,usb=ideal,rdp=1", "g474,usb=real,rdp=1" } do
    local board, _ <close> = open(spec)
    local before = dfu.fields(board).info.generation
    board:read_unprotect()
    board:open { wait = 60 }
    lu.assertNotEquals(dfu.fields(board).info.generation, before)
    lu.assertEquals(board:read(FLASH, 1), "\xFF")
  end
end

function TestAgain.test_another_board_at_the_place()
  local board, _ <close>, place = open("f407,usb=ideal")
  place:unplug()
  assert_raises("usb.gone", board.get_state, board)
  place:plug()
  board:open()
  lu.assertIsString(board:get_state())
end

function TestAgain.test_after_close_it_is_the_same_device()
  local board, _ <close> = open("f407,usb=ideal")
  local before = dfu.fields(board).info.generation
  for _ = 1, 3 do
    board:close()
    board:open()
  end
  lu.assertEquals(dfu.fields(board).info.generation, before)
end

-- The memory for devices that are gone does not grow.
function TestAgain.test_many_that_come_and_go()
  local place <close> = sim.new("f407")
  local function replug(times)
    for _ = 1, times do
      dfu.list()
      place:unplug()
      dfu.list()
      place:plug()
    end
    collectgarbage()
    return collectgarbage("count")
  end
  local before = replug(50)
  lu.assertTrue(replug(400) < before + 200) -- KB; each had 6 KB once
  local board <close> = dfu.open(place.path)
  local generation = dfu.fields(board).info.generation
  place:unplug()
  place:plug()
  dfu.list()
  lu.assertEquals(#dfu.device(place.path, generation).device, 18) -- the trace may still ask
end

-- Where Lua can't yield, strings are read one after the other.
function TestAgain.test_a_listing_in_a_sort()
  local one <close> = sim.new("f407")
  local other <close> = sim.new("g474")
  local seen
  table.sort({ 2, 1 }, function(a, b)
    seen = list(nil, one, other)
    return a < b
  end)
  lu.assertEquals(seen, one.path .. " " .. other.path)
end

return { TestSelectors = TestSelectors, TestList = TestList, TestOpening = TestOpening,
         TestArrivals = TestArrivals, TestAgain = TestAgain }

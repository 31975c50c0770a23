-- SPDX-License-Identifier: MIT
-- Tests module `sim`: parameters, peek and poke, faults, what was started; and its misuse.
local dfu = require "dfu"
local lu = require "luaunit"
local sim = require "sim"
local support = require "support"
local task = require "task"

local FLASH = 0x08000000

local assert_fails, assert_raises = support.assert_fails, support.assert_raises
local message_of, seconds = support.message_of, support.seconds

local function read(name)
  local file <close> = assert(io.open(name, "rb"))
  return file:read("a")
end

-- ---- parameters ----

local TestParameters = {}

function TestParameters.test_every_kind()
  lu.assertEquals(sim.kinds(), { "f407", "l452", "g474", "dfu11" })
  for _, kind in ipairs(sim.kinds()) do
    local place <close> = sim.new(kind)
    lu.assertStrContains(place.path, "sim:" .. kind)
    lu.assertEquals(#dfu.list(place.path), 1)
    lu.assertStrContains(tostring(place), place.path)
  end
end

function TestParameters.test_bad_ones()
  for spec, says in pairs {
    [""] = "there is no simulated board ''", ["f408"] = "did you mean 'f407'?",
    ["F407"] = "f407", ["f407,sreial=A"] = "did you mean 'serial'?", ["f407,serial"] = "NAME=VALUE",
    ["f407,serial="] = "empty", ["f407,flash="] = "empty", ["f407,rdp=3"] = "too large",
    ["f407,rdp=-1"] = "not a number", ["f407,rdp=x"] = "not a number",
    ["f407,wrp=0x100000000"] = "too large", ["f407,usb=fast"] = "real, ideal, none",
    ["f407,times=min"] = "typ, max, zero", ["f407,state=idle"] = "dfuIDLE",
    ["f407,state=appIDLE"] = "dfuIDLE", ["f407,fault=unplug"] = "KIND@N",
    ["f407,fault=unplug@0"] = "KIND@N", ["f407,fault=unplug@x"] = "KIND@N",
    ["f407,fault=burn@4"] = "unplug, stall", ["f407,fault=unplug@99999999999999999999"] = "KIND@N",
    ["f407,=x"] = "no parameter ''",
  } do
    local err = assert_raises("usage", sim.new, spec)
    lu.assertStrContains(err.message, says)
    lu.assertIsString(err.hint)
    if spec ~= "" then assert_raises("usage", dfu.open, "sim:" .. spec) end
  end
  for _, bad in ipairs { 1, {}, true } do assert_fails("takes a string", sim.new, bad) end
  assert_fails("takes a string", sim.new)
end

function TestParameters.test_serial()
  local place <close> = sim.new("f407,serial=AB12")
  lu.assertEquals(dfu.list(place.path)[1].serial, "AB12")
end

function TestParameters.test_two_of_a_kind()
  local a <close> = sim.new("f407")
  local b <close> = sim.new("f407")
  lu.assertNotEquals(a.path, b.path)
  a:poke(FLASH, "only a")
  lu.assertEquals(b:peek(FLASH, 6), ("\xFF"):rep(6))
end

function TestParameters.test_the_same_name_is_the_same_board()
  do
    local board <close> = dfu.open("sim:f407#same,usb=ideal")
    board:erase_page(FLASH)
    board:write(FLASH, "here")
  end
  collectgarbage()
  local board <close> = dfu.open("sim:f407#same,usb=ideal")
  lu.assertEquals(board:read(FLASH, 4), "here")
  local other <close> = dfu.open("sim:f407#other,usb=ideal")
  lu.assertEquals(other:read(FLASH, 4), "\xFF\xFF\xFF\xFF")
end

function TestParameters.test_rdp()
  local one <close> = sim.new("f407,usb=ideal,rdp=1")
  local board <close> = dfu.open(one.path)
  assert_raises("board.protected", board.read, board, FLASH, 4)
  local two <close> = sim.new("f407,usb=ideal,rdp=2")
  assert_raises("usb.no-device", dfu.open, two.path)
end

function TestParameters.test_wrp()
  local place <close> = sim.new("f407,usb=ideal,wrp=0x1")
  local board <close> = dfu.open(place.path)
  place:poke(FLASH, "stays")
  pcall(board.erase_page, board, FLASH)
  lu.assertEquals(place:peek(FLASH, 5), "stays")
end

function TestParameters.test_usb_and_times()
  local function erase_and_read(spec)
    local place <close> = sim.new(spec)
    local board <close> = dfu.open(place.path)
    local erase = seconds(board.erase_page, board, FLASH)
    return erase, seconds(board.read, board, FLASH, 65536)
  end
  local typ, real = erase_and_read("f407")
  local max, ideal = erase_and_read("f407,times=max,usb=ideal")
  local zero, none = erase_and_read("f407,times=zero,usb=none")
  lu.assertTrue(zero < typ and typ < max, ("%g %g %g"):format(zero, typ, max))
  lu.assertTrue(none < ideal and ideal < real, ("%g %g %g"):format(none, ideal, real))
end

function TestParameters.test_bus()
  local function together(spec)
    local jobs = {}
    return seconds(function()
      for i = 1, 4 do
        jobs[i] = task.spawn(function()
          local place <close> = sim.new(spec)
          local board <close> = dfu.open(place.path)
          board:read(FLASH, 262144)
        end)
      end
      for _, job in ipairs(jobs) do job:join() end
    end)
  end
  local shared = together("f407,usb=ideal,bus=one")
  lu.assertTrue(shared > 3 * together("f407,usb=ideal"))
end

function TestParameters.test_state()
  for _, state in ipairs { "dfuIDLE", "dfuERROR", "dfuDNLOAD-SYNC", "dfuUPLOAD-IDLE" } do
    local place <close> = sim.new("f407,usb=ideal,state=" .. state)
    local board <close> = dfu.open(place.path)
    lu.assertEquals(board.found_state, state)
    lu.assertEquals(#board:read(FLASH, 8), 8)
  end
end

-- ---- the file ----

local TestFile = {}

function TestFile.test_it_keeps_the_flash()
  local place, _ <close> = support.folder()
  local name = place .. "/board.img"
  do
    local board <close> = sim.new("f407,usb=ideal,flash=" .. name)
    board:poke(FLASH + 5, "kept")
  end
  local text = read(name)
  lu.assertEquals(#text, 1024 * 1024)
  lu.assertEquals(text:sub(1, 10), "\xFF\xFF\xFF\xFF\xFFkept\xFF")
  local board <close> = sim.new("f407,usb=ideal,flash=" .. name)
  lu.assertEquals(board:peek(FLASH + 5, 4), "kept")
end

function TestFile.test_a_short_one_stands_for_erased_flash()
  local place, _ <close> = support.folder()
  local name = place .. "/board.img"
  do
    local file <close> = assert(io.open(name, "wb"))
    file:write("short")
  end
  local board <close> = sim.new("f407,flash=" .. name)
  lu.assertEquals(board:peek(FLASH, 8), "short\xFF\xFF\xFF")
end

function TestFile.test_bad_ones()
  local place, _ <close> = support.folder()
  for spec, says in pairs {
    [place] = "directory", ["/no/such/folder/board.img"] = "No such file",
    ["/dev/null"] = "is not a file",
  } do
    local err = assert_raises("file", sim.new, "f407,flash=" .. spec)
    lu.assertStrContains(err.message, says)
  end
  local name = place .. "/large.img"
  do
    local file <close> = assert(io.open(name, "wb"))
    file:write(("x"):rep(1024 * 1024 + 1))
  end
  assert_raises("file", sim.new, "f407,flash=" .. name)
  lu.assertEquals(#read(name), 1024 * 1024 + 1, "it was left alone")
end

-- ---- from behind ----

local TestBehind = {}

function TestBehind.test_peek_and_poke()
  local place <close> = sim.new("f407,usb=ideal")
  lu.assertEquals(place:peek(FLASH, 0), "")
  lu.assertEquals(place:peek(FLASH + 1024 * 1024 - 1, 1), "\xFF")
  place:poke(FLASH, "")
  place:poke(FLASH, "a\0b")
  lu.assertEquals(place:peek(FLASH, 3), "a\0b")
  local before = place.requests
  local board <close> = dfu.open(place.path)
  lu.assertEquals(board:read(FLASH, 3), "a\0b")
  lu.assertTrue(place.requests > before)
end

function TestBehind.test_outside()
  local place <close> = sim.new("f407")
  for _, address in ipairs { 0, FLASH - 1, FLASH + 1024 * 1024, 0xFFFFFFF0 } do
    assert_fails("no memory", place.peek, place, address, 1)
    assert_fails("no memory", place.poke, place, address, "x")
  end
  assert_fails("no memory", place.peek, place, FLASH + 1024 * 1024 - 1, 2)
  assert_fails("no memory", place.peek, place, FLASH, 1024 * 1024 + 1)
end

function TestBehind.test_misuse()
  local place <close> = sim.new("f407")
  for _, bad in ipairs { -1, 1 << 32, 0.5, 0 / 0, "x", {}, true } do
    assert_fails("bad argument #2", place.peek, place, bad, 1)
    assert_fails("bad argument #2", place.poke, place, bad, "x")
  end
  for _, bad in ipairs { -1, 1 << 40, 0.5, "x", {} } do
    assert_fails("bad argument #3", place.peek, place, FLASH, bad)
  end
  assert_fails("bad argument #3", place.poke, place, FLASH, {})
  for _, name in ipairs { "peek", "poke", "fault", "unplug", "plug", "reset", "close" } do
    lu.assertFalse(pcall(place[name]))
    lu.assertFalse(pcall(place[name], 5))
    lu.assertFalse(pcall(place[name], io.stdout))
  end
  assert_fails("a Sim has no 'peak'", function() return place.peak end)
  assert_fails("", function() place.path = "x" end)
end

function TestBehind.test_a_closed_one()
  local place = sim.new("f407")
  place:close()
  place:close()
  lu.assertEquals(tostring(place), "Sim (closed)")
  assert_fails("closed simulated board", place.peek, place, FLASH, 1)
  assert_fails("closed simulated board", place.poke, place, FLASH, "x")
  assert_fails("closed simulated board", place.fault, place, "stall", 1)
  assert_fails("closed simulated board", place.unplug, place)
  assert_fails("closed simulated board", place.plug, place)
  assert_fails("closed simulated board", place.reset, place)
  assert_fails("closed simulated board", function() return place.path end)
end

function TestBehind.test_a_closed_one_does_not_come_back_by_its_name()
  local place = sim.new("f407,usb=ideal")
  local path = place.path
  place:close()
  lu.assertEquals(dfu.list(path), {})
  assert_raises("usb.no-device", dfu.open, path)
end

function TestBehind.test_collected()
  local path
  do
    local place = sim.new("f407,usb=ideal")
    path = place.path
  end
  collectgarbage()
  collectgarbage()
  lu.assertEquals(dfu.list(path), {})
end

function TestBehind.test_a_finalizer_closes_it_as_it_is_looked_at()
  for _ = 1, 300 do
    local place = sim.new("dfu11,usb=none")
    setmetatable({}, { __gc = function() place:close() end })
    for _ = 1, 20 do
      if not pcall(place.peek, place, 0, 65536) then break end
    end
    place:close()
  end
end

function TestBehind.test_started()
  local place <close> = sim.new("f407,usb=ideal")
  lu.assertNil(place.started)
  local board <close> = dfu.open(place.path)
  board:leave(0x08020000)
  lu.assertEquals(place.started, { address = 0x08020000, sp = 0xFFFFFFFF, pc = 0xFFFFFFFF,
                                   works = false })
end

function TestBehind.test_plugs()
  local place <close> = sim.new("f407,usb=ideal")
  place:plug()
  lu.assertEquals(#dfu.list(place.path), 1)
  place:unplug()
  place:unplug()
  lu.assertEquals(#dfu.list(place.path), 0)
  place:reset()
  lu.assertEquals(#dfu.list(place.path), 0, "a reset does not plug it in")
  place:plug()
  lu.assertEquals(#dfu.list(place.path), 1)
end

-- ---- faults ----

local TestFaults = {}

-- What a read of the flash raises when the fault strikes at its second request; and the Sim.
local function reading(kind, when)
  local place = sim.new("f407,usb=ideal,state=dfuIDLE")
  local board <close> = dfu.open(place.path)
  place:fault(kind, when or place.requests + 2)
  local ok, err = pcall(board.read, board, FLASH, 8192)
  place:close()
  return ok and "ok" or err.code, ok and err or nil
end

function TestFaults.test_kinds()
  lu.assertEquals(reading("unplug"), "usb.gone")
  lu.assertEquals(reading("hang"), "timeout")
  lu.assertEquals(reading("error"), "dfu.errUNKNOWN")
  lu.assertEquals(reading("stall", "read 0x08000000"), "ok", "it is asked again")
  local outcome, data = reading("corrupt", "read 0x08000800")
  lu.assertEquals(outcome, "ok")
  lu.assertNotEquals(data, ("\xFF"):rep(8192))
  lu.assertEquals(#data, 8192)
  lu.assertEquals(reading("short", "read 0x08000800"), "usb.io")
end

function TestFaults.test_in_the_spec()
  local place <close> = sim.new("f407,usb=ideal,fault=stall@2,fault=unplug@5")
  local board <close> = dfu.open(place.path)
  assert_raises("dfu.stall", board.get_state, board)
  assert_raises("usb.gone", function() while true do board:get_state() end end)
  lu.assertEquals(place.requests, 5)
end

function TestFaults.test_at_an_address()
  local place <close> = sim.new("f407,usb=ideal")
  local board <close> = dfu.open(place.path)
  place:fault("unplug", "erase 0x08008123")
  board:erase_page(0x08004000)
  assert_raises("usb.gone", board.erase_page, board, 0x08008000)
end

function TestFaults.test_misuse()
  local place <close> = sim.new("f407")
  for _, bad in ipairs { "burn", "", "UNPLUG" } do
    assert_fails("bad argument #2", place.fault, place, bad, 1)
  end
  assert_fails("bad argument #2", place.fault, place, nil, 1)
  for _, bad in ipairs { 0, -1, "write", "write ", "write x", "write 0x100000000", "format 0",
                         "write 0x08000000 ", "", {}, true, 0.5 } do
    assert_fails("bad argument #3", place.fault, place, "stall", bad)
  end
  for _ = 1, 64 do place:fault("stall", 1000) end
  lu.assertStrContains(message_of(place.fault, place, "stall", 1000), "too many faults")
end

return { TestParameters = TestParameters, TestFile = TestFile, TestBehind = TestBehind,
         TestFaults = TestFaults }

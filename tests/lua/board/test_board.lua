-- SPDX-License-Identifier: MIT
-- Tests class Board: the primitives, their misuse, and a board that is closed, busy, gone or
-- collected.
local dfu = require "dfu"
local flash = require "moonflash.flash"
local image = require "moonflash.image"
local lu = require "luaunit"
local memory = require "moonflash.memory"
local sim = require "sim"
local support = require "support"
local task = require "task"

local FLASH, SECTOR = 0x08000000, 0x08004000

local assert_fails, assert_raises = support.assert_fails, support.assert_raises
local message_of, seconds = support.message_of, support.seconds

-- Opens a simulated board for the test; both are closed when the second value is.
local function open(spec)
  return support.open(spec or "f407,usb=ideal")
end

-- ---- primitives ----

local TestPrimitives = {}

function TestPrimitives.test_erase_write_read()
  local board, _ <close> = open()
  local data = {}
  for i = 1, 5000 do data[i] = string.char(i * 7 % 251) end
  data = table.concat(data)
  board:erase_page(SECTOR + 1)
  board:write(SECTOR, data)
  lu.assertTrue(board:read(SECTOR, #data) == data)
  lu.assertEquals(board:read(SECTOR + 4999, 2), data:sub(5000) .. "\xFF")
  lu.assertTrue(board:read(SECTOR + 1, 4000) == data:sub(2, 4001))
  board:erase_page(SECTOR)
  lu.assertEquals(board:read(SECTOR, 4), "\xFF\xFF\xFF\xFF")
end

function TestPrimitives.test_nothing_to_do()
  local board, _ <close>, place = open()
  local before = place.requests
  lu.assertEquals(board:read(SECTOR, 0), "")
  board:write(SECTOR, "")
  lu.assertEquals(place.requests, before)
end

function TestPrimitives.test_opening_asks_for_the_state_only()
  local board, _ <close>, place = open("f407,usb=ideal,state=dfuDNLOAD-SYNC")
  lu.assertEquals(board.found_state, "dfuDNLOAD-SYNC")
  lu.assertEquals(place.requests, 1)
  place:poke(FLASH, "kept")
  lu.assertEquals(board:read(FLASH, 4), "kept", "the erase that was left over")
end

function TestPrimitives.test_status_and_state()
  local board, _ <close> = open()
  lu.assertEquals(board:get_state(), "dfuERROR")
  local status = board:get_status()
  lu.assertEquals(status.state, "dfuERROR")
  lu.assertNotEquals(status.status, "OK")
  lu.assertIsNumber(status.poll)
  board:clear_status()
  lu.assertEquals(board:get_status(), { status = "OK", state = "dfuIDLE", poll = status.poll })
  board:clear_status()
  board:set_address(SECTOR)
  lu.assertEquals(board:get_state(), "dfuDNLOAD-IDLE")
  board:abort()
  lu.assertEquals(board:get_state(), "dfuIDLE")
end

function TestPrimitives.test_blocks()
  local board, _ <close> = open()
  board:erase_page(SECTOR)
  board:set_address(SECTOR)
  board:download_block(2, ("a"):rep(2048))
  board:download_block(3, "bcd.")
  board:set_address(SECTOR)
  lu.assertEquals(board:upload_block(3, 4), "bcd.")
  lu.assertEquals(#board:upload_block(2, 2048), 2048)
  lu.assertEquals(board:upload_block(2, 0), "")
  lu.assertEquals(board:commands(), { 0x00, 0x21, 0x41, 0x92 })
end

function TestPrimitives.test_control()
  local board, _ <close> = open()
  lu.assertEquals(board:control(0xA1, 5, 0, 0, 1), "\10")
  lu.assertEquals(#board:control(0x80, 6, 0x0100, 0, 18), 18)
  lu.assertEquals(#board:control(0x80, 6, 0x0100, 0, 8), 8)
  lu.assertEquals(select("#", board:control(0x21, 4, 0, 0)), 0)
  lu.assertEquals(board:get_state(), "dfuIDLE")
  assert_raises("dfu.stall", board.control, board, 0xA1, 77, 0, 0, 1)
  lu.assertEquals(board:get_state(), "dfuIDLE")
end

function TestPrimitives.test_select()
  local board, _ <close> = open()
  lu.assertEquals(board.alt, 0)
  board:select(1)
  lu.assertEquals(board.alt, 1)
  assert_raises("dfu.outside", board.read, board, FLASH, 4)
  board:select("otp")
  lu.assertEquals(board.alt, 2)
  lu.assertEquals(#board:read(0x1FFF7800, 16), 16)
  board:select("1")
  lu.assertEquals(board.alt, 1)
  board:select()
  lu.assertEquals(board:read(FLASH, 1), "\xFF")
  for _, bad in ipairs { 7, -1, "nope", 0.5, {}, "" } do
    if bad ~= "" then
      assert_fails("no alternate setting", board.select, board, bad)
    end
  end
end

function TestPrimitives.test_outside()
  local board, _ <close>, place = open()
  local before = place.requests
  for _, address in ipairs { 0, 0x07FFFFFF, 0x08100000, 0x20000000, 0xFFFFFFFF } do
    assert_raises("dfu.outside", board.read, board, address, 1)
    assert_raises("dfu.outside", board.write, board, address, "x")
    assert_raises("dfu.outside", board.erase_page, board, address)
  end
  local err = assert_raises("dfu.outside", board.read, board, 0x080FFFF0, 17)
  lu.assertEquals(err.address, 0x08100000)
  lu.assertStrContains(err.message, place.path)
  lu.assertStrContains(err.flash, "untouched")
  assert_raises("dfu.outside", board.write, board, 0x080FFFF0, ("x"):rep(17))
  assert_raises("dfu.outside", board.read, board, FLASH, 0xFFFFFFFF)
  lu.assertEquals(place.requests, before, "nothing was sent")
end

function TestPrimitives.test_plain_dfu()
  local place <close> = sim.new("dfu11,usb=ideal")
  local board <close> = dfu.at(place.path)
  board:detach()
  lu.assertEquals(board.mode, "dfu")
  assert_raises("dfu.not-dfuse", board.erase_page, board, 0)
  assert_raises("dfu.not-dfuse", board.mass_erase, board)
  assert_raises("dfu.not-dfuse", board.read_unprotect, board)
  assert_raises("dfu.not-dfuse", board.set_address, board, 0)
  assert_raises("dfu.not-dfuse", board.commands, board)
  assert_fails("from 0", board.read, board, 4, 4)
  assert_fails("from 0", board.write, board, 4, "x")
  lu.assertEquals(#board:read(0, 1 << 20), 64 * 1024)
  board:write(0, ("firmware"):rep(1000))
  lu.assertFalse(board.is_open)
  lu.assertEquals(place:peek(0, 8), "firmware")
end

function TestPrimitives.test_leave()
  local board, _ <close>, place = open()
  board:erase_page(FLASH)
  board:write(FLASH, ("<I4I4"):pack(0x10001000, 0x08000101))
  lu.assertEquals(board:leave(), "confirmed")
  lu.assertFalse(board.is_open)
  lu.assertEquals(place.started, { address = FLASH, sp = 0x10001000, pc = 0x08000101,
                                   works = true })
  assert_fails("is not open", board.leave, board)
end

-- ---- fields ----

local TestFields = {}

function TestFields.test_what_there_is()
  local board, _ <close>, place = open("f407,usb=ideal,serial=A1")
  lu.assertEquals(board.path, place.path)
  lu.assertEquals({ board.vid, board.pid, board.version }, { 0x0483, 0xDF11, 0x2100 })
  lu.assertEquals({ board.serial, board.product }, { "A1", "STM32  BOOTLOADER" })
  lu.assertEquals({ board.mode, board.transfer_size, board.alt }, { "dfu", 2048, 0 })
  lu.assertEquals(#board.alts, 4)
  lu.assertEquals(board.alts[1].layout.name, "Internal Flash")
  lu.assertEquals({ board.timeout, board.retries, board.is_open }, { 5, 0, true })
  lu.assertIsNumber(board.opened)
  lu.assertEquals(tostring(board), ("Board (%s)"):format(place.path))
  board:close()
  lu.assertEquals(tostring(board), ("Board (%s, not open)"):format(place.path))
  lu.assertEquals(board.serial, "A1", "of the device that was opened last")
end

function TestFields.test_unknown_ones()
  local board, _ <close> = open()
  lu.assertStrMatches(message_of(function() return board.tranfer_size end),
    ".*test_board.lua:%d+: a Board has no 'tranfer_size' %(did you mean 'transfer_size'%?%)")
  lu.assertStrMatches(message_of(function() board.serial = "x" end),
    ".*test_board.lua:%d+: a Board's 'serial' can't be set.*")
  assert_fails("bad argument", function() return board[{}] end)
  assert_fails("has no '1'", function() return board[1] end)
end

-- Blocks of another size than the announced one: each gets its address, so a board that counts in
-- its own size puts them where they belong.
function TestFields.test_transfer_size()
  local board, _ <close>, place = open("f407,usb=ideal")
  board.transfer_size = 64
  lu.assertEquals(board.transfer_size, 64)
  local bytes = ("0123456789abcdef"):rep(20) -- five blocks
  board:erase_page(0x08000000)
  board:write(0x08000000, bytes)
  lu.assertEquals(place:peek(0x08000000, 330), bytes .. ("\255"):rep(10))
  lu.assertEquals(board:read(0x08000000, #bytes), bytes)
  board.transfer_size = 2048
  lu.assertEquals(board:read(0x08000010, 32), bytes:sub(17, 48))
  for _, bad in ipairs { 0, -16, 65, 2064, 64.5, "64" } do
    assert_fails("board.transfer_size: ", function() board.transfer_size = bad end)
  end
  board.transfer_size = 64
  board:close()
  board:open()
  lu.assertEquals(board.transfer_size, 2048) -- again what the board announces
end

function TestFields.test_timeout_and_early_poll()
  local board, _ <close> = open()
  board.timeout = 0.5
  lu.assertEquals(board.timeout, 0.5)
  for _, bad in ipairs { 0, -1, 0 / 0, 1 / 0, "x", {}, true } do
    assert_fails("board.timeout: seconds, more than 0", function() board.timeout = bad end)
  end
  assert_fails("board.timeout: seconds, more than 0", function() board.timeout = nil end)
  lu.assertEquals(board.timeout, 0.5)
  lu.assertTrue(board.early_poll)
  board.early_poll = false
  lu.assertFalse(board.early_poll)
  for _, bad in ipairs { 1, "x", {}, { early_poll = true } } do
    assert_fails("board.early_poll: true or false", function() board.early_poll = bad end)
  end
  assert_fails("board.early_poll: true or false", function() board.early_poll = nil end)
  lu.assertFalse(board.early_poll)
end

-- ---- misuse ----

local TestMisuse = {}

local NAN, INF = 0 / 0, 1 / 0

-- Each primitive with good arguments.
local good = {
  get_status = {}, get_state = {}, clear_status = {}, abort = {}, commands = {}, mass_erase = {},
  read_unprotect = {}, reset = {}, leave = {}, set_address = { SECTOR }, erase_page = { SECTOR },
  read = { SECTOR, 16 }, write = { SECTOR, "data" }, download_block = { 2, "data" },
  upload_block = { 2, 16 }, control = { 0xA1, 5, 0, 0, 1 },
}

-- Values that an argument of each kind may not have.
local bad_address = { -1, 1 << 32, math.maxinteger, math.mininteger, 0.5, NAN, INF, "x", {}, true }
local bad_word = { -1, 65536, math.maxinteger, 0.5, NAN, INF, "x", {}, true }
local bad_byte = { -1, 256, math.maxinteger, 0.5, NAN, INF, "x", {}, true }
local bad_data = { {}, true, print }
local bad = {
  set_address = { bad_address }, erase_page = { bad_address }, leave = { bad_address },
  read = { bad_address, bad_address }, write = { bad_address, bad_data },
  download_block = { bad_word, bad_data }, upload_block = { bad_word, bad_word },
  control = { bad_byte, bad_byte, bad_word, bad_word, bad_word },
}

function TestMisuse.test_arguments()
  local board, _ <close>, place = open()
  local before = place.requests
  for name, lists in pairs(bad) do
    for i, list in ipairs(lists) do
      for _, value in ipairs(list) do
        local arguments = { table.unpack(good[name]) }
        arguments[i] = value
        local expected = name == "write" and i == 2 and type(value) == "table"
          and "data is a string, not a table" or ("bad argument #%d to '%s'"):format(i, name)
        assert_fails(expected, board[name], board, table.unpack(arguments))
      end
      if name ~= "leave" then
        assert_fails(("bad argument #%d to '%s'"):format(i, name), board[name], board,
          table.unpack(good[name], 1, i - 1))
      end
    end
  end
  assert_fails("65535 bytes", board.download_block, board, 2, ("x"):rep(65536))
  assert_fails("65535 bytes", board.control, board, 0x21, 1, 0, 0, ("x"):rep(65536))
  lu.assertEquals(place.requests, before, "nothing was sent")
end

-- By the method's name or not, behind a wrapper of the library's, or behind pcall: the position is
-- that of the call into the library.
function TestMisuse.test_it_points_to_the_caller()
  local board, _ <close> = open()
  local here = "tests/lua/board/test_board.lua:%d: "
  local function says(expected, f, ...)
    local line = debug.getinfo(f, "S").linedefined
    lu.assertEquals(support.message_of(f, ...), here:format(line) .. expected)
  end
  says("bad argument #1 to 'read' (number expected, got no value); it is "
    .. "board:read(address, length)", function() board:read() end)
  says("bad argument #2 to 'read' (number expected, got nil); it is "
    .. "board:read(address, length)", function() board:read(0, nil) end)
  says("bad argument #2 to 'read' (number expected, got no value); it is "
    .. "board:read(address, length)",
    function() error(select(2, pcall(board.read, board, 0)), 0) end)
  says("board.timeout: seconds, more than 0", function() board.timeout = 0 end)
  says("flash.verify(board, image, options): a Board, from dfu.open, and not a nil",
    function() flash.verify() error() end)
  says("Board expected, got string; write board:dump(...), with the colon",
    function() board.dump("x") error() end)
  says("flash.verify(board, image, options): an image, from image.load",
    function() flash.verify(board) error() end)
  says("flash.write(board, image, options): an image, from image.load",
    function() flash.write(board) error() end)
  says("image.load takes the name of a file", function() image.load() error() end)
  says("memory.parse takes a string, not a nil", function() memory.parse() error() end)
  board:close()
  says(board.path .. " is not open: board:open() opens it", function() board:status() end)
end

function TestMisuse.test_what_is_no_board()
  local board, _ <close> = open()
  for name in pairs(good) do
    for _, value in ipairs { 1, "x", {}, io.stdout, task.current() } do
      assert_fails("Board expected", board[name], value)
    end
    lu.assertFalse(pcall(board[name]))
  end
  for _, name in ipairs { "close", "select", "open", "detach", "wait_app", "step", "note" } do
    assert_fails("Board expected", board[name], {})
  end
end

-- A dot for a colon.  The position is the caller's.
function TestMisuse.test_the_colon_is_shown()
  local board, _ <close> = open()
  local line = debug.getinfo(1, "l").currentline + 1
  lu.assertEquals(message_of(function() board.erase_page(0x08000000) end),
    ("tests/lua/board/test_board.lua:%d: Board expected, got number; write board:erase_page(...), "
      .. "with the colon"):format(line))
  local simulated <close> = require "sim".new "f407,usb=none"
  for name, method in pairs { ["board:read"] = board.read, ["board:open"] = board.open,
                              ["board:note"] = board.note, ["task:limit"] = task.current().limit,
                              ["sim:peek"] = simulated.peek, ["sim:close"] = simulated.close } do
    for _, value in ipairs { 5, "supply", io.stdout } do
      assert_fails(("; write %s(...), with the colon"):format(name), method, value, 3.3)
    end
    assert_fails("got no value; write", method)
  end
  assert_fails("Sim expected, got dfu.Board; write sim:plug(...)", simulated.plug, board)
end

function TestMisuse.test_a_board_that_is_not_open()
  local board, _ <close>, place = open()
  board:close()
  for name, arguments in pairs(good) do
    lu.assertStrContains(message_of(board[name], board, table.unpack(arguments)),
      place.path .. " is not open")
  end
  lu.assertStrMatches(message_of(function() board:erase_page(SECTOR) end),
    ".*test_board.lua:%d+: .*is not open.*")
  board:close()
  board:close()
end

function TestMisuse.test_a_board_that_is_busy()
  local board, _ <close>, place = open()
  local job = task.spawn(board.erase_page, board, SECTOR)
  task.sleep(0.1)
  for name, arguments in pairs(good) do
    lu.assertStrContains(message_of(board[name], board, table.unpack(arguments)),
      place.path .. " is busy")
  end
  assert_fails("is open already", board.open, board)
  job:join()
  lu.assertEquals(board:read(SECTOR, 1), "\xFF")
end

function TestMisuse.test_opening_twice()
  local board, _ <close>, place = open()
  assert_fails("is open already", board.open, board)
  assert_raises("usb.busy", dfu.open, place.path)
  local other <close> = dfu.at(place.path)
  assert_raises("usb.busy", other.open, other, { wait = 1 })
  for _, value in ipairs { -1, NAN, "1", {} } do
    assert_fails("seconds, 0 or more", other.open, other, { wait = value })
    assert_fails("seconds, 0 or more", other.detach, other, value)
    assert_fails("seconds, 0 or more", other.wait_app, other, value)
    assert_fails("seconds, 0 or more", dfu.open, place.path, { wait = value })
  end
  assert_fails("seconds, 0 or more", other.wait_app, other) -- which has no default
end

-- ---- closing ----

local TestClosing = {}

function TestClosing.test_in_the_middle_of_an_operation()
  local board, _ <close>, place = open()
  local job = task.spawn(board.erase_page, board, SECTOR)
  task.sleep(0.1)
  board:close()
  lu.assertFalse(board.is_open)
  local err = assert_raises("cancelled", job.join, job)
  lu.assertStrContains(err.message, "closed while erasing 0x08004000")
  lu.assertStrContains(err.flash, "in doubt")
  lu.assertEquals(err.path, place.path)
  job = task.spawn(function()
    board:open()
    board:control(0x80, 6, 0x0100, 0, 18)
  end)
  lu.assertTrue(seconds(job.join, job) > 0.1, "opening waits for the release")
  lu.assertTrue(board.is_open)
  lu.assertEquals(board.found_state, "dfuIDLE")
end

function TestClosing.test_in_the_middle_of_a_control_transfer()
  local board, _ <close>, place = open()
  place:fault("hang", place.requests + 1)
  local job = task.spawn(board.control, board, 0xA1, 3, 0, 0, 6)
  task.sleep(0.1)
  board:close()
  local err = assert_raises("cancelled", job.join, job)
  lu.assertStrContains(err.message, "closed while handling a control request")
end

function TestClosing.test_a_board_that_hangs_is_released_all_the_same()
  local board, _ <close>, place = open()
  board:get_status()
  place:fault("hang", place.requests + 1)
  board:close()
  local other <close> = dfu.at(place.path)
  local took = seconds(pcall, other.open, other)
  lu.assertTrue(took > 0.9 and took < 7, took)
end

function TestClosing.test_it_ends_in_dfu_idle()
  local board, _ <close>, place = open()
  board:set_address(SECTOR)
  board:close()
  local other <close> = dfu.open(place.path)
  lu.assertEquals(other.found_state, "dfuIDLE")
end

function TestClosing.test_a_board_that_nobody_holds()
  local place <close> = sim.new("f407,usb=ideal")
  collectgarbage("stop")
  local _ <close> = support.close_with(function() collectgarbage("restart") end)
  do
    local lost = dfu.open(place.path)
    lost:set_address(SECTOR)
  end
  collectgarbage()
  local board = dfu.open(place.path)
  lu.assertEquals(board.found_state, "dfuIDLE")
  board:set_address(SECTOR)
  board = nil -- luacheck: ignore 311
  -- not collected yet when the place is opened again
  local again <close> = dfu.open(place.path)
  lu.assertEquals(again.found_state, "dfuIDLE")
end

function TestClosing.test_collected_in_mid_flight()
  local place <close> = sim.new("f407,usb=ideal")
  do
    local board = dfu.open(place.path)
    local job = task.spawn(board.erase_page, board, SECTOR)
    task.sleep(0.1)
    board:close()
    pcall(job.join, job)
  end
  collectgarbage() -- while it is on its way to dfuIDLE
  collectgarbage()
  local board <close> = dfu.open(place.path)
  lu.assertEquals(board.found_state, "dfuIDLE")
end

function TestClosing.test_a_finalizer_closes_it_as_an_operation_starts()
  local board, _ <close> = open("f407,usb=none,times=zero")
  local closed = 0
  local pause, step = collectgarbage("setpause", 1), collectgarbage("setstepmul", 1000)
  collectgarbage("collect")
  for round = 1, 3000 do
    if not board.is_open then board:open() end
    if round % 50 == 0 then
      setmetatable({}, { __gc = function()
        closed = closed + 1
        board:close()
      end })
    end
    local ok, err = pcall(board.read, board, SECTOR, 256)
    if not ok then lu.assertStrContains(tostring(err), "not open") end
  end
  collectgarbage("setpause", pause)
  collectgarbage("setstepmul", step)
  lu.assertTrue(closed > 0)
end

function TestClosing.test_close_comes_with_the_block()
  local place <close> = sim.new("f407,usb=ideal")
  local kept
  pcall(function()
    local board <close> = dfu.open(place.path)
    kept = board
    error("x")
  end)
  lu.assertFalse(kept.is_open)
end

-- ---- when the device goes ----

local TestGone = {}

function TestGone.test_unplugged()
  local board, _ <close>, place = open()
  board:erase_page(SECTOR)
  place:fault("unplug", "write 0x08004800")
  local err = assert_raises("usb.gone", board.write, board, SECTOR, ("x"):rep(8192))
  lu.assertEquals(err.address, 0x08004800)
  lu.assertStrContains(err.message, "went away while writing")
  lu.assertStrContains(err.flash, "0x08004000..0x080047FF is written but not verified")
  lu.assertFalse(board.is_open)
  assert_fails("is not open", board.get_state, board)
  assert_raises("usb.no-device", board.open, board)
  place:plug()
  board:open()
  board:erase_page(SECTOR)
end

function TestGone.test_unplugged_from_outside_in_mid_flight()
  local board, _ <close>, place = open()
  local job = task.spawn(board.erase_page, board, SECTOR)
  task.sleep(0.1)
  place:unplug()
  assert_raises("usb.gone", job.join, job)
  lu.assertFalse(board.is_open)
end

function TestGone.test_the_sim_is_closed_under_it()
  local board, _ <close>, place = open()
  place:close()
  lu.assertIsString(board:get_state())
  board:close()
  assert_raises("usb.no-device", board.open, board)
end

function TestGone.test_reset()
  local board, _ <close> = open()
  board:reset()
  lu.assertFalse(board.is_open)
  board:open { wait = 5 }
  lu.assertTrue(board.is_open)
end

-- ---- two tasks, one board ----

local TestShared = {}

function TestShared.test_what_control_read_is_its_own()
  local board, _ <close> = open()
  for delay = 0, 3 do
    local got
    local reader = task.spawn(function() got = board:control(0x80, 6, 0x0100, 0, 18) end)
    local writer = task.spawn(function()
      while not got do
        for _ = 1, delay do task.sleep(0) end
        pcall(board.control, board, 0x21, 1, 0, 0, ("Z"):rep(64))
        task.sleep(0)
      end
    end)
    reader:join()
    writer:join()
    lu.assertEquals(got:byte(1, 2), 18, 1)
    lu.assertEquals(#got, 18)
  end
end

return { TestPrimitives = TestPrimitives, TestFields = TestFields, TestMisuse = TestMisuse,
         TestClosing = TestClosing, TestGone = TestGone, TestShared = TestShared }

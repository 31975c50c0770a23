-- SPDX-License-Identifier: MIT
-- Tests what a trace says of requests, against the simulated board, which knows what they did; and
-- that looking on changes nothing.
local dfu = require "dfu"
local errors = require "moonflash.errors"
local lu = require "luaunit"
local pcap = require "moonflash.trace.pcap"
local sim = require "sim"
local support = require "support"
local task = require "task"
local trace = require "moonflash.trace"

local FLASH, SECTOR = 0x08000000, 0x08004000
local BLOCK = 2048

local assert_fails = support.assert_fails

-- A simulated board, a board open on it, and what ends the test: all requests are kept whole.
local function open(spec)
  trace.start(true)
  local place = sim.new(spec or "f407,usb=ideal")
  local board = spec == "dfu11" and dfu.at(place.path):detach() or dfu.open(place.path)
  return board, support.close_with(function()
    board:close()
    trace.finish() -- its last requests are of this test, too
    place:close()
    trace.stop()
  end), place
end

local function pattern(n)
  local bytes = {}
  for i = 1, n do bytes[i] = string.char(i * 7 % 251) end
  return table.concat(bytes)
end

-- The lines of the last n requests, without the times, each gap being two blanks.
local function lines(board, n)
  local list = {}
  for i, r in ipairs(trace.last(board, n)) do
    list[i] = tostring(r):gsub("^ *[%d.]+ +[%d.]+  ", ""):gsub("%[.*%]$", "")
      :gsub("\n.*", ""):gsub("   +", "  "):gsub(" +$", "")
  end
  return list
end

local function named(board, name)
  local list = {}
  for _, r in ipairs(trace.last(board)) do
    if r.name == name then list[#list + 1] = r end
  end
  return list
end

-- ---- lines ----

local TestLines = {}

function TestLines.test_erase_and_write()
  local board, _ <close> = open()
  board:clear_status()
  board:erase_page(SECTOR)
  lu.assertEquals(lines(board, 3), {
    "DNLOAD 0 erase 0x08004000  5 bytes",
    "GETSTATUS  dfuDNBUSY, poll 100 ms",
    "GETSTATUS  dfuDNLOAD-IDLE, took 400.0 ms",
  })
  board:write(SECTOR, pattern(BLOCK + 4))
  lu.assertEquals(lines(board, 9), {
    "DNLOAD 0 set address 0x08004000  5 bytes",
    "GETSTATUS  dfuDNBUSY, poll 104 ms",
    "GETSTATUS  dfuDNLOAD-IDLE, took 0.0 ms",
    "DNLOAD 2 -> 0x08004000  2048 bytes",
    "GETSTATUS  dfuDNBUSY, poll 104 ms",
    "GETSTATUS  dfuDNLOAD-IDLE, took 32.8 ms",
    "DNLOAD 3 -> 0x08004800  4 bytes",
    "GETSTATUS  dfuDNBUSY, poll 104 ms",
    "GETSTATUS  dfuDNLOAD-IDLE, took 0.1 ms",
  })
end

function TestLines.test_times()
  local board, _ <close> = open("f407")
  local before = task.now()
  board:erase_page(SECTOR)
  local last = trace.last(board, 1)[1]
  lu.assertAlmostEquals(last.started + last.elapsed, task.now(), 1e-6)
  lu.assertAlmostEquals(last.took, 0.4004, 1e-6)
  lu.assertTrue(last.started > before)
  lu.assertStrMatches(tostring(last), " *%d+%.%d%d%d +300%.40  GETSTATUS .*")
end

function TestLines.test_opening_reads_strings()
  local board, _ <close> = open()
  local said = {}
  for _, r in ipairs(trace.last(board)) do said[r.text or ""] = r.name end
  lu.assertEquals(said["STM32  BOOTLOADER"], "GET_DESCRIPTOR")
  lu.assertEquals(lines(board, 1), { "GETSTATE  dfuERROR" })
end

function TestLines.test_the_others()
  local board, _ <close> = open()
  board:commands()
  lu.assertEquals(lines(board, 1), { "UPLOAD 0 get commands  4 of 64 bytes" })
  board:select("option")
  board:read(0x1FFFC000, 16)
  lu.assertEquals(named(board, "SET_INTERFACE")[1].value, 1)
  lu.assertStrContains(table.concat(lines(board), "\n"), "SET_INTERFACE 0, setting 1")
  board:select()
  board:mass_erase()
  lu.assertEquals(lines(board, 3)[1], "DNLOAD 0 mass erase  1 byte")
  board:leave(FLASH)
  lu.assertEquals(lines(board, 2), { "DNLOAD 2 leave 0x08000000",
                                     "GETSTATUS  dfuMANIFEST, poll 1 ms" })
end

function TestLines.test_plain_dfu()
  local board, _ <close>, place = open("dfu11")
  board:write(0, pattern(3000))
  local text = table.concat(lines(board), "\n")
  lu.assertStrContains(text, "\nDETACH within 1000 ms\n")
  lu.assertStrContains(text, "DNLOAD 0 -> 0x00000000  ")
  lu.assertStrContains(text, ("DNLOAD 1 -> 0x%08X  "):format(board.transfer_size))
  lu.assertStrContains(text, "DNLOAD 3 the end\n")
  lu.assertStrContains(text, "\nUSB reset  it comes back as another device")
  for _, r in ipairs(named(board, "DNLOAD")) do
    if r.length > 0 then
      lu.assertEquals(place:peek(r.address, r.length), r.data)
    end
  end
end

function TestLines.test_raw_requests()
  local board, _ <close> = open()
  board:control(0xA1, 5, 0, 0, 1)
  lu.assertEquals(lines(board, 1), { "GETSTATE  dfuERROR" })
  pcall(board.control, board, 0xC0, 5, 1, 2, 7)
  lu.assertEquals(lines(board, 1), { "request C0 05, value 0001, index 0002  7 bytes, STALL" })
  pcall(board.control, board, 0x21, 5, 0, 0, "xyz") -- GETSTATE goes the other way
  lu.assertEquals(lines(board, 1), { "request 21 05, value 0000, index 0000  3 bytes, STALL" })
  board:control(0x80, 6, 0x0100, 0, 18)
  lu.assertEquals(lines(board, 1), { "GET_DESCRIPTOR device 0  18 bytes" })
  local r = trace.last(board, 1)[1]
  lu.assertEquals({ r.type, r.request, r.value, r.index, r.length, r.result, #r.data },
    { 0x80, 6, 0x0100, 0, 18, 18, 18 })
end

function TestLines.test_bytes()
  local board, _ <close> = open()
  board:erase_page(SECTOR)
  lu.assertStrContains(tostring(named(board, "DNLOAD")[1]), "5 bytes  [41 00 40 00 08]")
  board:write(SECTOR, "Zwanzig Zeichen hier")
  local text = tostring(named(board, "DNLOAD")[3])
  lu.assertStrContains(text, "20 bytes\n" .. (" "):rep(18)
    .. "08004000  5a 77 61 6e 7a 69 67 20 5a 65 69 63 68 65 6e 20  Zwanzig Zeichen \n"
    .. (" "):rep(18) .. "08004010  68 69 65 72   ")
  lu.assertStrMatches(text:match("[^\n]*$"), " +08004010  68 69 65 72 +  hier")
  trace.start(false)
  board:read(SECTOR, 20)
  local r = named(board, "UPLOAD")[1]
  lu.assertEquals(r.data, "Zwanzig Zeichen ")
  lu.assertNotStrContains(tostring(r), "\n")
end

-- ---- faults ----

local TestFaults = {}

local function fault(kind, words, code)
  local board, _ <close>, place = open()
  board:clear_status()
  place:fault(kind, "read 0x08004000")
  local ok, err = pcall(board.read, board, SECTOR, BLOCK)
  lu.assertEquals(not ok and errors.matches(err, code) or ok and code == nil, true, tostring(err))
  lu.assertStrContains(table.concat(lines(board), "\n"),
    "UPLOAD 2 <- 0x08004000  " .. words)
end

function TestFaults.test_stall() fault("stall", "2048 bytes, STALL") end
function TestFaults.test_gone() fault("unplug", "2048 bytes, the board is gone", "usb.gone") end
function TestFaults.test_timeout() fault("hang", "2048 bytes, no answer", "timeout") end
function TestFaults.test_short() fault("short", "1024 of 2048 bytes", "usb.io") end

function TestFaults.test_cancelled()
  local board, _ <close> = open("f407,times=max")
  support.assert_raises("timeout", task.deadline, 0.5, board.erase_page, board, SECTOR)
  while dfu.is_closing(board.path) do task.sleep(0.1) end
  lu.assertEquals(lines(board, 1), { "GETSTATUS  given up" })
end

function TestFaults.test_errors_by_name()
  local board, _ <close> = open()
  pcall(board.set_address, board, 0x20000000)
  lu.assertEquals(lines(board, 2), { "GETSTATUS  dfuDNBUSY, poll 104 ms",
                                     "GETSTATUS  dfuERROR errTARGET, took 0.0 ms" })
end

-- ---- addresses ----

local TestAddresses = {}

-- What was written stands where the trace says, and what was read comes from there.
local function check_addresses(board, place)
  local checked = 0
  for _, r in ipairs(trace.last(board)) do
    if r.block and not r.command and r.length > 0 and r.result == r.length then
      lu.assertNotNil(r.address, tostring(r))
      lu.assertTrue(place:peek(r.address, r.length) == r.data, tostring(r))
      checked = checked + 1
    end
  end
  return checked
end

function TestAddresses.test_runs_of_blocks()
  local board, _ <close>, place = open()
  board:erase_page(SECTOR)
  board:write(SECTOR + 8, pattern(3 * BLOCK + 100))
  board:read(SECTOR + 100, 5 * BLOCK + 1)
  lu.assertEquals(check_addresses(board, place), 10)
end

function TestAddresses.test_any_block_number()
  local board, _ <close>, place = open()
  board:erase_page(SECTOR)
  board:set_address(SECTOR)
  board:download_block(5, pattern(BLOCK))
  board:download_block(3, pattern(100))
  lu.assertEquals(trace.last(board, 3)[1].address, SECTOR + BLOCK)
  board:abort()
  board:upload_block(5, 64)
  lu.assertEquals(trace.last(board, 1)[1].address, SECTOR + 3 * BLOCK)
  lu.assertEquals(check_addresses(board, place), 3)
end

function TestAddresses.test_an_erase_moves_the_pointer()
  local board, _ <close>, place = open()
  board:set_address(FLASH)
  board:erase_page(SECTOR)
  board:download_block(2, "here!...")
  lu.assertEquals(place:peek(SECTOR, 4), "here")
  lu.assertEquals(check_addresses(board, place), 1)
end

-- A command that the board stored and dropped before a GETSTATUS.
function TestAddresses.test_an_abort_drops_the_command()
  local board, _ <close>, place = open()
  place:poke(FLASH, "at the start")
  place:poke(SECTOR, "in a sector")
  board:set_address(FLASH)
  board:control(0x21, 1, 0, 0, "\x21" .. ("<I4"):pack(SECTOR))
  board:control(0x21, 6, 0, 0)
  lu.assertEquals(board:upload_block(2, 6), "at the")
  lu.assertEquals(check_addresses(board, place), 1)
end

function TestAddresses.test_what_is_not_known_is_not_said()
  local board, _ <close> = open()
  board:set_address(FLASH)
  pcall(board.set_address, board, 0x20000000)
  board:clear_status()
  board:upload_block(2, 6)
  lu.assertEquals(lines(board, 1), { "UPLOAD 2  6 bytes" })
  board:set_address(FLASH)
  board:mass_erase()
  pcall(board.download_block, board, 1, "refused")
  lu.assertNil(named(board, "DNLOAD")[4].address)
  trace.stop()
  trace.start()
  board:abort()
  board:set_address(SECTOR)
  board:abort()
  board:upload_block(2, 6)
  lu.assertEquals(lines(board, 1), { "UPLOAD 2 <- 0x08004000  6 bytes" })
end

function TestAddresses.test_other_transfer_sizes()
  local board, _ <close>, place = open("g474,usb=ideal")
  lu.assertEquals(board.transfer_size, 1024)
  board:erase_page(SECTOR)
  board:write(SECTOR, pattern(2048))
  lu.assertEquals(check_addresses(board, place), 2)
end

-- ---- what is kept ----

local TestKept = {}

function TestKept.test_the_last_64()
  local board, _ <close> = open()
  board:read(FLASH, 100 * BLOCK)
  local kept = trace.last(board)
  lu.assertEquals(#kept, 64)
  for i = 2, 64 do lu.assertTrue(kept[i].started > kept[i - 1].started) end
  lu.assertEquals(kept[64].address, FLASH + 99 * BLOCK)
  lu.assertEquals(#trace.last(board, 3), 3)
  lu.assertTrue(trace.last(board, 1)[1] == kept[64])
  lu.assertEquals(#trace.last(board, 0), 0)
  lu.assertEquals(#trace.last("elsewhere"), 0)
  lu.assertEquals(select(2, tostring(trace(board, 3)):gsub("\n[^\n]*UPLOAD", "")), 3)
end

function TestKept.test_each_board_has_its_own()
  local one, _ <close> = open()
  local other, _ <close> = open()
  one:clear_status()
  other:read(FLASH, 80 * BLOCK)
  one:get_state()
  lu.assertEquals(#trace.last(other), 64)
  local mine = trace.last(one)
  for _, r in ipairs(mine) do lu.assertEquals(r.path, one.path) end
  local all = trace()
  lu.assertEquals(#all, 64 + #mine)
  lu.assertEquals(all[#all].path, one.path)
  lu.assertEquals(all[#all - 1].path, other.path)
end

function TestKept.test_stop()
  local board, _ <close> = open()
  trace.stop()
  board:get_state()
  lu.assertEquals(#trace(), 0)
end

function TestKept.test_misuse()
  assert_fails("true or false", trace.live)
  assert_fails("how many", trace.last, nil, "x")
  assert_fails("a Board", trace.last, {})
  assert_fails("function expected", dfu.observe, 42)
end

-- A board that came back is another device: its address pointer is not known.
function TestKept.test_a_board_that_comes_back()
  local board, _ <close>, place = open()
  board:set_address(SECTOR)
  place:reset()
  board:close()
  board:open { wait = 5 }
  local n = #trace.last(board)
  board:clear_status()
  board:upload_block(2, 6)
  lu.assertNil(trace.last(board, 1)[1].address)
  lu.assertTrue(#trace.last(board) > n, "what was before is kept")
end

-- ---- looking on ----

local TestLookingOn = {}

local function work()
  local place <close> = sim.new("f407,usb=ideal")
  local start = task.now()
  local board <close> = dfu.open(place.path)
  place:fault("stall", "write 0x08004800")
  board:erase_page(SECTOR)
  board:write(SECTOR, pattern(5000))
  local ok, err = pcall(board.read, board, 0, 4)
  local read = board:read(SECTOR, 6000)
  return { place.requests, ok, err.code, read, board.retries, task.now() - start }
end

function TestLookingOn.test_changes_nothing()
  local without = work()
  local _ <close> = support.close_with(trace.stop)
  trace.start(true)
  local with = work()
  lu.assertAlmostEquals(with[6], without[6], 1e-9)
  with[6], without[6] = nil, nil
  lu.assertEquals(with, without)
end

-- Something that is garbage at once, with a finalizer.
local function leave_behind(f)
  setmetatable({}, { __gc = f })
end

-- Finalizers run inside the observer and close boards: this one, others, one during its reset.
function TestLookingOn.test_finalizers()
  local seen = 0
  local _ <close> = support.close_with(function() dfu.observe() end)
  dfu.observe(function()
    seen = seen + 1
    collectgarbage()
  end)
  for i = 1, 20 do
    local place <close> = sim.new(i % 4 == 0 and "dfu11" or "f407")
    local board = i % 4 == 0 and dfu.at(place.path):detach() or dfu.open(place.path)
    local job = task.spawn(function()
      if i % 4 == 0 then
        pcall(board.write, board, 0, "program")
      else
        pcall(board.mass_erase, board)
      end
    end)
    leave_behind(function() board:close() end)
    task.sleep(0.05 * i)
    job:join()
  end
  lu.assertTrue(seen > 100)
end

function TestLookingOn.test_a_reset_and_a_finalizer()
  local place <close> = sim.new("dfu11")
  local board <close> = dfu.at(place.path):detach()
  board:get_state()
  local results = {}
  local _ <close> = support.close_with(function() dfu.observe() end)
  dfu.observe(function(_, _, _, _, result, type)
    if not type then
      local closed = false
      leave_behind(function()
        board:close()
        closed = true
      end)
      collectgarbage()
      results[#results + 1] = closed and result
    end
  end)
  board:write(0, "program")
  lu.assertEquals(results, { "gone" })
  lu.assertFalse(board.is_open)
  board:open { wait = 5, selector = "mode=runtime" }
  board:reset()
  lu.assertEquals(#results, 2)
end

-- ---- captures ----

local TestPcap = {}

local function capture(f)
  local name = os.tmpname()
  local _ <close> = support.close_with(function() os.remove(name) end)
  local writer = pcap.open(name)
  f(writer)
  lu.assertNil(writer:close())
  local file <close> = assert(io.open(name, "rb"))
  return file:read("a")
end

local DEVICE = { path = "1-4.2", generation = 1 << 16 | 7, device = ("\x12"):rep(18),
                 config = "\9\2\9\0\1\3\0\0\0" .. "another" }

-- The records of a capture, as tables.
local function records(bytes)
  local at, list = 25, {}
  while at <= #bytes do
    local caught, length = ("<xxxxxxxxI4I4"):unpack(bytes, at)
    local r = {}
    r.id, r.kind, r.xfer, r.epnum, r.device, r.bus, r.flag_setup, r.flag_data, r.seconds, r.micros,
      r.status, r.length, r.len_cap, r.setup = ("<I8c1BBBI2c1c1i8i4i4I4I4c8"):unpack(bytes, at + 16)
    lu.assertEquals(caught, length)
    lu.assertEquals(caught, 64 + r.len_cap)
    r.data = bytes:sub(at + 16 + 64, at + 15 + caught)
    list[#list + 1] = r
    at = at + 16 + caught
  end
  return list
end

function TestPcap.test_the_header()
  lu.assertEquals(capture(function() end),
    "\xD4\xC3\xB2\xA1\2\0\4\0\0\0\0\0\0\0\0\0\x3F\0\1\0\xDC\0\0\0")
end

function TestPcap.test_a_device_is_introduced_once()
  local list = records(capture(function(writer)
    writer:add(DEVICE, 1, 0.5, 1, 0xA1, 5, 0, 0, 1, "\2")
    writer:add(DEVICE, 2, 0.5, 1, 0xA1, 5, 0, 0, 1, "\2")
  end))
  local setups = {}
  for i, r in ipairs(list) do
    lu.assertEquals({ r.bus, r.device, r.xfer }, { 1, 7, 2 })
    lu.assertEquals(r.kind, i % 2 == 1 and "S" or "C")
    lu.assertEquals(r.id, (i + 1) // 2)
    if r.kind == "S" then setups[#setups + 1] = r.setup end
  end
  lu.assertEquals(setups, { "\x80\6\0\1\0\0\x12\0", "\x80\6\0\2\0\0\9\0", "\0\9\3\0\0\0\0\0",
                            "\xA1\5\0\0\0\0\1\0", "\xA1\5\0\0\0\0\1\0" })
  lu.assertEquals(list[2].data, DEVICE.device)
  lu.assertEquals(list[4].data, "\9\2\9\0\1\3\0\0\0")
  local S, C = list[7], list[8]
  lu.assertEquals({ S.epnum, S.flag_setup, S.flag_data, S.status, S.length, S.len_cap },
    { 0x80, "\0", "<", -115, 1, 0 })
  lu.assertEquals({ C.epnum, C.flag_setup, C.flag_data, C.status, C.length, C.data },
    { 0x80, "-", "\0", 0, 1, "\2" })
  lu.assertEquals((C.seconds - S.seconds) * 1000000 + C.micros - S.micros, 500000)
  lu.assertTrue(math.abs(S.seconds - os.time() - 1 + task.now()) < 5)
end

function TestPcap.test_data_out_and_errors()
  local simulated = { path = "sim:f407", generation = 1, device = "", config = "" }
  local list = records(capture(function(writer)
    writer:add(simulated, 0, 0.25, 3, 0x21, 1, 2, 0, 3, "abc")
    writer:add(simulated, 0, 0.25, "stall", 0xA1, 2, 2, 0, 3, "")
    writer:add(simulated, 0, 0.25, "gone", 0x21, 6, 0, 0, 0, "")
  end))
  local S, C = list[1], list[2]
  lu.assertEquals({ S.bus, S.device, S.epnum, S.flag_data, S.length, S.data },
    { 0, 1, 0, "\0", 3, "abc" })
  lu.assertEquals({ C.status, C.flag_data, C.length, C.data }, { 0, ">", 3, "" })
  lu.assertEquals({ list[4].status, list[4].length }, { -32, 0 })
  lu.assertEquals({ list[5].length, list[6].status }, { 0, -19 })
end

function TestPcap.test_several_devices()
  local function device(i)
    return { path = "sim:f407#" .. i, generation = 1, device = "", config = "" }
  end
  local seen = {}
  for _, r in ipairs(records(capture(function(writer)
    for i = 1, 130 do writer:add(device(i), 0, 0, 0, 0x21, 6, 0, 0, 0, "") end
  end))) do
    lu.assertTrue(r.device >= 1 and r.device <= 127)
    seen[r.device] = true
  end
  lu.assertEquals(#seen, 127)
end

function TestPcap.test_refuses()
  lu.assertStrContains(support.assert_raises("file.write", pcap.open, "/no/where.pcap").message,
    "--pcap /no/where.pcap: No such file or directory")
  support.assert_raises("file.write", pcap.open, "/dev/full")
  local name = os.tmpname()
  local _ <close> = support.close_with(function() os.remove(name) end)
  local file = assert(io.open(name, "wb"))
  file:write("firmware")
  file:close()
  support.assert_raises("file.write", pcap.open, name)
  file = assert(io.open(name, "rb"))
  lu.assertEquals(file:read("a"), "firmware")
  file:close()
end

return { TestLines = TestLines, TestTraceFaults = TestFaults, TestAddresses = TestAddresses,
         TestKept = TestKept, TestLookingOn = TestLookingOn, TestPcap = TestPcap }

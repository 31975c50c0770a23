-- SPDX-License-Identifier: MIT
-- The flash library and images, on simulated boards.
local lu = require "luaunit"
local dfu = require "dfu"
local fw = require "firmware"
local fits = require "moonflash.flash.fits"
local flash = require "moonflash.flash"
local image = require "moonflash.image"
local remedies = require "moonflash.ui.remedies"
local optbytes = require "moonflash.optbytes"
local sim = require "sim"
local support = require "support"
local sys = require "sys"
local task = require "task"

local file_with, raises = support.file_with, support.assert_raises

local TestFlash, TestImage = {}, {}

local BASE = 0x08000000
local KEPT = "moonflash-kept-315A28A0B956-08004000.hex"

-- An image without a file.
local function raw(address, bytes)
  return { name = "it", format = "bin", size = #bytes, start = address,
           segments = { { address = address, bytes = bytes } } }
end

function TestFlash:setUp()
  self.sim = sim.new("f407,usb=none")
  self.board = dfu.open(self.sim.path)
end

function TestFlash:tearDown()
  self.board:close()
  self.sim:close()
  os.remove(KEPT)
end

function TestFlash:plug_again()
  self.sim:unplug()
  self.sim:plug()
  self.board:open { wait = 1 }
end

function TestFlash:test_writes_erases_and_verifies()
  self.sim:poke(BASE, ("\0"):rep(0x20000))
  local bytes = ("moonflash"):rep(4000)
  flash.write(self.board, raw(BASE, bytes))
  lu.assertEquals(self.sim:peek(BASE, #bytes), bytes)
  -- the rest of the last sector is erased, the sectors behind it are not touched
  lu.assertEquals(self.sim:peek(BASE + #bytes, 0xC000 - #bytes), ("\255"):rep(0xC000 - #bytes))
  lu.assertEquals(self.sim:peek(BASE + 0xC000, 16), ("\0"):rep(16))
  local stats = dfu.fields(self.board).stats
  lu.assertTrue(stats.verified)
  lu.assertEquals(stats.sectors_erased, 3)
  lu.assertEquals(stats.bytes_written, #bytes)
  lu.assertEquals(stats.bytes_verified, #bytes)
end

-- The requests that a function makes, as f(path, started, request, value, data) gets them.
local function observed(f, work)
  local _ <close> = support.close_with(function() dfu.observe() end)
  dfu.observe(function(path, _, started, _, _, _, request, value, _, _, data)
    f(path, started, request, value, data)
  end)
  work()
end

-- What is sent from the first block to the last: "address", "block" or "abort".
local function writing_of(spec, firmware)
  local sent = {}
  local place <close> = sim.new(spec)
  local board <close> = dfu.open(place.path)
  observed(function(_, _, request, value, data)
    if request == 6 then
      sent[#sent + 1] = "abort"
    elseif request == 1 and value >= 2 then
      sent[#sent + 1] = "block"
    elseif request == 1 and data:byte(1) == 0x21 then
      sent[#sent + 1] = "address"
    end
  end, function() flash.write(board, firmware, { full = true, no_verify = true }) end)
  return table.concat(sent, " "):match("block.*block")
end

-- Behind a gap a block that follows the last one might be taken for its neighbour. A ROM that is
-- known to take each block by its number and the address alone needs no ABORT there.
function TestFlash.test_a_gap_is_left_by_abort()
  local firmware = raw(BASE, ("a"):rep(16))
  firmware.segments[2] = { address = BASE + 0x10000, bytes = ("b"):rep(16) }
  firmware.size = 32
  lu.assertEquals(writing_of("g474,usb=none", firmware), "block abort address block")
  lu.assertEquals(writing_of("f407,usb=none", firmware), "block address block")
end

-- Boards that begin together would all want the bus at the same moment, at every block.
function TestFlash.test_boards_do_not_write_in_step()
  local begun, jobs = {}, {}
  observed(function(path, started, request, value)
    if request == 1 and value == 2 then begun[path] = begun[path] or started end
  end, function()
    for i = 1, 3 do
      jobs[i] = task.spawn(function()
        local place <close> = sim.new("f407,usb=none,times=zero")
        local board <close> = dfu.open(place.path)
        flash.write(board, raw(BASE, ("x"):rep(4096)), { full = true })
      end)
    end
    for _, job in ipairs(jobs) do job:join() end
  end)
  local times = {}
  for _, time in pairs(begun) do times[#times + 1] = time end
  table.sort(times)
  lu.assertEquals(#times, 3)
  for i = 2, 3 do lu.assertTrue(times[i] - times[i - 1] > 0.004, times[i] - times[i - 1]) end
end

function TestFlash:test_the_last_byte_of_the_flash()
  flash.write(self.board, raw(0x080FFFFF, "x"))
  lu.assertEquals(self.sim:peek(0x080FFFFE, 2), "\255x")
end

function TestFlash:test_what_does_not_fit_is_refused_untouched()
  local requests = self.sim.requests
  raises("image", flash.write, self.board, raw(BASE, ("x"):rep(0x100001)))
  raises("image", flash.write, self.board, raw(0x080FFFFF, "xx"))
  raises("image", flash.write, self.board, raw(0x20000000, "x"))
  raises("image", flash.write, self.board, raw(BASE - 1, "xx"))
  raises("image", flash.write, self.board, raw(0xFFFFFFFF, "x"))
  lu.assertEquals(self.sim.requests, requests)
end

function TestFlash:test_what_stands_before_the_image()
  self.sim:poke(BASE + 0x4000, ("old!"):rep(0x1000))
  local changed = raw(BASE + 0x5000, ("new!"):rep(256))
  local err = raises("image", flash.write, self.board, changed)
  lu.assertStrContains(err.message, "the data in 0x08004000..0x08004FFF would")
  lu.assertEquals(self.sim:peek(BASE + 0x4000, 0x4000), ("old!"):rep(0x1000))

  flash.write(self.board, changed, { keep = true })
  lu.assertEquals(self.sim:peek(BASE + 0x4000, 0x1000), ("old!"):rep(0x400))
  lu.assertEquals(self.sim:peek(BASE + 0x5000, 1024), ("new!"):rep(256))

  flash.write(self.board, changed, { lose = true }) -- it exists already
  lu.assertEquals(self.sim:peek(BASE + 0x4000, 0x1000), ("old!"):rep(0x400))
  flash.write(self.board, changed, { lose = true, full = true })
  lu.assertEquals(self.sim:peek(BASE + 0x4000, 0x1000), ("\255"):rep(0x1000))
end

function TestFlash:test_what_was_kept_is_rescued_when_writing_fails()
  self.sim:poke(BASE + 0x4000, ("old!"):rep(0x400))
  self.sim:fault("unplug", "write 0x08004000")
  local err = raises("usb.gone", flash.write, self.board, raw(BASE + 0x5000, "new!"),
    { keep = true })
  lu.assertEquals(err.hint, "Reconnect the board (BOOT0 high).\n"
    .. ("The kept bytes are in %s.\nRun the same command again in this folder: it writes them "
    .. "back."):format(KEPT))
  local saved = image.load(KEPT)
  lu.assertEquals(saved.segments, { { address = BASE + 0x4000, bytes = ("old!"):rep(0x400) } })
  local file <close> = assert(io.open(KEPT, "rb"))
  local head = file:read("a")
  lu.assertStrMatches(head, "; kept by moonflash:.*\n; board: 0483:df11 serial 315A28A0B956 at "
    .. "sim:f407%S*\n; range: 0x08004000..0x08004FFF\n; image: " .. ("%x"):rep(64) .. " it\n:.*")
  self:plug_again()
  -- another write over that range would lose these bytes
  local other = raises("image.kept", flash.write, self.board, raw(BASE + 0x4000, "else"), {})
  lu.assertStrContains(other.message, "an unfinished run left kept bytes in " .. KEPT)
  lu.assertStrContains(other.hint, ("flash %s --lose"):format(KEPT))
  raises("image.kept", flash.write, self.board, raw(BASE + 0x5004, "new!"), { keep = true })
  flash.write(self.board, raw(BASE + 0x8000, "elsewhere"), {})
  -- written back, it is no longer needed
  flash.write(self.board, image.load(KEPT), { lose = true })
  lu.assertEquals(self.sim:peek(BASE + 0x4000, 0x1000), ("old!"):rep(0x400))
  lu.assertNil(sys.stat(KEPT))
end

-- A serial number that many boards have identifies none: then the place has to be the same.
function TestFlash.test_whose_kept_bytes_they_are()
  for serial, is_found in pairs { ["A1"] = true, ["STM32"] = false } do
    local place <close> = sim.new("f407,usb=none,serial=" .. serial)
    local board <close> = dfu.open(place.path)
    place:poke(BASE + 0x4000, "old!")
    place:fault("unplug", "write 0x08004000")
    raises("usb.gone", flash.write, board, raw(BASE + 0x5000, "new!"), { keep = true })
    place:close()
    local other <close> = sim.new("f407,usb=none,serial=" .. serial)
    local at_other <close> = dfu.open(other.path)
    local ok = pcall(flash.write, at_other, raw(BASE + 0x4000, "else"), {})
    lu.assertEquals(ok, not is_found)
    os.remove(("moonflash-kept-%s-08004000.hex"):format(serial))
  end
end

-- Interrupted at any moment; and the same again.
function TestFlash.test_what_is_kept_survives_an_interruption_at_any_moment()
  local place <close> = sim.new("f407,usb=ideal")
  local board <close> = dfu.open(place.path)
  local before = image.load("build/ch.bin").segments[1].bytes
  local told, untold = 0, 0
  for ms = 0, 900, 23 do
    place:poke(BASE, before .. ("\255"):rep(0x10000 - #before))
    local mixed = image.new { segments = { { address = BASE + 0x10, bytes = "UUUU" },
                                           { address = BASE + 0x4100, bytes = "UUUU" } } }
    local wanted = before:sub(1, 16) .. "UUUU" .. before:sub(21, 0x4100) .. "UUUU"
      .. before:sub(0x4105)
    local job = task.spawn(flash.write, board, mixed, { keep = true })
    task.sleep(ms / 1000)
    job:cancel()
    local ok, err = pcall(job.join, job)
    local name = not ok and err.hint:match("moonflash%-kept%S-%.hex")
    if name then
      told = told + 1
      lu.assertNotStrContains(err.hint, "The same command")
      lu.assertNotNil(sys.stat(name))
    elseif not ok then
      untold = untold + 1
      lu.assertEquals(err.hint, "Run the same command again to finish.")
    end
    flash.write(board, mixed, { keep = true })
    lu.assertNil(name and sys.stat(name))
    lu.assertTrue(place:peek(BASE, #before) == wanted, ("after %d ms"):format(ms))
  end
  lu.assertTrue(told > 10 and untold > 0, told .. ", " .. untold)
end

-- One sector comes out wrong: the message still names what else may be wrong.
function TestFlash:test_what_was_kept_where_verifying_fails()
  self.sim:poke(BASE + 0x4000, "old!")
  self.sim:fault("corrupt", "write 0x08004000")
  local err = raises("verify", flash.write, self.board, raw(BASE + 0x5000, "new!"), { keep = true })
  lu.assertStrMatches(err.hint, "1 of 1 sector differs%.\nNo write protection is set there; if it "
    .. "fails again at this address, the flash\nmay be worn out%.\nThe kept bytes are in .*")
end

-- At the prompt the remedy is a line of Lua: it is run as printed, and then the same call again.
function TestFlash:test_at_the_prompt_it_is_said_in_lua()
  local _ <close> = remedies.for_prompt()
  self.sim:poke(BASE + 0x4000, ("old!"):rep(0x1000))
  local job = task.spawn(self.board.fill, self.board, BASE + 0x5000, 4, 0x55)
  task.sleep(0.5)
  job:cancel()
  raises("cancelled", job.join, job)
  local err = raises("image.kept", self.board.fill, self.board, BASE + 0x6000, 4, 0x55)
  local line = err.hint:match("\n  (flash%.write[^\n]*)")
  assert(load(line, "=line", "t", { flash = flash, image = image, board = self.board }))()
  self.board:fill(BASE + 0x5000, 4, 0x55)
  lu.assertEquals(self.sim:peek(BASE + 0x4000, 0x4000),
    ("old!"):rep(0x400) .. "UUUU" .. ("old!"):rep(0xBFF))
end

-- Two boards with one serial number at the same time: each has a file.
function TestFlash.test_two_boards_of_one_serial_number()
  local jobs, places, boards = {}, {}, {}
  for i = 1, 2 do
    places[i] = sim.new("f407,usb=none,serial=STM32")
    boards[i] = dfu.open(places[i].path)
    places[i]:poke(BASE + 0x4000, ("old%d"):format(i):rep(0x400))
    jobs[i] = task.spawn(flash.write, boards[i], raw(BASE + 0x5000, "new!"), { keep = true })
  end
  task.sleep(0.3)
  for i = 1, 2 do jobs[i]:cancel() end
  for i, name in ipairs { "moonflash-kept-STM32-08004000.hex",
                          "moonflash-kept-STM32-08004000-2.hex" } do
    local err = raises("cancelled", jobs[i].join, jobs[i])
    lu.assertStrContains(err.hint, name)
    flash.write(boards[i], raw(BASE + 0x5000, "new!"), { keep = true })
    lu.assertEquals(places[i]:peek(BASE + 0x4000, 4), "old" .. i)
    lu.assertNil(sys.stat(name))
    boards[i]:close()
    places[i]:close()
  end
end

function TestFlash:test_blank_bytes_before_the_image_are_no_loss()
  flash.write(self.board, raw(BASE + 0x5000, "new!"))
  lu.assertEquals(self.sim:peek(BASE + 0x5000, 4), "new!")
end

function TestFlash:test_verify_says_where_and_what()
  local bytes = ("moonflash"):rep(1000)
  flash.write(self.board, raw(BASE, bytes))
  self.sim:poke(BASE + 5000, "\0\1")
  local err = raises("verify", flash.verify, self.board, raw(BASE, bytes))
  lu.assertEquals(err.address, BASE + 5000)
  lu.assertStrContains(err.message, "0x08001388: expected")
  lu.assertStrContains(err.message, "found 00 01")
end

function TestFlash.test_a_protected_sector_is_found_by_verification()
  local product <close> = support.product [[{ base = "f407", memories = {
    { name = "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg" } } }]]
  local protected <close> = sim.new(product.name .. ",usb=none,wrp=2")
  protected:poke(BASE, ("\0"):rep(0x8000))
  local board <close> = dfu.open(protected.path)
  local err = raises("verify", flash.write, board, raw(BASE, ("x"):rep(0x6000)))
  lu.assertEquals(err.ranges, {
    { state = "verified", first = BASE, last = BASE + 0x3FFF },
    { state = "doubt", first = BASE + 0x4000, last = BASE + 0x7FFF } }) -- it was never erased
  lu.assertEquals(err.address, BASE + 0x4000)
  lu.assertStrContains(err.hint, "1 of 2 sectors differs")
end

function TestFlash:test_without_verification_it_says_so()
  flash.write(self.board, raw(BASE, "x"), { no_verify = true })
  local stats = dfu.fields(self.board).stats
  lu.assertNil(stats.verified)
  lu.assertEquals(stats.unverified, "--no-verify")
end

function TestFlash.test_units_of_the_flash_are_filled_up()
  local l433 <close> = sim.new("l433,usb=none")
  local board <close> = dfu.open(l433.path)
  flash.write(board, raw(BASE, "12345"))
  lu.assertEquals(l433:peek(BASE, 16), "12345" .. ("\255"):rep(11))
end

function TestFlash.test_dry_run_touches_nothing()
  dfu.defaults.dry = true
  local other <close> = sim.new("f407,usb=none")
  local board <close> = dfu.open(other.path)
  dfu.defaults.dry = false
  other:poke(BASE, "old!")
  flash.write(board, raw(BASE, "new!"))
  board:erase_page(BASE)
  board:mass_erase()
  board:leave(BASE)
  board:read_unprotect()
  lu.assertEquals(other:peek(BASE, 4), "old!")
  lu.assertNil(other.started)
  lu.assertEquals(board:read(BASE, 4), "\255\255\255\255") -- as it would be
end

-- A dry run goes on with what it would have written, and the board keeps what it has.
function TestFlash.test_dry_run_goes_on()
  dfu.defaults.dry = true
  local other <close> = sim.new("f407,usb=none")
  local board <close> = dfu.open(other.path)
  dfu.defaults.dry = false
  other:poke(BASE, ("old!"):rep(0x2000))
  flash.write(board, raw(BASE, "new!"))
  flash.verify(board, raw(BASE, "new!"))
  lu.assertEquals(board:read(BASE - 0, 8), "new!\255\255\255\255")
  lu.assertEquals(board:read(BASE + 0x3FFE, 4), "\255\255ol")
  flash.write(board, raw(BASE + 0x4000, "two"))
  lu.assertEquals(flash.plan(board, raw(BASE + 0x4000, "two")).bytes_write, 0)
  board:erase_page(BASE)
  board:write(BASE + 4, "more")
  lu.assertEquals(board:read(BASE, 8), "\255\255\255\255more")
  lu.assertEquals(other:peek(BASE, 0x8000), ("old!"):rep(0x2000))
end

function TestFlash.test_dry_run_of_a_protected_board()
  dfu.defaults.dry = true
  local other <close> = sim.new("f407,usb=none,rdp=1")
  local board <close> = dfu.open(other.path)
  dfu.defaults.dry = false
  flash.unprotect(board, { yes = true })
  local plan = flash.plan(board, raw(BASE, ("x"):rep(0x5000)))
  lu.assertEquals({ plan.bytes_write, #plan.sectors }, { 0x5000, 2 })
  flash.write(board, raw(BASE, ("x"):rep(0x5000)))
  lu.assertEquals(board:read(BASE + 0x4FFF, 2), "x\255")
  optbytes.write(board, { BOR_LEV = 1 })
  lu.assertEquals(other.requests > 0, true)
  raises("board.protected", board.read, board, 0x1FFFC000, 4)
end

function TestFlash:test_read_and_sectors()
  self.sim:poke(BASE + 100, "here")
  lu.assertEquals(flash.read(self.board, BASE + 100, 4), "here")
  lu.assertEquals(#flash.read(self.board, BASE, 100000), 100000)
  local first, last = flash.span(self.board)
  lu.assertEquals({ first, last }, { BASE, 0x080FFFFF })
  lu.assertEquals(#flash.sectors(self.board, BASE + 1, 0x0801FFFF), 5)
end

-- ---- images ----

local function load_bytes(bytes, options, suffix)
  local name = file_with(bytes)
  local results = table.pack(pcall(image.load, name .. (suffix or ""), options))
  os.remove(name)
  return table.unpack(results)
end

function TestImage.test_raw_binary()
  local ok, it = load_bytes("hello", {})
  lu.assertTrue(ok)
  lu.assertEquals(it.segments, { { address = BASE, bytes = "hello" } })
  lu.assertNil(it.start)
  lu.assertEquals(it.size, 5)
  local _, program = load_bytes(fw.program(0x08010000), { address = 0x08010000 })
  lu.assertEquals(program.start, 0x08010000)
end

function TestImage.test_address_behind_the_name_wins()
  local _, it = load_bytes("hello", { address = 0x08010000 }, "@0x08020000")
  lu.assertEquals(it.segments[1].address, 0x08020000)
  _, it = load_bytes("hello", { address = 0x08010000 })
  lu.assertEquals(it.segments[1].address, 0x08010000)
  _, it = load_bytes("hello", {}, "@134217730")
  lu.assertEquals(it.segments[1].address, 0x08000002)
end

function TestImage.test_what_is_no_address()
  for _, suffix in ipairs { "@x", "@", "@0x", "@-1", "@0x100000000", "@1e3", "@0x8000000 " } do
    local ok, err = load_bytes("hello", {}, suffix)
    lu.assertFalse(ok)
    lu.assertEquals(err.code, "usage", suffix)
  end
end

function TestImage.test_misspelt_options()
  local board <close> = dfu.open("sim:f407,usb=none")
  local it = image.new { segments = { { address = BASE, bytes = "x" } } }
  for _, f in ipairs { flash.write, flash.plan, flash.verify } do
    local ok, err = pcall(f, board, it, { no_verfy = true })
    lu.assertFalse(ok)
    lu.assertStrContains(err, "there is no option 'no_verfy' (did you mean 'no_verify'?)")
  end
  local ok, err = pcall(image.load, "build/ch.bin", { adress = 0 })
  lu.assertFalse(ok)
  lu.assertStrContains(err, "there is no option 'adress' (did you mean 'address'?)")
end

function TestImage.test_a_program_for_elsewhere()
  local bytes = ("<I4I4I4"):pack(0x20020000, 0x08010189, 0x0801018B) .. ("x"):rep(1000)
  local _, it = load_bytes(bytes, {})
  local board <close> = dfu.open("sim:f407,usb=none")
  for _, f in ipairs { flash.write, flash.verify } do
    local ok, err = pcall(f, board, it, {})
    lu.assertFalse(ok)
    lu.assertStrContains(err.message, "reset vector 0x08010189 is outside the target range")
    lu.assertEquals(err.code, "image.address")
  end
  local plain <close> = dfu.open("sim:dfu11,state=dfuIDLE")
  flash.write(plain, it)
  for _, fitting in ipairs { { {}, "@0x08010000" }, { { force = true } } } do
    local _, other = load_bytes(bytes, table.unpack(fitting))
    lu.assertNil(fits.address(board, other))
  end
end

function TestImage.test_data_without_a_vector_table_goes_anywhere()
  for _, words in ipairs { { 0, 0 }, { 0x20020000, 0x08010188 }, { 0x20020001, 0x08010189 },
                           { 0x30000000, 0x08010189 }, { 0x20020000, 0x20000001 } } do
    lu.assertTrue(load_bytes(("<I4I4"):pack(table.unpack(words)), {}))
  end
  lu.assertTrue(load_bytes("short", {}))
end

function TestImage.test_files_that_are_none()
  lu.assertEquals(raises("file", image.load, "/no/such/file").message,
    "/no/such/file: No such file or directory")
  raises("file", image.load, "/")
  local ok, err = load_bytes("", {})
  lu.assertFalse(ok)
  lu.assertEquals(err.code, "image")
  raises("file", image.load, "")
end

function TestImage.test_past_four_gigabytes()
  local ok, err = load_bytes("hello", {}, "@0xFFFFFFFC")
  lu.assertFalse(ok)
  lu.assertEquals(err.code, "image")
end

function TestImage.test_misuse()
  lu.assertErrorMsgContains("takes the name of a file", image.load, 42)
  local name = file_with("x")
  lu.assertErrorMsgContains("32 bits", image.load, name, { address = -1 })
  lu.assertErrorMsgContains("32 bits", image.load, name, { address = 1 << 32 })
  lu.assertErrorMsgContains("32 bits", image.load, name, { address = "x" })
  os.remove(name)
end

return { TestFlash = TestFlash, TestImage = TestImage }

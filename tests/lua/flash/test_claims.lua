-- SPDX-License-Identifier: MIT
-- "verified", "erased", "untouched" and "left" are true also of boards that differ from ST's ROM,
-- and of files that are not what they seem.
local lu = require "luaunit"
local dfu = require "dfu"
local flash = require "moonflash.flash"
local fw = require "firmware"
local image = require "moonflash.image"
local run = require "moonflash.run"
local sim = require "sim"
local support = require "support"
local task = require "task"

local BASE, SECTOR = 0x08000000, 0x4000
local of = fw.of
local raises = support.assert_raises

local function noise(length, seed)
  math.randomseed(seed or 1)
  local bytes = {}
  for i = 1, length do bytes[i] = string.char(math.random(0, 255)) end
  return table.concat(bytes)
end

-- A Board, its simulated board (a kind, or a product with this description), and what closes both.
local function open(spec, description)
  local product <close> = description and support.product(description) or nil
  local place = sim.new((product and product.name or "") .. spec)
  local board = dfu.open(place.path)
  return board, place, support.close_with(function()
    board:close()
    place:close()
  end)
end

local TestClaims = {}


-- ---- "verified": all of the image stands on the board at the end ----

-- A chunk of eight blocks holds several pages: the page that differs is the one written again.
function TestClaims.test_retry_writes_the_page_that_differs()
  local bytes = noise(20000)
  for at = BASE, BASE + 20000, 0x800 do
    local board, place, _ <close> = open("l433,usb=none,times=zero")
    place:fault("corrupt", ("write 0x%08X"):format(at))
    flash.write(board, of(BASE, bytes), { retry = 1 })
    lu.assertTrue(place:peek(BASE, #bytes) == bytes, ("%08X"):format(at))
  end
end

function TestClaims.test_differences_are_counted_in_sectors()
  local board, place, _ <close> = open("l433,usb=none,times=zero")
  local bytes = noise(0x2000)
  place:poke(BASE, bytes:sub(1, 0x900) .. "?" .. bytes:sub(0x902, 0x1900) .. "?"
    .. bytes:sub(0x1902))
  lu.assertStrContains(raises("verify", flash.verify, board, of(BASE, bytes)).hint,
    "2 of 4 sectors differ.")
end

-- A protected page says that it was erased: the doubt reaches every page that came out wrong.
function TestClaims.test_doubt_reaches_all_sectors_of_a_chunk()
  local board, place, _ <close> = open("l433,usb=none,times=zero,wrp=0x3")
  place:poke(BASE, noise(0x2000, 2))
  local err = raises("verify", flash.write, board, of(BASE, noise(3000)), { retry = 0 })
  lu.assertEquals(err.ranges, { { state = "doubt", first = BASE, last = BASE + 0xFFF } })
end

-- A sector that compared the same was not to be erased, and its other bytes were not kept, so a
-- retry only reads it again.
function TestClaims.test_retry_erases_nothing_else()
  local board, place, _ <close> = open(",usb=none,times=zero", [[{ base = "f407", product = "x" }]])
  local beside = noise(0x1000, 3)
  place:poke(BASE, noise(SECTOR, 2))
  place:poke(BASE + SECTOR, noise(0x3000) .. beside)
  place:fault("corrupt", ("read 0x%08X"):format(BASE + SECTOR))
  local both = of(BASE, noise(SECTOR, 4) .. noise(0x3000))
  for request = 1, 80 do
    place:fault("corrupt", place.requests + request)
    pcall(flash.write, board, both, { retry = 1, keep = true })
    lu.assertTrue(place:peek(BASE + SECTOR + 0x3000, 0x1000) == beside, tostring(request))
  end
end

-- The layout has half the size of the real sectors: what compared the same went with its
-- neighbour's erase, and is read back.
function TestClaims.test_a_layout_with_too_small_sectors()
  local board, place, _ <close> = open("f407,usb=none,times=zero")
  board:close()
  local old = noise(0x4000)
  place:poke(BASE, old)
  dfu.defaults.layout = require("moonflash.memory").parse("@Flash/0x08000000/128*8Kg")
  local again = dfu.open(place.path)
  dfu.defaults.layout = nil
  -- plans ask for the layout too
  dfu.defaults.layout = require("moonflash.memory").parse("@Flash/0x08000000/128*8Kg")
  local new = old:sub(1, 0x3000) .. "XXXXXXXX" .. old:sub(0x3009)
  local err = raises("verify", flash.write, again, of(BASE, new), {})
  dfu.defaults.layout = nil
  again:close()
  lu.assertEquals(err.address, BASE)
end

local TO_END = [[{ base = "f407", product = "other", habits = { "erases-to-end" } }]]

function TestClaims.test_a_boot_loader_that_erases_to_the_end()
  local board, place, _ <close> = open(",usb=none,times=zero", TO_END)
  local before = noise(0x20000)
  place:poke(BASE, before)
  local err = raises("verify.bystander", flash.write, board, of(BASE, noise(3000, 2)), {})
  lu.assertEquals(err.sectors, { BASE + SECTOR })
  lu.assertEquals(err.ranges[#err.ranges], -- only samples were compared
    { state = "doubt", first = BASE + 3000, last = BASE + (1 << 20) - 1 })
  -- also without verification, but not where it was left out
  place:poke(BASE, before)
  raises("verify.bystander", flash.write, board, of(BASE, noise(3000, 3)), { no_verify = true })
  place:poke(BASE, before)
  flash.write(board, of(BASE, noise(3000, 4)), { trust_erase = true })
  -- what compared the same, and was erased all the same
  local new = before:sub(1, 8) .. "new" .. before:sub(12, 0x8000)
  place:poke(BASE, before)
  raises("verify", flash.write, board, of(BASE, new), {})
  place:poke(BASE, before)
  raises("verify.bystander", flash.erase, board, flash.sectors(board, BASE, BASE), {})
end

-- On a known ROM sectors that compared the same are not read again, but the neighbours are.
function TestClaims.test_what_is_read_of_a_known_rom()
  local board, place, _ <close> = open("f407,usb=none,times=zero")
  local old = noise(0x40000)
  place:poke(BASE, old)
  local new = old:sub(1, 0x5000) .. "new" .. old:sub(0x5004)
  local plan = flash.plan(board, of(BASE, new), {})
  lu.assertTrue(plan.trusted)
  lu.assertEquals({ #plan.check, #plan.check[1].bytes }, { 1, SECTOR })
  local places = {}
  for i, place_of in ipairs(plan.bystanders) do places[i] = place_of.address end
  lu.assertEquals(places, { BASE + 0x8000, BASE + 0x3800, })
  lu.assertEquals(plan.bystanders[1].length, 2048)
end

-- Never memory of which nothing shows that it exists: the string may announce more than there is.
function TestClaims.test_bystanders_surely_exist()
  local board, place, _ <close> = open("f407,usb=none,times=zero")
  place:poke(BASE, noise(16))
  local plan = flash.plan(board, of(BASE, noise(3000, 2)), {})
  lu.assertEquals({ #plan.bystanders, plan.bystanders[1].address }, { 1, BASE + SECTOR })
  place:poke(0x080E0000, "x")
  plan = flash.plan(board, of(0x080E0000, noise(3000)), {})
  lu.assertEquals({ plan.bystanders[1].address, plan.bystanders[2].address, #plan.bystanders },
    { 0x080DF800, BASE, 2 })
end

-- Where the data say that a ROM erases elsewhere, or nothing (AN2606, F76x and F42x), nothing is
-- erased; sectors that need no erase are written.
function TestClaims.test_a_second_bank_that_is_erased_wrong()
  for _, name in ipairs { "04*032Kg,01*128Kg,07*256Kg",
      "04*016Kg,01*064Kg,07*128Kg,04*016Kg,01*064Kg,07*128Kg" } do
    local board, place, _ <close> = open(",usb=none,times=zero", ([[{ base = "f407",
      version = 0x2200, memories = { { name = "@Internal Flash  /0x08000000/%s" } } }]])
      :format(name))
    place:poke(0x08100000, noise(0x8000))
    local err = raises("dfu.rom", flash.write, board, of(0x08100000, noise(16, 2)), {})
    lu.assertStrContains(err.message, "0x08100000 can't be erased one by one")
    lu.assertStrContains(err.message, "AN2606")
    raises("dfu.rom", flash.erase, board, flash.sectors(board, 0x08100000, 0x08100000), {})
    lu.assertEquals(place:peek(0x08100000, 0x8000), noise(0x8000))
    flash.write(board, of(0x08140000, noise(16)), {})
    lu.assertEquals(place:peek(0x08140000, 16), noise(16))
    flash.write(board, of(0x08100000, noise(16, 2)), { erase_all = true })
    lu.assertEquals(place:peek(0x08100000, 16), noise(16, 2))
  end
end

function TestClaims.test_a_bystander_that_is_refused()
  for _, fault in ipairs { "stall", "error", "short" } do
    local board, place, _ <close> = open("f407,usb=none,times=zero")
    place:poke(BASE, noise(SECTOR))
    local bytes = noise(3000, 2)
    place:fault(fault, ("read 0x%08X"):format(BASE + SECTOR))
    place:fault(fault, ("read 0x%08X"):format(BASE + SECTOR))
    flash.write(board, of(BASE, bytes), {})
    lu.assertEquals(place:peek(BASE, #bytes), bytes)
  end
end

-- ---- the word ----

local function result_of(body, spec)
  local place <close> = sim.new(spec or "f407,usb=none,times=zero")
  local recipe = { name = "it", args = {}, table = { run = body } }
  return run.on_board(recipe, dfu.at(place.path), {}, nil).stats
end

function TestClaims.test_what_a_run_says()
  local a, b = of(BASE, ("a"):rep(3000)), of(BASE + SECTOR, ("c"):rep(3000))
  local both = result_of(function(board)
    flash.write(board, a)
    flash.write(board, b, { no_verify = true })
  end)
  lu.assertEquals({ both.verified, both.bytes_unverified }, { false, 3000 })
  local beside = result_of(function(board)
    flash.write(board, a)
    board:write(BASE + SECTOR, "by hand!")
  end)
  lu.assertEquals({ beside.verified, beside.bytes_unverified }, { false, 8 })
  local over = result_of(function(board)
    flash.write(board, a)
    board:erase_page(BASE)
  end)
  lu.assertEquals({ over.verified, over.bytes_unverified }, { false, 3000 })
  local raw = result_of(function(board)
    flash.write(board, a)
    board:download_block(0, "\x41\0\0\0\8")
  end)
  lu.assertEquals({ raw.verified, raw.bytes_unverified }, { false, 3000 })
  local primitives = result_of(function(board) board:write(BASE, "by hand!") end)
  lu.assertEquals({ primitives.verified, primitives.bytes_unverified }, { false, 8 })
  local good = result_of(function(board)
    flash.write(board, b, { no_verify = true })
    flash.verify(board, b)
  end)
  lu.assertEquals({ good.verified, good.bytes_unverified }, { true })
end

-- ---- "erased" ----

-- Sectors are protected, and no option bytes tell so.
local HIDDEN_PROTECTION = [[{ base = "f407",
  memories = { { name = "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg" } } }]]

function TestClaims.test_an_erase_is_looked_at()
  local board, place, _ <close> = open(",usb=none,times=zero,wrp=1", HIDDEN_PROTECTION)
  place:poke(BASE, noise(SECTOR))
  local err = raises("verify.not-blank", flash.erase, board, flash.sectors(board, BASE, BASE), {})
  lu.assertEquals(err.ranges, { { state = "doubt", first = BASE, last = BASE + SECTOR - 1 } })
  raises("verify.not-blank", flash.erase_all, board)
  raises("verify.not-blank", flash.write, board, of(BASE + SECTOR, "x"), { erase_all = true })
end

local LAZY = [[{ base = "f407", product = "lazy",
  habits = { "ignores-mass-erase", "ignores-unprotect" } }]]

function TestClaims.test_commands_that_do_nothing()
  local board, place, _ <close> = open(",usb=none,times=zero", LAZY)
  place:poke(BASE, noise(SECTOR))
  raises("verify.not-blank", flash.erase_all, board)
  raises("verify.not-blank", flash.write, board, of(BASE, "x"), { erase_all = true })
  local shut, shut_place, _ <close> = open(",usb=none,times=zero,rdp=1", LAZY)
  raises("dfu.mass-erase", flash.erase_all, shut)
  raises("usage", flash.unprotect, shut, {})
  local before = shut_place.requests
  local err = raises("dfu.unknown", flash.unprotect, shut, { yes = true })
  lu.assertStrContains(err.message, "read unprotect was sent; the board can't be read")
  lu.assertTrue(shut_place.requests > before)
end

function TestClaims.test_unprotect()
  local board, place, _ <close> = open("f407,usb=none")
  place:poke(BASE, "program")
  local requests = place.requests
  lu.assertFalse(flash.unprotect(board, {}))
  lu.assertTrue(place.requests - requests < 10)
  lu.assertEquals(place:peek(BASE, 7), "program")
  local shut, shut_place, _ <close> = open("f407,usb=none,rdp=1")
  shut_place:poke(BASE, "program")
  local it = of(BASE, noise(3000))
  raises("board.protected", flash.write, shut, it, {})
  raises("usage", flash.write, shut, it, { unprotect = true })
  flash.write(shut, it, { unprotect = true, yes = true })
  lu.assertEquals(shut_place:peek(BASE, 3000), it.segments[1].bytes)
end

-- Unplugging a board and plugging it in again does not count as removing its protection.
function TestClaims.test_a_plug_that_is_pulled_meanwhile()
  local board, place, _ <close> = open("f407,usb=none,rdp=1")
  task.spawn(function()
    task.sleep(0.2)
    place:unplug()
    place:plug()
  end)
  raises("board.protected", flash.unprotect, board, { yes = true })
end

function TestClaims.test_protection_that_goes_with_the_power()
  local board, place, _ <close> = open(",usb=none,times=zero,rdp=1", [[{ base = "g474",
    habits = { "unprotects-at-power" },
    memories = { { name = "@Internal Flash   /0x08000000/256*04Kg" } } }]])
  raises("board.power-cycle", flash.unprotect, board, { yes = true })
  place:unplug()
  place:plug()
  board:open { wait = 1 }
  lu.assertFalse(flash.unprotect(board, { yes = true }))
end

-- An unknown board may erase to 0x00.
function TestClaims.test_what_blank_is()
  local board, place, _ <close> = open(",usb=none,times=zero", [[{ base = "g474",
    product = "other", habits = { "erases-to-zero" } }]])
  place:poke(BASE, noise(0x1000))
  flash.erase(board, flash.sectors(board, BASE, BASE + 0xFFF), {})
  lu.assertEquals(place:peek(BASE, 16), ("\0"):rep(16))
end

-- ---- what is in doubt ----

function TestClaims.test_raw_commands_are_in_the_journal()
  local everything = { { state = "doubt", first = BASE, last = 0x080FFFFF },
    { state = "doubt", first = 0x1FFF7800, last = 0x1FFF7A0F },
    { state = "doubt", first = 0x1FFFC000, last = 0x1FFFC00F },
    { state = "doubt", first = 0xFFFF0000, last = 0xFFFF0003 } }
  local sector = { { state = "doubt", first = BASE + SECTOR, last = BASE + 2 * SECTOR - 1 } }
  local flash_all = { everything[1] }
  for _, case in ipairs {
    { "\x41\0\x40\0\8", sector }, { "\x41", flash_all }, { "\x92", flash_all },
    { "\x21\0\0\0\8", {} }, { "\x55", everything }, { "\x21\0", everything },
  } do
    for _, by_control in ipairs { false, true } do
      local board, _, _ <close> = open("f407,usb=none,times=zero")
      if by_control then
        board:clear_status()
        pcall(board.control, board, 0x21, 1, 0, 0, case[1], { irreversible = true })
      else
        pcall(board.download_block, board, 0, case[1], { irreversible = true })
      end
      lu.assertEquals(dfu.fields(board).journal:claims(), case[2], ("%q"):format(case[1]))
    end
  end
  local board, _, _ <close> = open("f407,usb=none,times=zero")
  board:control(0x21, 6, 0, 0) -- ABORT
  lu.assertEquals(dfu.fields(board).journal:claims(), {})
  pcall(board.control, board, 0x21, 0x20, 0, 0, "")
  lu.assertEquals(dfu.fields(board).journal:claims(), everything)
end

function TestClaims.test_another_device_at_the_place()
  local place = sim.new("f407,usb=none,times=zero,serial=A1")
  local path = place.path
  local board <close> = dfu.open(path)
  board:erase_page(BASE)
  place:unplug()
  place:plug()
  board:open { wait = 1 }
  lu.assertEquals(#dfu.fields(board).journal:claims(), 1) -- the same one
  dfu.fields(board).history.last_dfu = { vid = board.vid, pid = board.pid, serial = "B2" }
  place:unplug()
  place:plug()
  board:open { wait = 1 }
  lu.assertEquals(dfu.fields(board).journal:claims(), {})
  place:close()
end

-- A refusal that does not change the state is still a refusal.
function TestClaims.test_a_status_without_its_state()
  local board, place, _ <close> = open(",usb=none,times=zero", [[{ base = "f407",
    product = "other", habits = { "error-without-state" } }]])
  raises("dfu.errTARGET", board.set_address, board, 0x10)
  board:erase_page(BASE)
  lu.assertEquals(place:peek(BASE, 1), "\255")
end

-- The board counts in half blocks; the image ends in padding, and in a short block.
function TestClaims.test_a_transfer_size_that_lies()
  for _, bytes in ipairs { noise(0x800) .. ("\255"):rep(0x1800), noise(0xA00),
                           ("\255"):rep(0x800) .. noise(0x800) .. ("\255"):rep(0x1000) } do
    local board, _, _ <close> = open(",usb=none,times=zero",
      [[{ base = "f407", habits = { "half-blocks" } }]])
    raises("verify", flash.write, board, of(BASE, bytes), {})
  end
end

-- ---- --start-last ----

-- As long as any sector is erased or half written, no vector table stands, also in a retry.
-- No block of these differs from all others.
function TestClaims.test_a_transfer_size_that_lies_about_patterns()
  for _, piece in ipairs { "0123456789abcdef", "\0" } do
    local board, _, _ <close> = open(",usb=none,times=zero",
      [[{ base = "f407", product = "x", habits = { "half-blocks" } }]])
    raises("verify", flash.write, board, of(BASE, piece:rep(0x8000 // #piece)))
  end
end

function TestClaims.test_start_last_holds_in_a_retry()
  local bytes, old = fw.program(BASE, 0x9000), noise(0x10000)
  for ms = 0, 4000, 97 do
    local board, place, _ <close> = open("f407,usb=none")
    place:poke(BASE, old)
    place:fault("corrupt", ("write 0x%08X"):format(BASE + SECTOR))
    local job = task.spawn(flash.write, board, of(BASE, bytes),
      { start_last = true, retry = 2, full = true })
    task.sleep(ms / 1000)
    job:cancel()
    pcall(job.join, job)
    local now = place:peek(BASE, #bytes)
    if now:sub(1, 8) == bytes:sub(1, 8) then -- the bit that flipped is not yet known then
      local wrong = 0
      for i = 1, #bytes do
        if now:byte(i) ~= bytes:byte(i) then wrong = wrong + 1 end
      end
      lu.assertTrue(wrong <= 1, ("after %d ms: %d"):format(ms, wrong))
    end
  end
end

function TestClaims.test_start_last_needs_a_vector_table()
  local board, _, _ <close> = open("f407,usb=none,times=zero")
  raises("image", flash.write, board, of(BASE, "data"), { start_last = true })
end

-- ---- which memory, which protocol ----

local TWO = [[{ base = "f407", product = "two", habits = { "by-setting" },
  memories = { { name = "@Flash A  /0x08000000/16*016Kg" },
               { name = "@Flash B  /0x08000000/16*016Kg" } } }]]

function TestClaims.test_an_alternate_setting_is_obeyed()
  local board, _, _ <close> = open(",usb=none,times=zero", TWO)
  local a, b = noise(3000), noise(20000, 2)
  local both = image.new { segments = { { address = BASE, bytes = a, alt = 0 },
                                        { address = BASE, bytes = b, alt = 1 } } }
  flash.write(board, both)
  flash.verify(board, both)
  local missing = dfu.fields(board).journal:unverified()
  lu.assertEquals(missing, 0)
  board:select(0)
  lu.assertTrue(board:read(BASE, #a) == a)
  flash.erase(board, flash.sectors(board, BASE, BASE), {})
  board:select(1)
  lu.assertTrue(board:read(BASE, #b) == b)
  board:select(nil)
  local err = raises("verify", flash.verify, board, both)
  lu.assertStrContains(err.flash, " of alternate setting 0 is in doubt")
  -- one that was selected, for an image that names none
  board:select("Flash B")
  flash.write(board, of(BASE, a), { lose = true })
  lu.assertTrue(board:read(BASE, #a) == a)
end

function TestClaims.test_no_layout_for_plain_dfu()
  local place <close> = sim.new("dfu11,usb=none,state=dfuIDLE")
  dfu.defaults.layout = require("moonflash.memory").parse("@Flash/0x08000000/64*1Kg")
  local ok, err = pcall(dfu.open, place.path)
  dfu.defaults.layout = nil
  lu.assertFalse(ok)
  lu.assertEquals(err.code, "usage")
  lu.assertEquals(place.requests, 0)
end

-- ---- what can't be undone ----

function TestClaims.test_the_guard_of_the_board_itself()
  local function closes(board, f)
    local err = raises("dfu.irreversible", f, board)
    lu.assertStrContains(err.message, "is irreversible (")
  end
  local options = ("\xEF\xCC"):rep(8)
  local board, place, _ <close> = open("f407,usb=none,times=zero")
  closes(board, function(b) b:write(0x1FFFC000, options) end)
  board:close()
  board:open { wait = 1 }
  closes(board, function(b) b:write(0x1FFFC000, options) end)
  board:set_address(0x1FFFC000)
  closes(board, function(b) b:download_block(2, options) end)
  board:abort()
  board:download_block(0, "\x21\0\xC0\xFF\x1F")
  closes(board, function(b) b:download_block(2, options) end)
  closes(board, function(b) b:control(0x21, 1, 2, 0, options) end)
  board:set_address(0x1FFF7800) -- the block that lies nine whole transfers further on
  closes(board, function(b) b:download_block(11, ("\xCC"):rep(16)) end)
  board:abort()
  board:control(0x21, 1, 0, 0, "\x21\0\xC0\xFF\x1F")
  closes(board, function(b) b:control(0x21, 1, 2, 0, options) end)
  lu.assertTrue(#board:control(0xA1, 3, 0, 0, 6) == 6)
  -- where the address is not known, as if option bytes began there
  local fresh, _, _ <close> = open("f407,usb=none,times=zero")
  closes(fresh, function(b) b:download_block(2, options) end)
  -- of a family whose byte stands elsewhere this is no option byte at all
  board:set_address(BASE)
  board:download_block(2, options)
  -- and on purpose
  board:write(0x1FFFC000, options, { irreversible = true })
  lu.assertFalse(board.is_open)
  place:close()
end

-- A board whose family can't be told is held to all of them; one that is known, to its own.
function TestClaims.test_the_guard_of_other_families()
  local function product(memory, more)
    return ([[{ base = "f407", %s memories = { { name = "@Internal Flash  /0x08000000/64*1Kg" },
      { name = "%s", role = "options" } } }]]):format(more or "", memory)
  end
  for _, case in ipairs {
    { "@Option Bytes  /0x1FFFF800/01*016 e", 0x1FFFF800, 0, 0xCC },
    { "@Option Bytes  /0x1FFF0000/01*048 e", 0x1FFF0000, 1, 0xCC },
    { "@Option Bytes  /0x1FF80000/01*032 e", 0x1FF80000, 0, 0xCC },
    { "@Option Bytes  /0x1FFF7800/01*040 e", 0x1FFF7800, 0, 0xCC },
    { "@Option Bytes  /0x1FF00000/01*040 e", 0x1FF00000, 0, 0xCC },
    { "@Option Bytes  /0x1FFF8000/01*128 e", 0x1FFF8000, 0, 0xCC },
    { "@Option Bytes  /0x5200201C/01*128 e", 0x5200201C, 5, 0xCC },
    { "@Option Bytes  /0x40022040/01*64 e", 0x40022040, 0, 0xCC },
    { "@Option Bytes  /0x40022050/01*432e", 0x40022050, 1, 0x72 },
    { "@Option Bytes  /0x40022050/01*432e", 0x40022050, 1, 0x5C },
    { "@Option Bytes  /0x40022050/01*432e", 0x40022050, 5, 0x00 }, -- not valid on a C5
  } do
    local board, _, _ <close> = open(",usb=none,times=zero", product(case[1]))
    local length = board.alts[2].layout.segments[1].size
    local bytes = ("\xED"):rep(case[3]) .. string.char(case[4])
      .. ("\xED"):rep(length - case[3] - 1)
    raises("dfu.irreversible", board.write, board, case[2], bytes)
  end
  local known, _, _ <close> = open(",usb=none,times=zero",
    [[{ base = "f407", version = 0x2200, memories = {
      { name = "@Internal Flash  /0x08000000/128*002Kg" },
      { name = "@Option Bytes  /0x1FFFF800/01*016 e", role = "options" } } }]])
  lu.assertEquals(dfu.fields(known).part.family, "STM32F105/107") -- which has no level 2
  known:write(0x1FFFF800, ("\xCC"):rep(16))
end

-- ---- where a board starts ----

function TestClaims.test_leave_looks_first()
  local board, place, _ <close> = open("f407,usb=none,times=zero")
  raises("image.no-program", board.leave, board)
  lu.assertNil(place.started)
  local err = raises("image.no-program", flash.write, board, of(BASE + SECTOR, "data"),
    { leave = true })
  lu.assertEquals(err.flash, nil)
  lu.assertEquals(place:peek(BASE + SECTOR, 4), "\255\255\255\255")
  place:poke(BASE, fw.program(BASE))
  flash.write(board, of(BASE + SECTOR, "data"), { leave = true })
  lu.assertEquals(place.started.address, BASE)
end

-- Below the program stands a boot loader that can't be erased: the first sector that can be is it.
function TestClaims.test_leave_above_a_boot_loader()
  local board, place, _ <close> = open(",usb=none,times=zero", [[{ base = "f407",
    memories = { { name = "@Internal Flash  /0x08000000/01*016Ka,03*016Kg" } } }]])
  place:poke(BASE + SECTOR, fw.program(BASE + SECTOR))
  board:leave()
  lu.assertEquals(place.started.address, BASE + SECTOR)
end

-- ---- plain DFU ----

function TestClaims.test_plain_dfu_that_can_be_read_back()
  local function written(habits, length)
    local place <close> = sim.new((function()
      local name = os.tmpname() .. ".lua"
      local file <close> = assert(io.open(name, "w"))
      file:write(("return { base = 'dfu11', habits = { %s } }"):format(habits))
      return name
    end)() .. ",usb=none,times=zero,state=dfuIDLE")
    local recipe = { name = "it", args = {}, table = { run = function(board)
      flash.write(board, of(0, noise(length)))
    end } }
    return run.on_board(recipe, dfu.at(place.path), {}, nil)
  end
  lu.assertTrue(written('"tolerant"', 5001).stats.verified)
  lu.assertEquals(written('"tolerant", "corrupts-blocks"', 5000).err.code, "verify")
  lu.assertEquals(written('"tolerant", "drops-odd-byte"', 5001).err.code, "verify")
  lu.assertTrue(written('"tolerant", "drops-odd-byte"', 5000).stats.verified)
  local unread = written('"tolerant", "no-upload"', 5000)
  lu.assertEquals({ unread.outcome, unread.stats.verified }, { "PASS", false })
end

-- ---- what is no firmware ----

function TestClaims.test_firmware_of_boards()
  local archive = fw.load("PK\3\4\20\0\0\0\0")
  local page_less = fw.load("\0\1\2\3\4\5\6\7")
  local riscv = fw.load(fw.elf({ { BASE, "program!" } }, { machine = 243 }))
  local arm, _, _ <close> = open("f407,usb=none,times=zero")
  for _, it in ipairs { archive, page_less } do
    local err = raises("image.not-firmware", flash.write, arm, it, {})
    lu.assertEquals(err.remedy, { "address", "force" })
    flash.write(arm, it, { force = true })
  end
  raises("image", flash.write, arm, riscv, {})
  local gd32, _, _ <close> = open(",usb=none,times=zero", [[{ base = "l452", vid = 0x28E9,
    pid = 0x0189, memories = { { name = "@Internal Flash  /0x08000000/128*001Kg" } } }]])
  raises("image.not-firmware", flash.write, gd32, archive, {})
  flash.write(gd32, page_less, {})
  flash.write(gd32, riscv, {})
  local plain, _, _ <close> = open("dfu11,usb=none,times=zero,state=dfuIDLE")
  flash.write(plain, archive, {})
end

-- ---- the part of an image that is meant ----

function TestClaims.test_only_and_skip_outside()
  local board, place, _ <close> = open("f407,usb=none,times=zero")
  local function it()
    return image.new { name = "it", segments = { { address = BASE, bytes = ("a"):rep(3000) },
      { address = BASE + 2 * SECTOR, bytes = "bbbb" }, { address = 0x1FFFC000, bytes = "cccc" },
      { address = 0x20000000, bytes = ("d"):rep(2048) } } }
  end
  local err = raises("image", flash.write, board, it(), {})
  lu.assertStrContains(err.message, "has data for the option bytes at 0x1FFFC000 (4 B)")
  lu.assertEquals(err.remedy, { "skip-outside", "only" })
  flash.write(board, it(), { skip_outside = true })
  lu.assertEquals(place:peek(BASE + 2 * SECTOR, 4), "bbbb")
  place:poke(BASE, ("\255"):rep(0x10000))
  flash.write(board, it(), { only = "0x08008000..0x08008001" })
  lu.assertEquals({ place:peek(BASE, 1), place:peek(BASE + 2 * SECTOR, 3) }, { "\255", "bb\255" })
  flash.write(board, it(), { only = "internal" })
  flash.write(board, it(), { only = 0 })
  lu.assertEquals(place:peek(BASE + 2 * SECTOR, 4), "bbbb")
  flash.verify(board, it(), { skip_outside = true })
  for _, only in ipairs { "nothing", "7", "1..", "5..4", "0x..0x1", "" } do
    raises("usage", flash.write, board, it(), { only = only })
  end
  raises("image", flash.write, board, it(), { only = "0x08100000..0x08100010" })
end

-- ---- seen on other boards ----

local NO_UPLOAD = [[{ base = "f407", product = "x", habits = { "no-upload" } }]]

-- A refusal that does not come again is no end of the memory.
function TestClaims.test_where_the_memory_ends()
  for at = 1, 12 do
    local board, place, _ <close> = open("f407,usb=none,times=zero,wrp=0x20")
    place:poke(BASE, noise(0x100000))
    place:fault("error", place.requests + at)
    lu.assertFalse(pcall(flash.erase_all, board), at)
  end
end

-- A dry run promises nothing that the run refuses.
function TestClaims.test_a_dry_mass_erase()
  dfu.defaults.dry = true
  local _ <close> = support.close_with(function() dfu.defaults.dry = false end)
  local board, _, _ <close> = open(",usb=none,times=zero", NO_UPLOAD)
  raises("dfu.mass-erase", flash.erase_all, board)
  raises("dfu.mass-erase", flash.write, board, of(BASE, "x"), { erase_all = true })
end

-- Pages of 256 bytes are erased to zero on an L1; on a board that is not known that is a guess.
function TestClaims.test_what_is_blank_of_an_unknown_board()
  local board, place, _ <close> = open(",usb=none,times=zero",
    [[{ base = "f407", product = "x", memories = { { name = "@Flash  /0x08000000/512*256 g" } } }]])
  place:poke(BASE, noise(0x1000))
  flash.erase(board, flash.sectors(board, BASE, BASE + 0x3FF))
  local bytes = noise(100) .. ("\0"):rep(9000) .. noise(100, 2) .. ("\255"):rep(9000) .. "end"
  flash.write(board, of(BASE, bytes))
  lu.assertTrue(place:peek(BASE, #bytes) == bytes)
end

function TestClaims.test_verify_obeys_an_alternate_setting()
  local board, _, _ <close> = open("f407,usb=none,times=zero")
  flash.write(board, of(BASE, "here"))
  raises("image", flash.verify, board, of(BASE, "here", 1))
end

function TestClaims.test_verify_of_plain_dfu_takes_no_gaps()
  local board, _, _ <close> = open(",usb=none,state=dfuIDLE",
    [[{ base = "dfu11", habits = { "tolerant" }, attributes = 0x07 }]])
  flash.write(board, of(0, "program"))
  local gaps = image.new { name = "it", segments = { { address = 0, bytes = "program" },
                                                     { address = 0x1000, bytes = "more" } } }
  raises("image", flash.verify, board, gaps)
  for _, name in ipairs { "keep", "erase_all", "start_last", "unprotect" } do
    raises("usage", flash.write, board, of(0, "program"), { [name] = true })
  end
end

-- MCUboot's header: the program behind it was linked for an address of its own.
function TestClaims.test_a_program_behind_a_header()
  local header = ("<I4I4I2"):pack(0x96F3B83D, 0, 0x200) .. ("\0"):rep(0x1F6)
  local name = os.tmpname()
  local _ <close> = support.close_with(function() os.remove(name) end)
  do
    local file <close> = assert(io.open(name, "wb"))
    file:write(header, fw.program(0x0800C200))
  end
  local board, _, _ <close> = open("f407,usb=none,times=zero")
  raises("image.address", flash.write, board, image.load(name .. "@0x08000000"))
  flash.write(board, image.load(name .. "@0x0800C000"))
end

-- Two handlers at a page's start, where a table ends and code begins: no other address fits so
-- well.
function TestClaims.test_few_handlers_that_are_certain()
  local vectors = require "moonflash.image.vectors"
  local elsewhere = 0x08004000
  local code = "\xEF\xF3\x08\x80" .. "\xFE\xE7" .. noise(30000)
  local bytes = ("<I4I4"):pack(0x20020000, elsewhere + 0x101)
    .. ("<I4"):pack(elsewhere + 0x105):rep(62) .. code
  lu.assertEquals({ vectors.linked(bytes, BASE) }, { true, elsewhere + 0x101, elsewhere })
  lu.assertFalse((vectors.linked(bytes, elsewhere)))
end

-- A table with two handlers says too little of where it belongs.
function TestClaims.test_few_handlers_decide_nothing()
  local vectors = require "moonflash.image.vectors"
  for seed = 1, 40 do
    local code = noise(20000, seed)
    local bytes = ("<I4I4"):pack(0x20020000, BASE + 0x1001)
      .. ("<I4"):pack(BASE + 0x1235):rep(60) .. code
    lu.assertFalse((vectors.linked(bytes, BASE)), seed)
  end
end

-- The program is kept: it starts as before.
function TestClaims.test_leave_with_a_program_that_is_kept()
  local board, place, _ <close> = open("f407,usb=none,times=zero")
  place:poke(BASE, fw.program(BASE):sub(1, 0x1000))
  flash.write(board, of(BASE + 0x2000, noise(100)), { keep = true, leave = true })
  lu.assertFalse(board.is_open)
end

-- Ranges that an erase may have taken are not reported as verified.
function TestClaims.test_what_was_the_same_before_an_erase()
  local board, place, _ <close> = open(",usb=none,times=zero", TO_END)
  local bytes = noise(0xC000)
  place:poke(BASE, bytes)
  local err = raises("verify.bystander", flash.write, board,
    of(BASE, "new!" .. bytes:sub(5)), { no_verify = true })
  for _, claim in ipairs(err.ranges) do lu.assertNotEquals(claim.state, "verified") end
end

return { TestClaims = TestClaims }

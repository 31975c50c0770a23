-- SPDX-License-Identifier: MIT
-- Plans on all kinds of chips: what their boot loaders want, can't do, or do wrong.
local dfu = require "dfu"
local errors = require "moonflash.errors"
local families = require "moonflash.board.families"
local flash = require "moonflash.flash"
local image = require "moonflash.image"
local lu = require "luaunit"
local optbytes = require "moonflash.optbytes"
local sim = require "sim"
local support = require "support"
local sys = require "sys"
local trace = require "moonflash.trace"

local BASE = 0x08000000
local raises = support.assert_raises

local TestChips = {}

local function of(...)
  local segments = {}
  for i, pair in ipairs { ... } do segments[i] = { address = pair[1], bytes = pair[2] } end
  return image.new { name = "it", segments = segments }
end

-- Bytes that are not blank anywhere, the same at each call.
local function noise(length, seed)
  local list, x = {}, seed or 1
  for i = 1, length do
    x = x * 1103515245 + 12345 & 0x7FFFFFFF
    list[i] = string.char(x >> 16 & 0x7E | 1)
  end
  return table.concat(list)
end

local function open(kind)
  local place = sim.new(kind .. ",usb=none,times=zero")
  local board = dfu.open(place.path)
  return board, place, support.close_with(function()
    board:close()
    place:close()
  end)
end

local function stats(board) return dfu.fields(board).stats end

-- ---- all kinds ----

local function all_kinds()
  local list = {}
  for _, family in ipairs(families.all()) do
    for _, kind in ipairs(family.simulated) do list[#list + 1] = kind end
  end
  return list
end

-- Full, differential, --keep, and an odd length; with the bytes beside looked at.
local function typical_runs(kind)
  local board, place, _ <close> = open(kind)
  local first = board.alts[1].layout.segments[1]
  local size = math.max(first.size, 2048)
  local old = noise(2 * size + 777)
  flash.write(board, of { BASE, old }, { full = true })
  lu.assertEquals(place:peek(BASE, #old), old, kind)
  lu.assertTrue(stats(board).verified, kind)
  -- nothing has changed
  local written = stats(board).bytes_written
  flash.write(board, of { BASE, old })
  lu.assertEquals(stats(board).bytes_written, written, kind)
  -- a byte has
  local new = old:sub(1, size + 5) .. "!" .. old:sub(size + 7)
  flash.write(board, of { BASE, new })
  lu.assertEquals(place:peek(BASE, #new), new, kind)
  -- a piece in the middle of a sector: the rest of it stays
  flash.write(board, of { BASE + 101, "odd" }, { keep = true })
  local kept = new:sub(1, 101) .. "odd" .. new:sub(105)
  lu.assertEquals(place:peek(BASE, #kept), kept, kind)
  flash.verify(board, of { BASE, kept })
end

function TestChips.test_typical_runs()
  for _, kind in ipairs(all_kinds()) do
    local ok, err = pcall(typical_runs, kind)
    lu.assertTrue(ok, kind .. ": " .. tostring(err))
  end
end

-- `moonflash rehearse` finds no broken promise on any kind.
function TestChips.test_rehearse()
  local file = support.file_with(string.pack("<I4I4", 0x20000400, BASE + 0x101) .. noise(9001))
  for _, kind in ipairs(all_kinds()) do
    local result = sys.run { os.getenv("MOONFLASH"), "-d", "sim:" .. kind, "rehearse", "--most",
                             "2", "flash", file }
    lu.assertEquals(result.status, 0, kind .. ": " .. result.output)
    lu.assertStrContains(result.output, "No false success.", false, kind)
  end
  os.remove(file)
end

-- Blocks as AN2606 table 7 and 4.3 want them: a start at the family's alignment, a length that is a
-- multiple of 4; and no block over 256 bytes that is no multiple of 8 (L43x, L47x).
function TestChips.test_blocks_are_aligned()
  for _, kind in ipairs { "f407", "f746", "l433", "l476", "g431", "h563", "h743", "u575",
      "l072" } do
    local board, _, _ <close> = open(kind)
    local align = dfu.fields(board).part.align
    local lengths = {}
    trace.start(true)
    flash.write(board, of({ BASE + 3, noise(3001) }, { BASE + 0x8001, noise(1) }), { lose = true,
      full = true })
    for _, sent in ipairs(trace.last(board, 10000)) do
      if sent.name == "DNLOAD" and sent.block and sent.block >= 2 and sent.length > 0 then
        lengths[#lengths + 1] = sent.length
        lu.assertEquals({ sent.address % align, sent.length % math.max(align, 4) }, { 0, 0 }, kind)
      end
    end
    trace.stop()
    lu.assertTrue(#lengths >= 2, kind)
  end
end

-- The simulated boot loaders hold to it: a write that is not aligned fails, and all that follow.
function TestChips.test_boards_that_want_alignment()
  local board, _, _ <close> = open("h743")
  raises("dfu.errTARGET", board.write, board, BASE + 4, noise(8))
  raises("dfu.errTARGET", board.write, board, BASE, noise(8))
end

-- ---- write protection ----

-- Each family's way to protect sectors is read, and a plan that touches them is refused.
function TestChips.test_protected_sectors()
  for kind, case in pairs {
    f407 = { { nWRP = 0xFFD }, 0x08004000, "nWRP" },
    f722 = { { nWRP = 0x7F }, 0x08060000, "nWRP" },
    f042 = { { WRP0 = 0xFE }, 0x08000C00, "WRP0" },
    f303 = { { WRP3 = 0x7F }, 0x0803F800, "WRP3" },
    l072 = { { WRP0 = 2 }, 0x08001F80, "WRP0" },
    l433 = { { WRP1A_STRT = 4, WRP1A_END = 5 }, 0x08002800, "WRP1A_STRT" },
    h743 = { { WRPSn1 = 0xFB }, 0x08040000, "WRPSn1" },
  } do
    local board, place, _ <close> = open(kind)
    optbytes.write(board, case[1], { unproven = true })
    if not board.is_open then board:open { wait = 5 } end
    place:poke(case[2], "old!")
    local before = place:peek(BASE, 0x1000)
    local err = raises("board.write-protected", flash.write, board,
      of({ BASE, noise(16) }, { case[2], noise(16) }), { lose = true })
    lu.assertStrContains(err.message, case[3], kind)
    lu.assertEquals(errors.exit_status(err), 80)
    lu.assertEquals(place:peek(BASE, 0x1000), before, kind)
    local plan = flash.plan(board, of { case[2], noise(16) }, { lose = true })
    lu.assertStrContains(flash.describe(plan), "Write-protected by " .. case[3])
    raises("board.write-protected", flash.erase, board, flash.sectors(board, case[2], case[2]))
  end
end

-- ---- modes ----

function TestChips.test_sectors_depend_on_a_mode()
  for kind, size in pairs { f767db = 0x4000, g474sb = 4096 } do
    local board, place, _ <close> = open(kind)
    place:poke(BASE, noise(0x8000))
    flash.write(board, of { BASE, noise(100, 2) })
    lu.assertEquals(place:peek(BASE, 100), noise(100, 2))
    lu.assertEquals(place:peek(BASE + size, 16), noise(0x8000):sub(size + 1, size + 16), kind)
    lu.assertEquals(board.alts[1].layout.segments[1].size, size)
  end
end

-- ---- faults of erasing ----

local BANK2 = 0x08100000

-- A second bank that the ROM erases wrong, or not at all: refused; with --erase-all it works.
function TestChips.test_a_second_bank_that_cant_be_erased()
  for _, kind in ipairs { "f429", "f767db" } do
    local board, place, _ <close> = open(kind)
    place:poke(BANK2, noise(0x20000))
    local err = raises("dfu.rom", flash.write, board, of { BANK2, noise(16, 2) })
    lu.assertStrContains(err.message, "AN2606")
    lu.assertEquals(place:peek(BANK2, 0x20000), noise(0x20000))
    flash.write(board, of { BASE, noise(16) })
    flash.write(board, of { BANK2, noise(16, 2) }, { erase_all = true })
    lu.assertEquals(place:peek(BANK2, 16), noise(16, 2))
  end
end

-- A board on a product of its own: { name of the flash, more fields }.
local function open_product(description)
  local product <close> = support.product(description)
  return open(product.name)
end

-- In single-bank mode an F42x with 1 MB has no such fault; nor has another boot loader on the chip.
function TestChips.test_faults_of_other_modes_and_loaders()
  local flash_1m = "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg"
  for _, more in ipairs { [[version = 0x2200]], [[version = 0x0300, product = "Pyboard DFU"]] } do
    local board, place, _ <close> = open_product(([[{ base = "f407", %s, memories = {
      { name = "%s" }, { name = "@Option Bytes  /0x1FFFC000/01*016 e/0x1FFEC000/01*016 e",
      role = "options", initial = "\xEF\xAA\x10\x55\xFF\xFF\xFF\xFF\xFF\x0F\x00\xF0" } } }]])
      :format(more, flash_1m))
    place:poke(0x080A0000, noise(64))
    flash.write(board, of { 0x080A0000, noise(16, 2) })
    lu.assertEquals(place:peek(0x080A0000, 16), noise(16, 2))
  end
end

-- A version that is not known counts as the worst.
function TestChips.test_a_version_that_is_not_known()
  local board, place, _ <close> = open_product [[{ base = "g474", version = 0x0200,
    product = "DFU in FS Mode", memories = {
    { name = "@Internal Flash   /0x08000000/16*128Kg", erase = 2 },
    { name = "@Option Bytes   /0x5200201C/01*128 e", role = "options",
      initial = ("\xF0\xAA\xC6\x1B"):rep(2) .. ("\0"):rep(4) .. ("\xFF\0\0\0"):rep(6) },
    { name = "@System/0x1FF1E7FE/01*002Ba", role = "system", hidden = true,
      initial = "\xF7\xFF" } },
    habits = { "options-stay" }, rdp_at = 1 }]]
  place:poke(BANK2, noise(64))
  local took = support.seconds(flash.write, board, of { BANK2, noise(16, 2) })
  lu.assertTrue(took >= 4, took) -- the data sheet's longest time, as for V9.1
end

-- Bits that mean protection against reading, too: nothing is written.
function TestChips.test_protection_with_another_meaning()
  local board, _, _ <close> = open("f429")
  optbytes.write(board, { SPRMOD = 1 })
  if not board.is_open then board:open { wait = 5 } end
  local err = raises("board.write-protected", flash.write, board, of { BASE, noise(16) })
  lu.assertStrContains(err.message, "SPRMOD")
end

-- An H743 whose ROM answers too early, or stays busy: waited for, and looked at.
function TestChips.test_a_second_bank_that_takes_its_time()
  for _, kind in ipairs { "h743v91", "h743v", "h743" } do
    local place <close> = sim.new(kind .. ",usb=none")
    local board <close> = dfu.open(place.path)
    place:poke(BANK2, noise(0x1000))
    local took = support.seconds(flash.write, board, of { BANK2, noise(4096, 2) })
    lu.assertEquals(place:peek(BANK2, 4096), noise(4096, 2), kind)
    lu.assertTrue(kind == "h743" and took < 4 or took >= 4, kind)
    lu.assertTrue(stats(board).verified)
    lu.assertEquals(stats(board).sectors_erased, 1)
  end
end

-- An erase that did not work is not believed.
function TestChips.test_an_erase_that_stays_busy_for_ever()
  local place <close> = sim.new("h743v,usb=none")
  local board <close> = dfu.open(place.path)
  place:poke(BANK2, noise(0x1000))
  place:fault("hang", ("erase 0x%08X"):format(BANK2))
  raises("timeout", flash.write, board, of { BANK2, noise(4096, 2) })
end

-- A ROM without a mass erase: all sectors are erased one by one.
function TestChips.test_no_mass_erase()
  local board, place, _ <close> = open("h743v133")
  place:poke(BANK2, noise(0x1000))
  flash.write(board, of { BASE, noise(100) }, { erase_all = true })
  lu.assertEquals(place:peek(BASE, 100), noise(100))
  lu.assertEquals(place:peek(BANK2, 0x1000), ("\255"):rep(0x1000))
  flash.erase_all(board)
  lu.assertEquals(place:peek(BASE, 100), ("\255"):rep(100))
end

-- ---- the radio of a WB ----

function TestChips.test_the_radio_is_left_alone()
  local board, place, _ <close> = open("wb55")
  local radio = BASE + 0xCD * 4096
  place:poke(radio, noise(100))
  place:poke(radio - 4096, noise(100))
  local err = raises("board.write-protected", flash.write, board, of { radio - 16, noise(32, 2) },
    { keep = true })
  lu.assertStrContains(err.message, "radio")
  flash.erase_all(board)
  lu.assertEquals(place:peek(radio, 100), noise(100))
  lu.assertEquals(place:peek(radio - 4096, 100), ("\255"):rep(100))
  flash.write(board, of { BASE, noise(100) }, { erase_all = true })
  lu.assertEquals(place:peek(radio, 100), noise(100))
  raises("board.write-protected", flash.write, board, of { radio, noise(4096, 2) },
    { full = true, no_verify = true, trust_erase = true })
  raises("dfu.irreversible", board.write, board, 0x1FFF8000, ("\0"):rep(128))
end

-- Where the radio begins is not known: nothing is erased.
function TestChips.test_a_radio_that_is_not_known()
  local board, _, _ <close> = open_product [[{ base = "g474", version = 0x0200,
    product = "DFU in FS Mode", memories = {
      { name = "@Internal Flash   /0x08000000/128*04Kg" },
      { name = "@Option Bytes   /0x1FFF8000/01*120 e", role = "options" } } }]]
  raises("dfu.rom", flash.write, board, of { BASE, noise(16) })
  raises("dfu.rom", flash.erase_all, board)
end

-- ---- EEPROM and OTP ----

function TestChips.test_eeprom()
  for _, kind in ipairs { "l072", "l152" } do
    local board, place, _ <close> = open(kind)
    place:poke(0x08080000, noise(64))
    flash.write(board, of({ 0x08080005, "new" }, { BASE, noise(300) }))
    local wanted = noise(64):sub(1, 5) .. "new" .. noise(64):sub(9)
    lu.assertEquals(place:peek(0x08080000, 64), wanted)
    lu.assertEquals(place:peek(BASE, 300), noise(300))
    local before = stats(board).bytes_written
    flash.write(board, of { 0x08080005, "new" }, { full = true })
    lu.assertEquals(stats(board).bytes_written, before)
  end
end

function TestChips.test_otp()
  for kind, at in pairs { f407 = 0x1FFF7800, l452 = 0x1FFF7000, f722 = 0x1FF07800 } do
    local board, place, _ <close> = open(kind)
    local err = raises("image", flash.write, board, of { at + 3, "key" })
    lu.assertStrContains(err.message, "can be written only once")
    flash.write(board, of { at + 3, "key" }, { otp = true })
    lu.assertEquals(place:peek(at, 8), "\255\255\255key\255\255")
    flash.write(board, of { at + 3, "key" }, { otp = true })
    err = raises("image", flash.write, board, of({ BASE, noise(16) }, { at + 3, "Xyz" }),
      { otp = true })
    lu.assertStrContains(err.message, "written before and can't be changed")
    lu.assertEquals(place:peek(at, 8), "\255\255\255key\255\255")
    lu.assertEquals(place:peek(BASE, 4), "\255\255\255\255") -- refused before the first write
  end
end

-- ---- commands ----

function TestChips.test_commands_that_are_not_listed_are_not_sent()
  local place <close> = sim.new("h563,usb=none,times=zero,rdp=1")
  local board <close> = dfu.open(place.path)
  local err = raises("dfu.rom", flash.unprotect, board, { yes = true })
  lu.assertStrContains(err.message, "0x92")
  lu.assertEquals(dfu.fields(board).journal:claims(), {})
end

-- ---- chip() ----

function TestChips.test_what_a_chip_says_of_itself()
  local board, _, _ <close> = open("u083")
  local chip = board:chip()
  lu.assertEquals({ chip.loader, chip.flash_size, #chip.uid }, { "V13.0", 256 * 1024, 12 })
  lu.assertStrContains(chip.serial_rule, "w0 + w2")
  board = open("h743")
  chip = board:chip()
  lu.assertEquals({ chip.loader, chip.loader_id, chip.uid }, { "V9.2", 0x92 })
  board:read(BASE, 4)
  board:close()
end

-- ---- the rest of the family ----

function TestChips.test_option_bytes_of_all_kinds()
  local changed = 0
  for _, kind in ipairs(all_kinds()) do
    local board, _, _ <close> = open(kind)
    local options = optbytes.family(board)
    local field = options and (options.fields.nRST_STOP or options.fields.NRST_STOP_D1
      or options.fields.SSB)
    if field and options.readonly then
      local err = raises("dfu.irreversible", optbytes.write, board, { [field.name] = 0 })
      lu.assertStrContains(err.message, "keys")
    elseif field then
      local before = optbytes.read(board)
      if field.mark then
        raises("dfu.unproven", optbytes.write, board, { [field.name] = 0 })
      end
      local now = optbytes.write(board, { [field.name] = 0 }, { unproven = true })
      lu.assertEquals(now[field.name], 0, kind)
      for name, value in pairs(before) do
        if name ~= field.name then lu.assertEquals(now[name], value, kind .. " " .. name) end
      end
      changed = changed + 1
    end
  end
  lu.assertTrue(changed > 20, changed)
end

return { TestChips = TestChips }

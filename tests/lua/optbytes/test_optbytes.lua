-- SPDX-License-Identifier: MIT
-- Option bytes by name, on simulated boards.
local dfu = require "dfu"
local errors = require "moonflash.errors"
local flash = require "moonflash.flash"
local lu = require "luaunit"
local optbytes = require "moonflash.optbytes"
local sim = require "sim"
local support = require "support"

local AT, LENGTH = 0x1FFFC000, 16
local BASE = 0x08000000
local FAULTS = { "unplug", "stall", "error", "corrupt", "hang", "short" }

-- Half words 0xAAEF and 0x0FFF with their complements behind them, the rest as an F407 has it.
local WITH_COMPLEMENTS = "\xEF\xAA\x10\x55" .. ("\255"):rep(4) .. "\xFF\x0F\x00\xF0"
  .. ("\255"):rep(4)

local TestOptbytes = {}

function TestOptbytes:setUp()
  self.sim = sim.new("f407,usb=none")
  self.board = dfu.open(self.sim.path)
end

function TestOptbytes:tearDown()
  dfu.defaults.dry = false
  self.board:close()
  self.sim:close()
end

local function bytes_of(board)
  return board:peek(AT, LENGTH)
end

local function open(t, spec)
  t.board:close()
  t.sim:close()
  t.sim = sim.new(spec)
  t.board = dfu.open(t.sim.path)
end

-- Asserts that a write is refused and that nothing but reading was done. Returns the error.
local function refused(t, code, changes, options)
  local before = bytes_of(t.sim)
  local err = support.assert_raises(code, optbytes.write, t.board, changes, options)
  lu.assertEquals(bytes_of(t.sim), before)
  lu.assertTrue(t.board.is_open)
  lu.assertEquals(dfu.fields(t.board).journal:claims(), {})
  return err
end

-- ---- reading ----

function TestOptbytes:test_reads_by_name()
  local values = optbytes.read(self.board)
  local copy = {}
  for name, value in pairs(values) do copy[name] = value end
  lu.assertEquals(copy, { BOR_LEV = 3, WDG_SW = 1, nRST_STOP = 1, nRST_STDBY = 1, RDP = 0xAA,
                          nWRP = 0xFFF })
end

function TestOptbytes:test_prints_sorted_and_with_what_it_means()
  self.sim:poke(AT + 8, "\xF6\x0F")
  lu.assertEquals(tostring(optbytes.read(self.board)), table.concat({
    "BOR_LEV     3      brownout reset off",
    "RDP         0xAA   level 0, no read protection",
    "WDG_SW      1      software starts the independent watchdog",
    "nRST_STDBY  1      entering Standby mode does not reset",
    "nRST_STOP   1      entering Stop mode does not reset",
    "nWRP        0xFF6  write-protected: sectors 0, 3 of 12" }, "\n"))
end

-- Bits as RM0090 has them, table 16, not as our description has them.
function TestOptbytes:test_every_field_is_where_the_manual_has_it()
  local places = {
    { "BOR_LEV", 0, "\xE3\xAA" }, { "BOR_LEV", 1, "\xE7\xAA" }, { "BOR_LEV", 2, "\xEB\xAA" },
    { "WDG_SW", 0, "\xCF\xAA" }, { "nRST_STOP", 0, "\xAF\xAA" }, { "nRST_STDBY", 0, "\x6F\xAA" },
  }
  local rest = bytes_of(self.sim):sub(3)
  for _, place in ipairs(places) do
    local name, value, user = table.unpack(place)
    local values = optbytes.write(self.board, { [name] = value })
    lu.assertEquals(values[name], value)
    lu.assertEquals(bytes_of(self.sim), user .. rest, name)
    optbytes.write(self.board, { [name] = name == "BOR_LEV" and 3 or 1 })
    lu.assertEquals(bytes_of(self.sim), "\xEF\xAA" .. rest, name)
  end
  for bit = 0, 11 do
    optbytes.write(self.board, { nWRP = 0xFFF ~ (1 << bit) })
    lu.assertEquals(string.unpack("<I2", self.sim:peek(AT + 8, 2)), 0xFFF ~ (1 << bit))
  end
end

-- ---- writing ----

function TestOptbytes:test_survives_the_reset_and_verifies()
  local opened = self.board.opened
  local values = optbytes.write(self.board, { BOR_LEV = 2, nWRP = 0xFF0 })
  lu.assertEquals({ values.BOR_LEV, values.nWRP, values.RDP }, { 2, 0xFF0, 0xAA })
  lu.assertTrue(self.board.is_open)
  lu.assertTrue(self.board.opened > opened)
  local fields = dfu.fields(self.board)
  lu.assertTrue(fields.stats.verified)
  lu.assertEquals(fields.journal:claims(), { { state = "verified", first = AT, last = AT + 15 } })
  lu.assertEquals(optbytes.read(self.board).BOR_LEV, 2)
end

function TestOptbytes:test_what_has_no_name_stays_as_it_was()
  local strange = "\x0D\xAA\x12\x34\x56\x78\x9A\xBC\xFF\xAF\xDE\xF0\x11\x22\x33\x44"
  self.sim:poke(AT, strange)
  optbytes.write(self.board, { BOR_LEV = 0, nRST_STOP = 1, nWRP = 0xFFE })
  lu.assertEquals(bytes_of(self.sim), "\x41\xAA" .. strange:sub(3, 8) .. "\xFE\xAF"
    .. strange:sub(11))
end

function TestOptbytes:test_complements_stay_complements()
  self.sim:poke(AT, WITH_COMPLEMENTS)
  optbytes.write(self.board, { BOR_LEV = 2, nWRP = 0xFF0 })
  lu.assertEquals(bytes_of(self.sim), "\xEB\xAA\x14\x55" .. ("\255"):rep(4) .. "\xF0\x0F\x0F\xF0"
    .. ("\255"):rep(4))
end

function TestOptbytes:test_nothing_is_written_where_nothing_changes()
  local opened = self.board.opened
  local values = optbytes.write(self.board, { BOR_LEV = 3, nWRP = 0xFFF, RDP = 0xAA })
  lu.assertEquals(values.BOR_LEV, 3)
  lu.assertEquals(optbytes.write(self.board, {}).BOR_LEV, 3)
  lu.assertEquals(self.board.opened, opened)
  lu.assertEquals(dfu.fields(self.board).stats.bytes_written, 0)
end

function TestOptbytes:test_a_dry_run_writes_nothing()
  self.board:close()
  dfu.defaults.dry = true
  self.board:open()
  local before = bytes_of(self.sim)
  lu.assertNil(optbytes.write(self.board, { BOR_LEV = 2 }))
  lu.assertNil(optbytes.write(self.board, { RDP = 0xCC }, { irreversible = true }))
  lu.assertEquals(bytes_of(self.sim), before)
  lu.assertTrue(self.board.is_open)
end

function TestOptbytes:test_protects_sectors()
  local image = { name = "it", format = "bin", size = 4, start = BASE,
                  segments = { { address = BASE, bytes = "new!" } } }
  self.sim:poke(BASE, "old!")
  optbytes.write(self.board, { nWRP = 0xFFE })
  local err = support.assert_raises("board.write-protected", flash.write, self.board, image)
  lu.assertEquals(errors.exit_status(err), 80)
  lu.assertStrContains(err.message, "(nWRP) protect the sectors at 0x08000000")
  lu.assertStrContains(err.hint, "'moonflash optbytes nWRP=0xFFF' removes all write protection")
  lu.assertEquals(self.sim:peek(BASE, 4), "old!")
  optbytes.write(self.board, { nWRP = 0xFFF })
  flash.write(self.board, image)
  lu.assertEquals(self.sim:peek(BASE, 4), "new!")
end

-- ---- what is refused ----

function TestOptbytes:test_names_and_values_that_there_are_not()
  lu.assertStrContains(refused(self, "usage", { BORLEV = 2 }).message, "did you mean 'BOR_LEV'?")
  lu.assertStrContains(refused(self, "usage", { NWRP = 0 }).message, "did you mean 'nWRP'?")
  refused(self, "usage", { [1] = 2 })
  for _, value in ipairs { 4, -1, 2.0, "2", true } do
    lu.assertStrContains(refused(self, "usage", { BOR_LEV = value }).message, "from 0 to 3")
  end
  lu.assertStrContains(refused(self, "usage", { nWRP = 0x1000 }).message, "0 to 0xFFF")
  support.assert_fails("optbytes.write(board, changes, options)", optbytes.write, self.board)
end

-- Levels are not values: 0, 1 and 2 would all be level 1.
function TestOptbytes:test_levels_are_not_taken_for_values()
  for _, value in ipairs { 0, 1, 2, 0xFF } do
    lu.assertStrContains(refused(self, "usage", { RDP = value }).message, "RDP is one of 0xAA")
  end
end

function TestOptbytes:test_level_2_has_to_be_confirmed()
  refused(self, "dfu.irreversible", { RDP = 0xCC })
  refused(self, "dfu.irreversible", { RDP = 0xCC, BOR_LEV = 2 }, { irreversible = false })
  local all = bytes_of(self.sim):gsub("^(.).", "%1\xCC")
  support.assert_raises("dfu.irreversible", self.board.write, self.board, AT, all)

  lu.assertNil(optbytes.write(self.board, { RDP = 0xCC }, { irreversible = true }))
  lu.assertEquals(bytes_of(self.sim), all)
  lu.assertFalse(self.board.is_open)
  local stats = dfu.fields(self.board).stats
  lu.assertNil(stats.verified)
  lu.assertStrContains(stats.unverified, "does not come back")
end

function TestOptbytes:test_a_confirmation_is_used_up()
  optbytes.write(self.board, { BOR_LEV = 2 }, { irreversible = true })
  support.assert_raises("dfu.irreversible", self.board.write, self.board, AT, ("\xCC"):rep(16))
end

function TestOptbytes:test_level_1_and_back()
  self.sim:poke(BASE, "secret")
  lu.assertNil(optbytes.write(self.board, { RDP = 0xBB, BOR_LEV = 1 }))
  lu.assertEquals(self.sim:peek(AT, 2), "\xE7\xBB")
  local stats = dfu.fields(self.board).stats
  lu.assertNil(stats.verified)
  lu.assertStrContains(stats.unverified, "read protection is on")
  lu.assertTrue(self.board.is_open)

  local err = support.assert_raises("board.protected", optbytes.read, self.board)
  lu.assertStrContains(err.hint, "'moonflash unprotect'")
  for _, changes in ipairs { { RDP = 0xAA }, { BOR_LEV = 3 } } do
    support.assert_raises("board.protected", optbytes.write, self.board, changes)
  end
  lu.assertEquals(self.sim:peek(BASE, 6), "secret")

  self.board:read_unprotect()
  self.board:open { wait = 60 }
  lu.assertEquals(optbytes.read(self.board).BOR_LEV, 1)
end

-- The bytes of a board that can be read must say level 0; else nothing is merged into them.
function TestOptbytes:test_bytes_that_are_laid_out_otherwise()
  self.sim:poke(AT, "\x10\x55\xEF\xAA")
  local err = refused(self, "dfu.unknown-part", { BOR_LEV = 2 })
  lu.assertStrContains(err.message, "RDP is 0x55 instead of 0xAA")
  lu.assertStrContains(err.hint, "10 55 ef aa ff")
  support.assert_raises("dfu.unknown-part", optbytes.read, self.board)
end

-- A board whose layout is that of no family.
function TestOptbytes:test_parts_that_nobody_has_described()
  for kind, first in pairs { l452 = "aa f8 ef ff 55", g474 = "aa f8 ef ff 55" } do
    local product <close> = support.product(([[{ base = "%s", memories = {
      { name = "@Internal Flash  /0x08000000/7*3Kg" },
      { name = "@Option Bytes  /0x1FFF7800/01*040 e", role = "options" } } }]]):format(kind))
    open(self, product.name .. ",usb=none")
    lu.assertNil(optbytes.family(self.board))
    for _, f in ipairs { optbytes.read, optbytes.write } do
      local err = support.assert_raises("dfu.unknown-part", f, self.board, { BOR_LEV = 2 })
      lu.assertStrContains(err.hint, "The option bytes are " .. first)
      lu.assertStrContains(err.hint, "lua/moonflash/board/families/")
    end
  end
end

function TestOptbytes:test_a_board_without_option_bytes()
  self.board:close()
  self.sim:close()
  self.sim = sim.new("dfu11,usb=none")
  self.board = dfu.at(self.sim.path)
  self.board:detach()
  support.assert_raises("dfu.outside", optbytes.read, self.board)
end

-- ---- faults ----

local CHANGES = { BOR_LEV = 2, nWRP = 0xFEE }

local function count_requests()
  local clean <close> = sim.new("f407,usb=none")
  local board <close> = dfu.open(clean.path)
  optbytes.write(board, CHANGES)
  return clean.requests, bytes_of(clean)
end

-- What a failure claims is true of the option bytes as a whole.
local function judge(board, chip, ok, err, before, wanted)
  local now = bytes_of(chip)
  if ok then return now == wanted or "it passed, and the bytes are wrong" end
  if not errors.is(err) then return tostring(err) end
  local claim = dfu.fields(board).journal:claims()[1]
  if not claim then return now == before or "they are not untouched" end
  if claim.state == "verified" then return now == wanted or "they are not verified" end
  return true
end

function TestOptbytes.test_each_fault_at_each_request()
  local requests, wanted = count_requests()
  lu.assertTrue(requests > 20)
  local wrong = {}
  for _, fault in ipairs(FAULTS) do
    for at = 1, requests do
      local chip <close> = sim.new("f407,usb=none")
      local before = bytes_of(chip)
      chip:fault(fault, at)
      local board = dfu.at(chip.path)
      local ok, err = pcall(function()
        board:open()
        optbytes.write(board, CHANGES)
      end)
      local verdict = judge(board, chip, ok, err, before, wanted)
      board:close()
      chip:unplug()
      chip:plug()
      local again, why = pcall(function()
        board:open { wait = 1 }
        optbytes.write(board, CHANGES)
      end)
      board:close()
      if verdict ~= true then
        wrong[#wrong + 1] = ("%s at %d: %s"):format(fault, at, verdict)
      elseif not again or bytes_of(chip) ~= wanted then
        wrong[#wrong + 1] = ("%s at %d: run again: %s"):format(fault, at, tostring(why))
      end
    end
  end
  lu.assertEquals(wrong, {})
end

-- What was not asked for and came out wrong is named, with the command that sets it right.
function TestOptbytes:test_a_wrong_byte_is_named()
  self.sim:fault("corrupt", "write 0x1FFFC008")
  local err = support.assert_raises("verify", optbytes.write, self.board, { BOR_LEV = 2 })
  lu.assertStrContains(err.message, "nWRP is 0xFEF instead of 0xFFF")
  lu.assertStrContains(err.hint, "moonflash optbytes nWRP=0xFFF")
  lu.assertStrContains(err.flash, "0x1FFFC000..0x1FFFC00F is in doubt")
end

function TestOptbytes:test_a_wrong_byte_that_was_read_is_not_written()
  self.sim:fault("corrupt", "read 0x1FFFC008")
  refused(self, "usb.io", { BOR_LEV = 2 })
end

function TestOptbytes:test_a_board_that_does_not_come_back()
  local chip, board = self.sim, self.board
  local watch = require("task").spawn(function() -- BOOT0 is low: it is gone before it can be opened
    while board.is_open do require("task").sleep(0.001) end
    chip:unplug()
  end)
  local err = support.assert_raises("usb.no-device", optbytes.write, board, { BOR_LEV = 2 },
    { seconds = 3 })
  watch:join()
  lu.assertEquals(errors.outcome(err), "FAIL")
  lu.assertEquals(dfu.fields(board).journal:text(),
    "0x1FFFC000..0x1FFFC00F is written but not verified; the rest is untouched.")
end

return { TestOptbytes = TestOptbytes }

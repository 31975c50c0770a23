-- SPDX-License-Identifier: MIT
-- Plans: what is compared, skipped, erased, kept and lost, and what comes of it on the board.
local lu = require "luaunit"
local dfu = require "dfu"
local flash = require "moonflash.flash"
local images = require "moonflash.image"
local memory = require "moonflash.memory"
local part_of = require "moonflash.board.part"
local sectors = require "moonflash.flash.sectors"
local sim = require "sim"
local support = require "support"

local TestSpans, TestPlan = {}, {}

local BASE = 0x08000000
local KB = 1024
local OLD = ("old firmware; "):rep(80000):sub(1, 1024 * KB)

-- An image of pieces: { offset, bytes }, ...
local function image_of(...)
  local image = { name = "it", format = "bin", size = 0, start = BASE, segments = {} }
  for i, piece in ipairs { ... } do
    image.segments[i] = { address = BASE + piece[1], bytes = piece[2] }
    image.size = image.size + #piece[2]
  end
  return image
end

local function states_of(plan)
  local states = {}
  for i, sector in ipairs(plan.sectors) do states[i] = sector.state end
  return table.concat(states, " ")
end

-- ---- spans ----

local BYTES = { unit = 1, reach = 16, erased = "\255" }
local WORDS = { unit = 8, reach = 16, erased = "\255" }

local function spans_of(grain, ...)
  local pieces = {}
  for i, piece in ipairs { ... } do pieces[i] = { address = piece[1], bytes = piece[2] } end
  return sectors.spans(pieces, grain)
end

function TestSpans.test_what_lies_close_is_one()
  local spans = spans_of(BYTES, { 100, "abc" }, { 103, "d" }, { 110, "e" }, { 127, "f" })
  lu.assertEquals(#spans, 2)
  lu.assertEquals({ spans[1].address, spans[1].bytes }, { 100, "abcd" .. ("\255"):rep(6) .. "e" })
  lu.assertEquals({ spans[2].address, spans[2].bytes }, { 127, "f" })
  lu.assertEquals(#spans[1].pieces, 3)
end

function TestSpans.test_units_are_filled_up_on_both_sides()
  local spans = spans_of(WORDS, { 101, "ab" }, { 104, "c" })
  lu.assertEquals(#spans, 1)
  lu.assertEquals({ spans[1].address, spans[1].bytes },
    { 96, "\255\255\255\255\255ab\255c" .. ("\255"):rep(7) })
  -- two pieces in one unit are never two writes of it
  spans = spans_of({ unit = 32, reach = 1, erased = "\0" }, { 0, "a" }, { 20, "b" }, { 32, "c" })
  lu.assertEquals(#spans, 2)
  lu.assertEquals({ #spans[1].bytes, #spans[2].bytes }, { 32, 32 })
end

function TestSpans.test_only_pieces_count_for_being_the_same()
  local span = spans_of(BYTES, { 100, "abc" }, { 110, "e" })[1]
  lu.assertTrue(sectors.is_same(span, 0, "abc.......e"))
  lu.assertTrue(sectors.is_same(span, 3, ".......e"))
  lu.assertFalse(sectors.is_same(span, 0, "abd.......e"))
  lu.assertFalse(sectors.is_same(span, 0, "abc.......f"))
  lu.assertTrue(sectors.is_same(span, 0, "ab"))
  lu.assertTrue(sectors.is_same(span, 4, "????"))
end

function TestSpans.test_what_pieces_leave_free()
  local sector = { address = 96, last = 127 }
  lu.assertEquals(sectors.free(sector, { { address = 96, bytes = ("x"):rep(32) } }), {})
  lu.assertEquals(sectors.free(sector, { { address = 100, bytes = "a" },
    { address = 101, bytes = "b" }, { address = 110, bytes = "c" } }),
    { { first = 96, last = 99 }, { first = 102, last = 109 }, { first = 111, last = 127 } })
end

-- ---- plans ----

function TestPlan:setUp()
  self.sim = sim.new("f407,usb=none")
  self.sim:poke(BASE, OLD)
  self.board = dfu.open(self.sim.path)
end

function TestPlan:tearDown()
  self.board:close()
  self.sim:close()
end

function TestPlan:flash_is(offset, bytes)
  lu.assertTrue(self.sim:peek(BASE + offset, #bytes) == bytes, ("at 0x%X"):format(offset))
end

function TestPlan:stats() return dfu.fields(self.board).stats end

function TestPlan:test_what_is_the_same_is_left_alone()
  local image = image_of { 0, ("new "):rep(10000) }
  flash.write(self.board, image)
  lu.assertEquals(self:stats().sectors_erased, 3)
  lu.assertEquals(self:stats().bytes_written, 40000)
  flash.write(self.board, image)
  lu.assertEquals(self:stats().sectors_erased, 3)
  lu.assertEquals(self:stats().bytes_written, 40000)
  lu.assertEquals(self:stats().sectors_same, 3)
  lu.assertTrue(self:stats().verified)
  lu.assertEquals(self:stats().bytes_verified, 80000)
end

function TestPlan:test_one_changed_byte_costs_one_sector()
  local bytes = OLD:sub(1, 0x30000)
  local changed = bytes:sub(1, 0x25000) .. "!" .. bytes:sub(0x25002)
  local plan = flash.plan(self.board, image_of { 0, changed })
  lu.assertEquals(states_of(plan), "same same same same same differs")
  flash.write(self.board, image_of { 0, changed })
  lu.assertEquals(self:stats().sectors_erased, 1)
  lu.assertEquals(self:stats().bytes_written, 0x10000)
  self:flash_is(0, changed)
  self:flash_is(0x30000, ("\255"):rep(0x10000)) -- what followed in the sector
  self:flash_is(0x40000, OLD:sub(0x40001, 0x50000))
end

function TestPlan:test_blank_sectors_are_not_erased()
  self.board:erase_page(BASE + 0x4000)
  local plan = flash.plan(self.board, image_of { 0x4000, "x" })
  lu.assertEquals(states_of(plan), "blank")
  flash.write(self.board, image_of { 0x4000, "x" })
  lu.assertEquals(self:stats().sectors_erased, 1) -- by the test
  self:flash_is(0x4000, "x\255")
end

-- An erase that was cut short can leave old bytes where the image has none.
function TestPlan:test_a_sector_is_blank_only_if_all_of_it_is()
  self.sim:poke(BASE + 0x4000, ("\255"):rep(0x3FFF) .. "o")
  lu.assertEquals(states_of(flash.plan(self.board, image_of { 0x4000, "x" })), "differs")
end

function TestPlan:test_blank_blocks_are_not_written()
  local bytes = "begin" .. ("\255"):rep(0x8000) .. "end"
  local plan = flash.plan(self.board, image_of { 0, bytes })
  lu.assertEquals(#plan.runs, 2)
  lu.assertEquals(plan.runs[1], { address = BASE, bytes = "begin" .. ("\255"):rep(2048 - 5) })
  lu.assertEquals(plan.bytes_write + plan.bytes_blank, #bytes)
  flash.write(self.board, image_of { 0, bytes })
  self:flash_is(0, bytes)
  lu.assertTrue(self:stats().bytes_written < 8000)
end

function TestPlan:test_full_compares_nothing()
  flash.write(self.board, image_of { 0, OLD:sub(1, 0x8000) }, { full = true })
  lu.assertEquals(self:stats().sectors_erased, 2)
  lu.assertEquals(states_of(dfu.fields(self.board).plan), "unread unread")
end

function TestPlan:test_gaps_and_what_follows()
  local image = image_of({ 0, "first" }, { 100, "second" }, { 0x4000, "third" })
  flash.write(self.board, image)
  self:flash_is(0, "first" .. ("\255"):rep(95) .. "second" .. ("\255"):rep(0x3000))
  self:flash_is(0x4000, "third\255\255")
  self.sim:poke(BASE, OLD)
  flash.write(self.board, image, { keep = true })
  self:flash_is(0, "first" .. OLD:sub(6, 100) .. "second" .. OLD:sub(107, 0x4000) .. "third"
    .. OLD:sub(0x4006, 0x9000))
end

function TestPlan:test_a_gap_between_sectors_keeps_what_is_before_the_second_piece()
  local image = image_of({ 0, "first" }, { 0x5000, "second" })
  local err = support.assert_raises("image", flash.write, self.board, image)
  lu.assertStrContains(err.message, "the data in 0x08004000..0x08004FFF would")
  self:flash_is(0, OLD)
end

function TestPlan:test_keep_and_erase_all_contradict()
  support.assert_raises("usage", flash.write, self.board, image_of { 0, "x" },
    { keep = true, erase_all = true })
  self:flash_is(0, OLD)
end

function TestPlan:test_erase_all_erases_all()
  flash.write(self.board, image_of { 0x5000, "x" }, { erase_all = true })
  self:flash_is(0, ("\255"):rep(0x5000) .. "x" .. ("\255"):rep(0xFAFFF))
end

-- A mass erase is of the first memory: what the image has in another is erased by sectors.
function TestPlan.test_erase_all_and_another_memory()
  local name = os.tmpname() .. ".lua"
  require("moonflash.base.files").write(name, [[return { base = "f407", memories = {
    { name = "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg" },
    { name = "@External Flash  /0x90000000/04*064Kg" } } }]])
  local two <close> = sim.new(name .. ",usb=none")
  local board <close> = dfu.open(two.path)
  two:poke(BASE, OLD)
  two:poke(0x90000000, OLD:sub(1, 0x20000))
  local image = image_of { 0, "new" }
  image.segments[2] = { address = 0x90000000, bytes = "outside" }
  flash.write(board, image, { erase_all = true })
  lu.assertEquals(two:peek(BASE, 5), "new\255\255")
  lu.assertEquals(two:peek(BASE + 0x80000, 2), "\255\255")
  lu.assertEquals(two:peek(0x90000000, 9), "outside\255\255")
  lu.assertEquals(two:peek(0x90010000, 16), OLD:sub(0x10001, 0x10010))
  os.remove(name)
end

-- In no known family a mass erase takes longer than erasing each sector, so here it is made to.
function TestPlan:test_a_mass_erase_only_where_it_is_faster()
  local image = image_of { 0, ("new! "):rep(210000):sub(1, 1024 * KB) }
  local part = dfu.fields(self.board).part
  local each = 0
  for _, sector in ipairs(flash.plan(self.board, image).sectors) do
    each = each + part_of.erase_seconds(part, sector.size)
  end
  local times = part.times
  local _ <close> = support.close_with(function() part.times = times end)
  for _, mass in ipairs { each - 0.1, each, each + 0.1 } do
    part.times = setmetatable({ mass = mass }, { __index = times })
    lu.assertEquals(flash.plan(self.board, image).mass, mass < each)
  end
end

function TestPlan:test_a_mass_erase_only_where_nothing_is_lost_by_it()
  local new = ("new! "):rep(210000):sub(1, 1024 * KB)
  lu.assertTrue(flash.plan(self.board, image_of { 0, new }).mass)
  local most = new:sub(1, 0xE0000)
  lu.assertFalse(flash.plan(self.board, image_of { 0, most }).mass)
  lu.assertFalse(flash.plan(self.board, image_of { 0, most .. OLD:sub(0xE0001) }).mass)
  flash.write(self.board, image_of { 0, new })
  self:flash_is(0, new)
end

function TestPlan:test_start_last()
  local image = image_of { 0, ("new "):rep(10000) }
  local plan = flash.plan(self.board, image, { start_last = true })
  local last = plan.runs[#plan.runs]
  lu.assertEquals({ last.address, #last.bytes }, { BASE, 2048 })
  self.sim:fault("unplug", "write 0x08008000")
  support.assert_raises("usb.gone", flash.write, self.board, image, { start_last = true })
  self:flash_is(0, ("\255"):rep(2048))
  self.sim:plug()
  self.board:open()
  flash.write(self.board, image, { start_last = true })
  self:flash_is(0, image.segments[1].bytes)
end

-- While another sector is half done, an old vector table must not start a program.
function TestPlan:test_start_last_takes_the_vector_table_away_first()
  local bytes = OLD:sub(1, 0x8000) .. "new"
  self.sim:fault("unplug", "write 0x08008000")
  support.assert_raises("usb.gone", flash.write, self.board, image_of { 0, bytes },
    { start_last = true })
  self:flash_is(0, ("\255"):rep(2048))
  self:flash_is(0x4000, OLD:sub(0x4001, 0x8000))
end

function TestPlan:test_retry()
  local image = image_of { 0, ("new "):rep(10000) }
  self.sim:fault("corrupt", "write 0x08004000")
  flash.write(self.board, image, { retry = 1 })
  self:flash_is(0, image.segments[1].bytes)
  lu.assertEquals(self:stats().sectors_erased, 4)
  lu.assertTrue(self:stats().verified)
end

function TestPlan:test_retry_is_bounded()
  self.sim:poke(BASE, ("\0"):rep(0x4000))
  local product <close> = support.product [[{ base = "f407", memories = {
    { name = "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg" } } }]]
  local protected <close> = sim.new(product.name .. ",usb=none,wrp=1")
  local board <close> = dfu.open(protected.path)
  support.assert_raises("verify", flash.write, board, image_of { 0, "x" }, { retry = 2 })
  lu.assertEquals(dfu.fields(board).stats.sectors_erased, 2) -- it was blank at first
end

function TestPlan:test_a_failed_run_goes_on_where_it_stopped()
  local image = image_of { 0, ("new "):rep(10000) }
  self.sim:fault("unplug", "write 0x08008000")
  support.assert_raises("usb.gone", flash.write, self.board, image)
  self.sim:plug()
  self.board:open()
  lu.assertEquals(states_of(flash.plan(self.board, image)), "same same blank")
end

function TestPlan:test_a_board_that_cannot_be_read()
  dfu.fields(self.board).info.functional.attributes.can_upload = false
  local err = support.assert_raises("image", flash.write, self.board, image_of { 16, "x" })
  lu.assertStrContains(err.message, "can't be read")
  flash.write(self.board, image_of { 16, "x" }, { lose = true })
  lu.assertEquals(self:stats().unverified, "the board can't be read")
  lu.assertNil(self:stats().verified)
  self:flash_is(0, ("\255"):rep(16) .. "x")
  dfu.fields(self.board).info.functional.attributes.can_upload = true
end

function TestPlan:test_an_image_for_another_board()
  local image = image_of { 0, "x" }
  image.ids = { vid = 0x1234, pid = 0xDF11 }
  support.assert_raises("image", flash.write, self.board, image)
  self:flash_is(0, OLD)
  flash.write(self.board, image, { force = true })
  self:flash_is(0, "x\255")
end

function TestPlan:test_an_alternate_setting_of_its_own()
  local image = image_of { 0, "x" }
  image.segments[1].alt = 0
  flash.write(self.board, image)
  self:flash_is(0, "x")
  image.segments[1].alt = 2
  local err = support.assert_raises("image", flash.plan, self.board, image)
  lu.assertStrContains(err.message, "alternate setting 2 of this board has no memory")
end

function TestPlan:test_option_bytes_and_otp_are_never_planned()
  local requests = self.sim.requests
  for _, address in ipairs { 0x1FFFC000, 0x1FFF7800 } do
    local image = { name = "it", size = 4, segments = { { address = address, bytes = "abcd" } } }
    support.assert_raises("image", flash.write, self.board, image)
  end
  lu.assertEquals(self.sim.requests, requests)
end

-- On an L4 a unit of eight bytes can be written once.
function TestPlan.test_two_pieces_in_one_unit()
  local l433 <close> = sim.new("l433,usb=none")
  local board <close> = dfu.open(l433.path)
  flash.write(board, image_of({ 1, "ab" }, { 6, "c" }, { 9, "d" }))
  lu.assertEquals(l433:peek(BASE, 16), "\255ab\255\255\255c\255\255d" .. ("\255"):rep(6))
end

function TestPlan.test_what_erasing_leaves()
  local function part(size, count)
    return part_of.of { vid = 0x0483, pid = 0xDF11,
      alts = { { layout = memory.parse(("@F/0x08000000/%d*%d g"):format(count,
      size)) } } }
  end
  lu.assertEquals(part(128, 1536).erased, "\0") -- L0
  lu.assertEquals(part(256, 1024).erased, "\0") -- L1
  lu.assertEquals(part(2048, 256).erased, "\255")
end

-- ---- what it is expected to take ----

function TestPlan.test_expected_seconds()
  local new = ("new! "):rep(210000)
  for _, case in ipairs {
    { { 0, new:sub(1, 60000) } }, { { 0, new:sub(1, 0x40000) } }, { { 0, OLD:sub(1, 0x40000) } },
    { { 0, OLD:sub(1, 0x40000) .. "!" } }, { { 0, new:sub(1, 0x100000) } },
  } do
    local simulated <close> = sim.new("f407")
    simulated:poke(BASE, OLD)
    local board <close> = dfu.open(simulated.path)
    local image = image_of(table.unpack(case))
    local took = support.seconds(flash.write, board, image)
    local expected = dfu.fields(board).plan.seconds
    lu.assertTrue(math.abs(took - expected) < 0.05 * took + 0.1,
      ("%.2f s, expected %.2f s"):format(took, expected))
  end
end

function TestPlan:test_description()
  self.board:erase_page(BASE + 0x4000)
  local image = image_of({ 0, OLD:sub(1, 0x4000) .. ("\255"):rep(0x1000) .. "x" },
    { 0xA000, "y" })
  local text = flash.describe(flash.plan(self.board, image, { lose = true }))
  lu.assertStrContains(text, "it  20.0 KB in 2 pieces, starts at 0x08000000")
  lu.assertStrContains(text, "  0x08000000     16 KB   same     -")
  lu.assertStrContains(text, "  0x08004000     16 KB   blank    write 4 B (and 4 KB as erased)")
  lu.assertStrContains(text, "  0x08008000     16 KB   differs  erase, write 4 B; "
    .. "data before it and after it in the sector is erased")
  lu.assertStrContains(text, "instead of")
end

-- Pages may be smaller than blocks: one request compares several of them.
function TestPlan.test_small_pages_are_compared_in_whole_blocks()
  local place <close> = sim.new("gd32,usb=none,times=zero")
  local board <close> = dfu.open(place.path)
  local at, words = 0x08004000, {}
  for i = 1, 20000 do words[i] = ("<I2"):pack(i) end
  local bytes = table.concat(words)
  local function requests(it, options)
    local before = place.requests
    flash.write(board, images.new { name = "it", segments = { { address = at, bytes = it } } },
      options)
    lu.assertTrue(place:peek(at, #it) == it)
    return place.requests - before
  end
  local full = requests(bytes, { full = true })
  local blocks = #bytes // board.transfer_size
  lu.assertTrue(requests(bytes) < blocks + 20)
  lu.assertTrue(requests(bytes:reverse()) < full + blocks + 20)
end

return { TestSpans = TestSpans, TestPlan = TestPlan }

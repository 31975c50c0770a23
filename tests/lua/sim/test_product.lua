-- SPDX-License-Identifier: MIT
-- Tests simulated boards that a file describes: sim:./product.lua. What such a board does is tested
-- in tests/c/sim/test_sim_product.c; here, what the file says, and what a recipe sees of it.
local dfu = require "dfu"
local flash = require "moonflash.flash"
local image = require "moonflash.image"
local lu = require "luaunit"
local sim = require "sim"
local support = require "support"
local task = require "task"

local FLASH, QSPI = 0x08000000, 0x90000000

local assert_raises = support.assert_raises

local WIDGET = [[
return {
  base = "f407", vid = 0x1209, pid = 1, version = 0x0103,
  product = "Widget 3", manufacturer = "ACME", serial = "W0001",
  memories = {
    { name = "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg" },
    { name = "@External QSPI  /0x90000000/16*64Kg", erase = 0.15, unit = 256, write = 0.0004 },
    { name = "@Option Bytes  /0x1FFFC000/01*016 g", role = "options" },
  },
  application = { vid = 0x1209, pid = 2, product = "Widget 3, running", dfu = true, seconds = 1.5,
                  tty = "/dev/ttyACM7" },
}
]]

-- A file with that text, for as long as the second result is not closed.
local function file_of(text)
  local name = os.tmpname() .. ".lua"
  local file <close> = assert(io.open(name, "wb"))
  file:write(text)
  return name, support.close_with(function()
    os.remove(name)
    os.remove((name:gsub("%.lua$", "")))
  end)
end

local PROGRAM = ("<I4I4"):pack(0x20001000, FLASH + 0x41) .. ("program "):rep(400)

-- A new board of a product; `more` is what stands behind the file's name.
local function board_of(text, more)
  local name, _ <close> = file_of(text)
  return sim.new(name .. (more or ""))
end

-- ---- what it is ----

local TestProduct = {}

function TestProduct.test_list()
  local place <close> = board_of(WIDGET)
  local info = dfu.list(place.path)[1]
  lu.assertEquals({ info.vid, info.pid, info.version }, { 0x1209, 1, 0x0103 })
  lu.assertEquals({ info.product, info.manufacturer, info.serial },
    { "Widget 3", "ACME", "W0001" })
  lu.assertEquals(info.functional.transfer_size, 2048)
  lu.assertEquals(#info.alts, 3)
  lu.assertEquals(info.alts[2].name, "@External QSPI  /0x90000000/16*64Kg")
  lu.assertEquals(info.alts[3].layout.name, "Option Bytes")
end

function TestProduct.test_the_example_of_the_docs()
  local tree = (debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or ".") .. "/../../.."
  local file <close> = assert(io.open(tree .. "/docs/api.md"))
  local text = file:read("a"):match("\n### A product of your own\n.-\n```\n(.-)\n```\n")
  local place <close> = board_of(text)
  local info = dfu.list(place.path)[1]
  lu.assertEquals({ info.product, #info.alts }, { "Widget 3", 3 })
  lu.assertEquals(#place:peek(QSPI, 16 << 20), 16 << 20)
end

function TestProduct.test_what_is_not_said_is_as_in_the_base()
  for _, kind in ipairs(sim.kinds()) do
    local like <close> = sim.new(kind)
    local place <close> = board_of(("return { base = %q }"):format(kind))
    local a, b = dfu.list(like.path)[1], dfu.list(place.path)[1]
    for _, name in ipairs { "path", "generation" } do a[name], b[name] = nil, nil end
    lu.assertEquals(b, a)
  end
end

function TestProduct.test_text_of_any_kind()
  local place <close> = board_of(
    [[return { base = "f407", product = "Gerät µ 🔥", serial = ("x"):rep(126) }]])
  local info = dfu.list(place.path)[1]
  lu.assertEquals(info.product, "Gerät µ 🔥")
  lu.assertEquals(info.serial, ("x"):rep(126))
end

function TestProduct.test_options_behind_it()
  local name, _ <close> = file_of(WIDGET)
  local board_img = name .. ".img"
  local _ <close> = support.close_with(function() os.remove(board_img) end)
  do
    local a <close> = sim.new(name .. ",serial=A1,usb=ideal,flash=" .. board_img)
    lu.assertEquals(dfu.list(a.path)[1].serial, "A1")
    a:poke(FLASH + 5, "kept")
    a:poke(QSPI, "not kept")
  end
  local file <close> = assert(io.open(board_img, "rb"))
  local bytes = file:read("a")
  lu.assertEquals(#bytes, 1 << 20)
  lu.assertEquals(bytes:sub(6, 9), "kept")
  local b <close> = sim.new(name .. ",rdp=1,fault=stall@3,bus=one,state=dfuIDLE")
  local board <close> = dfu.open(b.path)
  lu.assertEquals(board.found_state, "dfuIDLE")
  assert_raises("dfu.errVENDOR", board.read, board, FLASH, 4) -- no ROM, as far as is known
  local err = assert_raises("usage", sim.new, name .. ",sreial=A")
  lu.assertStrContains(err.message, "did you mean 'serial'?")
end

-- A flash file belongs to one board at a time: two would overwrite what the other has read.
function TestProduct.test_two_boards_with_one_flash()
  local name = os.tmpname()
  local _ <close> = support.close_with(function() os.remove(name) end)
  local one = sim.new("f407,flash=" .. name)
  local err = assert_raises("usb.busy", sim.new, "f407,flash=" .. name)
  lu.assertStrContains(err.message, "is the flash of another simulated board")
  one:close()
  sim.new("f407,flash=" .. name):close()
end

function TestProduct.test_the_same_string_is_the_same_board()
  local name, _ <close> = file_of(WIDGET)
  local a = "sim:" .. name
  local b = a .. "#2"
  for _, path in ipairs { a, b } do
    local board <close> = dfu.open(path)
    board:write(QSPI, path == a and "first" or "second")
  end
  for _, path in ipairs { a, b } do
    local board <close> = dfu.open(path)
    lu.assertEquals(board:read(QSPI, 5), path == a and "first" or "secon")
  end
end

function TestProduct.test_boards_outlive_their_file()
  local places = {}
  for i = 1, 20 do places[i] = board_of(WIDGET, "#" .. i) end
  for i = 1, 20, 2 do places[i]:close() end
  collectgarbage()
  for i = 2, 20, 2 do
    lu.assertEquals(dfu.list(places[i].path)[1].product, "Widget 3")
    places[i]:close()
  end
end

-- ---- flashing ----

local TestFlashing = {}

function TestFlashing.test_the_extra_memory()
  local place <close> = board_of(WIDGET, ",usb=ideal")
  place:poke(FLASH, "stays")
  place:poke(QSPI + 0x20000, "stays")
  local board <close> = dfu.open(place.path)
  local bytes = ("fonts; "):rep(20000)
  flash.write(board, image.new { segments = { { address = QSPI, bytes = bytes } } },
    { full = true })
  lu.assertEquals(place:peek(QSPI, #bytes), bytes)
  lu.assertEquals(place:peek(QSPI + #bytes, 1), "\xFF")
  lu.assertEquals(board:read(QSPI, 7), "fonts; ")
  lu.assertEquals(place:peek(FLASH, 5), "stays")
  assert_raises("dfu.outside", board.write, board, QSPI + (1 << 20), "x")
end

function TestFlashing.test_times()
  local place <close> = board_of(WIDGET, ",usb=none")
  local board <close> = dfu.open(place.path)
  board:get_status()
  lu.assertAlmostEquals(support.seconds(board.erase_page, board, QSPI), 0.15, 0.001)
  lu.assertAlmostEquals(support.seconds(board.erase_page, board, FLASH), 0.4, 0.001)
  local slow <close> = board_of(WIDGET, ",usb=none,times=max")
  local other <close> = dfu.open(slow.path)
  other:get_status()
  lu.assertAlmostEquals(support.seconds(other.erase_page, other, QSPI), 0.3, 0.001)
end

function TestFlashing.test_both_memories_in_one_image()
  local place <close> = board_of(WIDGET, ",usb=ideal,times=zero")
  local board <close> = dfu.open(place.path)
  flash.write(board, image.new { segments = {
    { address = FLASH, bytes = PROGRAM },
    { address = QSPI, bytes = "fonts" } } })
  lu.assertEquals(place:peek(FLASH, #PROGRAM), PROGRAM)
  lu.assertEquals(place:peek(QSPI, 5), "fonts")
end

-- Two memories side by side: a boot loader of one's own may have its flash cut in two.
function TestFlashing.test_memories_that_adjoin()
  local place <close> = board_of([[return { base = "f407", memories = {
    { name = "@Loader /0x08000000/3*1Kg" }, { name = "@Program /0x08000C00/61*1Kg" } } }]],
    ",usb=ideal,times=zero")
  local board <close> = dfu.open(place.path)
  local bytes = ("0123456789abcdef"):rep(192)
  for _, address in ipairs { FLASH, FLASH + 3072 } do
    flash.write(board, image.new { segments = { { address = address, bytes = bytes } } })
  end
  lu.assertEquals(place:peek(FLASH, 3072) .. place:peek(FLASH + 3072, 3072), bytes:rep(2))
end

-- ---- after leave ----

local TestApplication = {}

local function left(text, more)
  local place = board_of(text, ",usb=ideal,times=zero" .. (more or ""))
  local board = dfu.open(place.path)
  place:poke(FLASH, PROGRAM)
  board:leave()
  return board, support.close_with(function()
    board:close()
    place:close()
  end), place
end

function TestApplication.test_comes_up()
  local board, _ <close>, place = left(WIDGET)
  assert_raises("timeout", board.wait_app, board, 1)
  lu.assertEquals(dfu.list(place.path), {})
  lu.assertEquals(board:wait_app(1), { vid = 0x1209, pid = 2, serial = "W0001",
    product = "Widget 3, running", tty = "/dev/ttyACM7" })
  local info = dfu.list(place.path)[1]
  lu.assertEquals({ info.mode, info.pid, info.version, info.manufacturer },
    { "runtime", 2, 0x0103, "ACME" })
  lu.assertTrue(place.started.works)
  board:detach(5)
  lu.assertEquals({ board.mode, board.pid, board.found_state }, { "dfu", 1, "dfuERROR" })
  board:leave()
  lu.assertEquals(board:wait_app(5).pid, 2)
  place:reset()
  board:open { wait = 5 }
  lu.assertEquals(board.pid, 1)
end

function TestApplication.test_without_dfu()
  local board, _ <close>, place = left [[return { base = "g474", application = {
    vid = 0x1209, pid = 3, serial = "X" } }]]
  lu.assertEquals(board:wait_app(1), { vid = 0x1209, pid = 3 })
  lu.assertEquals(dfu.list(place.path), {})
  local others = {}
  for _, other in ipairs(dfu.others()) do others[other.path] = other.pid end
  lu.assertEquals(others[place.path], 3)
end

function TestApplication.test_half_a_second_if_nothing_is_said()
  local board, _ <close> = left [[return { base = "f407", application = { vid = 1, pid = 2 } }]]
  assert_raises("timeout", board.wait_app, board, 0.4)
  lu.assertEquals(board:wait_app(0.2).pid, 2)
end

function TestApplication.test_only_if_a_program_starts()
  local place <close> = board_of(WIDGET, ",usb=ideal,times=zero")
  local board <close> = dfu.open(place.path)
  board:leave(FLASH)
  assert_raises("timeout", board.wait_app, board, 30)
  lu.assertFalse(place.started.works)
end

function TestApplication.test_more_ram()
  local program = ("<I4I4"):pack(0x20030000, FLASH + 0x41)
  for ram, works in pairs { [""] = false, ["ram = 192 * 1024,"] = true } do
    local place <close> = board_of(("return { base = 'f407', %s }"):format(ram))
    place:poke(FLASH, program)
    local board <close> = dfu.open(place.path)
    board:leave()
    lu.assertEquals(place.started.works, works)
  end
end

function TestApplication.test_another_tty()
  local board, _ <close> = left(WIDGET, ",tty=/dev/pts/9")
  assert_raises("timeout", board.wait_app, board, 1.4)
  lu.assertEquals(board:wait_app(1).tty, "/dev/pts/9")
end

function TestApplication.test_no_tty_if_none_is_said()
  local board, _ <close> = left([[return { base = "f407", application = { vid = 1, pid = 2 } }]])
  lu.assertNil(board:wait_app(2).tty)
  lu.assertNil(sim.tty("sim:f407"))
end

function TestApplication.test_of_plain_dfu()
  local place <close> = board_of [[return { base = "dfu11", vid = 5, pid = 6, application = {
    vid = 5, pid = 7, product = "Running", serial = "R1", tty = "T" } }]]
  local board <close> = dfu.at(place.path)
  lu.assertEquals(board:wait_app(1),
    { vid = 5, pid = 7, product = "Running", serial = "R1", tty = "T" })
  board:detach(5)
  lu.assertEquals({ board.vid, board.pid }, { 5, 6 })
  board:write(0, PROGRAM)
  lu.assertEquals(board:wait_app(5).pid, 7)
end

-- ---- files that are wrong ----

local TestBad = {}

local function refused(text)
  local name, _ <close> = file_of(text)
  local err = assert_raises("usage", sim.new, name)
  lu.assertStrContains(err.message, name .. ": ")
  lu.assertStrContains(err.hint, "help product")
  assert_raises("usage", dfu.open, "sim:" .. name)
  return err.message:sub(#name + 3)
end

function TestBad.test_the_whole()
  for text, says in pairs {
    ["return"] = "it returns a nil, not a table", ["return 5"] = "it returns 5, not a table",
    ["return {"] = "1: unexpected symbol", ["local a; a.b = 1"] = "1: attempt to index",
    ["return { base = os.getenv('HOME') }"] = "global 'os'", ["while true do end"] = "too long",
    ["\27Lua"] = "binary chunk", ["return {}"] = "base is missing",
    ["return require 'dfu'"] = "global 'require'",
  } do
    lu.assertStrContains(refused(text), says)
  end
end

function TestBad.test_fields()
  for fields, says in pairs {
    ["prodcut = 'x'"] = "a product has no field 'prodcut' (did you mean 'product'?)",
    ["'f407'"] = "a product has no field 1", ["[0/0 == 0] = 1"] = "no field a boolean",
    ["base = 'f408'"] = "base is one of f407, l452, g474, dfu11 (did you mean 'f407'?), not 'f408'",
    ["base = './x.lua'"] = "base is one of", ["base = 5"] = "not 5",
    ["vid = -1"] = "vid is an integer from 0 to 0xFFFF, not -1", ["vid = 65536"] = "not 65536",
    ["pid = 1.5"] = "not 1.5", ["pid = 0/0"] = "nan", ["pid = '1'"] = "pid is an integer",
    ["version = 1 << 62"] = "version is an integer", ["version = 1/0"] = "not inf",
    ["product = 5"] = "product is a string, not 5", ["product = ''"] = "has 1 to 126 characters",
    ["product = ('x'):rep(127)"] = "product has 1 to 126 characters, not 'xxx",
    ["serial = ('\\u{1F525}'):rep(64)"] = "serial has 1 to 126 characters",
    ["serial = 'a\\0b'"] = "serial is UTF-8 without control characters, not 'a?b'",
    ["serial = 'a\\nb'"] = "control characters", ["serial = '\\xFF'"] = "is UTF-8",
    ["serial = '\\u{D800}'"] = "is UTF-8",
    ["manufacturer = {}"] = "manufacturer is a string, not a table",
    ["manufacturer = function() end"] = "not a function",
    ["transfer_size = 63"] = "transfer_size is an integer from 64 to 4096, not 63",
    ["transfer_size = 4097"] = "not 4097",
    ["ram = 0"] = "ram is an integer from 1 to 67108864, not 0",
    ["ram = 8192"] = "ram is more than 8192", ["ram = 64 << 20"] = "65 MB: 64 MB at most",
    ["ram = 0x10000000"] = "ram is an integer",
    ["memories = 5"] = "memories is a table, not 5",
    ["memories = {}"] = "memories has 1 to 8, not 0",
    ["application = true"] = "application is a table, not a boolean",
  } do
    if fields == "ram = 64 << 20" then
      fields = fields .. ", memories = {{ name = '@x /0x08000000/1024*1Kg' }}"
    end
    lu.assertStrContains(refused(("return { base = 'f407', %s }"):format(fields)), says)
  end
end

local function Q(fields) return "{ name = '@Q /0x90000000/1*64Kg', " .. fields .. " }" end
local MAIN = "{ name = '@Internal Flash /0x08000000/4*16Kg' }, "

function TestBad.test_memories()
  for list, says in pairs {
    ["5"] = "memories[1] is a table, not 5", ["{}"] = "memories[1].name is missing",
    ["[2] = {}"] = "memories is a list: it has no 2", ["x = {}"] = "a list: it has no 'x'",
    [MAIN .. "nil, " .. MAIN] = "memories[2] is a table",
    [MAIN .. "{ 'x' }"] = "memories[2] has no field 1",
    [MAIN .. "{ nmae = 'x' }"] = "memories[2] has no field 'nmae' (did you mean 'name'?)",
    ["{ name = 'Flash' }"] = "memories[1].name has no layout",
    ["{ name = '@F /0x08000000/4*16Kg', role = 'ram' }"] = "memories[1].role: the first memory",
    ["{ name = '@F /0x08000000/4*16Kg junk' }"] = "memories[1].name: unreadable from character",
    ["{ name = '@F /0x08000000/4*16Kg/0x08000000/4*16Kg' }"] = "overlaps another",
    ["{ name = '@F /0xFFFFF000/4*16Kg' }"] = "passes 4 GiB",
    ["{ name = '@F /0x08000000/4*0Kg' }"] = "sectors of no bytes",
    ["{ name = '@F /0x08000000/9999999999*9999999999Mg' }"] = "passes 4 GiB",
    ["{ name = '@F /0x08000000/4*16Kg/0x08100000/4*16Kg' }"] = "the main flash has no gaps",
    ["{ name = '@F /0x08000000/1025*64Kg' }"] = "64 MB at most",
    ["{ name = '@F /0x20001000/4*16Kg' }"] = "the RAM (0x20000000..0x2001FFFF) and memories[1]",
    [MAIN .. "{ name = '@Q /0x0800FFFF/1*16Kg' }"] =
      "memories[1] (0x08000000..0x0800FFFF) and memories[2] (0x0800FFFF..0x08013FFE) overlap",
    [MAIN .. "{ name = '@Q /0x90000000/63*1Mg' }, { name = '@R /0x98000000/1*1Mg' }"] =
      "64 MB at most",
    [MAIN .. Q("role = 'flsh'")] = "did you mean 'flash'?",
    [MAIN .. "{ name = '@Option Bytes /0x1FFFC000/1*16 g' }"] = "role: 'options' goes with",
    [MAIN .. "{ name = '@Opts /0x1FFFC000/1*16 g', role = 'options' }"] = "'options' goes with",
    [MAIN .. "{ name = '@Option Bytes /0x1FFFC000/1*15 g', role = 'options' }"] = "at least 16",
    [MAIN .. "{ name = '@Device Feature/0xFFFF0000/1*8 g', role = 'feature' }"] = "has 4 bytes",
    [MAIN .. "{ name = '@OTP /0x1FFF7800/1*512 e', role = 'otp', erase = 1 }"] =
      "only a flash has erase",
    [MAIN .. Q("unit = 256")] = "unit and write go together",
    [MAIN .. Q("write = 0.1")] = "unit and write go together",
    [MAIN .. Q("unit = 0, write = 0.1")] = "unit is an integer from 1",
    [MAIN .. Q("erase = -1")] = "memories[2].erase is a number of seconds from 0 to 60, not -1",
    [MAIN .. Q("erase = 0/0")] = "erase is a number of seconds", [MAIN .. Q("erase = '1'")] = "'1'",
    [MAIN .. Q("unit = 4, write = 1.5")] = "from 0 to 1, not 1.5",
    [MAIN:rep(9)] = "memories has 1 to 8, not 9", [MAIN:rep(2)] = "overlap",
  } do
    local text = ("return { base = 'f407', memories = { %s } }"):format(list)
    lu.assertStrContains(refused(text), says)
  end
end

function TestBad.test_too_many_pieces()
  local function text(pieces)
    local groups = {}
    for i = 1, pieces do groups[i] = ("/0x%X/1*1g"):format(0x60000000 + 2 * i) end
    return ("return { base = 'f407', memories = { %s { name = '@Q %s' } } }"):format(MAIN,
      table.concat(groups))
  end
  -- 126 characters of a name have room for no more than eight
  local place <close> = board_of(text(7))
  lu.assertEquals(#dfu.list(place.path)[1].alts[2].layout.segments, 7)
  local settings = {}
  for i = 1, 3 do
    local groups = {}
    for j = 1, 6 do groups[j] = ("/0x%X/1*1g"):format(0x60000000 + 32 * i + 2 * j) end
    settings[i] = ("{ name = '@Q%d %s' }"):format(i, table.concat(groups))
  end
  lu.assertStrContains(refused(("return { base = 'f407', memories = { %s %s } }"):format(MAIN,
    table.concat(settings, ", "))), "memories have 19 pieces: 15 at most")
end

function TestBad.test_applications()
  for fields, says in pairs {
    [""] = "application.vid is missing", ["vid = 1"] = "application.pid is missing",
    ["vid = 1, pid = 2, dfu = 1"] = "application.dfu is true or false, not 1",
    ["vid = 1, pid = 2, seconds = -1"] = "application.seconds is a number of seconds from 0 to 60",
    ["vid = 1, pid = 2, seconds = 1/0"] = "not inf",
    ["vid = 1, pid = 2, tty = 1"] = "application.tty is a string",
    ["vid = 1, pid = 2, ttty = 1"] = "application has no field 'ttty' (did you mean 'tty'?)",
  } do
    lu.assertStrContains(refused(("return { base = 'l452', application = { %s } }"):format(fields)),
      says)
  end
end

function TestBad.test_plain_dfu()
  for fields, says in pairs {
    ["memories = {" .. MAIN .. "}"] = "memories can't be said with base 'dfu11'",
    ["application = { vid = 1, pid = 2, dfu = false }"] = "application.dfu is true with base",
    ["application = { vid = 1, pid = 2, seconds = 1 }"] = "application.seconds can't be said",
  } do
    lu.assertStrContains(refused(("return { base = 'dfu11', %s }"):format(fields)), says)
  end
end

function TestBad.test_files()
  assert_raises("file", sim.new, "/no/such/product.lua")
  assert_raises("file", sim.new, "product-that-is-not-here.lua")
  assert_raises("file", sim.new, "/tmp/")
  local name, _ <close> = file_of("")
  lu.assertStrContains(assert_raises("image", sim.new, name).message, "is empty")
  lu.assertStrContains(assert_raises("usage", sim.new, "./" .. ("x"):rep(600) .. ".lua").message,
    "too long")
end

function TestBad.test_a_loop_leaves_no_hook_behind()
  refused("while true do end")
  local n = 0
  for _ = 1, 3000000 do n = n + 1 end
  lu.assertEquals(n, 3000000)
  lu.assertNil((debug.gethook()))
  task.sleep(0.1)
end

return { TestProduct = TestProduct, TestFlashing = TestFlashing,
         TestApplication = TestApplication, TestBad = TestBad }

-- SPDX-License-Identifier: MIT
-- Files of kept bytes: whose they are, which alternate setting's, and when they go.
local lu = require "luaunit"
local dfu = require "dfu"
local flash = require "moonflash.flash"
local fw = require "firmware"
local image = require "moonflash.image"
local sim = require "sim"
local support = require "support"
local sys = require "sys"

local BASE, SECTOR = 0x08000000, 0x4000
local of = fw.of
local raises = support.assert_raises

-- The files in the working directory.
local function names()
  local list = {}
  for _, name in ipairs(sys.readdir(".")) do
    if name:find("^moonflash%-kept%-") then list[#list + 1] = name end
  end
  return list
end

local TestKeptFiles = {}


function TestKeptFiles.tearDown()
  for _, name in ipairs(names()) do os.remove(name) end
end

-- A board whose second sector has bytes of its own.
local function with_bytes(spec, bytes)
  local place = sim.new(spec)
  place:poke(BASE + SECTOR, bytes)
  local board = dfu.open(place.path)
  return board, place, support.close_with(function()
    board:close()
    place:close()
  end)
end

-- Many boards have one serial number: another board keeps its own bytes.
function TestKeptFiles.test_a_file_of_another_board()
  local program = of(BASE + SECTOR + 0x1000, ("p"):rep(1000))
  do
    local board, place, _ <close> = with_bytes("f407,usb=none,serial=ONE", ("a"):rep(SECTOR))
    place:fault("unplug", ("write 0x%08X"):format(BASE + SECTOR + 0x800))
    raises("usb.gone", flash.write, board, program, { keep = true })
  end
  local board, place, _ <close> = with_bytes("f407,usb=none,serial=ONE", ("c"):rep(SECTOR))
  local err = raises("image.kept", flash.write, board, program, { keep = true })
  lu.assertStrContains(err.hint, "This board has other bytes there")
  lu.assertEquals(place:peek(BASE + SECTOR, SECTOR), ("c"):rep(SECTOR))
end

-- A part of a file that was written back is not all of it.
function TestKeptFiles.test_a_file_goes_when_all_of_it_is_back()
  local board, place, _ <close> = with_bytes("f407,usb=none", ("a"):rep(SECTOR))
  place:fault("unplug", ("write 0x%08X"):format(BASE + SECTOR + 0x800))
  raises("usb.gone", flash.write, board, of(BASE + SECTOR + 0x1000, ("p"):rep(1000)),
    { keep = true })
  place:plug()
  board:open()
  local name = "moonflash-kept-315A28A0B956-08004000.hex"
  local file = image.load(name)
  flash.write(board, file, { lose = true, only = "0x08004000..0x08004FFF" })
  lu.assertEquals(names(), { name })
  flash.write(board, file, { lose = true })
  lu.assertEquals(names(), {})
  lu.assertEquals(place:peek(BASE + SECTOR, 0x1000), ("a"):rep(0x1000))
end

-- A boot loader that erases more than requested: the file stays.
function TestKeptFiles.test_a_file_stays_where_sectors_are_not_known()
  local product <close> = support.product
    [[{ base = "f407", product = "other", habits = { "erases-to-end" } }]]
  local board, place, _ <close> = with_bytes(product.name .. ",usb=none", ("p"):rep(SECTOR))
  place:poke(BASE + 2 * SECTOR, ("a"):rep(SECTOR))
  place:fault("unplug", ("erase 0x%08X"):format(BASE + 2 * SECTOR))
  raises("usb.gone", flash.write, board, of(BASE + SECTOR, ("x"):rep(SECTOR + 0x1000)),
    { keep = true })
  lu.assertEquals(#names(), 1)
end

-- Two settings with the same addresses: the bytes go back to the one that they came from.
function TestKeptFiles.test_a_file_of_one_alternate_setting()
  local product <close> = support.product [[{ base = "f407", product = "other",
    habits = { "by-setting" }, memories = { { name = "@One  /0x08000000/04*016Kg" },
    { name = "@Two  /0x08000000/04*016Kg" } } }]]
  local place <close> = sim.new(product.name .. ",usb=none")
  local board <close> = dfu.open(place.path)
  for alt, byte in pairs { [0] = "A", "B" } do
    flash.write(board, of(BASE, byte:rep(SECTOR), alt))
  end
  flash.write(board, of(BASE, ("y"):rep(100), 1), { keep = true, no_verify = true })
  local name = names()[1]
  local file = image.load(name)
  board:select(0)
  local err = raises("image.kept", flash.write, board, file, { lose = true })
  lu.assertStrContains(err.hint, ",alt=1' flash ")
  board:select(1)
  flash.write(board, file, { lose = true })
  lu.assertEquals(board:read(BASE + 100, SECTOR - 100), ("B"):rep(SECTOR - 100))
  board:select(0)
  lu.assertEquals(board:read(BASE, SECTOR), ("A"):rep(SECTOR))
end

return { TestKeptFiles = TestKeptFiles }

-- SPDX-License-Identifier: MIT
-- Images as values: loaded, several as one, made by recipes, patched, written and read again.
local lu = require "luaunit"
local fw = require "firmware"
local image = require "moonflash.image"
local support = require "support"
local sys = require "sys"

local TestLoad, TestValue, TestSave, TestObjcopy = {}, {}, {}, {}

local BASE = 0x08000000
local raises = support.assert_raises

-- Calls f with the names of files of these bytes.
local function with_files(list, f)
  local names = {}
  local function more(i)
    if i > #list then return f(table.unpack(names)) end
    return fw.with_file(list[i], "", function(name)
      names[i] = name
      return more(i + 1)
    end)
  end
  return more(1)
end

local function load_all(list, options)
  return with_files(list, function(...)
    local names = { ... }
    names[#names + 1] = options
    return image.load(table.unpack(names))
  end)
end

local function hex_at(offset, data)
  return fw.HEX_HIGH .. fw.hex(0, offset, data) .. fw.HEX_END
end

-- ---- loading ----

function TestLoad.test_the_hash_is_the_files()
  local bytes = fw.suffixed("abc")
  local it = fw.load(bytes)
  lu.assertEquals(it.files, { { name = it.name, sha256 = sys.sha256(bytes), size = #bytes,
                                format = "bin" } })
end

-- The examples of FIPS 180-2.
function TestLoad.test_sha256()
  lu.assertEquals(sys.sha256("abc"),
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  lu.assertEquals(sys.sha256(""),
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
  lu.assertEquals(sys.sha256(("a"):rep(1000000)),
    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
end

function TestLoad.test_unhex()
  local function unhex(...) return { sys.unhex(...) } end
  lu.assertEquals(unhex(":0aFf9G", 2, 100), { "\10\255", 9, 6 })
  lu.assertEquals(unhex("0102FF", 1, 3), { "\1\2\255", 2, 7 })
  lu.assertEquals(unhex("0102FF", 1, 2), { "\1\2", 3, 5 })
  lu.assertEquals(unhex("0102F", 3, 9), { "\2", 2, 5 })
  lu.assertEquals(unhex("@0/0:0`0g0", 1, 9), { "", 0, 1 })
  lu.assertEquals(unhex("00", 99, 9), { "", 0, 99 })
  lu.assertEquals(#unhex(("00"):rep(600), 1, 512)[1], 512)
  for _, bad in ipairs { { "00", 0, 1 }, { "00", -1, 1 }, { "00", 1, 513 }, { "00", 1, -1 } } do
    lu.assertErrorMsgContains("bad argument", sys.unhex, table.unpack(bad))
  end
end

function TestLoad.test_sync()
  local file = io.tmpfile()
  file:write("x")
  lu.assertTrue(sys.sync(file))
  file:close()
  lu.assertErrorMsgContains("a file that is open", sys.sync, file)
  local full = io.open("/dev/full", "w")
  full:write("x")
  lu.assertEquals({ sys.sync(full) }, { nil, "No space left on device", 28 })
  full:close()
end

function TestLoad.test_several_files_become_one_image()
  local it = load_all { hex_at(0x4000, "app"), hex_at(0, "boot"), hex_at(4, "more") }
  lu.assertEquals(it.segments, { { address = BASE, bytes = "bootmore" },
                                 { address = BASE + 0x4000, bytes = "app" } })
  lu.assertEquals(it.format, "several")
  lu.assertEquals(it.size, 11)
  lu.assertEquals(#it.files, 3)
  lu.assertEquals(it.name, it.files[1].name .. " + " .. it.files[2].name .. " + "
    .. it.files[3].name)
  -- a list, as a recipe's argument of type words is one
  lu.assertEquals(with_files({ "x" }, function(name) return image.load({ name }, {}).size end), 1)
end

function TestLoad.test_the_lowest_start_counts()
  lu.assertEquals(load_all({ fw.elf { { 0x08010000, fw.program(0x08010000) } },
    fw.elf { { BASE, fw.program(BASE) } }, hex_at(0x8000, "data") }).start, BASE)
end

function TestLoad.test_files_that_overlap()
  lu.assertEquals(load_all({ hex_at(0, "same"), hex_at(2, "me!") }).segments,
    { { address = BASE, bytes = "same!" } })
  local err = raises("image", load_all, { hex_at(0, "same"), hex_at(9, "x"), hex_at(2, "mf") })
  lu.assertStrContains(err.message, " overlap at 0x08000003, and differ")
  lu.assertEquals(select(2, err.message:gsub("lua_", "")), 2) -- the names of those two files
end

-- A segment without an alternate setting goes to the memory that has its address.
function TestLoad.test_an_alternate_setting_and_none()
  local dfu = fw.dfuse { { 0, { BASE, "same" } } }
  raises("image", load_all, { dfu, hex_at(2, "m") })
  lu.assertEquals(load_all({ dfu, hex_at(4, "m") }).segments,
    { { address = BASE + 4, bytes = "m" }, { address = BASE, bytes = "same", alt = 0 } })
end

function TestLoad.test_formats_with_addresses_take_no_other()
  local err = raises("image", fw.load, hex_at(0, fw.program(BASE)), nil, "", "@0x08004000")
  lu.assertStrContains(err.message, " is Intel HEX, and has addresses of its own")
  -- data may be moved, and programs where the recipe allows it
  lu.assertEquals(fw.load(hex_at(8, "x"), nil, "", "@0x08004000").segments,
    { { address = 0x08004000, bytes = "x" } })
  local moved = fw.load(hex_at(8, fw.program(BASE + 8)), { move = true }, "", "@0x08004000")
  lu.assertEquals(moved.segments[1].address, 0x08004000)
  raises("image", fw.load, hex_at(0, "x"), { address = 0x08004000 })
  lu.assertEquals(fw.load(hex_at(0, "x"), { address = BASE }).start, nil)
  -- it is for the raw one
  local it = load_all({ hex_at(0, "x"), "raw" }, { address = 0x08004000 })
  lu.assertEquals(it.segments[2], { address = 0x08004000, bytes = "raw" })
end

function TestLoad.test_misuse()
  for _, arguments in ipairs { {}, { 42 }, { "a", 42 }, { {}, {} }, { { 42 } }, { {} } } do
    lu.assertErrorMsgContains("image.load takes", image.load, table.unpack(arguments))
  end
end

-- ---- whose they are ----

local function ids(vid, pid)
  return fw.load(fw.suffixed("x", { vid = vid, pid = pid }))
end

function TestLoad.test_ids_of_another_board()
  local board = { path = "1-4", vid = 0x0483, pid = 0xDF11 }
  image.check_ids(ids(0x0483, 0xDF11), board)
  image.check_ids(ids(0xFFFF, 0xDF11), board)
  image.check_ids(ids(0xFFFF, 0xFFFF), board)
  image.check_ids(fw.load("x"), board)
  local err = raises("image", image.check_ids, ids(0x28E9, 0xFFFF), board)
  lu.assertStrContains(err.message, " is for 28e9:any, and this board is 0483:df11")
  raises("image", image.check_ids, ids(0x0483, 0xDF12), board)
  image.check_ids(ids(0x0483, 0xDF12), board, true)
end

function TestLoad.test_ids_of_several_files()
  local a = fw.dfuse { { 0, { BASE, "a" } } }
  local b = fw.dfuse({ { 0, { BASE + 1, "b" } } }, { vid = 0xFFFF })
  local c = fw.dfuse({ { 0, { BASE + 2, "c" } } }, { vid = 0x1234 })
  lu.assertEquals(load_all({ b, a, hex_at(9, "x") }).ids, { vid = 0x0483, pid = 0xDF11,
                                                            version = 0xFFFF })
  lu.assertStrContains(raises("image", load_all, { b, a, c }).message, " is for 0483:df11, and ")
  lu.assertEquals(load_all({ a, c }, { force = true }).segments[1].bytes, "a")
end

-- ---- the value ----

local function new(list)
  return image.new { name = "it", segments = list, start = BASE }
end

function TestValue.test_made_by_a_recipe()
  local it = new { { address = BASE + 2, bytes = "cd" }, { address = BASE, bytes = "ab" },
                   { address = 0xFFFFFFFF, bytes = "x" } }
  lu.assertEquals(it.segments, { { address = BASE, bytes = "abcd" },
                                 { address = 0xFFFFFFFF, bytes = "x" } })
  lu.assertEquals(tostring(it), "it (new, 5 B)")
  lu.assertEquals(it.start, BASE)
end

function TestValue.test_made_of_nonsense()
  for _, fields in ipairs { 1, {}, { segments = 1 }, { segments = { {} } },
      { segments = { { address = -1, bytes = "x" } } },
      { segments = { { address = 1, bytes = 2 } } },
      { segments = { { address = 1 << 32, bytes = "x" } } },
      { segments = { { address = 0xFFFFFFFF, bytes = "xy" } } },
      { segments = { { address = 0, bytes = "x", alt = 256 } } } } do
    lu.assertErrorMsgContains("image.new", image.new, fields)
  end
  raises("image", image.new, { segments = {} })
  raises("image", new, { { address = 1, bytes = "ab" }, { address = 2, bytes = "c" } })
end

local GAPS = { { address = BASE, bytes = "abcdef" }, { address = BASE + 10, bytes = "klm" } }

function TestValue.test_read()
  local it = new(GAPS)
  lu.assertEquals(it:read(BASE + 1, 3), "bcd")
  lu.assertEquals(it:read(BASE + 10, 3), "klm")
  lu.assertEquals(it:read(BASE + 7, 0), "")
  lu.assertStrContains(raises("image", it.read, it, BASE + 4, 3).message,
    "it does not have all of 0x08000004..0x08000006")
  raises("image", it.read, it, BASE - 1, 2)
  lu.assertErrorMsgContains("the address", it.read, it, -1, 1)
  lu.assertErrorMsgContains("the length", it.read, it, BASE, 1.5)
end

function TestValue.test_patch_by_address()
  local it = new(GAPS)
  local other = it:patch(BASE + 10, "KL")
  lu.assertEquals(other:read(BASE + 10, 3), "KLm")
  lu.assertEquals(it:read(BASE + 10, 3), "klm") -- tasks share it
  lu.assertEquals({ other.name, other.start, other.size }, { "it", BASE, 9 })
  raises("image", it.patch, it, BASE + 5, "xx")
  raises("image", it.patch, it, BASE + 8, "x")
  lu.assertErrorMsgContains("image:patch", it.patch, it, BASE, 1)
  lu.assertErrorMsgContains("image:patch", it.patch, it, "", "x")
  lu.assertErrorMsgContains("image:patch", it.patch, it, {}, "x")
end

function TestValue.test_patch_by_mark()
  local it = new { { address = BASE, bytes = "..SERIAL=????.." },
                   { address = 0, bytes = "aaa.SER%" } }
  lu.assertEquals(it:patch("SERIAL=????", "SERIAL=0042"):read(BASE, 15), "..SERIAL=0042..")
  lu.assertEquals(it:patch("SER%", "1"):read(0, 8), "aaa.1ER%")
  lu.assertStrContains(raises("image", it.patch, it, "KEY\0", "x").message,
    "it: there is no mark 4b 45 59 00 in it")
  lu.assertStrContains(raises("image", it.patch, it, "SER", "x").message,
    "it: the mark 'SER' exists twice, at 0x00000004 and 0x08000002")
  raises("image", it.patch, it, "aa", "x") -- twice, one over the other
  raises("image", it.patch, it, "????..", "longer than what is left")
end

function TestValue.test_pad()
  local it = new(GAPS)
  lu.assertEquals(it:pad(BASE, BASE + 12).segments,
    { { address = BASE, bytes = "abcdef\255\255\255\255klm" } })
  lu.assertEquals(it:pad(BASE - 2, BASE + 7, 0).segments,
    { { address = BASE - 2, bytes = "\0\0abcdef\0\0" }, GAPS[2] })
  lu.assertEquals(it:pad(BASE + 13, BASE + 15, 0x20):read(BASE + 10, 6), "klm   ")
  lu.assertEquals(it:pad(BASE + 1, BASE + 2).segments, GAPS)
  lu.assertEquals(#it.segments, 2)
  lu.assertErrorMsgContains("image:pad", it.pad, it, 2, 1)
  lu.assertErrorMsgContains("64 MB", it.pad, it, 0, 0xFFFFFFFF)
  lu.assertErrorMsgContains("the byte", it.pad, it, 0, 1, 256)
end

function TestValue.test_pad_stays_in_its_memory()
  local it = new { { address = 0, bytes = "a", alt = 1 }, { address = 3, bytes = "d", alt = 1 },
                   { address = 1, bytes = "b", alt = 2 } }
  lu.assertEquals(it:pad(0, 4, 0x2E).segments, { { address = 0, bytes = "a..d.", alt = 1 },
                                                 { address = 1, bytes = "b", alt = 2 } })
  local mixed = new { { address = 0, bytes = "a" }, { address = 3, bytes = "d", alt = 1 } }
  raises("image", mixed.pad, mixed, 0, 4)
end

-- The check values of the catalogue of CRCs, for "123456789"; and the CRC unit of an STM32, given
-- words: the highest bit of each first.
function TestValue.test_crc()
  local it = new { { address = 0, bytes = "123456789" } }
  lu.assertEquals(it:crc(0, 8), 0xCBF43926)
  lu.assertEquals(it:crc(0, 8, "crc32/mpeg-2"), 0x0376E6E7)
  lu.assertEquals(it:crc(0, 7, "stm32"),
    new { { address = 0, bytes = "43218765" } }:crc(0, 7, "crc32/mpeg-2"))
  lu.assertEquals(new { { address = 0, bytes = "\0\0\0\0" } }:crc(0, 3, "stm32"), 0xC704DD7B)
  lu.assertErrorMsgContains("whole words", it.crc, it, 0, 8, "stm32")
  lu.assertErrorMsgContains("did you mean 'crc32'?", it.crc, it, 0, 8, "crc23")
  raises("image", it.crc, it, 0, 9)
end

-- ---- written, and read again ----

local function round_trip(it, format)
  local name = os.tmpname()
  os.remove(name)
  name = name .. "." .. format
  it:save(name)
  local again = image.load(name)
  os.remove(name)
  return again
end

local function noise(n)
  local bytes = {}
  for i = 1, n do bytes[i] = string.char(math.random(0, 255)) end
  return table.concat(bytes)
end

function TestSave.test_every_format_round_trips()
  math.randomseed(22)
  for _ = 1, 30 do
    local list, at = {}, BASE
    for i = 1, math.random(5) do
      local bytes = noise(math.random(80) ^ 2 // 1 | 0)
      list[i] = { address = at, bytes = bytes }
      at = at + #bytes + math.random(0xFFFF)
    end
    local it = new(list)
    for _, format in ipairs { "hex", "srec" } do
      local again = round_trip(it, format)
      lu.assertEquals(again.segments, list, format)
      lu.assertEquals(again.format, format)
    end
    for _, segment in ipairs(list) do segment.alt = math.random(0, 3) end
    it = image.new { segments = list, ids = { vid = 0x0483, pid = 0xDF11, version = 0x2200 } }
    local again = round_trip(it, "dfu")
    lu.assertEquals(again.segments, it.segments)
    lu.assertEquals(again.ids, it.ids)
    local raw = new { { address = BASE, bytes = list[1].bytes } }
    lu.assertEquals(round_trip(raw, "bin").segments, raw.segments)
  end
end

function TestSave.test_every_length_of_a_last_record()
  for n = 1, 34 do
    local it = new { { address = 0x0800FFF0 - n, bytes = noise(n + 20) } }
    lu.assertEquals(round_trip(it, "hex").segments, it.segments)
    lu.assertEquals(round_trip(it, "srec").segments, it.segments)
  end
end

function TestSave.test_dfu_without_ids_is_for_any_board()
  local again = round_trip(new(GAPS), "dfu")
  lu.assertEquals(again.ids, { vid = 0xFFFF, pid = 0xFFFF, version = 0xFFFF })
  lu.assertEquals(again.segments[1].alt, 0)
end

function TestSave.test_what_a_format_can_not_hold()
  lu.assertStrContains(raises("image", round_trip, new(GAPS), "bin").message,
    "it has gaps, behind 0x08000005 first")
  local twice = new { { address = 0, bytes = "a", alt = 0 }, { address = 0, bytes = "b", alt = 1 } }
  lu.assertStrContains(raises("image", round_trip, twice, "hex").message,
    "two alternate settings differ at 0x00000000")
end

function TestSave.test_which_format()
  local it = new { { address = BASE, bytes = "x" } }
  lu.assertStrContains(raises("usage", it.save, it, "x.xyz").message, "names no format")
  lu.assertStrContains(raises("usage", it.save, it, "x").message, "names no format")
  lu.assertStrContains(raises("usage", it.save, it, "x.elf").message, "not written as 'elf'")
  lu.assertStrContains(raises("usage", it.save, it, "x.bin", "hxe").message, "did you mean 'hex'?")
  raises("file.write", it.save, it, "/no/such/folder/x.bin")
  local name = os.tmpname()
  it:save(name, "hex")
  lu.assertEquals(image.load(name).format, "hex")
  os.remove(name)
end

-- ---- what objcopy makes of one program ----

local FILE = ... or debug.getinfo(1, "S").source:sub(2)
local BUILD = (FILE:match("^(.*)/[^/]*$") or ".") .. "/../../../build/"

function TestObjcopy.test_all_its_formats_are_the_same_image()
  lu.skipIf(not sys.stat(BUILD .. "ch.elf") or not os.execute(
    "arm-none-eabi-objcopy --version >/dev/null 2>&1"), "no firmware, or no objcopy")
  for _, program in ipairs { "ch", "app" } do
    local it = image.load(BUILD .. program .. ".elf")
    lu.assertEquals(it.format, "elf")
    for _, format in ipairs { "binary", "ihex", "srec" } do
      local name = os.tmpname()
      assert(os.execute(("arm-none-eabi-objcopy -O %s %s%s.elf %s"):format(format, BUILD, program,
        name)))
      local again = image.load(name, { address = format == "binary" and it.start or nil })
      os.remove(name)
      lu.assertEquals({ #again.segments, again.start }, { #it.segments, it.start }, format)
      for i, segment in ipairs(it.segments) do
        lu.assertEquals(again.segments[i].address, segment.address)
        lu.assertTrue(again.segments[i].bytes == segment.bytes, format)
      end
    end
  end
end

return { TestLoad = TestLoad, TestValue = TestValue, TestSave = TestSave,
         TestObjcopy = TestObjcopy }

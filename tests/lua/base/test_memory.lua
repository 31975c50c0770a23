-- SPDX-License-Identifier: MIT
-- Tests memory.lua: every string of tests/data/layouts.tsv, hostile strings, and mutated ones.

local lu = require "luaunit"
local memory = require "moonflash.memory"

local LIMIT = 1 << 32
local HERE = debug.getinfo(1, "S").source:match("^@(.*)test_memory%.lua$") or "tests/lua/"
local F407 = "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg"
local F429 = "@Option Bytes  /0x1FFFC000/01*016 e/0x1FFEC000/01*016 e"

--- The rows of layouts.tsv.
local function rows()
  local list = {}
  for line in io.lines(HERE .. "../../data/layouts.tsv") do
    if line:sub(1, 1) ~= "#" then
      local text, name, segments, note, dropped =
        line:match("^([^\t]*)\t([^\t]*)\t([^\t]+)\t([^\t]+)\t([^\t]+)$")
      assert(text, "bad row: " .. line)
      list[#list + 1] = {
        text = text, name = name, segments = segments, note = note, dropped = dropped,
      }
    end
  end
  return list
end

--- Segments as layouts.tsv writes them.
local function written(segments)
  local words = {}
  for i, s in ipairs(segments) do
    words[i] = ("%08x:%dx%d:%s%s%s"):format(s.address, s.count, s.size,
      s.readable and "r" or "-", s.erasable and "e" or "-", s.writable and "w" or "-")
  end
  return #words > 0 and table.concat(words, " ") or "-"
end

--- Sectors as "address+size address+size ...", at most so many of them.
local function walked(most, ...)
  local words = {}
  for sector in memory.sectors(...) do
    words[#words + 1] = ("%x+%x"):format(sector.address, sector.size)
    if #words == most then break end
  end
  return table.concat(words, " ")
end

--- Asserts what must hold for the layout of any string.
local function check(text, layout)
  local function say(what) return ("%s: %q"):format(what, text:sub(1, 300)) end
  if not (utf8.len(layout.name) and not layout.name:find("[%c\127]")) then
    error(say("name cannot be printed"))
  end
  if layout.dropped and not layout.dropped:match("^[ -~]+$") then error(say("reason")) end
  local segments = layout.segments
  if #segments > 256 then error(say("too many segments")) end
  local size = 0
  for i, s in ipairs(segments) do
    if math.type(s.address) ~= "integer" or s.address < 0 then error(say("address")) end
    if math.type(s.count) ~= "integer" or s.count < 1 then error(say("count")) end
    if math.type(s.size) ~= "integer" or s.size < 1 then error(say("size")) end
    if s.count > LIMIT // s.size then error(say("product")) end
    local stop = s.address + s.count * s.size
    if stop > LIMIT then error(say("4 GiB")) end
    for j = 1, i - 1 do
      local o = segments[j]
      if s.address < o.address + o.count * o.size and o.address < stop then
        error(say("overlap"))
      end
    end
    for _, access in ipairs { "readable", "erasable", "writable" } do
      if type(s[access]) ~= "boolean" then error(say(access)) end
    end
    size = size + s.count * s.size
    local found, sector = memory.find(segments, stop - 1)
    if found ~= s or sector ~= stop - s.size then error(say("find")) end
    local first, last = memory.span(segments, s.address)
    if not first or first > s.address or last < stop - 1 then error(say("span")) end
  end
  if memory.size(segments) ~= size then error(say("sum")) end
  if (memory.number_of_sectors(segments) > 0) ~= (#segments > 0) then error(say("number")) end
  local stop, count = 0, 0
  for sector in memory.sectors(segments) do
    if sector.address < stop then error(say("sectors descend")) end
    stop = sector.address + sector.size
    count = count + 1
    if count == 20 then break end
  end
  if count ~= math.min(20, memory.number_of_sectors(segments)) then error(say("sectors")) end
end

local TestMemory = {}

function TestMemory.test_every_row()
  local list = rows()
  lu.assertTrue(#list >= 90)
  for _, row in ipairs(list) do
    local layout = memory.parse(row.text)
    lu.assertEquals(layout.name, row.name, row.note)
    lu.assertEquals(written(layout.segments), row.segments, row.note)
    if row.dropped == "-" then
      lu.assertNil(layout.dropped, row.note)
    else
      lu.assertStrContains(layout.dropped, row.dropped, false, false, row.note)
    end
    check(row.text, layout)
  end
end

function TestMemory.test_fields()
  lu.assertEquals(memory.parse("@Internal Flash  /0x08000000/04*016Ke"), {
    name = "Internal Flash",
    segments = {
      {
        address = 0x08000000, count = 4, size = 16384,
        readable = true, erasable = false, writable = true,
      },
    },
  })
end

function TestMemory.test_no_layout()
  for _, text in ipairs { "", " ", "@", "Flash", "a/b", "/", "//", "/0", "/0x", "0x0/1*1Kg" } do
    local layout = memory.parse(text)
    lu.assertEquals(layout.segments, {}, text)
    lu.assertNil(layout.dropped, text)
  end
  lu.assertEquals(memory.parse("").name, "")
  lu.assertEquals(memory.parse("  @ My Flash ").name, "My Flash")
end

function TestMemory.test_names_are_printable()
  lu.assertEquals(memory.parse("@A\27[2J\0\xC3\x28\xC2\x9B\127 /0x0/1*1Kg").name, "A?[2J??(??")
  lu.assertEquals(memory.parse("A\27\xFFB").name, "A??B")
  lu.assertEquals(memory.parse("@Blitz\xE2\x9A\xA1 /0x0/1*1Kg").name, "Blitz\u{26A1}")
end

function TestMemory.test_junk_behind_a_layout()
  local good = written(memory.parse(F407).segments)
  local junk = {
    "\0", "\0more", "\xFF\xFF", "\27[0m", "?", "g", "K", "7", ".", "*", "%d%s%n", "/", "//", "/0x",
    "/0x0", "/0x0/", ",", ",1", ",1*", ",1*1", ",1*1K", "/0x0/1*1",
    "\u{C2A1}\u{A4F1}", ("x"):rep(5000), ("/"):rep(5000), (","):rep(5000), (" "):rep(3000) .. "x",
  }
  for _, tail in ipairs(junk) do
    local layout = memory.parse(F407 .. tail)
    lu.assertEquals(written(layout.segments), good, tail:sub(1, 20))
    lu.assertEquals(layout.name, "Internal Flash")
    lu.assertIsString(layout.dropped, tail:sub(1, 20))
  end
  lu.assertNil(memory.parse(F407 .. "  ").dropped)
end

function TestMemory.test_cut_anywhere()
  local whole = memory.parse(F407).segments
  for length = 0, #F407 do
    local layout = memory.parse(F407:sub(1, length))
    check(F407:sub(1, length), layout)
    for i, segment in ipairs(layout.segments) do
      lu.assertEquals(segment, whole[i])
    end
  end
end

function TestMemory.test_too_many_segments()
  local layout = memory.parse("@F /0x0/" .. ("1*1g,"):rep(255) .. "1*1g")
  lu.assertEquals(#layout.segments, 256)
  lu.assertNil(layout.dropped)
  layout = memory.parse("@F /0x0/" .. ("1*1g,"):rep(299) .. "1*1g/0x8000/1*1Kg")
  lu.assertEquals(#layout.segments, 256)
  lu.assertEquals(layout.dropped, "more than 256 segments")
  layout = memory.parse("@F /0x0/" .. ("0*1g,"):rep(299) .. "1*1g")
  lu.assertEquals(#layout.segments, 1)
  lu.assertNil(layout.dropped)
end

function TestMemory.test_a_megabyte_takes_no_time()
  local million = 1000000
  local start = os.clock()
  for _, unit in ipairs {
    "A", " ", "/", "@", "0", "9", "\0", "\xFF", "/0x0", "/0x0/", "1*1g,", "/0x0/1*1g", "0*1g,",
    "/ ", "U", ".", "*", "1 ", "g", ",",
  } do
    local long = unit:rep(million // #unit)
    for _, head in ipairs { "", "@F /0x", "@F /0x0/", "@F /0x0/1", "@F /0x0/1.", "@F /0x0/1*1",
      "@F /0x0/1*1g,", F407 } do
      local layout = memory.parse(head .. long)
      check(head, layout)
      lu.assertIsString(layout.dropped)
    end
  end
  -- Blanks and digits in every place that could make a pattern backtrack.
  local blanks, digits = (" "):rep(400), ("1"):rep(400)
  memory.parse("@F /0x0/" .. digits .. blanks .. "U" .. blanks .. "*" .. blanks .. digits
    .. blanks .. "K" .. blanks .. "x")
  lu.assertTrue(os.clock() - start < 5)
end

function TestMemory.test_takes_strings_only()
  for _, value in ipairs { 1, 1.5, true, {}, print } do
    lu.assertErrorMsgContains("takes a string", memory.parse, value)
  end
  lu.assertErrorMsgContains("takes a string, not a nil", memory.parse)
end

function TestMemory.test_sectors()
  local segments = memory.parse(F407).segments
  lu.assertEquals(walked(99, segments), "8000000+4000 8004000+4000 8008000+4000 800c000+4000 "
    .. "8010000+10000 8020000+20000 8040000+20000 8060000+20000 8080000+20000 80a0000+20000 "
    .. "80c0000+20000 80e0000+20000")
  lu.assertEquals(walked(9, segments, 0x08004000, 0x08004000), "8004000+4000")
  lu.assertEquals(walked(9, segments, 0x08003FFF, 0x08004000), "8000000+4000 8004000+4000")
  lu.assertEquals(walked(9, segments, 0x0800FFFF, 0x08020000),
    "800c000+4000 8010000+10000 8020000+20000")
  lu.assertEquals(walked(9, segments, 0x080FFFFF, LIMIT * 16), "80e0000+20000")
  lu.assertEquals(walked(9, segments, 0x08000000, 0x08000000), "8000000+4000")
  lu.assertEquals(walked(9, segments, math.mininteger, 0x07FFFFFF), "")
  lu.assertEquals(walked(9, segments, 0x08100000, math.maxinteger), "")
  lu.assertEquals(walked(9, segments, 0x08000002, 0x08000001), "")
  lu.assertEquals(walked(9, segments, 0x08000002.0, 0x08000002.0), "8000000+4000")
  lu.assertEquals(walked(9, {}), "")
end

function TestMemory.test_sectors_say_what_they_allow()
  local segments = memory.parse("@F /0x08000000/1*1Ka,1*1Kg").segments
  local next_sector = memory.sectors(segments)
  lu.assertEquals(next_sector(),
    { address = 0x08000000, size = 1024, readable = true, erasable = false, writable = false })
  lu.assertEquals(next_sector(),
    { address = 0x08000400, size = 1024, readable = true, erasable = true, writable = true })
  lu.assertNil(next_sector())
  lu.assertNil(next_sector())
end

function TestMemory.test_sectors_ascend_over_groups()
  local segments = memory.parse(F429).segments
  lu.assertEquals(walked(9, segments), "1ffec000+10 1fffc000+10")
  lu.assertEquals(segments[1].address, 0x1FFFC000)   -- the list itself is as it was
  segments = memory.parse("@F /0x2000/2*1Kg/0x0/2*1Kg/0x1000/2*1Kg").segments
  lu.assertEquals(walked(9, segments, 0x400, 0x2000), "400+400 1000+400 1400+400 2000+400")
  lu.assertEquals(walked(9, segments, 0x800, 0xFFF), "")
end

function TestMemory.test_sectors_of_odd_sizes()
  local segments = memory.parse("@F /0x00000003/5*3Kg").segments
  lu.assertEquals(walked(9, segments, 0xC03, 0xC03), "c03+c00")
  lu.assertEquals(walked(9, segments, 0xC02, 0xC03), "3+c00 c03+c00")
end

function TestMemory.test_sectors_are_not_listed()
  local segments = memory.parse("@F /0x0/4294967296*1g").segments
  lu.assertEquals(memory.number_of_sectors(segments), LIMIT)
  lu.assertEquals(walked(2, segments, LIMIT - 2), "fffffffe+1 ffffffff+1")
end

function TestMemory.test_find()
  local segments = memory.parse(F407).segments
  local segment, sector = memory.find(segments, 0x0801FFFF)
  lu.assertIs(segment, segments[2])
  lu.assertEquals(sector, 0x08010000)
  segment, sector = memory.find(segments, 0x080FFFFF)
  lu.assertIs(segment, segments[3])
  lu.assertEquals(sector, 0x080E0000)
  for _, address in ipairs { 0, -1, 0x07FFFFFF, 0x08100000, LIMIT + 0x08000000, math.mininteger } do
    lu.assertNil(memory.find(segments, address))
  end
  lu.assertNil(memory.find({}, 0))
end

function TestMemory.test_sums()
  local segments = memory.parse(F407).segments
  lu.assertEquals(memory.size(segments), 1024 * 1024)
  lu.assertEquals(memory.number_of_sectors(segments), 12)
  lu.assertEquals(memory.size({}), 0)
  lu.assertEquals(memory.number_of_sectors({}), 0)
  lu.assertEquals(memory.size(memory.parse("@F /0x0/65536*64Kg").segments), LIMIT)
end

function TestMemory.test_span()
  local layout = memory.parse("@F /0x2000/2*1Kg/0x0/1*1Kg,1*1Ka/0x800/2*1Kg/0x3000/1*1Kg")
  local segments = layout.segments
  lu.assertEquals({ memory.span(segments, 0) }, { 0, 0xFFF })
  lu.assertEquals({ memory.span(segments, 0xFFF) }, { 0, 0xFFF })
  lu.assertNil(memory.span(segments, 0x1000))
  lu.assertEquals({ memory.span(segments, 0x2400) }, { 0x2000, 0x27FF })
  lu.assertNil(memory.span(segments, 0x2800))
  lu.assertEquals({ memory.span(segments, 0x3000) }, { 0x3000, 0x33FF })
  lu.assertNil(memory.span(segments, 0x3400))
  lu.assertNil(memory.span(segments, -1))
  lu.assertNil(memory.span({}, 0))
  lu.assertEquals({ memory.span(memory.parse("@F /0x0/1*4096Mg").segments, 5) }, { 0, LIMIT - 1 })
end

function TestMemory.test_misuse()
  local segments = memory.parse(F407).segments
  for _, bad in ipairs { 1.5, "8", {}, 0 / 0, math.huge } do
    lu.assertErrorMsgContains("first must be a whole number", memory.sectors, segments, bad)
    lu.assertErrorMsgContains("last must be a whole number", memory.sectors, segments, 0, bad)
    lu.assertErrorMsgContains("address must be a whole number", memory.find, segments, bad)
    lu.assertErrorMsgContains("address must be a whole number", memory.span, segments, bad)
  end
  lu.assertErrorMsgContains("address must be a whole number", memory.find, segments)
end

function TestMemory.test_mutated_strings()
  local seed = 20240607
  local function random(n)                  -- 1..n, the same on every machine
    seed = (seed * 6364136223846793005 + 1442695040888963407)
    return (seed >> 33) % n + 1
  end
  local bits = {
    "/", ",", "*", ".", " ", "@", "0x", "/0x", "U", "K", "M", "B", "a", "e", "g", "h", "-", "0",
    "9", "4294967296", "99999999999999999999", "0.5", "FFFFFFFF", "/0xFFFFFF00/", ",0*1Kg",
    "1*1Kg,", "\0", "\27", "\xFF", "\xE2\x82", "\u{20AC}", "%", "\n",
  }
  local seeds = rows()
  for _ = 1, 20000 do
    local text = seeds[random(#seeds)].text
    for _ = 1, random(6) do
      local at, stop = random(#text + 1), random(#text + 1)
      local how = random(6)
      if how == 1 then                      -- another byte
        text = text:sub(1, at - 1) .. string.char(random(256) - 1) .. text:sub(at + 1)
      elseif how == 2 then                  -- a token in between
        text = text:sub(1, at - 1) .. bits[random(#bits)] .. text:sub(at)
      elseif how == 3 then                  -- a piece less, or twice
        text = text:sub(1, at - 1) .. text:sub(stop)
      elseif how == 4 then                  -- a token instead
        text = text:sub(1, at - 1) .. bits[random(#bits)] .. text:sub(at + 1)
      elseif how == 5 then                  -- two strings in one
        text = text:sub(1, at - 1) .. seeds[random(#seeds)].text:sub(stop)
      else                                  -- another digit
        text = text:gsub("%d", tostring(random(10) - 1), 1)
      end
    end
    check(text, memory.parse(text))
  end
end

return { TestMemory = TestMemory }

-- SPDX-License-Identifier: MIT
-- Images from files with spoilt bytes: always an image or an error that says so, soon, and
-- nothing else. And files of very many, very small records.
local lu = require "luaunit"
local errors = require "moonflash.errors"
local fw = require "firmware"
local image = require "moonflash.image"

local TestFuzz, TestMany = {}, {}

local BASE = 0x08000000

-- ---- spoilt files ----

local function good_files()
  local text = fw.HEX_HIGH .. fw.hex(0, 0, "program") .. fw.hex(0, 0x100, "data")
    .. fw.hex(5, 0, "\8\0\0\1") .. fw.HEX_END
  local records = fw.srec(0, 0, "name") .. fw.srec(3, BASE, "program") .. fw.srec(2, 0x1234, "x")
    .. fw.srec(5, 2, "") .. fw.srec(7, BASE, "")
  local elf = fw.elf({ { BASE, "program" }, { BASE + 7, "data", virtual = 0x20000000 } },
    { entry = BASE + 1, sections = { { 0, 0, 0, 0 }, { 6, 1, 116, 7 }, { 3, 1, 123, 4 } } })
  local dfu = fw.dfuse_content { { 0, { BASE, "program" }, { BASE + 0x100, "data" } },
                                 { 1, { 0x1FFFC000, "option" } } }
  return { text, records, elf, dfu, fw.suffixed("program"), fw.suffixed(text) }
end

local SPOILERS = {
  function(bytes, at) return bytes:sub(1, at - 1) .. bytes:sub(at + 1) end,
  function(bytes, at) return bytes:sub(1, at) end,
  function(bytes, at) return bytes:sub(at) end,
  function(bytes, at) return bytes:sub(1, at - 1) .. string.char(math.random(0, 255))
    .. bytes:sub(at + 1) end,
  function(bytes, at) return bytes:sub(1, at - 1) .. ("<I4"):pack(0xFFFFFFFF - math.random(0, 3))
    .. bytes:sub(at + 4) end,
  function(bytes, at) return bytes:sub(1, at) .. bytes:sub(math.random(#bytes)) end,
  function(bytes, at) return bytes:sub(1, at - 1)
    .. string.char(bytes:byte(at) ~ 1 << math.random(0, 7)) .. bytes:sub(at + 1) end,
}

-- With a corrected checksum the other wrong bytes reach the parser.
local function mended(bytes)
  if bytes:sub(1, 5) == "DfuSe" then
    return fw.suffixed(bytes, { format = 0x011A })
  elseif bytes:sub(1, 1) == ":" then
    return (bytes:gsub(":(%x+)\n", function(digits)
      local sum = 0
      for pair in digits:sub(1, -3):gmatch("%x%x") do sum = sum + tonumber(pair, 16) end
      return (":%s%02X\n"):format(digits:sub(1, -3), -sum & 0xFF)
    end))
  end
  return bytes
end

function TestFuzz.test_an_image_or_an_error_that_says_so()
  math.randomseed(24)
  local files, name, images = good_files(), os.tmpname(), 0
  for round = 1, 6000 do
    local bytes = files[round % #files + 1]
    for _ = 1, math.random(3) do
      if #bytes > 1 then bytes = SPOILERS[math.random(#SPOILERS)](bytes, math.random(#bytes)) end
    end
    if math.random(2) == 1 then bytes = mended(bytes) end
    local file <close> = assert(io.open(name, "wb"))
    file:write(bytes)
    file:close()
    local ok, it = pcall(image.load, name)
    if ok then
      images = images + 1
      local at = { [-1] = 0 }
      for _, segment in ipairs(it.segments) do
        local alt = segment.alt or -1
        lu.assertTrue(#segment.bytes > 0 and segment.address >= (at[alt] or 0), "not in order")
        at[alt] = segment.address + #segment.bytes + 1
        lu.assertTrue(at[alt] <= (1 << 32) + 1, "past 4 GiB")
      end
    elseif not errors.is(it) or it.code ~= "image" then
      lu.fail(("round %d: %s"):format(round, tostring(it)))
    end
  end
  os.remove(name)
  lu.assertTrue(images > 500 and images < 5500, "both happen: " .. images)
end

-- Lengths and counts that lie cost nothing: neither memory nor time.
function TestFuzz.test_lies_are_cheap()
  local before, clock = collectgarbage("count"), os.clock()
  for _, bytes in ipairs {
    fw.elf { { BASE, "x", memory = 0xFFFFFFF0 - BASE } },
    fw.elf({ { BASE, ("x"):rep(100000) } }, { section_count = 2000, section_offset = 116 }),
    fw.HEX_HIGH .. fw.hex(0, 0, "x") .. fw.hex(4, 0, "\xFF\xFF") .. fw.hex(0, 0xFFFF, "x")
      .. fw.HEX_END, -- nearly 4 GiB apart
    fw.suffixed(fw.dfuse_content({ { 0, { 0, "x" } } }, { elements = 0xFFFFFFFF }),
      { format = 0x011A }),
  } do
    pcall(fw.load, bytes)
    lu.assertTrue(collectgarbage("count") - before < 4096, "memory")
  end
  lu.assertTrue(os.clock() - clock < 10, "time") -- it is milliseconds; a loop would take for ever
end

-- ---- very many records ----

-- A file of n records of one byte; place(i) says where.
local function tiny_records(n, place)
  local lines, high = {}, nil
  for i = 0, n - 1 do
    local at = place(i)
    if at >> 16 ~= high then
      high = at >> 16
      lines[#lines + 1] = fw.hex(4, 0, (">I2"):pack(high))
    end
    local low, value = at & 0xFFFF, at * 7 & 0xFF
    lines[#lines + 1] = (":01%04X00%02X%02X\n"):format(low, value,
      -(1 + (low >> 8) + low + value) & 0xFF)
  end
  return table.concat(lines) .. fw.HEX_END
end

local function check_many(n, place, pieces)
  local it = fw.load(tiny_records(n, place))
  lu.assertEquals(it.size, n)
  lu.assertEquals(#it.segments, pieces)
  for _, i in ipairs { 0, 1, n // 2, n - 1 } do
    local at = place(i)
    lu.assertEquals(it:read(at, 1):byte(), at * 7 & 0xFF)
  end
end

local N = 100000 -- tests/bench.lua does a million

function TestMany.test_in_order()
  check_many(N, function(i) return BASE + i end, 1)
end

function TestMany.test_backwards()
  check_many(N, function(i) return BASE + N - i end, 1)
end

function TestMany.test_shuffled()
  check_many(N, function(i) return BASE + i * 7919 % N end, 1)
end

function TestMany.test_with_gaps()
  check_many(N // 4, function(i) return BASE + i * 3 end, N // 4)
end

-- Small records, each within one large one: a search among all of them would take minutes.
function TestMany.test_all_within_another()
  local small = tiny_records(20000, function(i) return BASE + i * 7919 % 20000 end)
  local large = {}
  for at = 0, 19999, 200 do
    local bytes = {}
    for i = 1, 200 do bytes[i] = string.char((BASE + at + i - 1) * 7 & 0xFF) end
    large[#large + 1] = fw.hex(0, at, table.concat(bytes))
  end
  local it = fw.load(fw.HEX_HIGH .. table.concat(large) .. small)
  lu.assertEquals(#it.segments, 1)
  lu.assertEquals(it.size, 20000)
end

-- Records that follow each other are read at one go. A blank at the end of each line prevents that:
-- the result, or the complaint, is the same.
local function outcome(module, text)
  local ok, list, entry = pcall(module.parse, "x", text)
  if not ok then return list.message end
  local parts = {}
  for i, segment in ipairs(list) do
    parts[i] = ("%X %s"):format(segment.address, segment.bytes)
  end
  return table.concat(parts, "|") .. tostring(entry)
end

function TestFuzz.test_joined_records()
  math.randomseed(11)
  local formats = {
    { require "moonflash.image.hex", fw.hex, { 0, 0, 0, 0, 4, 2, 1 }, 0xFFFF },
    { require "moonflash.image.srec", fw.srec, { 3, 3, 3, 2, 1, 5, 7 }, 0xFFFF },
  }
  local same, failed = 0, 0
  for round = 1, 4000 do
    local format = formats[round % 2 + 1]
    local lines, at = {}, math.random(0, 4) == 0 and 0xFFF0 or math.random(0, 0x4000)
    for i = 1, math.random(1, 12) do
      local kind = format[3][math.random(math.random(6) == 1 and 7 or 3)]
      local data = ("abcdefgh"):sub(1, math.random(0, 8))
      if kind == 4 or kind == 2 and round % 2 == 0 then data = "\8\0" end
      if kind == 1 and round % 2 == 0 or kind == 7 or kind == 5 then data = "" end
      lines[i] = format[2](kind, at & format[4], data)
      at = math.random(8) == 1 and math.random(0, 0xFFFF) or at + #data
    end
    if math.random(3) > 1 then lines[#lines + 1] = format[2](round % 2 == 0 and 1 or 7, 0, "") end
    local text = table.concat(lines)
    if math.random(4) == 1 then
      local where = math.random(#text)
      text = text:sub(1, where - 1) .. ("0F:S\n\r\x1A"):sub(math.random(7)):sub(1, 1)
        .. text:sub(where + 1)
    end
    local slowed = text:gsub("(%x)(\r?\n)", "%1 %2")
    local fast, slow = outcome(format[1], text), outcome(format[1], slowed)
    lu.assertEquals(fast, slow, text)
    if fast:find("^x") then failed = failed + 1 else same = same + 1 end
  end
  lu.assertTrue(same > 200 and failed > 200, same .. " read, " .. failed .. " refused")
end

-- A record of the other format belongs to no record, wherever it stands.
function TestFuzz.test_records_of_the_other_format()
  local hex, srec = require "moonflash.image.hex", require "moonflash.image.srec"
  local h, s = fw.hex(0, 0x10, "abcd"), fw.srec(1, 0x20, "efgh")
  for _, lines in ipairs { { h, s, h }, { s, h, s } } do
    local module, ended = hex, fw.HEX_END
    if lines[1] == s then module, ended = srec, fw.srec(7, 0, "") end
    local ok, err = pcall(module.parse, "x", table.concat(lines) .. ended)
    lu.assertFalse(ok)
    lu.assertStrContains(err.message, "x:2: ")
    lu.assertStrContains(err.message, "belongs to no record")
  end
end

return { TestFuzz = TestFuzz, TestMany = TestMany }

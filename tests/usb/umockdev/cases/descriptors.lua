-- SPDX-License-Identifier: MIT
-- Faults 18, 19 and 21 of the field: what hostile and careless devices say of themselves. The build
-- with sanitizers lists them and asks them for all they have; it must not crash, nor hang, nor
-- garble the terminal.
local rig = require "rig"

-- ---- descriptors ----

local DEVICE = ("<BBI2BBBBI2I2I2BBBB"):pack(18, 1, 0x0200, 0, 0, 0, 64, 0x0483, 0xDF11, 0x2200,
  1, 2, 3, 1)

local function interface(options)
  return ("<BBBBBBBBB"):pack(9, 4, options.number or 0, options.alt or 0, options.endpoints or 0,
    options.class or 0xFE, options.subclass or 1, options.protocol or 2, options.name or 4)
end

local function functional(transfer_size, version)
  return ("<BBBI2I2I2"):pack(9, 0x21, 0x0B, 255, transfer_size or 2048, version or 0x011A)
end

local function config(body, options)
  options = options or {}
  return ("<BBI2BBBBB"):pack(9, 2, options.total or 9 + #body, options.interfaces or 1, 1, 0, 0xC0,
    50) .. body
end

-- A configuration behind the first.
local function second(body)
  local bytes = config(body)
  return bytes:sub(1, 5) .. "\2" .. bytes:sub(7)
end

local function alts(n)
  local list = {}
  for i = 0, n - 1 do list[#list + 1] = interface { alt = i, name = 4 + i % 4 } end
  return table.concat(list)
end

local HID = ("<BBI2BBBI2"):pack(9, 0x21, 0x0111, 0, 1, 0x22, 63)

-- ---- what is done with such a device ----

-- Exit statuses that tell of a device at fault, or of none.
local FINE = { [0] = true, [69] = true, [74] = true, [76] = true, [82] = true }

local function look_at(name, options)
  options.state = 2
  local board <close> = rig.board(options)
  local list = rig.sanitized("list")
  rig.equal(list.status, 0, name .. ": list")
  local _, lines = list.out:gsub("\n", "")
  rig.check(lines <= 2, "%s: a board has %d lines: %s", name, lines - 1, list.out)
  local json = rig.sanitized("--json", "list")
  rig.equal(json.status, 0, name .. ": list, as JSON")
  rig.check(json.result, "%s: no JSON: %s", name, json.out)
  local info = rig.sanitized("info")
  rig.check(FINE[info.status], "%s: info: status %s: %s", name, info.status or "none", info.err)
  return json.result and json.result.data and json.result.data[1], info, board
end

local function look_at_all(rows)
  for _, row in ipairs(rows) do
    if rig.mine() then
      local found = look_at(row[1], { config = row[2], device = row[3] })
      if row.absent then
        rig.check(not found, "%s: it is listed", row[1])
      else
        rig.check(found and found.mode == (row.mode or "dfu"), "%s: it is not listed", row[1])
        rig.equal(found and #found.alts, row.alts or 1, row[1] .. ": alternate settings")
      end
    end
  end
end

rig.spread_case("19 malformed configurations", function()
  local one = interface {} .. functional()
  look_at_all {
    { "endpoints that are announced and missing", config(interface { endpoints = 3 }
      .. functional()) },
    { "255 endpoints", config(interface { endpoints = 255 } .. functional()) },
    { "endpoints without an interface", config(("\7\5\1\2\64\0\0"):rep(20) .. one) },
    { "an endpoint of 2 bytes", config(interface { endpoints = 1 } .. "\2\5" .. functional()) },
    { "255 interfaces", config(one, { interfaces = 255 }) },
    { "no interfaces", config(one, { interfaces = 0 }) },
    { "interface number 255", config(interface { number = 255 } .. functional()) },
    { "interface numbers that leap", config(interface { number = 40, class = 3 }
      .. interface { number = 0 } .. functional()) },
    { "an association that is cut off", config("\8\11\0" .. one), absent = true },
    { "an association of no interfaces", config("\8\11\0\0\254\1\2\0" .. one) },
    { "an association of 255 interfaces", config("\8\11\0\255\254\1\2\0" .. one) },
    { "an association of 2 bytes", config("\2\11" .. one) },
    { "a length of 0 between", config(interface {} .. "\0\0" .. functional()) },
    { "a length of 1 between", config(interface {} .. "\1" .. functional()) },
    { "a length past the end", config(interface {} .. functional() .. "\200\4\1") },
    { "an interface of 2 bytes", config("\2\4" .. one) },
    { "an interface of 255 bytes", config("\255\4" .. one), absent = true },
    { "a total length of 0", config(one, { total = 0 }), absent = true },
    { "a total length of 9", config(one, { total = 9 }), absent = true },
    { "a total length of 65535", config(one, { total = 65535 }) },
    { "a total length in the middle", config(one, { total = 20 }) },
    { "a configuration alone", config(""), absent = true },
    { "a configuration that is none", ("\255"):rep(300), absent = true },
    { "no configuration", "", absent = true },
    { "half a configuration", config(one):sub(1, 5), absent = true },
    { "65535 bytes of junk behind", config(one .. ("\2\255"):rep(32000)) },
    { "a device descriptor cut off", config(one), DEVICE:sub(1, 10), absent = true },
    { "a device of no length", config(one), "\0" .. DEVICE:sub(2), absent = true },
  }
end)

rig.case("DFU in the second configuration", function()
  local board <close> = rig.board {
    config = config(interface { class = 3 } .. HID) .. second(alts(4) .. functional()), state = 2 }
  local image = rig.write_file("second.bin", ("second"):rep(500))
  local r = rig.moonflash("--json", "flash", image .. "@0x08004000")
  rig.equal(r.status, 0, "flash: " .. r.err)
  rig.check(board:peek(0x08004000, 3000) == ("second"):rep(500), "the flash is wrong")
end)

rig.case("19 255 alternate settings", function()
  local found = look_at("255", { config = config(alts(255) .. functional()) })
  rig.equal(found and #found.alts, 255, "alternate settings")
  found = look_at("400", { config = config(alts(255) .. alts(145) .. functional()) })
  rig.equal(found and #found.alts, 255, "alternate settings")
end)

-- Bytes of a good board's descriptors changed at random: the same ones each time.
rig.spread_case("19 junk in descriptors", function()
  local seed = 1
  local function random(n)
    seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
    return (seed >> 8) % n
  end
  local good = config(alts(4) .. functional())
  for i = 1, 24 do
    local bytes = good
    for _ = 1, 1 + random(6) do
      local at = random(#bytes)
      bytes = bytes:sub(1, at) .. string.char(random(256)) .. bytes:sub(at + 2)
    end
    if rig.mine() then look_at("junk " .. i, { config = bytes }) end
  end
end)

rig.spread_case("18 functional descriptor missing, short, or among a HID's", function()
  local mouse = interface { number = 1, class = 3, subclass = 1, protocol = 2 } .. HID
  look_at_all {
    { "missing", config(interface {}) },
    { "of 7 bytes", config(interface {} .. "\7" .. functional():sub(2, 7)) },
    { "of 2 bytes", config(interface {} .. "\2\33") },
    { "of 255 bytes", config(interface {} .. "\255" .. functional():sub(2)) },
    { "behind a HID's", config(mouse .. interface {} .. functional()) },
    { "before a HID's", config(interface {} .. functional() .. mouse) },
    { "a HID's only", config(mouse), absent = true },
    { "before its interface", config(functional() .. interface {}) },
  }
end)

-- These boards lie: all of them count in blocks of 2048 bytes. What passes must be true all the
-- same, and what fails must do so soon.
for _, size in ipairs { 0, 1, 7, 4097, 65535 } do
  rig.case("18 wTransferSize " .. size, function()
    local options = { config = config(interface {} .. functional(size)) }
    local _, info = look_at("wTransferSize", options)
    rig.equal(info.status, 0, "info")
    local board <close> = rig.board(options)
    local image = rig.write_file("small.bin", rig.F407.bytes:sub(1, 160))
    local r = rig.moonflash("--json", "flash", image)
    rig.check(r.status ~= 0 or board:peek(rig.FLASH, 160) == rig.F407.bytes:sub(1, 160),
      "flash passed, and the flash is wrong")
    local why = rig.inconsistent(r)
    if why then rig.complain("flash: %s", why) end
    rig.moonflash("--json", "read", rig.place .. "/size.bin", "--length", "70000")
    os.remove(rig.place .. "/size.bin")
  end)
end

-- Blocks that are spread out over twice their room are read back from where they were put.
for _, size in ipairs { 512, 1024 } do
  rig.case(("18 wTransferSize %d of a board that counts in 2048"):format(size), function()
    local board <close> = rig.board { config = config(interface {} .. functional(size)) }
    local r = rig.moonflash("--json", "flash", rig.F407.image)
    rig.equal(r.status, 79, "flash: " .. r.err)
    rig.check(size ~= 1024 or r.err:find("the transfer size of 1024 bytes"), "flash: %s", r.err)
    local why = rig.inconsistent(r)
    if why then rig.complain("flash: %s", why) end
    board:poke(rig.FLASH, rig.F407.new)
    local file = rig.place .. "/size.bin"
    rig.equal(rig.moonflash("read", file, "--length", "5000").status, 79, "read")
    rig.equal(rig.read_file(file), nil, "the file")
  end)
end

-- A board whose transfer size is not known gets Set Address before every block.
local uncounted = { ["wTransferSize 0"] = functional(0), ["no functional descriptor"] = "" }
for name, bytes in pairs(uncounted) do
  rig.case("18 " .. name .. ": what is written and read is where it should be", function()
    local board <close> = rig.board { config = config(interface {} .. bytes) }
    local r = rig.moonflash("--json", "flash", rig.F407.image)
    rig.equal(r.status, 0, "flash: " .. r.err)
    rig.check(board:peek(rig.FLASH, rig.F407.size) == rig.F407.new, "the flash is wrong")
    local file = rig.place .. "/size.bin"
    r = rig.moonflash("--json", "read", file, "--length", "300")
    rig.equal(r.status, 0, "read: " .. r.err)
    rig.check(rig.read_file(file) == board:peek(rig.FLASH, 300), "what was read is wrong")
    os.remove(file)
  end)
end

-- ---- strings ----

local function utf16(text)
  return (text:gsub(utf8.charpattern, function(c)
    local code = utf8.codepoint(c)
    return code < 0x10000 and ("<I2"):pack(code)
      or ("<I2I2"):pack(0xD7C0 + (code >> 10), 0xDC00 | code & 0x3FF)
  end))
end

local function string_descriptor(body, length)
  return string.char(length or #body + 2) .. "\3" .. body
end

local LAYOUT = string_descriptor(utf16("@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg"))

-- Each takes the place of product, serial number and memory layout in turn.
local STRINGS = {
  { "stalled", false },
  { "nothing", "" },
  { "one byte", "\4" },
  { "two bytes", "\2\3" },
  { "of a wrong type", "\8\4a\0b\0c\0" },
  { "length 0", "\0\3a\0b\0" },
  { "longer than announced", string_descriptor(utf16("abcdefgh"), 6) },
  { "shorter than announced", string_descriptor(utf16("abc"), 200) },
  { "odd length", string_descriptor(utf16("abc") .. "d") },
  { "ASCII", string_descriptor("3CBJ") },
  { "255 bytes of ASCII", "\255\3" .. ("x"):rep(253) },
  { "control characters", string_descriptor(utf16("a\27[31mb\rc\nd\7e\0f")) },
  { "control characters in ASCII", "\20\3\27[2J\27]0;title\7\n\r" },
  { "C1, line separators and directions", string_descriptor(utf16(
    "\u{9B}31m\u{2028}\u{2029}\u{202E}\u{2066}x")) },
  { "half a surrogate pair", string_descriptor("\0\xD8a\0\0\xDCb\0\xFF\xDF") },
  { "half a pair at the end", string_descriptor("a\0\x3D\xD8") },
  { "no characters at all", string_descriptor("\xFF\xFF\xFE\xFF\xEF\xFD") },
  { "JSON's own", string_descriptor(utf16("\"}]\\\n{\"event\":\"result\"}")) },
  { "a format", string_descriptor(utf16("%s%n%d%99999s")) },
  { "126 emoji and more", "\255\3" .. utf16(("\u{1F600}"):rep(63)) .. "x" },
}

rig.spread_case("21 product and serial number that are hostile", function()
  for _, row in ipairs(STRINGS) do
    if rig.mine() then
      local found, info = look_at(row[1], { strings = { [2] = row[2], [3] = row[2] },
        config = config(interface {} .. functional()), device = DEVICE })
      rig.check(found, "%s: it is not listed", row[1])
      rig.equal(info.status, 0, row[1] .. ": info")
    end
  end
end)

rig.spread_case("21 memory layouts and languages that are hostile", function()
  for _, row in ipairs(STRINGS) do
    if rig.mine() then
      look_at(row[1], { strings = { [0] = row[2], [4] = row[2] } })
      -- what can't be read can't be flashed, and is said so before anything is touched
      local board <close> = rig.board { strings = { [4] = row[2] } }
      local r = rig.sanitized("--json", "flash", rig.F407.image)
      rig.equal(r.status, 76, row[1] .. ": flash")
      rig.equal(r.result.code, "dfu.outside", row[1])
      rig.has(r.err, "the board does not report its memory layout", row[1])
      rig.has(r.err, "Reconnect the board", row[1])
      rig.check(board:peek(rig.FLASH, rig.F407.size) == rig.F407.old, "%s: it is touched", row[1])
    end
  end
end)

rig.case("21 the string with the layout stalls once", function()
  local board <close> = rig.board()
  rig.equal(rig.moonflash("list").status, 0, "list")
  for at, e in ipairs(board:log()) do
    if e.value == 0x0304 then
      board:begin()
      board:strike("stall", at)
      break
    end
  end
  local r = rig.moonflash("--json", "flash", rig.F407.image)
  rig.equal(r.status, 0, "flash: " .. r.err)
end)

rig.case("21 DfuSe is told by the layout alone, which stalls", function()
  local board <close> = rig.board {
    strings = { [4] = false },
    config = config(interface {} .. "\7" .. functional():sub(2, 7)),
  }
  local image = rig.write_file("erase.bin", "\x41") -- as plain DFU it would be "erase everything"
  local r = rig.moonflash("--json", "flash", image)
  rig.equal(r.status, 74, "flash: " .. r.err)
  rig.check(board:peek(rig.FLASH, rig.F407.size) == rig.F407.old, "the flash is touched")
end)

rig.case("21 a layout behind which there is junk", function()
  local board <close> = rig.board {
    strings = { [4] = LAYOUT .. "\xFF\xFF\0\xD8\27\0" },
    config = config(interface {} .. functional()),
  }
  local r = rig.sanitized("--json", "flash", rig.F407.image)
  rig.equal(r.status, 0, "flash: " .. r.err)
  rig.check(board:peek(rig.FLASH, rig.F407.size) == rig.F407.new, "the flash is wrong")
end)

rig.case("21 every string stalls", function()
  local strings = {}
  for i = 0, 255 do strings[i] = false end
  local found, info = look_at("all", { strings = strings })
  rig.check(found, "it is not listed")
  rig.equal(info.status, 0, "info")
end)

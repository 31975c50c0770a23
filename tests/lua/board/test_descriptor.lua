-- SPDX-License-Identifier: MIT
-- Tests descriptor.lua: the F407 Discovery's descriptors, boards with quirks, and lies.

local lu = require "luaunit"
local descriptor = require "moonflash.board.descriptor"

--- Bytes from hexadecimal digits.
local function hex(digits)
  return (digits:gsub("%s+", ""):gsub("..", function(two)
    return string.char(tonumber(two, 16))
  end))
end

--- A configuration around what stands in it, its lengths right.
local function configuration(body, interfaces)
  return string.pack("<BBI2BBBBB", 9, 2, 9 + #body, interfaces or 1, 1, 0, 0xC0, 50) .. body
end

local function interface(number, alt, class, subclass, protocol, name)
  return string.char(9, 4, number, alt, 0, class, subclass, protocol, name or 0)
end

--- A string descriptor around its bytes.
local function around(body)
  return string.char(#body + 2, 3) .. body
end

local function utf16(...)
  return around(string.pack("<" .. ("I2"):rep(select("#", ...)), ...))
end

--- A string descriptor of ASCII text, in UTF-16 as it should be.
local function latin(text)
  return utf16(text:byte(1, -1))
end

local function functional(bits, size, version)
  return string.pack("<BBBI2I2I2", 9, 0x21, bits, 255, size, version)
end

local FUNCTIONAL = hex "09 21 0B FF 00 00 08 1A 01"
local SHORT = hex "07 21 0B FF 00 00 08"
local DEVICE = hex "12 01 00 01 00 00 00 40 83 04 11 DF 00 21 01 02 03 01"
local CONFIG = configuration(
  interface(0, 0, 0xFE, 1, 2, 4) .. interface(0, 1, 0xFE, 1, 2, 5)
  .. interface(0, 2, 0xFE, 1, 2, 6) .. interface(0, 3, 0xFE, 1, 2, 7) .. FUNCTIONAL)
local ST = { vid = 0x0483, pid = 0xDF11 }

local function dfu(...)
  return descriptor.dfu(configuration(table.concat { ... }), ST)
end

local TestDescriptor = {}

function TestDescriptor.test_discovery_device()
  lu.assertEquals(descriptor.device(DEVICE), {
    vid = 0x0483, pid = 0xDF11, version = 0x2100, bcd_usb = 0x0100,
    manufacturer = 1, product = 2, serial = 3,
  })
end

function TestDescriptor.test_discovery_config()
  lu.assertEquals(#CONFIG, 54)
  local config = descriptor.config(CONFIG)
  lu.assertEquals(config.value, 1)
  lu.assertEquals(config.announced, 1)
  lu.assertEquals(#config.interfaces, 4)
  lu.assertEquals(config.interfaces[1],
    { number = 0, alt = 0, class = 0xFE, subclass = 1, protocol = 2, name = 4 })
  lu.assertEquals(config.interfaces[4], {
    number = 0, alt = 3, class = 0xFE, subclass = 1, protocol = 2, name = 7,
    functional = FUNCTIONAL,
  })
end

function TestDescriptor.test_discovery_dfu()
  local expected = {
    configuration = 1, interface = 0,
    mode = "dfu",
    alts = {
      { number = 0, name = 4 }, { number = 1, name = 5 },
      { number = 2, name = 6 }, { number = 3, name = 7 },
    },
    functional = true,
    transfer_size = 2048,
    attributes = { can_download = true, can_upload = true, tolerant = false, will_detach = true },
    detach_timeout = 0.255,
    dfu_version = 0x011A,
    dfuse = true,
  }
  lu.assertEquals(descriptor.dfu(CONFIG, ST), expected)
  lu.assertEquals(descriptor.dfu(CONFIG, descriptor.device(DEVICE)), expected)
  lu.assertEquals(descriptor.dfu(CONFIG), expected)
end

function TestDescriptor.test_attributes()
  for bits, names in pairs {
    [0x00] = {}, [0x01] = { can_download = true }, [0x02] = { can_upload = true },
    [0x04] = { tolerant = true }, [0x08] = { will_detach = true }, [0xF0] = {},
  } do
    local found = dfu(interface(0, 0, 0xFE, 1, 2), functional(bits, 64, 0x0110))
    for _, name in ipairs { "can_download", "can_upload", "tolerant", "will_detach" } do
      lu.assertEquals(found.attributes[name], names[name] or false, name)
    end
    lu.assertFalse(found.dfuse)
    lu.assertEquals(found.dfu_version, 0x0110)
  end
end

function TestDescriptor.test_functional_of_7_bytes()
  local found = dfu(interface(0, 0, 0xFE, 1, 2), SHORT)
  lu.assertTrue(found.functional)
  lu.assertEquals(found.transfer_size, 2048)
  lu.assertEquals(found.dfu_version, 0x0100)
  lu.assertFalse(found.dfuse)
  lu.assertEquals(dfu(interface(0, 0, 0xFE, 1, 2), hex "08 21 0B FF 00 00 08 1A"), found)
end

function TestDescriptor.test_functional_missing()
  local found = dfu(interface(0, 0, 0xFE, 1, 2, 4))
  lu.assertEquals(found, {
    configuration = 1, interface = 0, mode = "dfu", alts = { { number = 0, name = 4 } },
    functional = false,
    attributes = { can_download = true, can_upload = true, tolerant = false, will_detach = false },
    detach_timeout = 1.0, dfu_version = 0x0100, dfuse = false,
  })
  -- Shorter than any is as good as none.
  for _, short in ipairs { "02 21", "03 21 00", "06 21 00 FF 00 00" } do
    lu.assertEquals(dfu(interface(0, 0, 0xFE, 1, 2, 4), hex(short)), found)
  end
end

function TestDescriptor.test_functional_is_longer()
  local found = dfu(interface(0, 0, 0xFE, 1, 2), hex "0B 21 0B FF 00 00 08 1A 01 FF FF",
    interface(0, 1, 0xFE, 1, 2))
  lu.assertTrue(found.dfuse)
  lu.assertEquals(#found.alts, 2)
end

function TestDescriptor.test_transfer_size()
  for size, expected in pairs { [0] = 0, [1] = 1, [64] = 64, [65535] = 65535 } do
    local found = dfu(interface(0, 0, 0xFE, 1, 2), functional(3, size, 0x0110))
    lu.assertEquals(found.transfer_size or 0, expected)
    lu.assertTrue(found.functional)
  end
end

function TestDescriptor.test_first_functional_counts()
  local other = hex "09 21 03 00 00 40 00 10 01"
  local found = dfu(interface(0, 0, 0xFE, 1, 2), FUNCTIONAL, other,
    interface(0, 1, 0xFE, 1, 2), other)
  lu.assertEquals(found.transfer_size, 2048)
  -- Each interface has its own.
  found = dfu(interface(0, 0, 0xFE, 1, 1), other, interface(1, 0, 0xFE, 1, 2), FUNCTIONAL)
  lu.assertEquals(found.interface, 1)
  lu.assertEquals(found.transfer_size, 2048)
end

function TestDescriptor.test_hid_has_a_0x21_too()
  local hid = hex "09 21 11 01 00 01 22 41 00"
  -- A keyboard only.
  lu.assertNil(dfu(interface(0, 0, 3, 1, 1), hid))
  -- A keyboard before and behind run-time DFU, which has none of its own.
  local found = dfu(interface(0, 0, 3, 1, 1), hid, interface(1, 0, 0xFE, 1, 1),
    interface(2, 0, 3, 1, 1), hid)
  lu.assertEquals(found.interface, 1)
  lu.assertEquals(found.mode, "runtime")
  lu.assertFalse(found.functional)
  -- The same, but it has one.
  found = dfu(interface(0, 0, 3, 1, 1), hid, interface(1, 0, 0xFE, 1, 1), FUNCTIONAL)
  lu.assertEquals(found.transfer_size, 2048)
  -- Another class shares the interface number.
  found = dfu(interface(0, 0, 3, 1, 1), hid, interface(0, 1, 0xFE, 1, 2))
  lu.assertFalse(found.functional)
  -- Before any interface, and behind one that is too short to be read.
  lu.assertFalse(dfu(FUNCTIONAL, interface(0, 0, 0xFE, 1, 2)).functional)
  lu.assertFalse(dfu(interface(0, 0, 0xFE, 1, 2), hex "05 04 01 00 00", hid).functional)
  -- Application-specific, but not DFU: IrDA and test-and-measurement.
  lu.assertNil(dfu(interface(0, 0, 0xFE, 2, 2), FUNCTIONAL))
  lu.assertNil(dfu(interface(0, 0, 0xFE, 3, 1), FUNCTIONAL))
end

function TestDescriptor.test_other_descriptors_between()
  local found = dfu(hex "08 0B 00 02 FE 01 02 00", interface(0, 0, 0xFE, 1, 2),
    hex "07 05 81 02 40 00 00", hex "02 FF", FUNCTIONAL)
  lu.assertEquals(found.transfer_size, 2048)
end

function TestDescriptor.test_modes()
  local plain = hex "09 21 0B FF 00 00 08 10 01"
  local function mode(protocol, facts, vid, pid, interfaces)
    local config = configuration(interface(0, 0, 0xFE, 1, protocol) .. facts, interfaces)
    local found = descriptor.dfu(config, { vid = vid, pid = pid })
    return found and found.mode
  end
  lu.assertEquals(mode(2, plain, 1, 1), "dfu")
  lu.assertEquals(mode(1, plain, 1, 1), "runtime")
  lu.assertEquals(mode(1, FUNCTIONAL, 1, 1), "runtime")
  lu.assertEquals(mode(0, plain, 1, 1), "runtime")
  lu.assertNil(mode(3, plain, 1, 1))
  lu.assertNil(mode(255, FUNCTIONAL, 1, 1))
  -- DSO Nano: DfuSe with protocol 0.
  lu.assertEquals(mode(0, FUNCTIONAL, 0x0483, 0xDF11), "dfu")
  -- LPC, and its neighbours.
  lu.assertEquals(mode(1, plain, 0x1FC9, 0x000C), "dfu")
  lu.assertEquals(mode(1, plain, 0x1FC9, 0x000D), "runtime")
  lu.assertEquals(mode(1, plain, 0x1FC8, 0x000C), "runtime")
  -- Jabra: when DFU is the only interface.
  lu.assertEquals(mode(0, plain, 0x0B0E, 0x1234), "dfu")
  lu.assertEquals(mode(0, plain, 0x0B0E, 0x1234, 2), "runtime")
  lu.assertEquals(mode(1, plain, 0x0B0E, 0x1234), "runtime")
  -- Without a device there are no exceptions.
  lu.assertEquals(descriptor.dfu(configuration(interface(0, 0, 0xFE, 1, 1))).mode, "runtime")
end

function TestDescriptor.test_dfu_mode_is_preferred()
  local found = dfu(interface(3, 0, 0xFE, 1, 1, 9), FUNCTIONAL, interface(5, 2, 0xFE, 1, 2, 8),
    interface(5, 7, 0xFE, 1, 2, 0), SHORT, interface(6, 0, 0xFE, 1, 2, 1),
    interface(3, 1, 0xFE, 1, 1))
  lu.assertEquals(found.interface, 5)
  lu.assertEquals(found.mode, "dfu")
  lu.assertEquals(found.alts, { { number = 2, name = 8 }, { number = 7, name = 0 } })
  lu.assertEquals(found.dfu_version, 0x0100)
end

-- A configuration with another number, as it stands behind the first.
local function numbered(value, body)
  local bytes = configuration(body)
  return bytes:sub(1, 5) .. string.char(value) .. bytes:sub(7)
end

function TestDescriptor.test_several_configurations()
  local mouse = interface(0, 0, 3, 1, 2)
  local running, waiting = interface(1, 0, 0xFE, 1, 1), interface(0, 0, 0xFE, 1, 2)
  local function found(active, ...)
    local d = descriptor.dfu(table.concat { ... }, ST, active)
    return d and { d.configuration, d.mode }
  end
  lu.assertEquals(found(1, numbered(1, mouse), numbered(2, waiting .. FUNCTIONAL)), { 2, "dfu" })
  lu.assertEquals(found(1, numbered(1, running .. FUNCTIONAL), numbered(3, waiting .. FUNCTIONAL)),
    { 3, "dfu" })
  local both = numbered(1, waiting .. FUNCTIONAL) .. numbered(2, waiting .. FUNCTIONAL)
  lu.assertEquals(found(2, both), { 2, "dfu" })
  lu.assertEquals(found(0, both), { 1, "dfu" })
  lu.assertNil(found(1, numbered(1, mouse), numbered(2, mouse)))
  -- Linux cuts off what it can't read, and leaves the total length as it was sent
  local cut = mouse .. "\200\4\1"
  local lies = numbered(1, cut):sub(1, 2) .. "\100\0" .. numbered(1, mouse):sub(5)
  lu.assertEquals(found(1, lies, numbered(2, waiting .. FUNCTIONAL)), { 2, "dfu" })
  for length = 0, #both do descriptor.dfu(both:sub(1, length), ST, 1) end
end

function TestDescriptor.test_swapped_version()
  local found = dfu(interface(0, 0, 0xFE, 1, 2), hex "09 21 0B FF 00 00 08 01 1A")
  lu.assertTrue(found.dfuse)
  lu.assertEquals(found.dfu_version, 0x1A01)
end

function TestDescriptor.test_255_alts()
  local body = {}
  for alt = 0, 254 do
    body[#body + 1] = interface(0, alt, 0xFE, 1, 2, 4)
  end
  local found = dfu(table.concat(body), FUNCTIONAL)
  lu.assertEquals(#found.alts, 255)
  lu.assertEquals(found.alts[255].number, 254)
  lu.assertEquals(found.transfer_size, 2048)
  -- One more is not taken; the same again counts once.
  lu.assertEquals(#dfu(table.concat(body), interface(0, 255, 0xFE, 1, 2), FUNCTIONAL).alts, 255)
  lu.assertEquals(#dfu(table.concat(body), table.concat(body), FUNCTIONAL).alts, 255)
  lu.assertEquals(dfu(interface(0, 0, 0xFE, 1, 2, 4), interface(0, 0, 0xFE, 1, 2, 5)).alts,
    { { number = 0, name = 4 } })
end

function TestDescriptor.test_as_many_as_fit()
  local body = interface(0, 0, 0xFE, 1, 2):rep(7280)
  lu.assertEquals(#descriptor.config(configuration(body)).interfaces, 7280)
  lu.assertEquals(#descriptor.dfu(configuration(body)).alts, 1)
end

function TestDescriptor.test_no_dfu()
  local found, reason = dfu(interface(0, 0, 8, 6, 0x50))
  lu.assertNil(found)
  lu.assertEquals(reason, "no DFU interface")
  lu.assertNil(dfu())
  found, reason = descriptor.dfu("")
  lu.assertNil(found)
  lu.assertEquals(reason, "configuration descriptor too short")
end

function TestDescriptor.test_truncated_everywhere()
  for length = 0, 17 do
    local device, reason = descriptor.device(DEVICE:sub(1, length))
    lu.assertNil(device)
    lu.assertIsString(reason)
  end
  lu.assertNotNil(descriptor.device(DEVICE .. "more"))
  for length = 0, #CONFIG do
    local config, reason = descriptor.config(CONFIG:sub(1, length))
    if length < 9 then
      lu.assertNil(config)
      lu.assertIsString(reason)
    else
      lu.assertEquals(#config.interfaces, math.min((length - 9) // 9, 4), length)
    end
    local found = descriptor.dfu(CONFIG:sub(1, length), ST)
    lu.assertEquals(found and #found.alts or 0, math.max(0, math.min((length - 9) // 9, 4)), length)
    lu.assertEquals(found and found.functional or false, length == #CONFIG)
  end
end

function TestDescriptor.test_wrong_kinds()
  lu.assertNil(descriptor.device(("\0"):rep(64)))
  lu.assertNil(descriptor.device(("\xFF"):rep(64)))
  lu.assertNil(descriptor.device("\x11" .. DEVICE:sub(2)))
  lu.assertNil(descriptor.device(CONFIG))
  lu.assertNil(descriptor.config(DEVICE))
  lu.assertNil(descriptor.config("\x08" .. CONFIG:sub(2)))
  lu.assertNil(descriptor.config(("\0"):rep(64)))
  lu.assertEquals(descriptor.config(("\2"):rep(8) .. "\0"), nil)
end

function TestDescriptor.test_lengths_that_lie()
  local function interfaces(bytes) return #descriptor.config(bytes).interfaces end
  -- The total: shorter, longer, nothing.
  lu.assertEquals(interfaces(CONFIG:sub(1, 2) .. "\27\0" .. CONFIG:sub(5)), 2)
  lu.assertEquals(interfaces(CONFIG:sub(1, 2) .. "\xFF\xFF" .. CONFIG:sub(5)), 4)
  lu.assertEquals(interfaces(CONFIG:sub(1, 2) .. "\0\0" .. CONFIG:sub(5)), 0)
  -- What lies behind the announced total is not looked at.
  lu.assertEquals(interfaces(CONFIG .. interface(1, 0, 0xFE, 1, 2)), 4)
  -- The configuration's own: a longer one is stepped over, one past the end ends all.
  lu.assertEquals(interfaces("\18" .. CONFIG:sub(2)), 3)
  lu.assertEquals(interfaces("\xFF" .. CONFIG:sub(2)), 0)
  -- An entry of length 0 or 1 would never end; one past the end has not come.
  for _, length in ipairs { "\0", "\1", "\xFF" } do
    lu.assertEquals(interfaces(CONFIG:sub(1, 18) .. length .. CONFIG:sub(20)), 1)
  end
  lu.assertEquals(interfaces(configuration(("\0"):rep(60000))), 0)
  lu.assertEquals(interfaces(configuration("\2\4\8\4" .. ("\0"):rep(6))), 0)
  -- A huge number of interfaces is only a number.
  lu.assertEquals(descriptor.config(configuration(interface(0, 0, 3, 0, 0), 255)).announced, 255)
end

function TestDescriptor.test_strings()
  lu.assertEquals(descriptor.string(latin "STM32  BOOTLOADER"), "STM32  BOOTLOADER")
  lu.assertEquals(descriptor.string(latin "@Internal Flash  /0x08000000/04*016Kg"),
    "@Internal Flash  /0x08000000/04*016Kg")
  lu.assertEquals(descriptor.string(latin "  blanks stay  "), "  blanks stay  ")
  lu.assertEquals(descriptor.string(latin "A"), "A")
  lu.assertEquals(descriptor.string(latin "AB"), "AB")
  lu.assertEquals(descriptor.string("\2\3"), "")
  lu.assertEquals(descriptor.string(latin(("x"):rep(126))), ("x"):rep(126))
end

-- As Linux has them in sysfs: UTF-8, a newline behind, and else as the device sent them.
function TestDescriptor.test_strings_of_the_system()
  lu.assertEquals(descriptor.system_string("STM32  BOOTLOADER\n"), "STM32  BOOTLOADER")
  lu.assertEquals(descriptor.system_string("B\u{FC}\u{1F600}\n"), "B\u{FC}\u{1F600}")
  lu.assertEquals(descriptor.system_string("\u{4333}\u{4A42}\n"), "3CBJ") -- a GD32's ASCII
  lu.assertEquals(descriptor.system_string("a\27[2J\nb\u{9B}\u{202E}c\n"), "a?[2J?b??c")
  lu.assertEquals(descriptor.system_string("a\xFF\27b\n"), "a??b")
  lu.assertEquals(descriptor.system_string("\n"), "")
  lu.assertEquals(descriptor.system_string(("\u{20AC}"):rep(170)), ("\u{20AC}"):rep(126))
end

function TestDescriptor.test_strings_beyond_ascii()
  lu.assertEquals(descriptor.string(utf16(0x42, 0xFC, 0x20AC, 0xD83D, 0xDE00)),
    "B\u{FC}\u{20AC}\u{1F600}")
  -- Surrogates without their other half, or the wrong way round.
  lu.assertEquals(descriptor.string(utf16(0x41, 0xD83D)), "A?")
  lu.assertEquals(descriptor.string(utf16(0xD83D, 0x41)), "?A")
  lu.assertEquals(descriptor.string(utf16(0xDE00, 0xD83D, 0x41)), "??A")
  lu.assertEquals(descriptor.string(utf16(0xD83D, 0xD83D, 0xDE00)), "?\u{1F600}")
  lu.assertEquals(descriptor.string(utf16(0xDBFF, 0xDFFF, 0x41)), "\u{10FFFF}A")
end

function TestDescriptor.test_strings_with_wrong_lengths()
  -- STM32F427: more announced than sent.
  lu.assertEquals(descriptor.string("\xFF" .. latin("Flash"):sub(2)), "Flash")
  lu.assertEquals(descriptor.string("\6" .. latin("Flash"):sub(2)), "Fl")
  lu.assertEquals(descriptor.string("\7" .. latin("Flash"):sub(2)), "Fl")
  lu.assertEquals(descriptor.string(latin("Flash"):sub(1, -2)), "Flas")
  lu.assertEquals(descriptor.string(latin("Flash") .. "junk"), "Flash")
  for _, bytes in ipairs { "", "\2", "\0\3", "\1\3", "\4\2A\0", "\0\0\0\0", "\xFF\xFF" } do
    local text, reason = descriptor.string(bytes)
    lu.assertNil(text)
    lu.assertIsString(reason)
  end
end

function TestDescriptor.test_strings_with_junk()
  lu.assertEquals(descriptor.string(utf16(0x41, 0x42, 0, 0x43, 0xD800)), "AB")
  lu.assertEquals(descriptor.string(utf16(0, 0x43)), "")
  lu.assertEquals(descriptor.string(utf16(0x41, 0x1B, 0x5B, 0x0A, 0x7F, 0x9B, 0x42)), "A?[???B")
end

function TestDescriptor.test_strings_in_ascii()
  lu.assertEquals(descriptor.string(around "3CBJ"), "3CBJ")
  lu.assertEquals(descriptor.string(around "5C8GNGN"), "5C8GNGN")
  lu.assertEquals(descriptor.string(around "3CBJ\0\0"), "3CBJ")
  lu.assertEquals(descriptor.string("\xFF\3" .. "3CBJ"), "3CBJ")
  lu.assertEquals(descriptor.string(around(("x"):rep(253))), ("x"):rep(253))
  -- Chinese in UTF-16, whose bytes are not all printable.
  lu.assertEquals(descriptor.string(utf16(0x4E2D, 0x56FD)), "\u{4E2D}\u{56FD}")
end

function TestDescriptor.test_clean()
  for dirty, expected in pairs {
    [""] = "",
    ["plain ~"] = "plain ~",
    ["a\0b\27[31mc\127d\r\n\t"] = "a?b?[31mc?d???",
    ["\u{80}\u{9B}\u{9F}\u{A0}\u{FC}"] = "???\u{A0}\u{FC}",
    ["\xFF\xFE"] = "??",
    ["a\xC3"] = "a?",
    ["a\xC3b"] = "a?b",
    ["\x80\x80x"] = "??x",
    ["\xC0\x80"] = "??",                                -- NUL, longer than need be
    ["\xED\xA0\x80"] = "???",                           -- a surrogate
    ["\xF4\x90\x80\x80"] = "????",                      -- past U+10FFFF
    ["\u{202E}txt\u{2028}\u{2066}x\u{2013}"] = "?txt??x\u{2013}",
    ["\u{10FFFF}"] = "\u{10FFFF}",
  } do
    lu.assertEquals(descriptor.clean(dirty), expected)
    lu.assertEquals(descriptor.clean(expected), expected)
  end
  local start = os.clock()
  lu.assertEquals(descriptor.clean(("\xFF"):rep(1000000)), ("?"):rep(1000000))
  lu.assertEquals(descriptor.clean(("\xE2\x82"):rep(1000)), ("??"):rep(1000))
  lu.assertTrue(os.clock() - start < 5)
end

--- What holds for anything found in any bytes.
local function check_dfu(found)
  assert(found.mode == "dfu" or found.mode == "runtime")
  assert(#found.alts >= 1 and #found.alts <= 255)
  local seen = {}
  for _, alt in ipairs(found.alts) do
    assert(alt.number >= 0 and alt.number <= 255 and not seen[alt.number])
    assert(alt.name >= 0 and alt.name <= 255)
    seen[alt.number] = true
  end
  local size = found.transfer_size
  assert(size == nil or math.type(size) == "integer" and size >= 1 and size <= 65535)
  assert(found.detach_timeout >= 0 and found.detach_timeout <= 65.535)
  assert(found.dfu_version >= 0 and found.dfu_version <= 0xFFFF)
  assert(found.dfuse == (found.dfu_version == 0x011A or found.dfu_version == 0x1A01))
  assert(found.functional or not size)
end

local function check_string(text)
  assert(utf8.len(text) and utf8.len(text) <= 255)
  assert(not text:find("[%c\127]"))
  assert(descriptor.clean(text) == text)
end

function TestDescriptor.test_mutated_bytes()
  local seed = 407
  local function random(n)                  -- 1..n, the same on every machine
    seed = (seed * 6364136223846793005 + 1442695040888963407)
    return (seed >> 33) % n + 1
  end
  local hid = hex "09 21 11 01 00 01 22 41 00"
  local seeds = {
    DEVICE, CONFIG,
    configuration(interface(0, 0, 3, 1, 1) .. hid .. interface(1, 0, 0xFE, 1, 1) .. SHORT, 2),
    configuration(interface(0, 0, 0xFE, 1, 0) .. FUNCTIONAL),
    latin "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg",
    utf16(0x42, 0xFC, 0x20AC, 0xD83D, 0xDE00), around "3CBJ",
  }
  local telling = { 0, 1, 2, 3, 4, 9, 0x21, 0xFE, 0xFF, 0xD8, 0xDC, 0x80, 0x1B, 18 }
  local found_some = 0
  for _ = 1, 20000 do
    local bytes = seeds[random(#seeds)]
    for _ = 1, random(5) do
      local at, stop = random(#bytes + 1), random(#bytes + 1)
      local how = random(5)
      if how == 1 then                      -- any byte
        bytes = bytes:sub(1, at - 1) .. string.char(random(256) - 1) .. bytes:sub(at + 1)
      elseif how == 2 then                  -- a byte that means something
        bytes = bytes:sub(1, at - 1) .. string.char(telling[random(#telling)]) .. bytes:sub(at + 1)
      elseif how == 3 then                  -- a piece less, or twice
        bytes = bytes:sub(1, at - 1) .. bytes:sub(stop)
      elseif how == 4 then                  -- two in one
        bytes = bytes:sub(1, at - 1) .. seeds[random(#seeds)]:sub(stop)
      else                                  -- a byte more
        bytes = bytes:sub(1, at) .. string.char(telling[random(#telling)]) .. bytes:sub(at + 1)
      end
    end
    local device = descriptor.device(bytes)
    local config = descriptor.config(bytes)
    local found = descriptor.dfu(bytes, device or ST)
    if config then assert(#config.interfaces * 9 <= #bytes) end
    if found then
      found_some = found_some + 1
      check_dfu(found)
    end
    local text = descriptor.string(bytes)
    if text then check_string(text) end
    check_string(descriptor.clean(bytes:sub(1, 255)))
  end
  lu.assertTrue(found_some > 1000)
end

return { TestDescriptor = TestDescriptor }

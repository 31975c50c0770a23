-- SPDX-License-Identifier: MIT
-- The families of chips: their data, and how a board is recognised. A new family is one file, or an
-- entry of one, and one line in FAMILIES.
local errors = require "moonflash.errors"
local families = require "moonflash.board.families"
local guard = require "moonflash.board.guard"
local lu = require "luaunit"
local memory = require "moonflash.memory"
local part_of = require "moonflash.board.part"
local shape = require "moonflash.board.family_shape"
local shown_families = require "moonflash.ui.families"
local sim = require "sim"
local dfu = require "dfu"

local FAMILIES = {
  "APM32F103", "AT32F402/405", "AT32F403A/407/413", "AT32F415", "AT32F435/437", "GD32F4xx",
  "GD32VF103", "STM32C071", "STM32C53/542", "STM32C55/562", "STM32C59/5A3", "STM32F042",
  "STM32F072", "STM32F105/107", "STM32F2", "STM32F301/302x8", "STM32F302/303xC",
  "STM32F302/303xE", "STM32F373", "STM32F401", "STM32F405/407", "STM32F411", "STM32F412",
  "STM32F413", "STM32F42x/43x", "STM32F446", "STM32F469/479", "STM32F72x/73x", "STM32F74x/75x",
  "STM32F76x/77x", "STM32G0B0", "STM32G0B1/0C1", "STM32G431/441", "STM32G47x/48x",
  "STM32G491/4A1", "STM32H503", "STM32H523/533", "STM32H562/563/573", "STM32H5E/H5F",
  "STM32H72x/73x", "STM32H74x/75x", "STM32H7A3/7B3", "STM32H7R/S", "STM32L07x/08x",
  "STM32L1xxC", "STM32L1xxD", "STM32L1xxE", "STM32L412/422", "STM32L43x/44x", "STM32L45x/46x",
  "STM32L47x/48x", "STM32L496/4A6", "STM32L4Px/4Qx", "STM32L4Rx/4Sx", "STM32L552/562",
  "STM32U073/083", "STM32U375/385", "STM32U3B5/3C5", "STM32U535/545", "STM32U575/585",
  "STM32U59x/5Ax", "STM32U5Fx/5Gx", "STM32WB30/35/50/55", "STM32WBA2x", "STM32WBA6x",
}

local TestFamilies = {}

-- A board with these strings, in the format of dfu.list().
local function info_of(names, more)
  local info = { vid = 0x0483, pid = 0xDF11, version = 0x2200, product = "STM32  BOOTLOADER",
                 mode = "dfu", functional = { transfer_size = 2048 }, alts = {} }
  for i, name in ipairs(names) do
    info.alts[i] = { number = i - 1, name = name, layout = memory.parse(name) }
  end
  for key, value in pairs(more or {}) do info[key] = value end
  return info
end

-- ---- the data ----

function TestFamilies.test_the_list()
  local names = {}
  for i, family in ipairs(families.all()) do names[i] = family.name end
  lu.assertEquals(names, FAMILIES)
end

function TestFamilies.test_a_wrong_file_is_told()
  local good = { name = "X", flash = { { "4*16Kg" }, "a source" } }
  lu.assertEquals(shape.take("x.lua", good).name, "X")
  for why, change in pairs {
    ["there is no field 'align '"] = { ["align "] = { 4, "s" } },
    ["align: the source is missing"] = { align = { 4 } },
    ["align is an integer"] = { align = { "4", "s" } },
    ["the mark is seen, recalled or inferred"] = { align = { 4, "s", "guessed" } },
    ["flash is a table"] = { flash = { "4*16Kg", "s" } },
    ["roms: the source is missing"] = { roms = { { "@F" } } },
    ["a fault has a kind"] = { faults = { { "x" } } },
    ["form is byte, half"] = { options = { source = "s", form = "odd", open = { "R", 1 },
                                           forever = {} } },
    ["is there twice"] = { options = { source = "s", form = "byte", open = { "R", 1 },
      forever = {}, { address = 0, length = 8, words = { [0] = "R[7:0] R[9]" } } } },
  } do
    local bad = {}
    for key, value in pairs(good) do bad[key] = value end
    for key, value in pairs(change) do bad[key] = value or nil end
    local ok, err = pcall(shape.take, "x.lua", bad)
    lu.assertFalse(ok, why)
    lu.assertStrContains(err, "x.lua: X: ")
    lu.assertStrContains(err, why)
  end
end

function TestFamilies.test_the_table_in_docs()
  local file <close> = assert(io.open("docs/boards.md", "rb"))
  lu.assertEquals(file:read("a"), shown_families.markdown() .. "\n")
end

-- ---- recognising boards ----

-- A simulated board of each family is recognised as one of it.
function TestFamilies.test_simulated_boards()
  local seen = {}
  for _, family in ipairs(families.all()) do
    for _, kind in ipairs(family.simulated) do
      local place <close> = sim.new(kind .. ",usb=none")
      local board <close> = dfu.open(place.path)
      local part, found = dfu.fields(board).part, false
      for _, other in ipairs(part.families) do found = found or other == family end
      lu.assertTrue(found, kind)
      lu.assertTrue(part.exact, kind)
      seen[kind] = true
    end
  end
  for _, kind in ipairs { "f042", "f105", "f303", "f411", "f429", "f446", "f722", "f746", "f767",
      "g0b1", "g431", "g474", "h563", "h723", "h743", "h7a3", "l072", "l152", "l433", "l452",
      "l476", "l4r5", "u575", "u083", "wb55", "c071", "c562", "gd32vf103", "at32f415", "at32f435",
      "apm32f103" } do
    lu.assertTrue(seen[kind], kind)
  end
end

local F4 = { "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg",
             "@Option Bytes  /0x1FFFC000/01*016 e", "@OTP Memory /0x1FFF7800/01*512 e,01*016 e",
             "@Device Feature/0xFFFF0000/01*004 e" }

-- Several families can have the same strings: the strictest holds.
function TestFamilies.test_several_families()
  local part = part_of.of(info_of(F4))
  lu.assertEquals(part.family, "STM32F2, STM32F405/407 or STM32F412")
  lu.assertTrue(part.early_poll)
  lu.assertEquals({ part.align, part.unit, part.blank }, { 4, 4, "\255" })
  lu.assertNotNil(part.rom)
  -- sectors of 2 KB without any other string: F1, F3, G4, L4, WB ...
  part = part_of.of(info_of({ "@Internal Flash  /0x08000000/128*2Kg" }, { version = 0x9999 }))
  lu.assertTrue(#part.families > 5)
  lu.assertNil(part.rom)
  lu.assertEquals(part.align, 16) -- the L5's
end

-- Where the option bytes are decides between families with the same sectors.
function TestFamilies.test_other_settings_decide()
  local function family(flash, options, more)
    return part_of.of(info_of({ flash, options }, more)).family
  end
  local new = { version = 0x0200, product = "DFU in FS Mode" }
  local pages = "@Internal Flash   /0x08000000/256*08Kg"
  lu.assertEquals(family(pages, "@Option Bytes   /0x40022040/01*64 e", new),
    "STM32U575/585 or STM32U59x/5Ax")
  lu.assertEquals(family(pages, "@Option Bytes   /0x5200201C/01*297 e", new), "STM32H7A3/7B3")
  lu.assertEquals(family("@Internal Flash  /0x08000000/04*016Kg,01*064Kg,03*128Kg",
    "@Option Bytes  /0x1FFF0000/01*048 e"), "STM32F72x/73x")
end

-- Dialects: other zeros, blanks and names.
function TestFamilies.test_dialects()
  for _, name in ipairs { "@Internal Flash /0x8000000/4*16Kg,64Kg",
      "@F/0x08000000/4*16Kg,1*64Kg,7*128Kg",
      "@F/0x08000000/2*016Ka,02*016Kg,01*064Kg,07*128Kg" } do
    local part = part_of.of(info_of { name, F4[2] })
    if name:find("128Kg") then lu.assertStrContains(part.family, "STM32F405/407") end
    lu.assertNil(part.rom)
  end
end

-- What is not known is taken for the worst.
function TestFamilies.test_unknown_boards()
  local part = part_of.of(info_of({ "@Flash/0x60000000/3*5Kg" }, { vid = 0x1209, pid = 1 }))
  lu.assertNil(part.family)
  lu.assertEquals({ part.align, part.unit }, { 16, 32 })
  lu.assertNil(part.blank)
  lu.assertFalse(part.early_poll)
end

-- Strings that are known to be wrong are corrected.
function TestFamilies.test_wrong_strings()
  for kind, sectors in pairs { h7a3v90 = { 256, 8192 }, gd32vf103a = { 128, 1024 } } do
    local place <close> = sim.new(kind .. ",usb=none")
    local board <close> = dfu.open(place.path)
    local segment = board.alts[1].layout.segments[1]
    lu.assertEquals({ segment.count, segment.size }, sectors)
  end
end

function TestFamilies.test_names()
  for name, first in pairs { f407 = "AT32F403A/407/413", STM32F405 = "STM32F405/407",
      GD32VF103 = "GD32VF103", ["f42x/43x"] = "STM32F42x/43x", l4r5 = "STM32L4Rx/4Sx" } do
    lu.assertEquals(families.named(name)[1].name, first, name)
  end
  local list, hint = families.named("STM32F4O5/407")
  lu.assertEquals(#list, 0)
  lu.assertStrContains(hint, "did you mean 'STM32F405/407'?")
end

-- ---- what can't be undone ----

-- Raw writes of every value that can't be undone on any family are refused, on a board of that
-- family and on one of which nothing is known.
function TestFamilies.test_the_guard_refuses_every_value()
  local count = 0
  for _, family in ipairs(families.all()) do
    local options = family.options
    for name, values in pairs(options and options.forever or {}) do
      local field = options.fields[name]
      local block = options[field.block]
      for value, why in pairs(values) do
        if math.type(value) then
          local length = math.max(block.length or 0, field.word + 8)
          local at = field.word + field.low // 8
          local byte = string.char(value << field.low % 8 & 0xFF)
          -- all other bytes are those of an open chip
          local bytes = ("\xED"):rep(at) .. byte .. ("\xED"):rep(length - at - 1)
          for _, part in ipairs { { rom = {}, families = { family } }, { families = {} } } do
            local fields = { dfuse = true, part = part }
            local ok, err = pcall(guard.write, fields, { path = "x" }, block.address, bytes)
            lu.assertFalse(ok, family.name .. " " .. name)
            lu.assertEquals(err.code, "dfu.irreversible", why)
            count = count + 1
          end
        end
      end
    end
    -- and all writes to blocks that hold keys, or are never written for another reason
    for _, block in ipairs(options and options.readonly and options or {}) do
      local fields = { dfuse = true, part = { rom = {}, families = { family } } }
      local _, err = pcall(guard.write, fields, { path = "x" }, block.address + 4, "\0")
      lu.assertTrue(errors.matches(err, "dfu.irreversible"), family.name)
    end
  end
  lu.assertTrue(count > 100, count)
end

-- By hand, from CMSIS and ST's manuals: a family, an address, and bytes that close the chip there.
local CLOSING = {
  { "STM32F042", 0x1FFFF800, "\xCC" }, { "STM32F302/303xC", 0x1FFFF800, "\xCC" },
  { "STM32F2", 0x1FFFC001, "\xCC" }, { "STM32F405/407", 0x1FFFC001, "\xCC" },
  { "STM32F42x/43x", 0x1FFFC001, "\xCC" }, { "STM32F72x/73x", 0x1FFF0001, "\xCC" },
  { "STM32F76x/77x", 0x1FFF0001, "\xCC" }, { "STM32L07x/08x", 0x1FF80000, "\xCC" },
  { "STM32L1xxC", 0x1FF80000, "\xCC" }, { "STM32L43x/44x", 0x1FFF7800, "\xCC" },
  { "STM32L4Rx/4Sx", 0x1FF00000, "\xCC" }, { "STM32G0B1/0C1", 0x1FFF7800, "\xCC" },
  { "STM32G431/441", 0x1FFF7800, "\xCC" }, { "STM32G47x/48x", 0x1FFF7828, "\0\0\1\0" },
  { "STM32C071", 0x1FFF7800, "\xCC" }, { "STM32WB30/35/50/55", 0x1FFF8000, "\xCC" },
  { "STM32H74x/75x", 0x5200201D, "\xCC" }, { "STM32H74x/75x", 0x52002021, "\xCC" },
  { "STM32H74x/75x", 0x5200201E, "\x20" }, { "STM32H72x/73x", 0x52002022, "\x20" },
  { "STM32U575/585", 0x40022040, "\xCC" }, { "STM32U575/585", 0x40022070, "\1" },
  { "STM32U073/083", 0x40022020, "\xCC" }, { "STM32U073/083", 0x40022088, "\1" },
  { "STM32H562/563/573", 0x40022051, "\x5C" }, { "STM32C55/562", 0x40022051, "\x72" },
  { "STM32C55/562", 0x40022051, "\x00" }, { "STM32H7R/S", 0x52002200, "\x51" },
  { "AT32F415", 0x1FFFF800, "\xCC" }, { "AT32F435/437", 0x1FFFC000, "\xCC" },
}

function TestFamilies.test_the_guard_by_hand()
  for _, case in ipairs(CLOSING) do
    local family = families.named(case[1])[1]
    lu.assertEquals(family.name, case[1])
    for _, part in ipairs { { rom = {}, families = { family } }, { families = {} } } do
      local _, err = pcall(guard.write, { dfuse = true, part = part }, { path = "x" }, case[2],
        case[3])
      lu.assertTrue(errors.matches(err, "dfu.irreversible"),
        ("%s 0x%08X"):format(case[1], case[2]))
    end
  end
end

-- Commands in block 0 that DfuSe does not have are not sent, nor one that a ROM does not list.
function TestFamilies.test_commands_that_are_not_known()
  local place <close> = sim.new("h563,usb=none")
  local board <close> = dfu.open(place.path)
  board:abort()
  local before = place.requests
  for _, command in ipairs { "\1\x5C", "\x82\1", "\xA4\0", "\x41\0", "\x21" } do
    local ok, err = pcall(board.download_block, board, 0, command)
    lu.assertTrue(not ok and errors.matches(err, "dfu.irreversible"), command)
  end
  for _, f in ipairs { function() board:read_unprotect() end,
      function() board:download_block(0, "\x92") end } do
    local ok, err = pcall(f)
    lu.assertTrue(not ok and errors.matches(err, "dfu.rom"))
  end
  lu.assertEquals(place.requests, before)
end

-- Values that are all right pass.
function TestFamilies.test_the_guard_lets_open_values_pass()
  for _, family in ipairs(families.all()) do
    local options = family.options
    if options and not options[1].sealed then
      local field = options.fields[options.open[1]]
      local bytes = string.pack("<I4", options.open[2] << field.low)
      guard.write({ dfuse = true, part = { rom = {}, families = { family } } }, { path = "x" },
        options[1].address + field.word, bytes)
    end
  end
end

return { TestFamilies = TestFamilies }

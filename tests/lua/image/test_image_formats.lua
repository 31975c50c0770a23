-- SPDX-License-Identifier: MIT
-- What the formats of images mean, and what is refused: bytes made by hand, each with the rule that
-- it breaks (faults 22 to 25 of the field).
local lu = require "luaunit"
local fw = require "firmware"
local image = require "moonflash.image"
local support = require "support"

local TestHex, TestSrec, TestElf, TestDfu, TestRaw = {}, {}, {}, {}, {}

local BASE = 0x08000000

-- Each case is { bytes, what the message says, ending of the name }.
local function refused(cases)
  for _, case in ipairs(cases) do
    local err = support.assert_raises("image", fw.load, case[1], nil, case[3])
    lu.assertStrContains(err.message, case[2])
  end
end

local function segments(bytes)
  return fw.load(bytes).segments
end

-- ---- Intel HEX ----

local hex, HIGH, END = fw.hex, fw.HEX_HIGH, fw.HEX_END

function TestHex.test_what_the_records_mean()
  lu.assertEquals(segments(hex(0, 0x10, "ab") .. hex(0, 0x12, "cd") .. END),
    { { address = 0x10, bytes = "abcd" } })
  lu.assertEquals(segments(HIGH .. hex(0, 0xFFFE, "abcd") .. END),
    { { address = 0x0800FFFE, bytes = "abcd" } })
  lu.assertEquals(segments(hex(2, 0, "\x12\x34") .. hex(0, 0xFFFF, "x") .. END),
    { { address = 0x2233F, bytes = "x" } })
  lu.assertEquals(segments(hex(4, 0, "\xFF\xFF") .. hex(0, 0xFFFF, "x") .. END),
    { { address = 0xFFFFFFFF, bytes = "x" } })
  local longest = ("\0\1\2\253\254\255"):rep(42) .. "end"
  lu.assertEquals(segments(hex(0, 0, longest) .. END), { { address = 0, bytes = longest } })
  -- of the records with an entry point the last one counts
  lu.assertEquals(segments(HIGH .. hex(2, 0, "\x10\0") .. hex(0, 0, "x") .. END),
    { { address = 0x10000, bytes = "x" } })
end

-- The vector table that belongs to the entry point, else the lowest one; not what merely begins.
function TestHex.test_the_start_is_a_vector_table()
  local low, high = fw.program(BASE), fw.program(0x08040000)
  local data = HIGH .. hex(0, 0, low) .. hex(4, 0, "\x08\4") .. hex(0, 0, high)
  lu.assertEquals(fw.load(data .. hex(5, 0, "\x08\4\0\x21") .. END).start, 0x08040000)
  lu.assertEquals(fw.load(data .. hex(5, 0, "\x08\4\0\x20") .. END).start, 0x08040000)
  lu.assertEquals(fw.load(data .. hex(5, 0, "\x08\4\0\0") .. END).start, 0x08040000)
  lu.assertEquals(fw.load(data .. hex(5, 0, "\x20\0\0\1") .. END).start, BASE)
  lu.assertEquals(fw.load(data .. END).start, BASE)
  lu.assertNil(fw.load(HIGH .. hex(0, 0, "program") .. hex(5, 0, "\x08\0\0\1") .. END).start)
end

-- Settings below the program, a header in front of it (MCUboot has 0x200 bytes), and a table whose
-- code lies elsewhere are no start.
function TestHex.test_what_is_no_start()
  local app = fw.program(0x08000400)
  lu.assertEquals(fw.load(HIGH .. hex(0, 0, "settings") .. hex(0, 0x400, app) .. END).start,
    0x08000400)
  local header = ("<I4I4"):pack(0x96F3B83D, 0) .. ("\0"):rep(56)
  lu.assertEquals(fw.load(HIGH .. hex(0, 0x200, header) .. hex(0, 0x400, app) .. END).start,
    0x08000400)
  lu.assertNil(fw.load(HIGH .. hex(0, 0, fw.program(0x08010000)) .. END).start)
  for _, words in ipairs { { 0, BASE + 0x21 }, { 0x20010001, BASE + 0x21 },
                           { 0x20010000, BASE + 0x20 }, { 0x40000000, BASE + 0x21 } } do
    local bytes = ("<I4I4"):pack(table.unpack(words)) .. ("x"):rep(56)
    lu.assertNil(fw.load(HIGH .. hex(0, 0, bytes) .. END).start)
  end
end

function TestHex.test_a_mark_and_an_end_of_other_systems()
  local plain = HIGH .. hex(0, 0, "ab\xEF") .. END
  for _, text in ipairs { "\xEF\xBB\xBF" .. plain, plain .. "\26", plain .. "\26\r\n\26\26",
                          "; a comment\n;\n" .. plain, "\xEF\xBB\xBF\r\n;x\r\n" .. plain } do
    lu.assertEquals(segments(text), { { address = BASE, bytes = "ab\xEF" } })
  end
  refused {
    { "; one\n\n; two\n" .. HIGH .. "hello\n" .. END, ":5: 'h' belongs to no record" },
    { HIGH .. "; late\n" .. END, ":2: ';' belongs to no record" },
    { HIGH .. "\26" .. END, ":2: byte 0x1A belongs to no record" },
  }
end

function TestHex.test_how_lines_may_look()
  local plain = HIGH .. hex(0, 0, "ab\xEF") .. END
  for _, text in ipairs { plain:gsub("\n", "\r\n"), plain:gsub("\n", " \t\r\n"), "\r\n\n" .. plain,
                          plain:gsub("\n", "\n\n"), (plain:gsub("\n$", "")), plain .. "  \n\n",
                          (plain:lower()) } do
    lu.assertEquals(segments(text), { { address = BASE, bytes = "ab\xEF" } })
  end
end

function TestHex.test_what_is_refused()
  local one = hex(0, 0, "abc")
  refused {
    { HIGH .. one:gsub("..\n", "00\n") .. END, ":2: checksum is 00, the line adds up to D7" },
    { HIGH .. one .. "\n\n" .. one:gsub("^:03", ":04") .. END,
      ":5: the record declares 4 bytes of data and has 3" },
    { HIGH .. one:gsub("^:03", ":02") .. END, ":2: the record declares 2 bytes of data and has 3" },
    { HIGH .. one, ":2: no end record (01) follows: the file is cut off" },
    { HIGH .. one .. "\n" .. END:sub(1, 7), ":4: a record has 5 bytes at least, and this one 3" },
    { HIGH .. one .. END:sub(1, 6), ":3: an odd number of hex digits" },
    { HIGH .. one .. ":\n" .. END, ":3: a record without digits" },
    { HIGH .. one .. END .. one, ":4: a record behind the end record, which is line 3" },
    { HIGH .. one .. "hello\n" .. END, ":3: 'h' belongs to no record" },
    { HIGH .. one:gsub("\n", " x\n") .. END, ":2: 'x' belongs to no record" },
    { HIGH .. " " .. one .. END, ":2: ':' belongs to no record" },
    { HIGH .. one .. "\0" .. END, ":3: byte 0x00 belongs to no record" },
    { HIGH .. one:gsub("6", "g", 1) .. END, ":2: " },
    { HIGH .. hex(6, 0, "") .. END, ":2: there is no record type 06" },
    { HIGH .. hex(4, 0, "\8") .. END, ":2: a record of type 04 has 2 bytes of data, not 1" },
    { HIGH .. hex(1, 0, "x") .. END, ":2: a record of type 01 has 0 bytes of data, not 1" },
    { HIGH .. hex(5, 0, "") .. END, ":2: a record of type 05 has 4 bytes of data, not 0" },
    { hex(4, 0, "\xFF\xFF") .. hex(0, 0xFFFE, "abc") .. END, ":2: data past 4 GiB" },
    { hex(2, 0, "\0\0") .. hex(0, 0xFFFE, "abc") .. END, ":2: data past the end of its 64 KB" },
    { hex(0, 0xFFFE, "abc") .. END, ":1: data past the end of its 64 KB" },
    { HIGH .. one .. hex(0, 5, "xyz") .. hex(0, 1, "bX") .. END,
      ":4: 0x08000002 gets 58, and line 2 gave it 63" },
    { HIGH .. hex(0, 9, "z") .. hex(0, 0, ("y"):rep(10)) .. END,
      ":3: 0x08000009 gets 79, and line 2 gave it 7A" },
    { HIGH .. END, "there is no data in it" },
    { HIGH .. ":" .. ("00"):rep(300) .. "\n" .. END, ":2: more than the 260 bytes" },
    { ":" .. ("0"):rep(100001), ":1: more than the 260 bytes" },
  }
end

function TestHex.test_overlaps_that_agree_and_order()
  lu.assertEquals(
    segments(HIGH .. hex(0, 4, "efgh") .. hex(0, 0, "abcdef") .. hex(0, 6, "gh") .. END),
    { { address = BASE, bytes = "abcdefgh" } })
  lu.assertEquals(segments(HIGH .. hex(0, 8, "b") .. hex(0, 0, "a") .. hex(0, 0, "a") .. END),
    { { address = BASE, bytes = "a" }, { address = BASE + 8, bytes = "b" } })
end

-- ---- S-records ----

local srec = fw.srec
local S7 = srec(7, 0, "")

function TestSrec.test_what_the_records_mean()
  lu.assertEquals(segments(srec(0, 0, "name") .. srec(1, 0x1234, "ab") .. srec(9, 0, "")),
    { { address = 0x1234, bytes = "ab" } })
  lu.assertEquals(segments(srec(2, 0x123456, "ab") .. srec(8, 0, "")),
    { { address = 0x123456, bytes = "ab" } })
  lu.assertEquals(segments(srec(3, 0xFFFFFFFE, "ab") .. srec(5, 1, "") .. S7),
    { { address = 0xFFFFFFFE, bytes = "ab" } })
  lu.assertEquals(segments(srec(3, BASE, "ab") .. srec(3, BASE + 2, "c") .. srec(6, 2, "") .. S7),
    { { address = BASE, bytes = "abc" } })
  local program = fw.program(BASE)
  lu.assertEquals(fw.load(srec(3, BASE, program) .. srec(7, BASE + 0x21, "")).start, BASE)
  -- what srec_cat leaves out behind a count that is right
  for kind = 5, 6 do
    lu.assertEquals(segments(srec(3, BASE, "ab") .. srec(kind, 1, "")),
      { { address = BASE, bytes = "ab" } })
  end
  lu.assertNil(fw.load(srec(3, BASE, "abcd") .. S7).start)
end

function TestSrec.test_what_is_refused()
  local one = srec(3, BASE, "abc")
  refused {
    { one:gsub("..\n", "00\n") .. S7, ":1: checksum is 00, the line adds up to C9" },
    { one, ":1: no end record (S7, S8, S9) follows: the file is cut off" },
    { one .. S7:sub(1, 9), ":2: an odd number of hex digits" },
    { one .. S7:sub(1, 10), ":2: the record declares 5 bytes and has 3" },
    { one .. S7 .. one, ":3: a record behind the end record, which is line 2" },
    { one .. srec(4, 0, "") .. S7, ":2: there is no such type of record" },
    { one .. "SX0000\n" .. S7, ":2: there is no such type of record" },
    { one .. "S", ":2: a record without digits" },
    { one .. "S302FFFE\n" .. S7, ":2: a record S3 has 5 bytes at least, not 2" },
    { one .. srec(5, 2, "") .. S7, ":2: it counts 2 records with data, and there are 1" },
    { one .. srec(7, 0, "x"), ":2: a record S7 has no data" },
    { srec(3, 0xFFFFFFFE, "abc") .. S7, ":1: data past 4 GiB" },
    { one .. srec(1, 0, "x") .. srec(3, BASE + 2, "x") .. S7,
      ":3: 0x08000002 gets 78, and line 1 gave it 63" },
    { srec(0, 0, "name") .. S7, "there is no data in it" },
    { one .. "junk\n" .. S7, ":2: 'j' belongs to no record" },
  }
end

-- ---- ELF ----

local elf = fw.elf

function TestElf.test_load_addresses_count()
  local program = fw.program(BASE)
  local it = fw.load(elf({ { BASE, program }, { BASE + 64, "data", virtual = 0x20000000 },
    { 0x20001000, "", memory = 0x7FFFFFFF } }, { entry = BASE + 0x21 }))
  lu.assertEquals(it.format, "elf")
  lu.assertEquals(it.machine, "Arm")
  lu.assertEquals(it.segments, { { address = BASE, bytes = program .. "data" } })
  lu.assertEquals(it.start, BASE)
end

function TestElf.test_only_what_is_loaded_and_has_bytes()
  local it = fw.load(elf { { 0, "note", type = 4 }, { BASE, "program" },
    { 0x20000000, "", memory = 0xDFFFFFFF } })
  lu.assertEquals(it.segments, { { address = BASE, bytes = "program" } })
end

-- A linker that has room for them puts the file's headers into the first segment, in front of the
-- program: at the address where a boot loader stands.
function TestElf.test_the_headers_of_the_file_are_not_loaded()
  local sections = { { 0, 0, 0, 0 }, { 6, 1, 84, 7 }, { 3, 8, 91, 1000 }, { 0, 1, 0, 84 } }
  local it = fw.load(elf({ { BASE, "program", offset = 0, size = 91, memory = 2000 } },
    { sections = sections, entry = BASE + 85 }))
  lu.assertEquals(it.segments, { { address = BASE + 84, bytes = "program" } })
  -- and with padding in front of the first section
  sections[2] = { 6, 1, 88, 3 }
  it = fw.load(elf({ { BASE, "program", offset = 0, size = 91, memory = 2000 } },
    { sections = sections, entry = BASE + 85 }))
  lu.assertEquals(it.segments, { { address = BASE + 88, bytes = "ram" } })
  -- without sections only the headers are known
  it = fw.load(elf({ { BASE, "program", offset = 0, size = 91, memory = 2000 } }))
  lu.assertEquals(it.segments, { { address = BASE + 84, bytes = "program" } })
end

-- Bytes of a PT_LOAD that no section covers are loaded too: before, between and behind sections.
function TestElf.test_bytes_without_a_section()
  local sections = { { 0, 0, 0, 0 }, { 6, 1, 0x58, 2 }, { 6, 1, 0x5C, 1 } }
  local it = fw.load(elf({ { BASE, "abcdefghijkl", offset = 84, size = 12 } },
    { sections = sections }))
  lu.assertEquals(it.segments, { { address = BASE, bytes = "abcdefghijkl" } })
end

function TestElf.test_risc_v()
  lu.assertEquals(fw.load(elf({ { BASE, "program" } }, { machine = 243 })).machine, "RISC-V")
end

function TestElf.test_the_entry_point_is_looked_for_where_it_was_loaded()
  local two = fw.program(BASE) .. ("\0"):rep(64) .. fw.program(BASE + 0x80)
  local it = fw.load(elf({ { BASE, two, virtual = 0x20000000 } }, { entry = 0x200000A0 | 1 }))
  lu.assertEquals(it.start, BASE + 0x80)
  lu.assertNil(fw.load(elf({ { BASE, "x" } }, { entry = 0 })).start)
end

function TestElf.test_what_is_refused()
  local one = { { BASE, "program" } }
  refused {
    { elf(one, { class = 2 }), ": offset 0x4: a 64-bit program" },
    { elf(one, { class = 0 }), ": offset 0x4: ELF class 0" },
    { elf(one, { order = 2 }), ": offset 0x5: a big-endian program" },
    { elf(one, { machine = 62 }), ": offset 0x12: a program for machine 62, not for Arm" },
    { elf(one, { type = 1 }), ": offset 0x10: an object file" },
    { elf(one, { type = 3 }), ": offset 0x10: a shared object" },
    { elf(one, { version = 2 }), ": offset 0x14: ELF version 2" },
    { elf {}, ": offset 0x2C: 0 program headers" },
    { elf(one, { program_count = 65535 }), ": offset 0x2C: 65535 program headers" },
    { elf(one, { program_size = 56 }), ": offset 0x2A: program headers of 56 bytes" },
    { elf(one, { programs = 0xFFFFFFFF }), ": offset 0x1C: the program headers are past the end" },
    { elf(one, { program_count = 4 }), ": offset 0x1C: the program headers are past the end" },
    { elf(one, { section_count = 1, section_offset = 0xFFFFFFF0 }),
      ": offset 0x20: the section headers are past the end" },
    { elf(one, { section_count = 1, section_size = 0 }), "offset 0x2E: section headers of 0" },
    { elf(one):sub(1, 51), ": offset 0x33: the file is cut off within its header" },
    { elf(one):sub(1, 4), ": offset 0x4: the file is cut off within its header" },
    { elf(one):sub(1, -2), ": offset 0x44: program header 0: 7 bytes at offset 0x54 are past" },
    { elf { { BASE, "x", offset = 0xFFFFFFFF, size = 0xFFFFFFFF, memory = 0xFFFFFFFF } },
      ": offset 0x44: program header 0: 4294967295 bytes at offset 0xFFFFFFFF are past" },
    { elf { { BASE, "x", size = 2, memory = 1 } }, ": offset 0x44: " },
    { elf { { BASE, "xy", memory = 1 } }, "2 bytes in the file and 1 in memory" },
    { elf { { 0xFFFFFFFF, "xy" } }, ": offset 0x40: program header 0: data past 4 GiB" },
    { elf { { BASE, "x", virtual = 0xFFFFFFFF, memory = 2 } }, "header 0: data past 4 GiB" },
    { elf { { BASE, "program" }, { BASE + 6, "x" } },
      ": offset 0x7B: what is loaded from here, and from offset 0x74, differs at 0x08000006" },
    { elf { { BASE, "x", type = 2 } }, "there is no data in it" },
    { elf(one, { sections = { { 2, 1, 84, 0xFFFFFFFF } } }), ": offset 0x6B: section 0: " },
    { elf(one, { sections = { { 2, 1, 0, 7 } } }), "section 0 is to be loaded, and no" },
    { elf { { BASE, ("x"):rep(400) }, { BASE + 400, "", offset = 116, size = 400, memory = 400 } },
      "the segments to load overlap in the file" },
  }
end

-- ---- DfuSe ----

local dfuse, content, suffixed = fw.dfuse, fw.dfuse_content, fw.suffixed

function TestDfu.test_targets_and_elements()
  local it = fw.load(dfuse { { 1, { 0x1FFFC000, "option" } },
    { 0, { 0x08004000, "app" }, { BASE, "boot" } }, { 0, { 0x08004003, "!" } } })
  lu.assertEquals(it.format, "dfu")
  lu.assertEquals(it.segments, { { address = BASE, bytes = "boot", alt = 0 },
    { address = 0x08004000, bytes = "app!", alt = 0 },
    { address = 0x1FFFC000, bytes = "option", alt = 1 } })
  lu.assertEquals(it.ids, { vid = 0x0483, pid = 0xDF11, version = 0xFFFF })
  lu.assertNil(it.start)
  lu.assertEquals(it.size, 14)
end

function TestDfu.test_the_same_address_in_two_memories()
  local it = fw.load(dfuse { { 0, { 0, "one" } }, { 1, { 0, "two" } } })
  lu.assertEquals(it.segments, { { address = 0, bytes = "one", alt = 0 },
    { address = 0, bytes = "two", alt = 1 } })
end

function TestDfu.test_what_is_refused()
  local one = { { 0, { BASE, "program" } } }
  local function lie(fields) return dfuse(one, fields) end
  local two = { { 0, { BASE, "abcd" }, { BASE + 3, "xy" } } }
  refused {
    { content(one), "no DFU suffix at the end: the file is cut off" },
    { dfuse(one):sub(1, -2), "no DFU suffix at the end: the file is cut off" },
    { dfuse(one):gsub("program", "pr0gram"), "the CRC in the DFU suffix is" },
    { suffixed(content(one), { format = 0x0100 }), "the suffix has version 0100; a DfuSe file" },
    { suffixed(content(one), { format = 0x011A, length = 15 }), "claims to have 15 bytes" },
    { suffixed("DfuSe", { format = 0x011A }), ": offset 0x5: the file is cut off within" },
    { lie { version = 2 }, ": offset 0x5: version 2 of DfuSe files" },
    { lie { size = 299 },
      ": offset 0x6: the prefix declares 299 bytes; without the suffix the file has 300" },
    { lie { size = 0xFFFFFFFF }, ": offset 0x6: " }, { lie { size = 1 }, ": offset 0x6: " },
    { lie { targets = 0 }, ": offset 0xB: 289 bytes belong to none of the 0 targets" },
    { lie { targets = 2 }, ": offset 0x12C: target 2 of 2 begins past the end" },
    { lie { targets = 255 }, ": offset 0x12C: target 2 of 255 begins past the end" },
    { lie { mark = "target" }, ": offset 0xB: target 1 of 1 does not begin with 'Target'" },
    { lie { target_size = 16 }, ": offset 0x115: target 1 has 16 bytes, and the file only 15" },
    { lie { target_size = 0xFFFFFFFF }, ": offset 0x115: " },
    { lie { target_size = 14 }, ": offset 0x121: element 1 has 7 bytes, and its target only 6" },
    { lie { elements = 2 }, ": offset 0x12C: element 2 of 2 begins past the end of its target" },
    { lie { elements = 0xFFFFFFFF }, "element 2 of 4294967295 begins past the end" },
    { lie { elements = 0 }, ": offset 0x11D: 15 bytes of the target belong to none of its 0" },
    { lie { element_size = 6 }, ": offset 0x12B: 1 bytes of the target belong to none of its 1" },
    { lie { element_size = 8 }, ": offset 0x121: element 1 has 8 bytes, and its target only 7" },
    { lie { element_size = 7 + 16 }, "element 1 has 23 bytes, and its target only" }, -- the suffix
    { lie { element_size = 0xFFFFFFFF }, "element 1 has 4294967295 bytes" },
    { lie { more = "junk" }, ": offset 0x12C: 4 bytes belong to none of the 1 targets" },
    { dfuse { { 0, { 0xFFFFFFFE, "abc" } } }, ": offset 0x11D: element 1 at 0xFFFFFFFE" },
    { dfuse(two), ": offset 0x129: this element and that at offset 0x11D differ at 0x08000003" },
    { dfuse { { 0 } }, "there is no data in it" },
    { dfuse {}, "there is no data in it" },
  }
end

-- ---- raw binaries, and what is none ----

function TestRaw.test_a_suffix_is_checked_and_taken_off()
  local it = fw.load(suffixed("program", { vid = 0x1234, pid = 0x5678, version = 0x0200 }))
  lu.assertEquals(it.format, "bin")
  lu.assertEquals(it.segments, { { address = BASE, bytes = "program" } })
  lu.assertEquals(it.ids, { vid = 0x1234, pid = 0x5678, version = 0x0200 })
  lu.assertEquals(fw.load(suffixed("program"), nil, ".dfu").segments[1].bytes, "program")
  for _, text in ipairs { HIGH .. hex(0, 0, "x") .. END, srec(3, BASE, "x") .. S7,
                          elf { { BASE, "x" } } } do
    lu.assertEquals(segments(suffixed(text)), { { address = BASE, bytes = "x" } })
  end
  -- one that is longer than 16 bytes
  lu.assertEquals(segments(suffixed("program" .. "more", { length = 20 }))[1].bytes, "program")
  -- bytes that happen to look a little like it
  lu.assertEquals(#segments(suffixed("program", { mark = "DFU" }))[1].bytes, 7 + 16)
end

function TestRaw.test_what_is_refused()
  refused {
    { suffixed("program", { crc = 0x12345678 }), "offset 0x13: the CRC in the DFU suffix is 1234" },
    { suffixed("program", { length = 24 }), ": offset 0x12: the DFU suffix claims to have 24" },
    { suffixed("program", { format = 0x011A }), "its DFU suffix is DfuSe's (011A), but" },
    { suffixed(""), "there is no data in front of its DFU suffix" },
    { "", "is empty" },
  }
end

-- The content of a damaged file does not show its format, but its name does.
function TestRaw.test_what_is_called_otherwise_is_never_written_raw()
  refused {
    { "\0\0\2\32", "its name ends in .hex, but it does not begin like Intel HEX", ".hex" },
    { "\0\0\2\32", "its name ends in .ihex, but", ".IHEX" },
    { "\0\0\2\32", "it does not begin like Motorola S-records", ".s19" },
    { "\0\0\2\32", "it does not begin like an ELF program", ".elf" },
    { "\0\0\2\32", "it does not begin like an ELF program", ".axf" },
    { "\0\0\2\32", "it does not begin like a DfuSe file", ".dfu" },
    { ":1000", ":1: a record has 5 bytes at least", ".bin" },
    { ":10\r\n", ":1: a record has 5 bytes at least" },
    { "\n\n:020000040800F2", ":3: no end record" },
    { "S3150800", ":1: the record declares 21 bytes" },
    { "\127ELF", "the file is cut off within its header" },
    { "DfuSe", "the file is cut off within the DfuSe prefix" },
  }
  lu.assertEquals(segments(":-)")[1].bytes, ":-)")
  lu.assertEquals(segments("S is for something")[1].bytes, "S is for something")
end

-- What is no firmware is known by its kind, or by having no vector table; nothing is refused yet,
-- because a plain DFU device may want it.
function TestRaw.test_what_is_no_firmware()
  for what, bytes in pairs {
    ["a UF2 file"] = "UF2\n\87\81\93\158", ["a zip archive"] = "PK\3\4\20\0",
    ["a gzip archive"] = "\31\139\8\0", ["an xz archive"] = "\xFD7zXZ\0\0\4",
    ["a zstd archive"] = "\x28\xB5\x2F\xFD\4", ["a 7z archive"] = "7z\xBC\xAF\x27\x1C\0\4",
    ["a rar archive"] = "Rar!\26\7\1\0", ["a bzip2 archive"] = "BZh91AY&SY\1",
    ["a PNG picture"] = "\137PNG\r\n\26\n\0", ["a PDF document"] = "%PDF-1.7\n\xE2\0",
    ["an archive of object files"] = "!<arch>\nx", ["text in UTF-16"] = "\xFF\xFE:\0001\0",
    ["JSON"] = '{ "version": 1 }\n', ["source in C"] = "#include <stdio.h>\nint main;\n",
    ["Markdown"] = "# Firmware\n\nFlash it.\n", ["a script"] = "#!/bin/sh\necho hello\n",
    ["TI-TXT"] = "@F000\n31 40 00 03 B2 40\nq\n", ["Tektronix hex"] = "/000008080102030405060708\n",
    ["text"] = "nothing in particular, Gr\xC3\xB6\xC3\x9Fe\n",
    ["data for 0x08000000, without a vector table"] = "\0\1\2\3\4\5\6\7\8",
  } do
    local it = fw.load(bytes)
    lu.assertEquals({ it.format, (it.doubt or {}).what }, { "bin", what })
    lu.assertNil(fw.load(bytes, nil, "", "@0x08000000").doubt)
    lu.assertNil(fw.load(bytes, { force = true }).doubt)
    lu.assertNil(fw.load(bytes, { data = true }).doubt)
    -- an address of a script or a default does not confirm that the place is meant
    lu.assertNotNil(fw.load(bytes, { address = BASE }).doubt)
  end
  lu.assertNil(fw.load(fw.program(BASE)).doubt)
  lu.assertNil(fw.load(("\0"):rep(0x200) .. fw.program(BASE + 0x200)).doubt)
  lu.assertNil(image.new({ segments = { { address = BASE, bytes = "text" } } }).doubt)
end

-- Files that no board can use: what a failed download leaves behind.
function TestRaw.test_pages_and_pointers()
  for what, bytes in pairs {
    ["an HTML page"] = "<!DOCTYPE html>\n<html>",
    ["a Git LFS pointer"] = "version https://git-lfs.github.com/spec/v1\n",
  } do
    local err = support.assert_raises("image.not-firmware", fw.load, bytes)
    lu.assertStrContains(err.message, " is not firmware: it is " .. what)
    lu.assertEquals(err.remedy, { "address", "force" })
    lu.assertEquals(fw.load(bytes, { data = true }).segments[1].bytes, bytes)
  end
end

-- ---- suffixes and prefixes ----

local TestEnds = {}

local PROGRAM = ("program "):rep(100)

local function raw(address, bytes)
  return image.new { segments = { { address = address, bytes = bytes or PROGRAM } } }
end

function TestEnds.test_suffix_of_a_raw_binary()
  local bytes = raw(BASE):encode("bin", { suffix = { vid = 0x1234, pid = 0x5678, version = 9 } })
  lu.assertEquals(#bytes, #PROGRAM + 16)
  lu.assertEquals(bytes:sub(-16, -5), "\9\0\x78\x56\x34\x12\0\1UFD\16")
  local back = image.parse("a.bin", bytes, { address = BASE, data = true })
  lu.assertEquals(back.ids, { vid = 0x1234, pid = 0x5678, version = 9 })
  lu.assertEquals(back.segments, { { address = BASE, bytes = PROGRAM } })
  lu.assertEquals(raw(BASE):encode("bin", { suffix = {} }):sub(-16, -11), ("\255"):rep(6))
end

function TestEnds.test_prefixes()
  local ti = raw(0x4000):encode("bin", { prefix = "ti" })
  lu.assertEquals(ti, "\1\0\16\0\x20\3\0\0" .. PROGRAM) -- 0x4000 / 1024; 800 bytes
  local back = image.parse("a.bin", ti)
  lu.assertEquals(back.segments, { { address = 0x4000, bytes = PROGRAM } })
  lu.assertEquals(back.prefix, { kind = "ti", size = 8, address = 0x4000 })
  local lpc = raw(0):encode("bin", { prefix = "lpc" })
  lu.assertEquals(lpc, "\x1A\x3F\2\0" .. ("\0"):rep(8) .. "\255\255\255\255" .. PROGRAM)
  back = image.parse("a.bin", lpc, { address = 0 })
  lu.assertEquals(back.segments, { { address = 0, bytes = PROGRAM } })
  lu.assertEquals(back:patch(0, "P").prefix.kind, "lpc")
  -- a length that is not that of the file is no prefix
  lu.assertNil(image.parse("a.bin", ti .. "x", { data = true }).prefix)
end

function TestEnds.test_what_is_refused()
  support.assert_raises("image", raw(0x4001).encode, raw(0x4001), "bin", { prefix = "ti" })
  support.assert_raises("image", raw(BASE).encode, raw(BASE), "bin", { prefix = "ti" })
  support.assert_raises("image", raw(BASE).encode, raw(BASE), "hex", { suffix = {} })
  support.assert_raises("image", raw(BASE).encode, raw(BASE), "dfu", { prefix = "lpc" })
  support.assert_fails("a suffix has no 'id'", raw(BASE).encode, raw(BASE), "bin",
    { suffix = { id = 1 } })
  support.assert_fails("vid", raw(BASE).encode, raw(BASE), "bin", { suffix = { vid = 1 << 16 } })
  support.assert_fails('"ti" or "lpc"', raw(BASE).encode, raw(BASE), "bin", { prefix = "x" })
end

function TestEnds.test_targets_of_dfuse()
  local bytes = image.new { segments = { { address = BASE, bytes = "aa", alt = 0 },
    { address = 0x1FFF7800, bytes = "b", alt = 2 } } }:encode("dfu", { suffix = { vid = 7 } })
  local back = image.parse("a.dfu", bytes)
  lu.assertEquals(back.ids.vid, 7)
  lu.assertEquals(back.targets, {
    { alt = 0, size = 10, elements = { { address = BASE, size = 2 } } },
    { alt = 2, size = 9, elements = { { address = 0x1FFF7800, size = 1 } } },
  })
end

-- A plain DFU boot loader that takes the address from the prefix gets it; DfuSe does not.
function TestEnds.test_prefix_on_the_board()
  local ti = image.parse("a.bin", raw(0x4000):encode("bin", { prefix = "ti" }))
  local simulated <close> = require("sim").new("dfu11")
  local board <close> = require("dfu").at(simulated.path):detach()
  require("moonflash.flash").write(board, ti, { force = true })
  lu.assertEquals(simulated:peek(0, 16), "\1\0\16\0\x20\3\0\0program ")
end

return { TestHex = TestHex, TestSrec = TestSrec, TestElf = TestElf, TestDfu = TestDfu,
         TestRaw = TestRaw, TestEnds = TestEnds }

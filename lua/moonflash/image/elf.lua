-- SPDX-License-Identifier: MIT
-- ELF programs, as Arm's linkers write them: the bytes to load, by load address (System V ABI: ELF
-- header, program headers and section headers).
--
-- The program headers decide: every byte of a PT_LOAD is loaded, whether or not a section covers it
-- (armlink leaves bytes without a section). One exception: a PT_LOAD may begin with the headers of
-- the file. These, and the padding up to the first section, are left out, because they would be
-- loaded in front of the program, where a boot loader may be.
local segments = require "moonflash.image.segments"
local wrong = require "moonflash.image.wrong"

local M = { title = "an ELF program" }

local HEADER = "<c4BBBc9I2I2I4I4I4I4I4I2I2I2I2I2I2"
local PROGRAM, SECTION = "<I4I4I4I4I4I4I4I4", "<I4I4I4I4I4I4I4I4I4I4"
local LOAD = 1            -- PT_LOAD
local NULL, NO_BITS = 0, 8 -- SHT_NULL, SHT_NOBITS
local ALLOC = 2           -- SHF_ALLOC
local SPACE = 1 << 32
local MOST = 256          -- program headers
local MACHINES = { [40] = "Arm", [243] = "RISC-V" }

---Whether the bytes begin like an ELF file.
---@param bytes string
---@return boolean
function M.recognise(bytes)
  return bytes:sub(1, 4) == "\127ELF"
end

local TYPES = { [1] = "an object file, not a linked program", [3] = "a shared object",
                [4] = "a core dump" }

local function header(name, bytes)
  -- the class and the byte order come first: the layout of the other fields depends on them
  if #bytes >= 5 and bytes:byte(5) ~= 1 then
    wrong.offset(name, 4, bytes:byte(5) == 2 and "a 64-bit program: an STM32 has 32 bits"
      or "ELF class %d is neither 32 nor 64 bits", bytes:byte(5))
  elseif #bytes >= 6 and bytes:byte(6) ~= 1 then
    wrong.offset(name, 5, bytes:byte(6) == 2 and "a big-endian program: an STM32 is little-endian"
      or "ELF byte order %d is neither little nor big", bytes:byte(6))
  elseif #bytes < HEADER:packsize() then
    wrong.offset(name, #bytes, "the file is cut off within its header")
  end
  local h = {}
  local _, version, version_again, entry_size, section_size
  _, _, _, version, _, h.type, h.machine, version_again, h.entry, h.programs, h.sections, _, _,
    entry_size, h.program_count, section_size, h.section_count = HEADER:unpack(bytes)
  if version ~= 1 or version_again ~= 1 then
    wrong.offset(name, version ~= 1 and 6 or 0x14, "ELF version %d, not 1",
      version ~= 1 and version or version_again)
  elseif not MACHINES[h.machine] then
    wrong.offset(name, 0x12, "a program for machine %d, not for Arm (40) or RISC-V (243)",
      h.machine)
  elseif h.type ~= 2 then
    wrong.offset(name, 0x10, "%s", TYPES[h.type] or ("ELF type %d, not a program"):format(h.type))
  elseif h.program_count == 0 or h.program_count > MOST then
    wrong.offset(name, 0x2C, "%d program headers: 1 to %d make sense", h.program_count, MOST)
  elseif entry_size ~= PROGRAM:packsize() then
    wrong.offset(name, 0x2A, "program headers of %d bytes, not %d", entry_size, PROGRAM:packsize())
  elseif h.programs + h.program_count * entry_size > #bytes then
    wrong.offset(name, 0x1C, "the program headers are past the end of the file")
  elseif h.section_count > 0 and section_size ~= SECTION:packsize() then
    wrong.offset(name, 0x2E, "section headers of %d bytes, not %d", section_size,
      SECTION:packsize())
  elseif h.section_count > 0 and h.sections + h.section_count * section_size > #bytes then
    wrong.offset(name, 0x20, "the section headers are past the end of the file")
  end
  return h
end

-- The PT_LOAD segments that have bytes in the file.
local function loads(name, bytes, h)
  local list = {}
  for i = 0, h.program_count - 1 do
    local at = h.programs + i * PROGRAM:packsize()
    local kind, offset, virtual, address, size, memory = PROGRAM:unpack(bytes, at + 1)
    if kind == LOAD and size > 0 then
      if offset + size > #bytes then
        wrong.offset(name, at + 16, "program header %d: %d bytes at offset 0x%X are past the end",
          i, size, offset)
      elseif size > memory then
        wrong.offset(name, at + 16, "program header %d: %d bytes in the file and %d in memory", i,
          size, memory)
      elseif address + size > SPACE or virtual + memory > SPACE then
        wrong.offset(name, at + 12, "program header %d: data past 4 GiB", i)
      end
      list[#list + 1] = { offset = offset, virtual = virtual, address = address, size = size }
    end
  end
  return list
end

-- The file offsets of the sections that are loaded. Each section must be inside one PT_LOAD.
local function loaded_sections(name, bytes, h, list)
  local sections = {}
  for i = 0, h.section_count - 1 do
    local at = h.sections + i * SECTION:packsize()
    local _, kind, flags, _, offset, size = SECTION:unpack(bytes, at + 1)
    if flags & ALLOC ~= 0 and kind ~= NULL and kind ~= NO_BITS and size > 0 then
      if offset + size > #bytes then
        wrong.offset(name, at + 16, "section %d: %d bytes at offset 0x%X are past the end", i, size,
          offset)
      end
      local held = false
      for _, load in ipairs(list) do
        held = held or offset >= load.offset and offset + size <= load.offset + load.size
      end
      if not held then
        wrong.offset(name, at, "section %d is to be loaded, and no program header holds it", i)
      end
      sections[#sections + 1] = offset
    end
  end
  return sections
end

-- The number of bytes at the beginning of a PT_LOAD that are not part of the program: the ELF
-- header and the program headers, if it begins with them, and the padding up to the first section.
local function headers_in(h, load, sections)
  local stop = HEADER:packsize()
  if h.programs <= stop then
    stop = math.max(stop, h.programs + h.program_count * PROGRAM:packsize())
  end
  if load.offset >= stop then return 0 end
  local first = load.offset + load.size -- a PT_LOAD of headers alone
  for _, offset in ipairs(sections) do
    if offset >= stop and offset >= load.offset then first = math.min(first, offset) end
  end
  if #sections == 0 then first = stop end
  return math.min(first - load.offset, load.size)
end

-- The bytes of all PT_LOADs. Their sum is bounded by the size of the file, whatever the headers
-- claim.
local function pieces_of(name, bytes, h, list)
  local pieces, total = {}, 0
  local sections = loaded_sections(name, bytes, h, list)
  for _, load in ipairs(list) do
    local skipped = headers_in(h, load, sections)
    local offset, size = load.offset + skipped, load.size - skipped
    total = total + size
    if total > #bytes then
      wrong.offset(name, offset, "the segments to load overlap in the file")
    end
    pieces[#pieces + 1] = { address = load.address + skipped, offset = offset,
                            bytes = bytes:sub(offset + 1, offset + size) }
  end
  return pieces
end

-- Converts the entry point, which is a run-time address, to a load address.
local function load_address(entry, list)
  for _, load in ipairs(list) do
    if entry >= load.virtual and entry < load.virtual + load.size then
      return entry - load.virtual + load.address
    end
  end
end

---@param name string of the file
---@param bytes string
---@return table[] segments
---@return integer? entry point, as a load address
---@return string machine "Arm" or "RISC-V"
function M.parse(name, bytes)
  local h = header(name, bytes)
  local list = loads(name, bytes, h)
  local pieces = pieces_of(name, bytes, h, list)
  local merged, address = segments.merge(pieces, name)
  if not merged then
    local first, second = table.unpack(segments.holding(pieces, address))
    wrong.offset(name, second.offset, "what is loaded from here, and from offset 0x%X, differs at "
      .. "0x%08X", first.offset, address)
  end
  return merged, load_address(h.entry, list), MACHINES[h.machine]
end

return M

-- SPDX-License-Identifier: MIT
-- Firmware files for tests, made byte by byte: nothing here uses what is tested.
local image = require "moonflash.image"

local M = {}

---Calls f(name) with a file of these bytes, whose name ends in `ending`; returns what f returns.
---@param bytes string
---@param ending string ".hex", or ""
---@param f function
function M.with_file(bytes, ending, f)
  local stem = os.tmpname()
  local name = stem .. ending
  local file = assert(io.open(name, "wb"))
  file:write(bytes)
  file:close()
  local results = table.pack(pcall(f, name))
  os.remove(name)
  os.remove(stem)
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

---The image of these bytes.
---@param bytes string
---@param options? table
---@param ending? string
---@param behind? string what follows the name: "@0x08010000"
function M.load(bytes, options, ending, behind)
  return M.with_file(bytes, ending or "", function(name)
    return image.load(name .. (behind or ""), options)
  end)
end

---A program: a vector table, linked for an address, and as many bytes as are wanted.
---@param address integer
---@param length? integer 64
---@return string
function M.program(address, length)
  local bytes = ("<I4I4"):pack(0x20010000, address + 0x21) .. ("\0"):rep(24) .. "\xFE\xE7"
  return bytes .. ("x"):rep(math.max((length or 64) - #bytes, 0))
end

---An image of one piece.
---@param address integer
---@param bytes string
---@param alt? integer the alternate setting
function M.of(address, bytes, alt)
  return image.new { name = "it", segments = { { address = address, bytes = bytes, alt = alt } } }
end

local function sum(bytes)
  local total = 0
  for i = 1, #bytes do total = total + bytes:byte(i) end
  return total
end

local function digits(bytes)
  return (bytes:gsub(".", function(c) return ("%02X"):format(c:byte()) end))
end

---A record of Intel HEX.
---@param kind integer
---@param offset integer
---@param data string
function M.hex(kind, offset, data)
  local bytes = (">BI2B"):pack(#data, offset, kind) .. data
  return ":" .. digits(bytes .. string.char(-sum(bytes) & 0xFF)) .. "\n"
end

M.HEX_END = M.hex(1, 0, "")
M.HEX_HIGH = M.hex(4, 0, "\x08\x00") -- 0x08000000

local WIDTHS = { [0] = 2, 2, 3, 4, 2, 2, 3, 4, 3, 2 }

---An S-record.
---@param kind integer
---@param address integer
---@param data string
function M.srec(kind, address, data)
  local bytes = (">BI" .. WIDTHS[kind]):pack(1 + WIDTHS[kind] + #data, address) .. data
  return "S" .. kind .. digits(bytes .. string.char(~sum(bytes) & 0xFF)) .. "\n"
end

-- A bit at a time, as it stands in DFU 1.1.
local function crc(bytes)
  local value = 0xFFFFFFFF
  for i = 1, #bytes do
    value = value ~ bytes:byte(i)
    for _ = 1, 8 do value = value & 1 == 1 and value >> 1 ~ 0xEDB88320 or value >> 1 end
  end
  return value
end

---The bytes with a DFU suffix.
---@param bytes string
---@param fields? table vid, pid, version, format, mark, length, crc
function M.suffixed(bytes, fields)
  fields = fields or {}
  bytes = bytes .. ("<I2I2I2I2c3B"):pack(fields.version or 0xFFFF, fields.pid or 0xDF11,
    fields.vid or 0x0483, fields.format or 0x0100, fields.mark or "UFD", fields.length or 16)
  return bytes .. ("<I4"):pack(fields.crc or crc(bytes))
end

---A DfuSe file without its suffix: targets = { { alt, { address, bytes }, ... }, ... }. Any count
---and length can be made to lie: fields.version, size, targets, mark, target_size, elements,
---element_size; more follows the last target.
---@param list table[]
---@param fields? table
function M.dfuse_content(list, fields)
  fields = fields or {}
  local bodies = {}
  for _, target in ipairs(list) do
    local body = {}
    for i = 2, #target do
      local address, bytes = target[i][1], target[i][2]
      body[i - 1] = ("<I4I4"):pack(address, fields.element_size or #bytes) .. bytes
    end
    local all = table.concat(body)
    bodies[#bodies + 1] = ("<c6BI4c255I4I4"):pack(fields.mark or "Target", target[1], 1, "ST...",
      fields.target_size or #all, fields.elements or #body) .. all
  end
  local all = table.concat(bodies) .. (fields.more or "")
  return ("<c5BI4B"):pack("DfuSe", fields.version or 1, fields.size or #all + 11,
    fields.targets or #list) .. all
end

---A DfuSe file.
---@param list table[]
---@param fields? table also those of M.suffixed
function M.dfuse(list, fields)
  return M.suffixed(M.dfuse_content(list, fields), { format = 0x011A, vid = fields and fields.vid })
end

---An ELF program. list = { { address, bytes, virtual=, memory=, offset=, size=, type= }, ... };
---fields: class, order, type, machine, version, entry, programs, program_size, program_count,
---sections = { { flags, type, offset, size }, ... }, section_offset, section_size, section_count.
---@param list table[]
---@param fields? table
function M.elf(list, fields)
  fields = fields or {}
  local sections = fields.sections or {}
  local at = 52 + 32 * #list
  local programs, bodies = {}, {}
  for i, load in ipairs(list) do
    programs[i] = ("<I4I4I4I4I4I4I4I4"):pack(load.type or 1, load.offset or at,
      load.virtual or load[1], load[1], load.size or #load[2], load.memory or #load[2], 5, 4)
    bodies[i] = load[2]
    at = at + #load[2]
  end
  local headers = {}
  for i, section in ipairs(sections) do
    headers[i] = ("<I4I4I4I4I4I4I4I4I4I4"):pack(0, section[2], section[1], 0, section[3],
      section[4], 0, 0, 4, 0)
  end
  return ("<c4BBBBc8I2I2I4I4I4I4I4I2I2I2I2I2I2"):pack("\127ELF", fields.class or 1,
      fields.order or 1, 1, 0, "", fields.type or 2, fields.machine or 40, fields.version or 1,
      fields.entry or list[1] and list[1][1] or 0, fields.programs or 52,
      fields.section_offset or #sections > 0 and at or 0, 0, 52, fields.program_size or 32,
      fields.program_count or #list, fields.section_size or 40,
      fields.section_count or #sections, 0)
    .. table.concat(programs) .. table.concat(bodies) .. table.concat(headers)
end

return M

-- SPDX-License-Identifier: MIT
-- What is known of the families of chips, and how well: as text, and as docs/boards.md.
local chip = require "moonflash.board.chip"
local errors = require "moonflash.errors"
local families = require "moonflash.board.families"
local shown = require "moonflash.base.shown"
local text = require "moonflash.base.text"

local M = {}

local WIDTH, INDENT = 78, 19 -- columns of a line, and of a fact's name

-- ---- facts as text ----

local function hex(n) return ("0x%X"):format(n) end

local function list_of(values, f)
  local list = {}
  for i, value in ipairs(values) do list[i] = f and f(value) or tostring(value) end
  return table.concat(list, ", ")
end

local function milliseconds(value)
  if type(value) ~= "table" then return ("%g ms"):format(value) end
  local sizes = {}
  for size in pairs(value) do sizes[#sizes + 1] = size end
  table.sort(sizes)
  return list_of(sizes, function(size) return ("%s %g ms"):format(text.size(size), value[size]) end)
end

local function place(value) return ("%s, %s"):format(text.hex(value[1]), text.size(value[2])) end

local function sectors(notation)
  return (notation:gsub("[Kk][%l]", " KB"):gsub("(%d)g", "%1 B"):gsub("%*", " x ")
    :gsub(",", " + "))
end

-- Facts in the order in which they are shown: key, name, value as text.
local FACTS = {
  { "enter", "into DFU mode", tostring },
  { "connect_ms", "on the bus after", milliseconds },
  { "ids", "USB ids", function(v)
    return list_of(v, function(ids) return ("%04x:%04x"):format(ids[1], ids[2]) end)
  end },
  { "versions", "bcdDevice", function(v)
    return list_of(v, function(n) return ("%04x"):format(n) end)
  end },
  { "chip_id", "DBGMCU id", function(v)
    return type(v) == "table" and list_of(v, hex) or hex(v)
  end },
  { "loader_id", "boot loader's id", function(v) return "the byte at " .. text.hex(v) end },
  { "loader_id_read", "its id was read", function(v) return v and "over USB" or "no" end },
  { "commands", "commands", function(v)
    return list_of(v, function(n) return ("%02x"):format(n) end)
  end },
  { "riscv", "processor", function() return "RISC-V" end },
  { "flash", "flash", function(v) return list_of(v, sectors):gsub(", ", "; or ") end },
  { "two_banks", "banks", function() return "two, on the largest chips" end },
  { "unit", "programmed by", text.size },
  { "align", "writes start at", function(v) return "multiples of " .. v end },
  { "erased", "erasing leaves", function(v) return ("0x%02X"):format(v) end },
  { "erase_ms", "erasing a sector", milliseconds },
  { "erase_max_ms", "at the longest", milliseconds },
  { "mass_ms", "erasing all", milliseconds },
  { "write_us", "writing a unit", function(v) return ("%g us"):format(v) end },
  { "write_unit", "in that time", text.size },
  { "poll_ms", "announced times", function(v)
    return ("erase %d ms, write %d ms, address %d ms"):format(v.erase, v.write, v.address)
  end },
  { "early_poll", "asked early", function(v) return v and "answers when it is done" or "no" end },
  { "uid", "unique id", function(v)
    return list_of({ v[1], v[1] + v[2], v[1] + v[3] }, text.hex)
  end },
  { "size_at", "flash size", function(v) return "in KB at " .. text.hex(v) end },
  { "otp", "OTP", place },
  { "eeprom", "EEPROM", place },
  { "serial", "serial number", function(v) return "made of the unique id (" .. v .. ")" end },
  { "shared_serials", "shared serials", list_of },
}

local function evidence(mark, source)
  return ("(%s%s)"):format(mark ~= "seen" and mark .. ": " or "", source)
end

local function rows_of(family)
  local rows = {}
  for _, row in ipairs(FACTS) do
    local fact = family.facts[row[1]]
    if fact then
      rows[#rows + 1] = { row[2], row[3](fact.value) .. " " .. evidence(fact.mark, fact.source) }
    end
  end
  return rows
end

local function loaders(family)
  return #family.loaders > 0 and list_of(family.loaders, function(id)
    return ("%s (0x%02X)"):format(chip.version(id), id)
  end) or nil
end

-- How the option bytes can be used.
local function option_use(options)
  if not options then return "not described" end
  if options.readonly then return "never written: " .. options.readonly end
  return options.mark == "seen" and "read and written" or "read; written with --unproven"
end

local function option_rows(family)
  local options, rows = family.options, {}
  rows[1] = { "option bytes", option_use(options)
    .. (options and " " .. evidence(options.mark, options.source) or "") }
  for _, block in ipairs(options or {}) do
    rows[#rows + 1] = { "", text.hex(block.address)
      .. (block.length and (", %d bytes"):format(block.length) or ", length not known") }
  end
  if options then
    local names = {}
    for i, field in ipairs(options.fields) do
      names[i] = field.name .. (field.mark and " (" .. field.mark .. ")" or "")
    end
    table.sort(names)
    rows[#rows + 1] = { "", table.concat(names, ", ") }
    rows[#rows + 1] = { "", options.resets and "the chip resets itself after writing"
      or "the ROM may load them only at the next power-up" }
  end
  return rows
end

local function modes_of(mode)
  local list = {}
  for reported, real in pairs(mode.flash) do
    list[#list + 1] = ("%s in place of %s"):format(sectors(real), sectors(reported))
  end
  table.sort(list)
  return table.concat(list, "; ")
end

local function for_ever(family)
  local list = {}
  for name, values in pairs(family.options and family.options.forever or {}) do
    for value, why in pairs(values) do
      if value == "only" then
        list[#list + 1] = name .. ": every value that is not valid closes the chip, too"
      end
      if math.type(value) then list[#list + 1] = ("%s 0x%02X: %s"):format(name, value, why) end
    end
  end
  table.sort(list)
  return list
end

-- What the strings of the boot loader were seen on.
local function strings_row(family)
  local seen, inferred = 0, 0
  for _, rom in ipairs(family.roms) do
    if rom.seen then seen = seen + 1 else inferred = inferred + 1 end
  end
  return seen > 0 and "seen" or inferred > 0 and "inferred" or "not found"
end

-- All rows of a family: { name, text }; the name is "" where it is that of the row above.
local function all_rows(family)
  local rows = rows_of(family)
  rows[#rows + 1] = loaders(family) and { "boot loaders", loaders(family) } or nil
  for i, rom in ipairs(family.roms) do
    for j, name in ipairs(rom) do
      rows[#rows + 1] = { i == 1 and j == 1 and "strings" or "", name, verbatim = true }
    end
    rows[#rows + 1] = { "", evidence(rom.seen and "seen" or "inferred", rom.seen or rom.inferred) }
  end
  table.move(option_rows(family), 1, #option_rows(family), #rows + 1, rows)
  for i, mode in ipairs(family.modes) do
    rows[#rows + 1] = { i == 1 and "modes" or "", ("%s with %s = %d: %s %s"):format(mode.name,
      mode.field, mode.value, modes_of(mode), evidence(mode.mark or "seen", mode.source)) }
  end
  for i, line in ipairs(for_ever(family)) do
    rows[#rows + 1] = { i == 1 and "can't be undone" or "", line }
  end
  for i, fault in ipairs(family.faults) do
    rows[#rows + 1] = { i == 1 and "to mind" or "", fault[2] .. " "
      .. evidence(fault.mark or "seen", fault[3]) }
  end
  rows[#rows + 1] = { "simulated", #family.simulated > 0 and list_of(family.simulated,
    function(kind) return "sim:" .. kind end) or "no" }
  return rows
end

-- ---- for a person ----

local function details(family)
  local lines = { family.name .. ": " .. family.covers }
  for _, row in ipairs(all_rows(family)) do
    for i, line in ipairs(row.verbatim and { row[2] } or text.wrap(row[2], WIDTH - INDENT)) do
      lines[#lines + 1] = ("  %-16s %s"):format(i == 1 and row[1] or "", line)
    end
  end
  return table.concat(lines, "\n")
end

-- A family as data, for --json.
local function data_of(family)
  local data = { name = family.name, covers = family.covers, strings = strings_row(family),
                 simulated = family.simulated, facts = {}, faults = {} }
  for key, fact in pairs(family.facts) do
    data.facts[key] = { value = fact.value, source = fact.source, mark = fact.mark }
  end
  for i, fault in ipairs(family.faults) do
    data.faults[i] = { kind = fault[1], text = fault[2], source = fault[3],
                       mark = fault.mark or "seen" }
  end
  return data
end

---All families, a line each.
---@return table[] that prints as a table
function M.list()
  local data, rows = {}, { { "FAMILY", "STRINGS", "OPTION BYTES", "SIMULATED" } }
  for i, family in ipairs(families.all()) do
    data[i] = data_of(family)
    local options = family.options
    rows[#rows + 1] = { family.name, strings_row(family), not options and "-"
      or options.readonly and "read" or options.mark == "seen" and "by name" or "unproven",
      #family.simulated > 0 and "sim:" .. table.concat(family.simulated, ", sim:") or "-" }
  end
  return shown.as(data, function()
    return shown.columns(rows) .. "\n\n'moonflash boards NAME' shows what is known of one."
  end)
end

---What is known of the families with a name. Raises `usage` if there is none.
---@param name string
---@return table[] that prints as text
function M.named(name)
  local list, hint = families.named(name)
  if #list == 0 then
    errors.raise { code = "usage", remedy = { "boards" },
      message = ("no family of chips has the name '%s'%s"):format(text.clean(name), hint or "") }
  end
  local data = {}
  for i, family in ipairs(list) do data[i] = data_of(family) end
  return shown.as(data, function()
    local parts = {}
    for i, family in ipairs(list) do parts[i] = details(family) end
    return table.concat(parts, "\n\n")
  end)
end

-- ---- docs/boards.md ----

local HEAD = [[
# Boards

After this chapter you know what is known of your chip, and how well.

This chapter lists the chips with a USB DFU boot loader in ROM about which something is known.
This file is made from the data in `lua/moonflash/board/families/` by `moonflash boards --markdown`.
`moonflash boards NAME` shows all that is known of a family: sectors, times, option bytes,
addresses, versions, the way into DFU mode, each with its source. `moonflash info` shows which
families a board can be of.

Each fact has its source in parentheses. Facts without a mark were seen: in a document of ST (AN2606
Rev 70, AN3156 Rev 18), in headers (CMSIS, stm32-data), in a log of `dfu-util -l` (the number of a
public file), or in a capture. *recalled* facts are from manuals and were not checked; *inferred*
facts follow from others. Where a fact is missing, a plan assumes the worst case. No chip was
tried by the authors on hardware: "strings seen" means that they are in a published log or capture.

"by name": `moonflash optbytes` shows and changes the option bytes. "unproven": their place is not
certain; changes need `--unproven`. "read": they are shown where the board announces them, and never
written.

]]

local TO_MIND = [[

## To mind

What boot loaders are known to do wrong. A plan avoids it, or is refused with the reason.
]]

---The text of docs/boards.md.
---@return string
function M.markdown()
  local parts = { HEAD, "| family | chips | strings | option bytes | simulated |\n",
                  "|---|---|---|---|---|\n" }
  for _, family in ipairs(families.all()) do
    local options = family.options
    parts[#parts + 1] = ("| %s | %s | %s | %s | %s |\n"):format(family.name, family.covers,
      strings_row(family), not options and "-" or options.readonly and "read"
      or options.mark == "seen" and "by name" or "unproven",
      #family.simulated > 0 and "`sim:" .. table.concat(family.simulated, "`, `sim:") .. "`" or "-")
  end
  parts[#parts + 1] = TO_MIND
  for _, family in ipairs(families.all()) do
    local lines = {}
    for i, fault in ipairs(family.faults) do
      lines[i] = ("- %s %s"):format(fault[2], evidence(fault.mark or "seen", fault[3]))
    end
    if #lines > 0 then
      parts[#parts + 1] = ("\n%s:\n\n%s\n"):format(family.name, table.concat(lines, "\n"))
    end
  end
  parts[#parts + 1] = "\nNext: [The API](api.md).\n"
  return (table.concat(parts):gsub("\n$", ""))
end

return M

-- SPDX-License-Identifier: MIT
-- The shape of a family in families/: checks each field when it is loaded, and makes it ready for
-- use. A fact is { value, source } or { value, source, mark }. The mark is "seen" in a document, a
-- log or a capture, unless it says "recalled" or "inferred".
--
-- Fields that are facts:
--   ids              { { vid, pid }, ... }; ST's, if not given
--   chip_id          DBGMCU_IDCODE, 12 bits; or several
--   versions         { bcdDevice, ... } of its boot loaders
--   flash            { "4*16Kg,1*64Kg", ... }: the sectors of each size of chip, from 0x08000000
--   two_banks        true: the flash of the largest chip has two banks of equal size
--   unit, align      bytes that the flash programs at once; at whose multiples writes start and end
--   erased           the byte that erasing leaves
--   erase_ms, erase_max_ms, mass_ms   milliseconds for a sector (a number, or by size), for all
--   write_us, write_unit    microseconds for a unit, or for that many bytes
--   poll_ms          { erase=, write=, address= }: the poll times that the boot loader announces
--   early_poll       true: it may be asked before the poll time, and answers when it is done
--   connect_ms       from power to its place on the bus
--   loader_id        address of the byte with its version; loader_id_read: true, if reading was
--   seen
--   commands         { 0x00, ... }: what Get Commands lists, if it is not 00 21 41 92
--   uid, size_at     { address, offset, offset } of the unique id's words; of the flash size in KB
--   otp, eeprom      { address, length }
--   serial           how the serial number is made of the unique id: a name in chip.lua
--   shared_serials   serial numbers that many boards have
--   enter            the way into DFU mode
--   riscv            true: the processor is RISC-V
-- Other fields:
--   name, covers     the family's full name; the chips in it
--   roms             { version=, product=, <strings of the settings>, seen= or inferred= <source>
--   };
--                    says, flash: the string's sectors are wrong, and those in flash are right;
--                    drops: numbers of settings that do not exist
--   loaders          { id, ... }: values of the version byte; 0x91 is V9.1
--   simulated        { "f407", ... }: kinds of simulated boards with this chip
--   modes            { field=, value=, name=, flash={ [sectors] = sectors }, source=, mark= }: with
--                    this value of an option the sectors are others
--   faults           { kind, text, source }; loaders={ id, ... }, version=bcdDevice, mode=: only of
--                    these; always: in every mode from this size on; hole={ first, last }; mark.
--                    flash/rules.lua knows the kinds that change a plan
--   options          the option bytes; see below
local memory = require "moonflash.memory"

local M = {}

local ST = { { { 0x0483, 0xDF11 } }, "logs of dfu-util -l" }
local MARKS = { seen = true, recalled = true, inferred = true }
local START = "@Flash/0x08000000/"

local FACTS = {
  ids = "table", chip_id = "times", versions = "table", flash = "table", two_banks = "boolean",
  unit = "integer", align = "integer", erased = "integer", erase_ms = "times",
  erase_max_ms = "times", mass_ms = "number", write_us = "number", write_unit = "integer",
  poll_ms = "table", early_poll = "boolean", connect_ms = "integer", loader_id = "integer",
  loader_id_read = "boolean", commands = "table", uid = "table", size_at = "integer",
  otp = "table", eeprom = "table", serial = "string", shared_serials = "table", enter = "string",
  riscv = "boolean",
}
local OTHERS = { name = true, covers = true, roms = true, loaders = true, modes = true,
                 faults = true, options = true, simulated = true }

-- A family's options: source, mark; form: how complements are kept ("byte": behind each byte,
-- "half": in the upper half of each word, "word": behind each word, "registers": none, but a copy
-- behind each word); resets: the ROM resets the chip after writing them; readonly: why they are
-- never written; keys: the block holds keys. A list of blocks: address; length, unless unknown;
-- words, the fields by the offset of their word: "NAME[high:low] NAME[bit]"; recalled: offsets that
-- are not certain. open: the protection field, and the value without which nothing can be read.
-- forever: by field, the values that can't be undone; only: the single values that can. keep:
-- fields that are shown and not changed, and why. hidden: what the block has beside its fields, so
-- that only optbytes.write may write it. costs: what changing a field costs. protects: how sectors
-- are protected against writing (optbytes/protects.lua).
local OPTIONS = { source = true, mark = true, form = true, resets = true, readonly = true,
                  keys = true, open = true, forever = true, keep = true, costs = true,
                  protects = true, hidden = true }
local FORMS = { byte = true, half = true, word = true, registers = true }

local function kind_of(value)
  return math.type(value) == "integer" and "integer" or type(value)
end

-- ---- sectors ----

---Runs of sectors from a notation like that of layout strings: "4*16Kg,1*64Kg".
---@param text string
---@return table[] segments as memory.parse gives
function M.sectors(text)
  local layout = memory.parse(START .. text)
  assert(#layout.segments > 0 and not layout.dropped, text)
  return layout.segments
end

-- ---- option bytes ----

local function fields_in(block, index, fields, fail)
  local offsets = {}
  for offset in pairs(block.words) do offsets[#offsets + 1] = offset end
  table.sort(offsets)
  for _, offset in ipairs(offsets) do
    for name, high, low in block.words[offset]:gmatch("([%w_]+)%[(%d+):?(%d*)%]") do
      local top = math.tointeger(tonumber(high))
      local bottom = low == "" and top or math.tointeger(tonumber(low))
      if top > 31 or bottom > top then fail("options: %s: bits %d to %d", name, bottom, top) end
      if fields[name] then fail("options: %s is there twice", name) end
      local field = { name = name, block = index, address = block.address + offset, word = offset,
                      low = bottom, high = top,
                      mark = block.recalled and block.recalled[offset] and "recalled" or nil }
      fields[name], fields[#fields + 1] = field, field
    end
  end
end

-- The bits of a value in each byte: { { address=, mask=, value= }, ... }
local function bytes_of(field, value)
  local list = {}
  for at = field.low // 8, field.high // 8 do
    local mask, bits = 0, 0
    for bit = math.max(field.low, at * 8), math.min(field.high, at * 8 + 7) do
      mask = mask | 1 << bit - at * 8
      bits = bits | (value >> bit - field.low & 1) << bit - at * 8
    end
    list[#list + 1] = { address = field.address + at, mask = mask, value = bits }
  end
  return list
end

-- The values that can't be undone, for guard.lua. Registers have a copy four bytes on.
local function locks_of(options, fail)
  local locks = {}
  local function add(field, row, why, only)
    for _, shift in ipairs(options.form == "registers" and { 0, 4 } or { 0 }) do
      locks[#locks + 1] = { address = row.address + shift, mask = row.mask, value = row.value,
                            why = why, only = only, start = options[field.block].address,
                            level = field.name == options.open[1] }
    end
  end
  for name, values in pairs(options.forever) do
    local field = options.fields[name] or fail("options: forever: there is no %s", name)
    for value, why in pairs(values) do
      local rows = math.type(value) and bytes_of(field, value) or {}
      if #rows > 1 then fail("options: forever: %s is in two bytes", name) end
      if rows[1] then add(field, rows[1], why) end
    end
    if values.only then
      local row = bytes_of(field, 0)[1]
      add(field, row, "a value that is not valid, which counts as " .. (values[0x72] or "closed"),
        values.only)
    end
  end
  table.sort(locks, function(a, b)
    if a.address ~= b.address then return a.address < b.address end
    return (a.value or -1) < (b.value or -1)
  end)
  return locks
end

local LONGEST = 0x200 -- bytes of a block whose length is not known

local function take_options(options, fail)
  if not FORMS[options.form] then fail("options: form is byte, half, word or registers") end
  if type(options.source) ~= "string" then fail("options: the source is missing") end
  for key in pairs(options) do
    if not OPTIONS[key] and math.type(key) ~= "integer" then fail("options: no field '%s'", key) end
  end
  options.mark = options.mark or "seen"
  options.fields, options.keep = {}, options.keep or {}
  for i, block in ipairs(options) do
    block.words = block.words or {}
    fields_in(block, i, options.fields, fail)
    local last = block.address + (block.length or LONGEST) - 1
    local why = options.readonly or options.hidden or next(options.keep) and "it has options that "
      .. "must stay as they are"
    block.sealed = why and { first = block.address, last = last, why = why } or nil
  end
  if not options.fields[options.open[1]] then fail("options: open: no such field") end
  for name, values in pairs(options.forever) do
    if not options.fields[name] then
      options.forever[name] = nil -- a lock that this family does not have
    elseif type(values) ~= "table" then
      fail("options: forever: %s", name)
    end
  end
  options.locks = locks_of(options, fail)
end

-- ---- a family ----

local function take_fact(family, key, raw, fail)
  local value, source, mark = raw[1], raw[2], raw[3] or "seen"
  local wanted, got = FACTS[key], kind_of(value)
  local good = wanted == got or wanted == "number" and math.type(value)
    or wanted == "times" and (math.type(value) or got == "table")
  if not good then fail("%s is %s %s", key, wanted:find("^[aei]") and "an" or "a", wanted) end
  if type(source) ~= "string" or source == "" then fail("%s: the source is missing", key) end
  if not MARKS[mark] then fail("%s: the mark is seen, recalled or inferred", key) end
  family[key] = value
  family.facts[key] = { value = value, source = source, mark = mark }
end

local function take_roms(family, fail)
  for _, rom in ipairs(family.roms) do
    if #rom == 0 then fail("roms: a row has at least the string of the flash") end
    if not (rom.seen or rom.inferred) then fail("roms: the source is missing") end
    rom.real = rom.flash and M.sectors(rom.flash) or nil
  end
end

local function copied(value)
  if type(value) ~= "table" then return value end
  local copy = {}
  for k, v in pairs(value) do copy[k] = copied(v) end
  return copy
end

---Checks a family, and makes it ready for use. Raises a string about the first mistake.
---@param file string its name, for messages
---@param raw table as families/ has it
---@return table family
function M.take(file, raw)
  local function fail(format, ...)
    error(("%s: %s: %s"):format(file, raw.name or "a family", format:format(...)), 0)
  end
  if type(raw) ~= "table" or type(raw.name) ~= "string" then
    error(file .. ": a family without a name", 0)
  end
  local family = { name = raw.name, covers = raw.covers or raw.name, facts = {},
                   roms = copied(raw.roms or {}), loaders = raw.loaders or {},
                   simulated = raw.simulated or {},
                   faults = raw.faults or {}, modes = raw.modes or {},
                   options = copied(raw.options), file = file }
  for key in pairs(raw) do
    if not FACTS[key] and not OTHERS[key] then fail("there is no field '%s'", tostring(key)) end
  end
  for key in pairs(FACTS) do
    if raw[key] ~= nil then take_fact(family, key, raw[key], fail) end
  end
  if not raw.ids then take_fact(family, "ids", ST, fail) end
  family.layouts = {}
  for i, text in ipairs(family.flash or {}) do family.layouts[i] = M.sectors(text) end
  take_roms(family, fail)
  for _, fault in ipairs(family.faults) do
    if #fault ~= 3 then fail("faults: a fault has a kind, a text and a source") end
  end
  if family.options then take_options(family.options, fail) end
  return family
end

return M

-- SPDX-License-Identifier: MIT
-- What is known of a board's chip, from the families that it can be of. Where they differ, the
-- strictest holds; what is not known is taken for the strictest that it could be.
local families = require "moonflash.board.families"
local memory = require "moonflash.memory"
local option_bytes = require "moonflash.board.option_bytes"

local M = {}

-- Of boards with unknown chips. 16: the coarsest alignment of any boot loader (AN2606 table 7); 32:
-- the largest unit of any flash (H7).
local UNKNOWN_ALIGN, UNKNOWN_UNIT = 16, 32

-- Times of an unknown chip: those of the L4 (DS11451 table 58), pages of 2 KB, eight bytes at once.
local ERASE_SECONDS = 12.5e-6 -- for a byte
local WRITE_SECONDS = 10.2e-6 -- for a byte
-- The share of the requests in the time of a byte: of a board that is asked early, and of others.
local EARLY_SHARE, READ_SHARE, SHARE = 2.6e-6, 1.66e-6, 5.8e-6
local USUAL_READ = 3.2e-6

-- The product strings of ST's ROMs. MicroPython's mboot has the ROM's ids and layout, but answers
-- differently (its source).
local OLD_PRODUCT, NEW_PRODUCT = "STM32  BOOTLOADER", "DFU in FS Mode"
local ROM_PRODUCTS = { [OLD_PRODUCT] = true, [NEW_PRODUCT] = true,
                       ["STM32 0x418 DFU Bootloader"] = true }

local ST_VID, ST_PID = 0x0483, 0xDF11

local function is_st(info) return info.vid == ST_VID and info.pid == ST_PID end

---Whether a board has the ids and a product string of ST's ROMs, so that advice for all of these
---(the BOOT0 pin) applies.
---@param info table
---@return boolean
function M.may_be_rom(info)
  return is_st(info) and ROM_PRODUCTS[info.product] or false
end

-- ---- the strictest of several families ----

local function greatest(list, key, otherwise)
  local most
  for _, family in ipairs(list) do
    local value = family[key] or otherwise
    if not value then return nil end
    most = math.max(most or value, value)
  end
  return most or otherwise
end

-- The value that all families have; nil if they differ, or if there are none.
local function common(list, key)
  local value
  for i, family in ipairs(list) do
    if family[key] == nil or i > 1 and family[key] ~= value then return nil end
    value = family[key]
  end
  return value
end

local function any(list, key)
  for _, family in ipairs(list) do
    if family[key] then return true end
  end
  return false
end

-- Whether a family's boot loader may be asked before the poll time.
local function all_early(list, info)
  if #list == 0 or info.product ~= OLD_PRODUCT then return false end
  for _, family in ipairs(list) do
    local version = false
    for _, known in ipairs(family.versions or {}) do version = version or known == info.version end
    if not family.early_poll or not version then return false end
  end
  return true
end

---The name of several families: "STM32F2, STM32F405/407 or STM32F412".
---@param list table[]
---@return string? nil if there are none
function M.name_of(list)
  local names = {}
  for i, family in ipairs(list) do names[i] = family.name end
  local last = table.remove(names)
  return #names > 0 and table.concat(names, ", ") .. " or " .. last or last
end

-- Seconds for a byte that is written, with its share of the requests and poll times.
local function write_seconds(list, early, transfer_size)
  local most = 0
  for _, family in ipairs(list) do
    local flash = family.write_us
      and family.write_us * 1e-6 / (family.write_unit or family.unit) or WRITE_SECONDS
    local poll = not early and family.poll_ms and family.poll_ms.write * 1e-3 / transfer_size or 0
    most = math.max(most, flash, poll)
  end
  return (most > 0 and most or WRITE_SECONDS) + (early and EARLY_SHARE or SHARE)
end

-- The faults of all families that can be those of a boot loader with this bcdDevice.
local function faults_of(list, version)
  local faults = {}
  for _, family in ipairs(list) do
    for _, fault in ipairs(family.faults) do
      if not fault.version or fault.version == version then
        faults[#faults + 1] = { kind = fault[1], text = fault[2], source = fault[3],
                                mark = fault.mark or "seen", family = family.name, data = fault }
      end
    end
  end
  return faults
end

---The facts that follow from a board's strings; --layout does not change them.
---@class moonflash.Part
---@field families table[] those that the chip can be of (families.lua)
---@field family? string their names
---@field exact boolean the layout is that of a chip in these families
---@field rom? table the strings that the board's equal: it is a known ROM
---@field row? table the same, or strings that were inferred
---@field unit integer writes to flash start and end at its multiples
---@field align integer likewise, for all memories
---@field erased string the byte that erasing leaves
---@field blank? string the same, if it is certain
---@field times table mass, read, write, entry: seconds, for estimates
---@field early_poll boolean
---@field riscv boolean
---@field faults table[] { kind=, text=, source=, mark=, family=, data= }
---@field modes table[] of the families (family_shape.lua)
---@field options? table the option bytes (option_bytes.lua)
---@field commands? integer[] what Get Commands lists, if the families differ from the others

---@param info table in the format of dfu.list()
---@return moonflash.Part
function M.of(info)
  local match = families.match(info)
  local list = match.families
  local early = all_early(list, info)
  local is_rom = match.rom and is_st(info)
  local erased = common(list, "erased")
  local align = greatest(list, "align", UNKNOWN_ALIGN)
  local mass = greatest(list, "mass_ms")
  local modes = {}
  for _, family in ipairs(list) do table.move(family.modes, 1, #family.modes, #modes + 1, modes) end
  return {
    families = list, family = M.name_of(list), exact = match.exact,
    rom = is_rom and match.rom or nil, row = match.row,
    align = align,
    unit = math.max(align, #list > 0 and greatest(list, "unit", UNKNOWN_ALIGN) or UNKNOWN_UNIT),
    erased = string.char(erased or 0xFF),
    blank = is_rom and erased and string.char(erased) or nil,
    early_poll = early,
    times = { mass = mass and mass / 1e3, read = early and READ_SHARE or USUAL_READ,
              write = write_seconds(list, early, info.functional and info.functional.transfer_size
                or 2048), entry = early and 0.02 or 0.1 },
    riscv = any(list, "riscv"),
    faults = is_st(info) and not M.may_be_rom(info) and {} or faults_of(list, info.version),
    modes = modes,
    options = option_bytes.of(list),
    commands = common(list, "commands"),
  }
end

---Seconds that erasing a sector is expected to take on the board.
---@param part moonflash.Part
---@param size integer
---@return number
function M.erase_seconds(part, size)
  local most
  for _, family in ipairs(part.families) do
    local ms = family.erase_ms or family.erase_max_ms
    if type(ms) == "table" then ms = ms[size] end
    most = math.max(most or 0, ms and ms / 1e3 or size * ERASE_SECONDS)
  end
  return most or size * ERASE_SECONDS
end

---Seconds that a mass erase is expected to take on the board.
---@param part moonflash.Part
---@param board table
---@return number
function M.mass_seconds(part, board)
  local main, seconds = board.alts[1], 0
  if part.times.mass then return part.times.mass end
  for _, s in ipairs(main and main.layout.segments or {}) do
    if s.erasable then seconds = seconds + s.count * M.erase_seconds(part, s.size) end
  end
  return seconds
end

---Whether bytes are blank. If the chip's blank byte is not certain, all 0xFF and all 0x00 count as
---blank.
---@param part moonflash.Part
---@param bytes string
---@return boolean
function M.is_blank(part, bytes)
  if part.blank then return bytes == part.blank:rep(#bytes) end
  return bytes == ("\255"):rep(#bytes) or bytes == ("\0"):rep(#bytes)
end

---Whether many boards have this serial number.
---@param serial string
---@return boolean
function M.is_shared_serial(serial)
  for _, family in ipairs(families.all()) do
    for _, known in ipairs(family.shared_serials or {}) do
      if known == serial then return true end
    end
  end
  return false
end

-- ---- layouts ----

---Corrects errors in a reported layout that are known of all boards.
---@param layout table from memory.parse; modified
---@return table layout
function M.correct(layout)
  -- The F4 reports its "Device Feature" as erasable, which is wrong (dfu-util 29343ce). OTP memory
  -- is never erasable.
  -- Option bytes are erased by writing them (AN3156).
  if layout.name:find("^Device Feature") or layout.name:find("^OTP")
    or memory.is_option_bytes(layout) then
    for _, s in ipairs(layout.segments) do s.erasable = false end
  end
  return layout
end

---The layout of a setting that a board reports with wrong strings; nil if it is not known to be
---wrong.
---@param part moonflash.Part
---@param index integer
---@param layout table
---@return table? layout
function M.mended(part, index, layout)
  local row = part.row
  if not row then return nil end
  if index == 1 and row.real then
    return { name = layout.name, segments = row.real, mended = row.seen or row.inferred }
  end
  for _, dropped in ipairs(row.drops or {}) do
    if dropped == index then
      return { name = layout.name, segments = {}, mended = row.seen or row.inferred }
    end
  end
end

---The runs of sectors of all alternate settings. The primitives check addresses against these.
---@param alts table[] { { number=, layout= }, ... }
---@return table[]
function M.regions(alts)
  local regions = {}
  for _, alt in ipairs(alts) do
    for _, s in ipairs(alt.layout.segments) do
      regions[#regions + 1] = {
        alt = alt.number, address = s.address, size = s.size, count = s.count,
        readable = s.readable, writable = s.writable,
        erasable = s.erasable,
        resets = memory.is_option_bytes(alt.layout),
      }
    end
  end
  return regions
end

---The size of the first memory; nil if the board reports none.
---@param info table in the format of dfu.list()
---@return integer? bytes
function M.flash_size(info)
  local main = info.alts[1] and info.alts[1].layout
  local size = main and memory.size(main.segments) or 0
  return size > 0 and size or nil
end

return M

-- SPDX-License-Identifier: MIT
-- What is special about parts: families and quirks, as data. Each row says why.
local memory = require "moonflash.memory"

local M = {}

-- The read-protection byte of level 2 (RM0090 3.7).
M.CLOSED_FOR_EVER = 0xCC

-- How a family is told from its main flash (the first run of sectors), in the order of asking.
-- unit: the bytes of the smallest write. early: the ROM holds a GETSTATUS that comes before it is
-- done, so the announced time need not pass. irreversible: where the read-protection byte stands in
-- the option bytes. erased: what erasing leaves. times: what a plan expects, in board seconds.
local KB = 1024
local families = {
  {
    -- F2/F4: four sectors of 16 KB. Early GETSTATUS: fwupd 2696, 6048, 6249; ST's own programmer
    -- asks at once (community.st.com 826688).
    name = "STM32F2/F4", size = 16 * 1024, count = 4, unit = 1, irreversible = 0x1FFFC001,
    early = { vid = 0x0483, pid = 0xDF11, version = { [0x2100] = true, [0x2200] = true } },
    -- byte by byte, as the ROM does (DS8626 table 40; docs/protocol.md has the model): erasing by
    -- the size of the sector, reading and writing a byte with its share of the requests
    times = { erase = { [16 * KB] = 0.4, [64 * KB] = 1.2, [128 * KB] = 2.0 }, mass = 16,
              read = 1.66e-6, write = 18.6e-6, entry = 0.02 },
  },
  {
    name = "STM32F7", size = 32 * 1024, count = 4, unit = 1,
    early = { vid = 0x0483, pid = 0xDF11, version = { [0x2100] = true, [0x2200] = true } },
  },
  -- H7 programs 32 bytes at a time; U5, H5 and H7A3 have 8 KB pages and 16 bytes (RM0433, RM0456).
  { name = "STM32H7", size = 128 * 1024, unit = 32 },
  { name = "STM32H5/U5", size = 8 * 1024, unit = 16 },
  -- Pages of 128 and 256 bytes, which are erased to 0x00 (RM0367 3.3.4, RM0038 3.3.4).
  { name = "STM32L0", size = 128, unit = 4, erased = "\0" },
  { name = "STM32L1", size = 256, unit = 4, erased = "\0" },
}

-- What a plan expects of all others: pages of 2 KB in 25 ms, eight bytes in 82 us (L4: DS11451
-- table 58), and the requests.
local USUAL_TIMES = { erase = {}, read = 3.2e-6, write = 16e-6, entry = 0.1 }
local USUAL_ERASE = 12.5e-6 -- seconds a byte

-- The product string of ST's ROMs. MicroPython's mboot has the same ids and layout as the ROM,
-- but answers otherwise (its source): it is obeyed like any stranger.
local ROM_PRODUCT = "STM32  BOOTLOADER"

-- Boot loaders that speak DfuSe (dfu-util's and Betaflight's lists; QMK): for the udev rule.
M.known = {
  { 0x0483, 0xDF11, "STMicroelectronics ROM" },
  { 0x28E9, 0x0189, "GigaDevice GD32" },
  { 0x2E3C, 0xDF11, "Artery AT32" },
  { 0x314B, 0x0106, "Geehy APM32" },
  { 0x3997, 0xDF11, "X32" },
  { 0x1EAF, 0x0003, "Leaflabs Maple" },
  { 0x1D50, 0x6017, "Black Magic Probe" },
  { 0x1D50, 0x607F, "Spark Core" },
  { 0x2B04, 0xD006, "Particle Photon" },
  { 0x2341, 0x035B, "Arduino Portenta" },
}

-- ST's debug probes, which are no boards, but stand on some (their udev rules; stlink's list).
local ST_LINKS = { [0x3744] = true, [0x3748] = true, [0x374A] = true, [0x374B] = true,
                   [0x374D] = true, [0x374E] = true, [0x374F] = true, [0x3752] = true,
                   [0x3753] = true, [0x3754] = true }

---@param vid integer
---@param pid integer
---@return boolean
function M.is_st_link(vid, pid)
  return vid == 0x0483 and ST_LINKS[pid] == true
end

local function family_of(segments)
  local first = segments[1]
  if not first then return nil end
  for _, family in ipairs(families) do
    if first.size == family.size and (not family.count or first.count == family.count) then
      return family
    end
  end
end

---What is known of a board beyond what it says of itself.
---@param info table as dfu.list() has it
---@return table { family=string?, unit=integer, erased=string, early=boolean,
---  irreversible=integer?, times=table }
function M.of(info)
  local main = info.alts[1] and info.alts[1].layout or { segments = {} }
  local family = family_of(main.segments)
  local early = family and family.early
  return {
    family = family and family.name,
    -- L4, G0, G4, WB program 8 bytes at a time; more bytes than needed do no harm elsewhere
    unit = family and family.unit or 8,
    irreversible = family and family.irreversible,
    erased = family and family.erased or "\255",
    times = family and family.times or USUAL_TIMES,
    early = early and info.vid == early.vid and info.pid == early.pid
      and early.version[info.version] and info.product == ROM_PRODUCT or false,
  }
end

---Board seconds that erasing a sector is expected to take.
---@param part table from parts.of
---@param size integer
---@return number
function M.erase_seconds(part, size)
  return part.times.erase[size] or size * USUAL_ERASE
end

---Whether a memory is the option bytes: writing them makes the chip load them, by a reset of its
---own (AN3156).
---@param layout table
---@return boolean
function M.is_option_bytes(layout)
  return layout.name:lower():find("^option byte") ~= nil
end

---Corrects what a layout says of itself and is known to be wrong.
---@param layout table from memory.parse; it is changed
---@return table layout
function M.correct(layout)
  -- The F4's "Device Feature" says it can be erased, and can not (dfu-util 29343ce); nor can OTP,
  -- as its name says.
  if layout.name:find("^Device Feature") or layout.name:find("^OTP") then
    for _, s in ipairs(layout.segments) do s.erasable = false end
  end
  return layout
end

---The runs of sectors of all alternate settings, for the primitives to check addresses by.
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
        resets = M.is_option_bytes(alt.layout),
      }
    end
  end
  return regions
end

---"1 MB flash", from the first memory; nil where it announces none.
---@param info table as dfu.list() has it
---@return integer? bytes
function M.flash_size(info)
  local main = info.alts[1] and info.alts[1].layout
  local size = main and memory.size(main.segments) or 0
  return size > 0 and size or nil
end


return M

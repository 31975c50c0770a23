-- SPDX-License-Identifier: MIT
-- Boot loaders in ROM that were seen, as data: the strings that each reports. A board whose strings
-- all equal those of a row is a known ROM, and its report of erased sectors is trusted. ST's
-- example boot loader has the same ids and product string, so the ids alone are not enough.
local M = {}

local OLD, NEW = "STM32  BOOTLOADER", "DFU in FS Mode" -- the product strings of ST's ROMs
local F0_OPTIONS = "@Option Bytes  /0x1FFFF800/01*016 e"
local F4_OPTIONS = "@Option Bytes  /0x1FFFC000/01*016 e"
local F4_OTP = "@OTP Memory /0x1FFF7800/01*512 e,01*016 e"
local FEATURE = "@Device Feature/0xFFFF0000/01*004 e"
local L4_OTP = "@OTP Memory /0x1FFF7000/01*0001Ke"
local L0_OPTIONS = "@Option Bytes  /0x1FF80000/01*032 e"
local U5_OPTIONS = "@Option Bytes   /0x40022040/01*64 e"
local U5_OTP = "@OTP Memory   /0x0BFA0000/01*512 e"

-- seen: the source, which is dfu-util's device logs or the number of a public file with the output
-- of `dfu-util -l`. part: the parts it was seen on; family: its name in protection.lua.
local rows = {
  { part = "STM32F405/407", family = "STM32F2/F4", version = 0x2100, product = OLD,
    "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg",
    "@Option Bytes  /0x1FFFC000/01*016 g", "@OTP Memory /0x1FFF7800/01*512 g,01*016 g",
    "@Device Feature/0xFFFF0000/01*004 g", seen = "dfu-util stm32f4discovery.lsusb" },
  -- the F2 and the F412 have the same strings
  { part = "STM32F405/407", family = "STM32F2/F4", version = 0x2200, product = OLD,
    "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg", F4_OPTIONS, F4_OTP, FEATURE,
    seen = "many logs of dfu-util -l" },
  { part = "STM32F401/411/446", family = "STM32F2/F4", version = 0x2200, product = OLD,
    "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,03*128Kg", F4_OPTIONS, F4_OTP, FEATURE,
    seen = "logs of dfu-util -l" },
  { part = "STM32F72x/73x", family = "STM32F7", version = 0x2200, product = OLD,
    "@Internal Flash  /0x08000000/04*016Kg,01*64Kg,03*128Kg",
    "@Option Bytes  /0x1FFF0000/01*048 e", "@OTP Memory /0x1FF07800/01*528e", FEATURE,
    seen = "54950779257" },
  { part = "STM32F042/070x6", family = "STM32F0/F3", version = 0x2200, product = OLD,
    "@Internal Flash  /0x08000000/032*0001Kg", F0_OPTIONS, seen = "44820178453" },
  { part = "STM32F072", family = "STM32F0/F3", version = 0x2200, product = OLD,
    "@Internal Flash  /0x08000000/064*0002Kg", F0_OPTIONS, seen = "770353002" },
  { part = "STM32F302/303xC", family = "STM32F0/F3", version = 0x2200, product = OLD,
    "@Internal Flash  /0x08000000/128*0002Kg", F0_OPTIONS, seen = "1147295304" },
  { part = "STM32F105/107", family = "STM32F1", version = 0x2000,
    product = "STM32 0x418 DFU Bootloader", "@Internal Flash  /0x08000000/128*002Kg",
    "@Option Bytes  /0x1FFFF800/01*016 g", seen = "logs of dfu-util -l" },
  { part = "STM32F105/107", family = "STM32F1", version = 0x2100, product = OLD,
    "@Internal Flash  /0x08000000/128*002Kg", "@Option Bytes  /0x1FFFF800/01*016 g",
    seen = "logs of dfu-util -l" },
  { part = "STM32F105/107", family = "STM32F1", version = 0x2200, product = OLD,
    "@Internal Flash  /0x08000000/128*002Kg", F0_OPTIONS, seen = "dfu-util stm32f107.lsusb" },
  { part = "STM32L07x/08x", family = "STM32L0", version = 0x2200, product = OLD,
    "@Internal Flash  /0x08000000/1536*128g", L0_OPTIONS, "@DATA Memory /0x08080000/2*3Ke",
    seen = "33167352407" },
  { part = "STM32L1xxxC", family = "STM32L1", version = 0x2200, product = OLD,
    "@Internal Flash  /0x08000000/1024*256 g", L0_OPTIONS, "@DATA Memory /0x08080000/02*004Ke",
    seen = "21148145445" },
  { part = "STM32L43x/45x", family = "STM32L4", version = 0x2200, product = OLD,
    "@Internal Flash  /0x08000000/0256*0002Kg", "@Option Bytes  /0x1FFF7800/01*040 e", L4_OTP,
    FEATURE, seen = "43111670262" },
  { part = "STM32L4R/4S", family = "STM32L4R/L4P", version = 0x2200, product = OLD,
    "@Internal Flash  /0x08000000/512*0004Kg",
    "@Option Bytes  /0x1FF00000/01*040 e/0x1FF01000/01*040 e", L4_OTP, seen = "254135511" },
  { part = "STM32G431/441", family = "STM32G4", version = 0x0200, product = NEW,
    "@Internal Flash   /0x08000000/64*02Kg", "@Option Bytes   /0x1FFF7800/01*40Be",
    "@OTP Memory   /0x1FFF7000/01*01Ke", seen = "37069675590" },
  { part = "STM32G47x/48x", family = "STM32G4", version = 0x0200, product = NEW,
    "@Internal Flash   /0x08000000/256*02Kg",
    "@Option Bytes   /0x1FFF7800/01*048 e/0x1FFFF800/01*048 e",
    "@OTP Memory   /0x1FFF7000/01*1024 e", seen = "36928290609" },
  { part = "STM32H743/750", family = "STM32H7", version = 0x0200, product = NEW,
    "@Internal Flash   /0x08000000/16*128Kg", "@Option Bytes   /0x5200201C/01*128 e",
    seen = "logs of dfu-util -l" },
  { part = "STM32H72x/73x", family = "STM32H7", version = 0x0200, product = NEW,
    "@Internal Flash   /0x08000000/8*128Kg", "@Option Bytes   /0x5200201C/01*88 e",
    seen = "37815232886" },
  { part = "STM32H7A3/7B3", family = "STM32H7", version = 0x0200, product = NEW,
    "@Internal Flash   /0x08000000/256*08Kg", "@Option Bytes   /0x5200201C/01*297 e",
    "@OTP Memory   /0x08FFF000/01*1024 e", seen = "25104388161" },
  { part = "STM32U575/585", family = "STM32L5/U3/U5/WBA", version = 0x0200, product = NEW,
    "@Internal Flash   /0x08000000/128*08Kg", U5_OPTIONS, U5_OTP, seen = "22734594" },
  { part = "STM32U575/585", family = "STM32L5/U3/U5/WBA", version = 0x0200, product = NEW,
    "@Internal Flash   /0x08000000/256*08Kg", U5_OPTIONS, U5_OTP, seen = "22734594" },
  { part = "STM32U59x/5A", family = "STM32L5/U3/U5/WBA", version = 0x0200, product = NEW,
    "@Internal Flash   /0x08000000/512*08Kg", U5_OPTIONS, U5_OTP, seen = "58931375359" },
}

local VID, PID = 0x0483, 0xDF11 -- of all rows

-- Erase faults of ROMs, by the string of the main flash, for boards that are not in the rows above:
-- their other strings were not seen. from: the first address that the fault affects.
-- bank: the run of sectors that starts there. shift: the ROM erases the sector that is this number
-- of sectors after the requested one (AN2606 Rev 70, table 104). other_bank: the ROM may erase the
-- sector that is this number of bytes below (tables 90, 92).
local KB = 1024
local faults = {
  { flash = "/0x08000000/04*032Kg,01*128Kg,07*256Kg", from = 0x08100000, shift = 4,
    bank = { { 4, 16 * KB }, { 1, 64 * KB }, { 7, 128 * KB } } },
  { flash = "/0x08000000/04*016Kg,01*064Kg,07*128Kg,04*016Kg,01*064Kg,07*128Kg",
    from = 0x08100000, other_bank = 0x00100000 },
}

-- ROMs whose read unprotect takes effect only after a power cycle, by the string of the main flash
-- (AN2606 Rev 70, table 184: WB55 V13.5; the string is inferred from a 1 MB part's log).
local POWER_CYCLE = { ["@Internal Flash   /0x08000000/256*04Kg"] = true }

local function equals(info, row)
  if info.version ~= row.version or info.product ~= row.product or #info.alts ~= #row then
    return false
  end
  for i, alt in ipairs(info.alts) do
    if alt.name ~= row[i] then return false end
  end
  return true
end

---The row that equals a board's strings; nil: the board is not a known ROM.
---@param info table in the format of dfu.list()
---@return table? { part=, family=, version=, product=, seen= }
function M.of(info)
  if info.vid ~= VID or info.pid ~= PID then return nil end
  for _, row in ipairs(rows) do
    if equals(info, row) then return row end
  end
end

---Whether a board has the ids and a product string of ST's ROMs, so that advice for all of these
---(the BOOT0 pin) applies.
---@param info table
---@return boolean
function M.may_be(info)
  if info.vid ~= VID or info.pid ~= PID then return false end
  for _, row in ipairs(rows) do
    if info.product == row.product then return true end
  end
  return false
end

---The known erase fault of boards with this main flash.
---@param info table
---@return table? { from=, bank=, shift= } or { from=, other_bank= }
function M.erase_fault(info)
  local name = info.alts[1] and info.alts[1].name or ""
  for _, fault in ipairs(faults) do
    if name:sub(-#fault.flash) == fault.flash then return fault end
  end
end

---Whether removing the read protection needs a power cycle.
---@param info table
---@return boolean
function M.wants_power_cycle(info)
  return info.alts[1] ~= nil and POWER_CYCLE[info.alts[1].name] or false
end

return M

-- SPDX-License-Identifier: MIT
-- Families and quirks of parts, as data. Each row gives its reason.
local guard = require "moonflash.board.guard"
local memory = require "moonflash.memory"
local roms = require "moonflash.board.roms"

local M = {}

-- Families are recognised by the first run of sectors of the main flash, in this order.
-- unit: bytes of the smallest write. early_poll: the ROM delays its answer to GETSTATUS until
-- the operation ends, so it may be polled before bwPollTimeout. erased: the byte that erasing
-- leaves. times: for the estimates of a plan, in seconds on the board.
local KB = 1024
local families = {
  {
    -- F2/F4: four sectors of 16 KB. Early GETSTATUS: fwupd 2696, 6048, 6249; ST's own programmer
    -- polls at once (community.st.com 826688).
    name = "STM32F2/F4", size = 16 * 1024, count = 4, unit = 1,
    early_poll = { vid = 0x0483, pid = 0xDF11, version = { [0x2100] = true, [0x2200] = true } },
    -- The ROM programs byte by byte (DS8626 table 40; docs/protocol.md has the model). erase: by
    -- sector size. read, write: for a byte, including its share of the requests.
    times = { erase = { [16 * KB] = 0.4, [64 * KB] = 1.2, [128 * KB] = 2.0 }, mass = 16,
              read = 1.66e-6, write = 18.6e-6, entry = 0.02 },
  },
  {
    name = "STM32F7", size = 32 * 1024, count = 4, unit = 1,
    early_poll = { vid = 0x0483, pid = 0xDF11, version = { [0x2100] = true, [0x2200] = true } },
  },
  -- H7 programs 32 bytes at a time; U5, H5 and H7A3 have 8 KB pages and 16 bytes (RM0433, RM0456).
  { name = "STM32H7", size = 128 * 1024, unit = 32 },
  { name = "STM32H5/U5", size = 8 * 1024, unit = 16 },
  -- Pages of 128 and 256 bytes. Erased flash is 0x00 (RM0367 3.3.4, RM0038 3.3.4).
  { name = "STM32L0", size = 128, unit = 4, erased = "\0" },
  { name = "STM32L1", size = 256, unit = 4, erased = "\0" },
}

-- Times for all other families: pages of 2 KB in 25 ms, eight bytes in 82 us (L4: DS11451 table
-- 58), and the requests.
local USUAL_TIMES = { erase = {}, read = 3.2e-6, write = 16e-6, entry = 0.1 }
local USUAL_ERASE = 12.5e-6 -- seconds a byte

-- The product string of ST's ROMs. MicroPython's mboot has the ROM's ids and layout, but answers
-- differently (its source), so its poll timeouts are obeyed like those of an unknown board.
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

-- ST's debug probes. They are not boards, but some boards have one (their udev rules; stlink's
-- list).
local ST_LINKS = { [0x3744] = true, [0x3748] = true, [0x374A] = true, [0x374B] = true,
                   [0x374D] = true, [0x374E] = true, [0x374F] = true, [0x3752] = true,
                   [0x3753] = true, [0x3754] = true }

---@param vid integer
---@param pid integer
---@return boolean
function M.is_st_link(vid, pid)
  return vid == 0x0483 and ST_LINKS[pid] == true
end

---The udev rule that lets the user at the computer open a device.
---@param vid integer
---@param pid integer
---@return string
function M.udev_rule(vid, pid)
  return ('SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{idVendor}=="%04x", '
    .. 'ATTR{idProduct}=="%04x", TAG+="uaccess"'):format(vid, pid)
end

---Whether `moonflash udev` has a rule for these ids.
---@param vid integer
---@param pid integer
---@return boolean
function M.has_rule(vid, pid)
  for _, row in ipairs(M.known) do
    if row[1] == vid and row[2] == pid then return true end
  end
  return false
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

-- Ids of RISC-V chips (GD32VF103). The maker's Arm chips have the same ids.
local function may_be_riscv(info)
  return info.vid == 0x28E9 and info.pid == 0x0189
end

-- Families of known ROMs whose erased flash is 0x00 (RM0367, RM0038).
local ERASED_TO_ZERO = { ["STM32L0"] = true, ["STM32L1"] = true }

---The facts that follow from a board's strings; --layout does not change them. rom: the board's row
---in roms.lua, if it is a known ROM; protection: the rows of protection.lua to check against;
---blank: the byte that erasing leaves, nil if unknown.
---@param info table in the format of dfu.list()
---@return table { family=string?, unit=integer, erased=string, blank=string?, early_poll=boolean,
---  times=table, rom=table?, protection=table[], erase_fault=table?, riscv=boolean }
function M.of(info)
  local main = info.alts[1] and info.alts[1].layout or { segments = {} }
  local family = family_of(main.segments)
  local early_poll = family and family.early_poll
  local rom = roms.of(info)
  local blank = rom and (ERASED_TO_ZERO[rom.family] and "\0" or "\255") or nil
  return {
    rom = rom,
    protection = guard.rows(rom and rom.family),
    erase_fault = roms.erase_fault(info),
    riscv = may_be_riscv(info),
    family = family and family.name,
    -- L4, G0, G4, WB program 8 bytes at a time. Other families tolerate longer writes.
    unit = family and family.unit or 8,
    erased = blank or family and family.erased or "\255",
    blank = blank,
    times = family and family.times or USUAL_TIMES,
    early_poll = early_poll and info.vid == early_poll.vid and info.pid == early_poll.pid
      and early_poll.version[info.version] and info.product == ROM_PRODUCT or false,
  }
end

-- ---- remarks about boards, for people ----

-- Serial numbers that many boards share: candleLight_fw 175, TAStm32 PR 71, libDaisy 195, NuttX;
-- GD32 and AT32 send the name of the part.
local NO_SERIALS = { ["FFFFFFFEFFFF"] = true, ["STM32"] = true, ["STM32FxSTM32"] = true,
                     ["200364500000"] = true, ["200000500000"] = true, ["3CBJ"] = true,
                     ["AT32"] = true }

---Whether many boards share this serial number.
---@param serial string
---@return boolean
function M.is_shared_serial(serial)
  return NO_SERIALS[serial] or false
end

local function main_segment(info)
  local main = info.alts[1] and info.alts[1].layout
  return main and main.segments[1]
end

local function share_a_name(info)
  local seen = {}
  for _, alt in ipairs(info.alts) do
    if seen[alt.name] and alt.name:find("^@") then return true end
    seen[alt.name] = true
  end
  return false
end

-- when: the condition; found: the remark; todo: the remedy, if there is one.
local remarks = {
  { -- dfu-util 529fa51, f2b7d4b: rev A announces 2 KB and has 1 KB
    when = function(info)
      local s = main_segment(info)
      return info.vid == 0x28E9 and info.pid == 0x0189 and s and s.size == 2048
    end,
    found = "a GD32 that reports 2 KB pages may have 1 KB pages: every other page stays unerased",
    todo = "If verifying fails: --layout @Flash/0x08000000/128*001Kg",
  },
  { -- betaflight-configurator PR 1861, PR 5348; dfu-buddy PR 3
    when = function(info, part)
      return part.family == "STM32H7" and M.flash_size(info) == 1 << 21
    end,
    found = "an H743 Rev. V may stay busy for ever when it erases from 0x08100000 on",
    todo = "If an erase times out: reset the board, then 'moonflash erase --all'.",
  },
  { -- MicroPython's mboot, and others with ST's ids
    when = function(info, part)
      return info.vid == 0x0483 and info.pid == 0xDF11 and info.mode == "dfu" and info.product
        and (part.family == "STM32F2/F4" or part.family == "STM32F7")
        and info.product ~= ROM_PRODUCT
    end,
    found = "has the USB ids of ST's ROM, but is another boot loader: the full poll times are "
      .. "waited for",
  },
  { -- G0B1: field reports
    when = share_a_name,
    found = "several memories have the same name",
    todo = "Choose by number: -d alt=0 is the first.",
  },
  {
    when = function(info) return NO_SERIALS[info.serial] end,
    found = "other boards have the same serial number",
    todo = "Choose by path.",
  },
  {
    when = function(info)
      return info.mode == "dfu" and not info.functional.transfer_size
    end,
    found = "reports no transfer size: 64 bytes are used, each block with its own address",
  },
  {
    when = function(_, part) return part.family and part.erased == "\0" end,
    found = "erasing leaves 0x00, not 0xFF",
  },
}

---The remarks that apply to a board.
---@param info table in the format of dfu.list()
---@return table[] { { found=, todo= }, ... }
function M.remarks(info)
  local part, list = M.of(info), {}
  for _, remark in ipairs(remarks) do
    if remark.when(info, part) then list[#list + 1] = remark end
  end
  return list
end

---Seconds that erasing a sector is expected to take on the board.
---@param part table from M.of
---@param size integer
---@return number
function M.erase_seconds(part, size)
  return part.times.erase[size] or size * USUAL_ERASE
end

---Whether bytes are blank. If the family's blank byte is unknown, all 0xFF and all 0x00 count as
---blank.
---@param part table from M.of
---@param bytes string
---@return boolean
function M.is_blank(part, bytes)
  if part.blank then return bytes == part.blank:rep(#bytes) end
  return bytes == ("\255"):rep(#bytes) or bytes == ("\0"):rep(#bytes)
end

---Corrects errors in a reported layout that are known.
---@param layout table from memory.parse; modified
---@return table layout
function M.correct(layout)
  -- The F4 reports its "Device Feature" as erasable, which is wrong (dfu-util 29343ce). OTP memory
  -- is never erasable.
  if layout.name:find("^Device Feature") or layout.name:find("^OTP") then
    for _, s in ipairs(layout.segments) do s.erasable = false end
  end
  return layout
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

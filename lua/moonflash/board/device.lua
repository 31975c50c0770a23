-- SPDX-License-Identifier: MIT
-- A Device: what is known of the device that a Board is open on. Made anew at each opening.
local errors = require "moonflash.errors"
local memory = require "moonflash.memory"
local parts = require "moonflash.board.families"
local settings = require "moonflash.board.settings"

---@class moonflash.Device
---@field info table what its descriptors say, as dfu.list() has it
---@field part table the facts about its kind (parts.of)
---@field alts table[] its memories { number=, name=, layout= }; the first one is the flash
---@field shared boolean two alternate settings have an address in common
---@field dfuse boolean it speaks DfuSe
---@field transfer_size integer bytes of a block
---@field found_state? string the DFU state in which it was found; nil in run-time mode
---@field dry boolean nothing is sent that would change it
---@field erasing? table an erase that it may still be at work with (failure.left_erasing)
local Device = {}
Device.__index = Device

local M = {}

local MOST_TRANSFER_SIZE = 4096  -- libusb carries no longer control transfer on Linux
local DEFAULT_TRANSFER_SIZE = 64 -- where the functional descriptor has none: DFU 1.1's smallest

-- As the device reports them, but for the first where --layout gives another layout.
local function memories_of(info)
  local alts = {}
  for i, alt in ipairs(info.alts) do
    local layout = i == 1 and settings.layout or alt.layout
    alts[i] = { number = alt.number, name = alt.name, layout = layout }
  end
  return alts
end

local function overlap(one, other)
  return one.address < other.address + other.count * other.size
    and other.address < one.address + one.count * one.size
end

local function share_addresses(alts)
  for i, one in ipairs(alts) do
    for j = i + 1, #alts do
      for _, s in ipairs(one.layout.segments) do
        for _, other in ipairs(alts[j].layout.segments) do
          if overlap(s, other) then return true end
        end
      end
    end
  end
  return false
end

---Whether a device speaks DfuSe. Where the version does not tell (Particle: 7 bytes of descriptor),
---a layout does. Without either it is not guessed: the first bytes of a program, sent as plain DFU,
---could be a DfuSe command, 'erase' for example; and a DfuSe command, sent to a plain DFU board,
---would become its program.
---Raises `usage` where --layout does not fit, `usb.io` where the name can't be read.
---@param info table
---@return boolean
function M.is_dfuse(info)
  if info.functional.dfuse then return true end
  local version = info.functional.dfu_version
  local unread, named
  for _, alt in ipairs(info.alts) do
    if alt.name:find("^@") and #alt.layout.segments > 0 then return true end
    named = named or alt.name:find("^@") ~= nil
    unread = unread or alt.index ~= 0 and alt.unread
  end
  if settings.layout then
    if version and not named and info.mode == "dfu" then
      errors.raise { code = "usage", path = info.path, remedy = { "no-layout" },
        message = ("%s: plain DFU %x.%x has no addresses, so it takes no --layout; nothing "
          .. "was sent"):format(info.path, version >> 8, version >> 4 & 0xF) }
    end
    return true
  end
  if unread and version == 0x0100 and info.mode == "dfu" then
    errors.raise { code = "usb.io", path = info.path, remedy = { "replug", again = true },
      message = info.path .. ": the name of the memory can't be read, so it is unknown whether the "
        .. "board speaks DfuSe" }
  end
  return false
end

---@param info table
---@param found_state? string
---@return moonflash.Device
function M.new(info, found_state)
  local alts = memories_of(info)
  return setmetatable({ info = info, part = parts.of(info), alts = alts,
    shared = share_addresses(alts), dfuse = M.is_dfuse(info), found_state = found_state,
    dry = settings.dry,
    transfer_size = math.min(info.functional.transfer_size or DEFAULT_TRANSFER_SIZE,
      MOST_TRANSFER_SIZE) }, Device)
end

---The device of a Board that was never opened: nothing is known of it.
---@return moonflash.Device
function M.unknown()
  return setmetatable({ alts = {}, shared = false }, Device)
end

---What C needs to know of it (link.configure).
---@return table
function Device:configuration()
  local functional = self.info.functional
  return {
    dfuse = self.dfuse,
    several_alts = #self.info.alts > 1,
    tolerant = functional.attributes.tolerant,
    early_poll = self.part.early_poll,
    vendor_protects = self.part.rom ~= nil,
    dry = self.dry,
    transfer_size_unknown = (functional.transfer_size or math.huge) > MOST_TRANSFER_SIZE,
    transfer_size = self.transfer_size,
    regions = self.dfuse and parts.regions(self.alts) or {},
  }
end

---The alternate setting that a range is said to be in; nil where addresses tell by themselves.
---@param first integer
---@param alt? integer where it is known
---@return integer?
function Device:setting_of(first, alt)
  if not self.shared then return nil end
  if alt then return alt end
  for _, a in ipairs(self.alts) do
    if memory.find(a.layout.segments, first) then return a.number end
  end
end

---The number of sectors that a range has in the memory that holds it.
---@param first integer
---@param last integer
---@return integer
function Device:sectors_in(first, last)
  for _, alt in ipairs(self.alts) do
    local count = 0
    for _, s in ipairs(alt.layout.segments) do
      local from = math.max(first, s.address)
      local to = math.min(last, s.address + s.count * s.size - 1)
      if from <= to then count = count + (to - from) // s.size + 1 end
    end
    if count > 0 then return count end
  end
  return 1
end

---An operation failed, and may have left the device at work with an erase.
---@param erasing? table from failure.left_erasing
function Device:left_erasing(erasing)
  self.erasing = erasing or self.erasing
end

---It has answered since.
function Device:answered()
  self.erasing = nil
end

return M

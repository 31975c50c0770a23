-- SPDX-License-Identifier: MIT
-- A Device: the facts about the device that a Board is open on. Each opening creates a new one.
local errors = require "moonflash.errors"
local memory = require "moonflash.memory"
local misuse = require "moonflash.base.misuse"
local part_of = require "moonflash.board.part"
local pretend = require "moonflash.board.pretend"
local settings = require "moonflash.board.settings"

---@class moonflash.Device
---@field info table its descriptors and strings, in the format of dfu.list()
---@field part table the facts about its family (families.of)
---@field alts table[] its memories { number=, name=, layout= }; the first one is the flash
---@field shared boolean two alternate settings have addresses in common
---@field dfuse boolean the device speaks DfuSe
---@field transfer_size integer bytes of a block
---@field found_state? string the DFU state at opening; nil in run-time mode
---@field dry boolean dry run: no request that changes the device is sent
---@field settled? string the mode that its option bytes set: a name, "" for none; nil if unknown
---@field known table<string, table> facts that were read (remember)
---@field pretended? moonflash.Pretended what a dry run would have changed
---@field erasing? table an erase that may still be running (failure.left_erasing)
local Device = {}
Device.__index = Device

local M = {}

local MOST_TRANSFER_SIZE = 4096  -- libusb's longest control transfer on Linux
local GRAIN = 16                 -- the largest alignment of writes that AN2606 asks for
local DEFAULT_TRANSFER_SIZE = 64 -- the smallest of DFU 1.1, if the functional descriptor gives none

-- The memories that the device reports, without what is known to be wrong. --layout replaces the
-- layout of the first one.
local function memories_of(info, part)
  local alts = {}
  for i, alt in ipairs(info.alts) do
    local layout = i == 1 and settings.layout or alt.layout
    layout = not (i == 1 and settings.layout) and part_of.mended(part, i, layout) or layout
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

---Whether a device speaks DfuSe. If bcdDFUVersion does not show it (Particle: 7 bytes of
---descriptor), a memory layout does. A board whose memory name can't be read is refused, because a
---guess would be dangerous: the first bytes of a program, sent as plain DFU, could be a DfuSe
---command such as 'erase'; and a DfuSe command sent to a plain DFU board would become part of its
---program. Raises `usage` if --layout does not fit, `usb.io` if the memory's name can't be read.
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

-- The bytes of a block, as the board announces them.
local function announced_size(info)
  return math.min(info.functional.transfer_size or DEFAULT_TRANSFER_SIZE, MOST_TRANSFER_SIZE)
end

---@param info table
---@param found_state? string
---@return moonflash.Device
function M.new(info, found_state)
  local part = part_of.of(info)
  local alts = memories_of(info, part)
  return setmetatable({ info = info, part = part, alts = alts, known = {},
    shared = share_addresses(alts), dfuse = M.is_dfuse(info), found_state = found_state,
    dry = settings.dry,
    transfer_size = announced_size(info) }, Device)
end

---The device of a Board that has not been opened.
---@return moonflash.Device
function M.unknown()
  return setmetatable({ alts = {}, shared = false }, Device)
end

---The facts that C needs (link.configure).
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
    regions = self.dfuse and part_of.regions(self.alts) or {},
  }
end

---Sets the bytes of a block, for board.transfer_size. Returns them, and what the board announces.
---@param size integer
---@return integer size
---@return integer announced
function Device:use_transfer_size(size)
  local announced = self.info and announced_size(self.info) or 0
  local most = self.info and not self.info.functional.transfer_size and MOST_TRANSFER_SIZE
    or announced
  if math.type(size) ~= "integer" or size < 1 or size > most then
    misuse("board.transfer_size: bytes, from 1 to what the board announces (%d)", most)
  elseif self.dfuse and size % GRAIN ~= 0 then
    misuse("board.transfer_size: of a DfuSe board, a multiple of %d", GRAIN)
  end
  self.transfer_size = size
  return size, announced
end

---The alternate setting of a range; nil if addresses alone are unambiguous.
---@param first integer
---@param alt? integer if it is known
---@return integer?
function Device:setting_of(first, alt)
  if not self.shared then return nil end
  if alt then return alt end
  for _, a in ipairs(self.alts) do
    if memory.find(a.layout.segments, first) then return a.number end
  end
end

---The number of sectors that a range covers, in the memory that has it.
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

---Records the mode that the option bytes set, and the sectors that the flash has in it.
---@param mode? string
---@param segments? table[] nil: as reported
function Device:settle(mode, segments)
  self.settled = mode
  if segments then
    local main = self.alts[1]
    self.alts[1] = { number = main.number, name = main.name,
                     layout = { name = main.layout.name, segments = segments } }
  end
end

---A fact that is read once from each device: the result of f, also if it is nil.
---@param name string
---@param f fun(): any
---@return any
function Device:remember(name, f)
  if self.known[name] == nil then self.known[name] = { f() } end
  return self.known[name][1]
end

---What a dry run would have changed on this device.
---@return moonflash.Pretended
function Device:pretend()
  self.pretended = self.pretended or pretend.new()
  return self.pretended
end

---Records the erase that a failed operation may have left running. nil changes nothing.
---@param erasing? table from failure.left_erasing
function Device:left_erasing(erasing)
  self.erasing = erasing or self.erasing
end

---Records that the device has answered: no erase is running any more.
function Device:answered()
  self.erasing = nil
end

return M

-- SPDX-License-Identifier: MIT
-- Reads USB descriptors: what a device is, where its DFU interface is, what its strings say.
--
-- The bytes come from a device and are not to be trusted. Nothing here raises for bytes: what
-- cannot be read is nil and a reason, or is left out. A length that lies ends the walk, so
-- nothing is read that did not come, and the work is bounded by the 65535 bytes that a
-- configuration can announce.
local text = require "moonflash.base.text"

local M = {}

local DEVICE, CONFIG, STRING, INTERFACE, FUNCTIONAL = 0x01, 0x02, 0x03, 0x04, 0x21
local MOST_ALTS = 255
local MOST_CONFIGS = 255 -- bNumConfigurations is a byte

---@class moonflash.Device
---@field vid integer
---@field pid integer
---@field version integer bcdDevice
---@field manufacturer integer string index, 0: none
---@field product integer string index, 0: none
---@field serial integer string index, 0: none
---@field bcd_usb integer

---@class moonflash.Interface
---@field number integer
---@field alt integer
---@field class integer
---@field subclass integer
---@field protocol integer
---@field name integer string index, 0: none
---@field functional? string a DFU interface's functional descriptor, as it came

---@class moonflash.Config
---@field value integer what SET_CONFIGURATION takes
---@field announced integer how many interfaces it says it has
---@field interfaces moonflash.Interface[] one for each alternate setting, in the order sent

---@class moonflash.DfuAttributes
---@field can_download boolean
---@field can_upload boolean
---@field tolerant boolean goes on in DFU mode after manifestation
---@field will_detach boolean leaves run-time mode by itself

---@class moonflash.Dfu
---@field configuration integer bConfigurationValue
---@field interface integer
---@field mode "dfu"|"runtime"
---@field alts { number: integer, name: integer }[] name is a string index
---@field functional boolean false: there was no functional descriptor, what follows is assumed
---@field transfer_size? integer 1..65535; nil when it is not announced, or 0
---@field attributes moonflash.DfuAttributes
---@field detach_timeout number seconds
---@field dfu_version integer bcdDFUVersion as announced; 0x0100 when it is not
---@field dfuse boolean the version says DfuSe: a hint, some DfuSe boards announce none

--- Makes a string from a device fit to print: see text.clean.
---@param s string
---@return string
M.clean = text.clean

--- Decodes UTF-16LE up to a NUL. Half a surrogate pair becomes "?", an odd last byte is left out.
local function from_utf16(bytes)
  local out, position = {}, 1
  while position < #bytes do
    local unit = string.unpack("<I2", bytes, position)
    position = position + 2
    if unit == 0 then break end
    if unit >= 0xD800 and unit <= 0xDBFF and position < #bytes then
      local low = string.unpack("<I2", bytes, position)
      if low >= 0xDC00 and low <= 0xDFFF then
        unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00)
        position = position + 2
      end
    end
    local half = unit >= 0xD800 and unit <= 0xDFFF
    out[#out + 1] = half and "?" or utf8.char(unit)
  end
  return table.concat(out)
end

--- A string descriptor as clean UTF-8, blanks kept as sent. At most 253 characters fit in one.
---
--- The STM32F427 ROM announces more than it sends, so the shorter of both lengths counts. GD32
--- sends its serial in ASCII: bytes that are all printable, with nothing but NULs behind, are
--- read so. Two Chinese characters can look the same; boards that do the former are known.
---@param bytes string
---@return string? text
---@return string? reason
function M.string(bytes)
  if #bytes < 2 then
    return nil, "string descriptor too short"
  end
  local length, kind = bytes:byte(1, 2)
  if kind ~= STRING or length < 2 then
    return nil, "not a string descriptor"
  end
  local body = bytes:sub(3, length)
  local ascii = body:match("^([ -~][ -~]+)\0*$")
  return M.clean(ascii or from_utf16(body))
end

--- A string that Linux has read, from sysfs. It made UTF-8 of it, and looked at nothing: turned
--- back, it is read like one that the device sent.
---@param s string
---@return string? text
function M.system_string(s)
  s = s:gsub("\n$", "")
  if not utf8.len(s) then return M.clean(s) end
  local body = s:gsub(utf8.charpattern, function(c)
    local code = utf8.codepoint(c)
    if code < 0x10000 then return string.pack("<I2", code) end
    return string.pack("<I2I2", 0xD7C0 + (code >> 10), 0xDC00 | code & 0x3FF)
  end)
  return M.string("\xFF\3" .. body)
end

--- Reads a device descriptor.
---@param bytes string
---@return moonflash.Device?
---@return string? reason
function M.device(bytes)
  if #bytes < 18 then
    return nil, "device descriptor too short"
  end
  local length, kind, bcd_usb, vid, pid, version, manufacturer, product, serial =
    string.unpack("<BBI2xxxxI2I2I2BBB", bytes)
  if kind ~= DEVICE or length < 18 then
    return nil, "not a device descriptor"
  end
  return {
    vid = vid,
    pid = pid,
    version = version,
    manufacturer = manufacturer,
    product = product,
    serial = serial,
    bcd_usb = bcd_usb,
  }
end

--- Walks the descriptors behind a configuration's own: an iterator of their type and all their
--- bytes. A length below 2 would not lead on, and one past the end lies: both stop it.
local function walk(bytes)
  local position = bytes:byte(1) + 1
  local last = math.min(#bytes, (string.unpack("<I2", bytes, 3)))
  return function()
    if position >= last then return nil end
    local length, kind = bytes:byte(position, position + 1)
    local stop = position + length - 1
    if length < 2 or stop > last then return nil end
    local whole = bytes:sub(position, stop)
    position = stop + 1
    return kind, whole
  end
end

local function is_dfu(interface)
  return interface.class == 0xFE and interface.subclass == 0x01
end

--- Reads a configuration descriptor with all that follows it.
---@param bytes string
---@return moonflash.Config?
---@return string? reason
function M.config(bytes)
  if #bytes < 9 then
    return nil, "configuration descriptor too short"
  end
  local length, kind, announced, value = string.unpack("<BBxxBB", bytes)
  if kind ~= CONFIG or length < 9 then
    return nil, "not a configuration descriptor"
  end
  local interfaces = {}
  local current                             -- the interface whose descriptors follow
  for what, whole in walk(bytes) do
    if what == INTERFACE then
      current = nil                         -- nothing belongs to one that cannot be read
      if #whole >= 9 then
        local number, alt, class, subclass, protocol, name = string.unpack("xxBBxBBBB", whole)
        current = {
          number = number,
          alt = alt,
          class = class,
          subclass = subclass,
          protocol = protocol,
          name = name,
        }
        interfaces[#interfaces + 1] = current
      end
    elseif what == FUNCTIONAL and current and is_dfu(current) then
      -- Only here: HID has a descriptor of its own with the same type.
      current.functional = current.functional or whole
    end
  end
  return { value = value, announced = announced, interfaces = interfaces }
end

-- Where the configuration that begins at `start` ends: where it says, or where another one begins.
-- Linux cuts off what it can't read, and leaves the length as it was sent.
local function end_of_config(bytes, start)
  local last = math.min(#bytes, start + string.unpack("<I2", bytes, start + 2) - 1)
  local position = start + math.max(bytes:byte(start), 9)
  while position < last do
    local length, kind = bytes:byte(position, position + 1)
    if kind == CONFIG and length == 9 then return position - 1 end
    if length < 2 or position + length - 1 > last then break end
    position = position + length
  end
  return math.max(last, start + 8)
end

--- Splits the configurations of a device, which stand one behind the other.
---@param bytes string
---@return string[]
function M.split(bytes)
  local pieces, start = {}, 1
  while #bytes - start >= 8 and bytes:byte(start + 1) == CONFIG and #pieces < MOST_CONFIGS do
    local stop = end_of_config(bytes, start)
    pieces[#pieces + 1] = bytes:sub(start, stop)
    start = stop + 1
  end
  return pieces
end

--- Reads a functional descriptor; nil, or one of less than 7 bytes, gives what may be assumed:
--- that the board can do everything, as it will say itself what it refuses.
local function read_functional(bytes)
  local known = bytes ~= nil and #bytes >= 7
  local bits, timeout, size, version = 0x03, 1000, 0, 0x0100
  if known then
    bits, timeout, size = string.unpack("<BI2I2", bytes, 3)
    if #bytes >= 9 then                     -- DFU 1.0 had 7 bytes, and no version
      version = string.unpack("<I2", bytes, 8)
    end
  end
  return {
    functional = known,
    transfer_size = size > 0 and size or nil,
    attributes = {
      can_download = bits & 1 ~= 0,
      can_upload = bits & 2 ~= 0,
      tolerant = bits & 4 ~= 0,
      will_detach = bits & 8 ~= 0,
    },
    detach_timeout = timeout / 1000,
    dfu_version = version,
    dfuse = version == 0x011A or version == 0x1A01,  -- some ST sample code swaps the bytes
  }
end

--- In which mode a DFU interface is; nil when its protocol is none that DFU has. The exceptions
--- were met by dfu-util: field.md, section 1.2.
local function mode_of(interface, facts, config, device)
  local protocol = interface.protocol
  if protocol == 2 then
    return "dfu"
  elseif protocol == 1 then
    -- LPC's boot ROM announces run-time mode, and is in DFU mode.
    return device.vid == 0x1FC9 and device.pid == 0x000C and "dfu" or "runtime"
  elseif protocol == 0 then                 -- all that DFU 1.0 had
    -- The DSO Nano's DfuSe bootloader; Jabra's, when DFU is all that there is.
    local jabra = device.vid == 0x0B0E and config.announced == 1
    return (facts.dfuse or jabra) and "dfu" or "runtime"
  end
  return nil
end

--- Finds the DFU interface of a configuration: the first in DFU mode, else the first in run-time
--- mode.
---
--- A board with several memories has an alternate setting for each, and often one functional
--- descriptor for all of them: the first found at the interface counts. A setting that is
--- announced twice counts once; more than 255 are not taken.
---@param config_bytes string
---@param device moonflash.Device
---@return moonflash.Dfu? nil when there is no DFU interface
---@return string? reason
local function dfu_in(config_bytes, device)
  local config, reason = M.config(config_bytes)
  if not config then
    return nil, reason
  end

  local functional = {}                     -- by interface number
  for _, interface in ipairs(config.interfaces) do
    local number = interface.number
    functional[number] = functional[number] or interface.functional
  end

  local found, seen
  for _, interface in ipairs(config.interfaces) do
    if is_dfu(interface) then
      local facts = read_functional(functional[interface.number])
      local mode = mode_of(interface, facts, config, device)
      if mode and (not found or mode == "dfu" and found.mode == "runtime") then
        found, seen = facts, {}
        found.interface, found.mode, found.alts = interface.number, mode, {}
        found.configuration = config.value
      end
      if mode and found.interface == interface.number and found.mode == mode
        and not seen[interface.alt] and #found.alts < MOST_ALTS then
        seen[interface.alt] = true
        table.insert(found.alts, { number = interface.alt, name = interface.name })
      end
    end
  end
  if not found then
    return nil, "no DFU interface"
  end
  return found
end

--- Finds the DFU interface of a device: one in DFU mode goes before one in run-time mode, the
--- active configuration before the others, and these in their order.
---@param config_bytes string all configurations
---@param device? moonflash.Device
---@param active? integer bConfigurationValue
---@return moonflash.Dfu? nil when the device has no DFU interface
---@return string? reason
function M.dfu(config_bytes, device, active)
  local best, reason
  for _, piece in ipairs(M.split(config_bytes)) do
    local found, why = dfu_in(piece, device or {})
    reason = reason or why
    if found and (not best or found.mode ~= best.mode and found.mode == "dfu"
      or found.mode == best.mode and found.configuration == active
      and best.configuration ~= active) then
      best = found
    end
  end
  if best then return best end
  return nil, reason or select(2, M.config(config_bytes))
end

return M

-- SPDX-License-Identifier: MIT
-- Parses USB descriptors: the device, its DFU interface, its strings.
--
-- The bytes come from a device and are not trusted. No function here raises because of bytes: a
-- descriptor that can't be read gives nil and a reason, or is left out. A wrong length ends the
-- walk, so no byte beyond the received ones is read, and the work is bounded by the 65535 bytes
-- that a configuration can announce.
local text = require "moonflash.base.text"

local M = {}

local DEVICE, CONFIG, STRING, INTERFACE, FUNCTIONAL = 0x01, 0x02, 0x03, 0x04, 0x21
local MOST_ALTS = 255
local MOST_CONFIGS = 255 -- bNumConfigurations is a byte

---@class moonflash.DeviceDescriptor
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
---@field announced integer bNumInterfaces
---@field interfaces moonflash.Interface[] one for each alternate setting, in the order sent

---@class moonflash.DfuAttributes
---@field can_download boolean
---@field can_upload boolean
---@field tolerant boolean bitManifestationTolerant: stays in DFU mode after manifestation
---@field will_detach boolean bitWillDetach: leaves run-time mode without a bus reset

---@class moonflash.Dfu
---@field configuration integer bConfigurationValue
---@field interface integer
---@field mode "dfu"|"runtime"
---@field alts { number: integer, name: integer }[] name is a string index
---@field functional boolean false: no functional descriptor; the fields below are assumed
---@field transfer_size? integer 1..65535; nil when it is not announced, or 0
---@field attributes moonflash.DfuAttributes
---@field detach_timeout number seconds
---@field dfu_version integer bcdDFUVersion as announced; 0x0100 when it is not
---@field dfuse boolean the version is DfuSe's; some DfuSe boards announce another version

---Makes a string from a device safe to print: see text.clean.
---@param s string
---@return string
M.clean = text.clean

-- Decodes UTF-16LE up to a NUL. Half a surrogate pair becomes "?"; an odd last byte is dropped.
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

---A string descriptor as clean UTF-8 of at most 253 characters, with its blanks.
---
---The STM32F427 ROM announces more bytes than it sends, so the shorter length counts. GD32 sends
---its serial number in ASCII: a body of printable bytes, followed by nothing but NULs, is read as
---ASCII. Two Chinese characters can look the same, but only boards that send ASCII are known.
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

---A string that Linux has read, from sysfs. Linux converted the string to UTF-8 without a check, so
---it is converted back and read like one from the device.
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

---Reads a device descriptor.
---@param bytes string
---@return moonflash.DeviceDescriptor?
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

-- Iterates over the descriptors behind a configuration's own: returns the type and all bytes of
-- each. Stops at a length below 2, which would not advance, and at one past the end.
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

---Reads a configuration descriptor with all descriptors that follow it.
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
  local current                             -- the interface that the next descriptors belong to
  for what, whole in walk(bytes) do
    if what == INTERFACE then
      current = nil                         -- nothing belongs to an interface that can't be read
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
      -- The interface class is checked because HID has a descriptor of the same type.
      current.functional = current.functional or whole
    end
  end
  return { value = value, announced = announced, interfaces = interfaces }
end

-- The last byte of the configuration that begins at `start`: its announced end, or the byte before
-- the next configuration. Linux cuts off descriptors that it can't read, and keeps the length as
-- sent.
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

---Splits the bytes of all configurations of a device.
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

-- Reads a functional descriptor. If it is missing or shorter than 7 bytes, the board is assumed to
-- support everything; it will refuse what it does not support.
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

-- The mode of a DFU interface; nil if its protocol is not one of DFU's. The exceptions were found
-- by dfu-util: field.md, section 1.2.
local function mode_of(interface, facts, config, device)
  local protocol = interface.protocol
  if protocol == 2 then
    return "dfu"
  elseif protocol == 1 then
    -- LPC's boot ROM announces run-time mode while it is in DFU mode.
    return device.vid == 0x1FC9 and device.pid == 0x000C and "dfu" or "runtime"
  elseif protocol == 0 then                 -- DFU 1.0 has no other protocol
    -- The DSO Nano's DfuSe boot loader; Jabra's, if it has no other interface.
    local jabra = device.vid == 0x0B0E and config.announced == 1
    return (facts.dfuse or jabra) and "dfu" or "runtime"
  end
  return nil
end

-- Finds the DFU interface of a configuration: the first in DFU mode, else the first in run-time
-- mode. Nil and a reason if there is none.
--
-- A board with several memories has an alternate setting for each, and often one functional
-- descriptor for all of them: the first one at the interface counts. An alternate setting that is
-- announced twice counts once. At most 255 are taken.
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

---Finds the DFU interface of a device: DFU mode before run-time mode, then the active configuration
---before the others, then in the order of the configurations.
---@param config_bytes string all configurations
---@param device? moonflash.DeviceDescriptor
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

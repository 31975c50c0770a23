-- SPDX-License-Identifier: MIT
-- Reads captures of USB traffic: pcap files with usbmon's link types (189 and 220, Linux,
-- Documentation/usb/usbmon.rst) or USBPcap's (249, USBPcap's documentation). Only control transfers
-- are taken. The bytes are not trusted: lengths are checked, and what can't be read ends the file.
local M = {}

local MAGICS = { ["\xD4\xC3\xB2\xA1"] = { "<", 1e-6 }, ["\xA1\xB2\xC3\xD4"] = { ">", 1e-6 },
                 ["\x4D\x3C\xB2\xA1"] = { "<", 1e-9 }, ["\xA1\xB2\x3C\x4D"] = { ">", 1e-9 } }
local PCAPNG = "\x0A\x0D\x0D\x0A"
local FILE_HEAD, RECORD_HEAD = 24, 16
local MOST_RECORDS = 1 << 20
local MOST_DATA = 65535 + 64
local CONTROL, IN = 2, 0x80

---@class moonflash.Transfer
---@field device string "bus.address"
---@field at number seconds from the start of the capture
---@field seconds number that it took
---@field type integer
---@field request integer
---@field value integer
---@field index integer
---@field length integer
---@field result integer bytes moved; negative: it failed
---@field data string what was sent, or what came

-- ---- records of each link type: { id, submitted, type, device, setup, result, data } or nil ----

local function usbmon(head_length)
  return function(bytes, order)
    if #bytes < head_length then return nil end
    local id, kind, transfer, _, device, bus, no_setup, no_data, _, _, status, _, captured, setup =
      (order .. "I8c1BBBI2c1c1i8i4i4I4I4c8"):unpack(bytes)
    if transfer ~= CONTROL then return nil end
    return { id = id, submitted = kind == "S", device = ("%d.%d"):format(bus, device),
             setup = kind == "S" and no_setup == "\0" and setup or nil, status = status,
             data = no_data == "\0" and bytes:sub(head_length + 1, head_length + captured) or "" }
  end
end

-- USBPCAP_BUFFER_CONTROL_HEADER, always little endian.
local HEAD = "<I2I8I4I2BI2I2BBI4B"
local SETUP_STAGE = 0

local function usbpcap(bytes)
  if #bytes < HEAD:packsize() then return nil end
  local length, id, status, _, info, bus, device, _, transfer, _, stage = HEAD:unpack(bytes)
  if transfer ~= CONTROL or length > #bytes then return nil end
  local data = bytes:sub(length + 1)
  local submitted = info & 1 == 0
  if submitted and stage ~= SETUP_STAGE then return nil end
  return { id = id, submitted = submitted, device = ("%d.%d"):format(bus, device),
           setup = submitted and data:sub(1, 8) or nil, status = status == 0 and 0 or -1,
           data = submitted and data:sub(9) or data }
end

local LINKS = { [189] = usbmon(48), [220] = usbmon(64), [249] = usbpcap }

-- ---- the file ----

-- Pairs a completion with its submission.
local function finish(start, done, at)
  local type, request, value, index, length = ("<BBI2I2I2"):unpack(start.setup)
  local is_in = type & IN ~= 0
  local data = is_in and done.data:sub(1, length) or start.data:sub(1, length)
  local good = done.status == 0
  return { device = start.device, at = start.at, seconds = at - start.at, type = type,
           request = request, value = value, index = index, length = length, data = data,
           result = good and (is_in and #data or length) or -1 }
end

---Parses a capture.
---@param bytes string the file
---@return moonflash.Transfer[]? transfers in the order in which they began; nil if it is none
---@return string? reason
function M.parse(bytes)
  if bytes:sub(1, 4) == PCAPNG then
    return nil, "is a pcapng file: save it as pcap ('editcap -F pcap IN OUT')"
  end
  local magic = MAGICS[bytes:sub(1, 4)]
  if not magic or #bytes < FILE_HEAD then return nil, "is not a pcap file" end
  local order, unit = magic[1], magic[2]
  local link = (order .. "I4"):unpack(bytes, 21)
  local parse = LINKS[link & 0xFFFFFFF]
  if not parse then
    return nil, ("has link type %d: usbmon's are 189 and 220, USBPcap's is 249"):format(link)
  end
  local transfers, pending, at, zero = {}, {}, FILE_HEAD, nil
  while at + RECORD_HEAD <= #bytes and #transfers < MOST_RECORDS do
    local seconds, fraction, captured = (order .. "I4I4I4"):unpack(bytes, at + 1)
    at = at + RECORD_HEAD
    if captured > MOST_DATA or at + captured > #bytes then break end
    local record = parse(bytes:sub(at + 1, at + captured), order)
    at = at + captured
    local now = seconds + fraction * unit
    zero = zero or now
    if record and record.submitted then
      record.at = now - zero
      pending[record.id] = record.setup and #record.setup == 8 and record or nil
    elseif record and pending[record.id] then
      transfers[#transfers + 1] = finish(pending[record.id], record, now - zero)
      pending[record.id] = nil
    end
  end
  for i, transfer in ipairs(transfers) do transfer.number = i end
  table.sort(transfers, function(a, b)
    if a.at ~= b.at then return a.at < b.at end
    return a.number < b.number
  end)
  return transfers
end

return M

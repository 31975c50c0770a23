-- SPDX-License-Identifier: MIT
-- A board that answers from a capture, "sim:replay=FILE": which devices are in it, what they said
-- of themselves, and what the capture lacks. src/sim/simreplay.c follows the requests.
local capture = require "moonflash.sim.capture"
local memory = require "moonflash.memory"

local M = {}

M.MOST_FILE = 64 << 20 -- bytes
local GET_DESCRIPTOR, DEVICE, CONFIG, STRING = 6, 0x0100, 0x0200, 0x03
local CLASS_TO_INTERFACE, CLASS_FROM_INTERFACE = 0x21, 0xA1
local DFU_REQUESTS = 6 -- DETACH is 0, ABORT is 6

-- The transfers of each device address that a host has given, in their order. Address 0 is that of
-- all devices before they have one.
local function devices_of(transfers)
  local list, by_name = {}, {}
  for _, transfer in ipairs(transfers) do
    if not transfer.device:find("%.0$") then
      local device = by_name[transfer.device]
      if not device then
        device = { name = transfer.device, transfers = {} }
        by_name[transfer.device], list[#list + 1] = device, device
      end
      table.insert(device.transfers, transfer)
    end
  end
  return list
end

local function is_dfu_request(transfer)
  return (transfer.type == CLASS_TO_INTERFACE or transfer.type == CLASS_FROM_INTERFACE)
    and transfer.request <= DFU_REQUESTS
end

-- The longest answer to a GET_DESCRIPTOR in a device's transfers.
local function descriptor(device, value)
  local best
  for _, transfer in ipairs(device.transfers) do
    if transfer.type == 0x80 and transfer.request == GET_DESCRIPTOR and transfer.value == value
      and transfer.result > 0 and #transfer.data > #(best or "") then
      best = transfer.data
    end
  end
  return best
end

-- UTF-16 of a string descriptor as text; other characters are left out.
local function text_of(bytes)
  local out = {}
  for i = 3, math.min(#bytes, bytes:byte(1) or 0) - 1, 2 do
    local low, high = bytes:byte(i, i + 1)
    out[#out + 1] = high == 0 and string.char(low) or "?"
  end
  return table.concat(out)
end

-- The strings of a device, by index.
local function strings_of(device)
  local strings = {}
  for _, transfer in ipairs(device.transfers) do
    local index = transfer.value & 0xFF
    if transfer.type == 0x80 and transfer.request == GET_DESCRIPTOR
      and transfer.value >> 8 == STRING and transfer.result > 2 and index ~= 0 then
      strings[index] = text_of(transfer.data)
    end
  end
  return strings
end

-- The layout strings among strings, by their index.
local function layouts_in(strings)
  local names = {}
  for index = 1, 255 do
    local name = strings[index]
    if name and name:find("^@") and #memory.parse(name).segments > 0 then
      names[#names + 1] = name
    end
  end
  return names
end

local function has_dfu_requests(device)
  for _, transfer in ipairs(device.transfers) do
    if is_dfu_request(transfer) then return true end
  end
  return false
end

-- The number of the first device with DFU requests, preferably of one that said its layout: a
-- capture can begin with the end of another run.
local function find_board(devices)
  local likely
  for i, device in ipairs(devices) do
    if has_dfu_requests(device) then
      if #layouts_in(strings_of(device)) > 0 then return i end
      likely = likely or i
    end
  end
  return likely
end

---Reads a capture. Returns nil and the reason if no board can be replayed from it.
---@param bytes string the file
---@return table? replay { devices=, strings=, device=?, config=?, next=? }
---@return string? reason
function M.read(bytes)
  if #bytes > M.MOST_FILE then return nil, "is too long: at most 64 MB" end
  local transfers, why = capture.parse(bytes)
  if not transfers then return nil, why end
  local devices = devices_of(transfers)
  local at = find_board(devices)
  if not at then return nil, "has no DFU requests" end
  local first, after = devices[at], devices[at + 1]
  local config = descriptor(first, CONFIG)
  local whole = config and #config >= 9 and #config >= (("<I2"):unpack(config, 3))
  local alts = 0
  for _ in (whole and config or ""):gmatch("\9\4...\xFE\1\2") do alts = alts + 1 end
  return {
    devices = table.move(devices, at, #devices, 1, {}), strings = strings_of(first),
    device = descriptor(first, DEVICE), config = whole and alts > 0 and config or nil, alts = alts,
    after = after, gap = after and after.transfers[1].at
      - first.transfers[#first.transfers].at or nil,
  }
end

---The layout strings in a capture, by their index.
---@param replay table
---@return string[]
function M.layouts(replay) return layouts_in(replay.strings) end

-- A field of the device descriptor: "vid", "pid", "version".
local function ids_of(device)
  if not device or #device < 18 then return nil end
  local vid, pid, version = ("<I2I2I2"):unpack(device, 9)
  return { vid = vid, pid = pid, version = version }
end

---The device that came after the board in a capture, as a product's application; nil if there was
---none.
---@param replay table
---@return table?
function M.application(replay)
  local device = replay.after and descriptor(replay.after, DEVICE)
  local ids = ids_of(device)
  if not ids then return nil end
  local strings = strings_of(replay.after)
  return { vid = ids.vid, pid = ids.pid, version = ids.version, dfu = false,
           manufacturer = strings[device:byte(15)], product = strings[device:byte(16)],
           serial = strings[device:byte(17)], seconds = math.min(math.max(replay.gap, 0), 60) }
end

---What the capture says of the board, as fields of a product; the kind has the rest.
---@param replay table
---@return table fields
---@return string[] lacking what comes from the kind
function M.fields(replay)
  local fields, lacking = ids_of(replay.device) or {}, {}
  if not replay.device then lacking[#lacking + 1] = "the device descriptor" end
  if not replay.config then lacking[#lacking + 1] = "the configuration" end
  local uploads = false
  for _, transfer in ipairs(replay.devices[1].transfers) do
    uploads = uploads or transfer.type == CLASS_FROM_INTERFACE and transfer.request == 2
      and transfer.value >= 2 and transfer.result > 0
  end
  if not uploads then lacking[#lacking + 1] = "what is read" end
  return fields, lacking
end

---The transfers for C, with the number of their device, from 1.
---@param replay table
---@return table[]
function M.transfers(replay)
  local list = {}
  for i, device in ipairs(replay.devices) do
    for _, transfer in ipairs(device.transfers) do
      transfer.nth = i
      list[#list + 1] = transfer
    end
  end
  return list
end

return M

-- SPDX-License-Identifier: MIT
-- Writes requests in Linux's capture format, that of usbmon: link type 220,
-- LINKTYPE_USB_LINUX_MMAPPED. Each control transfer is two records, one for its submission ('S')
-- and one for its completion ('C'); both are written when it has completed.
--
-- The header is struct usbmon_packet (Linux, Documentation/usb/usbmon.rst), little endian.
local errors = require "moonflash.errors"
local sys = require "sys"
local task = require "task"

-- blank: firmware and serial numbers are left out, so that the file can be given away.
local M = { blank = false }

local Capture = {}
Capture.__index = Capture

local MAGIC = 0xA1B2C3D4 -- times are in microseconds
local LINK_TYPE = 220
local LONGEST = 64 + 65535

-- ts_sec ts_usec caught length | id type xfer_type epnum devnum busnum flag_setup flag_data
-- ts_sec ts_usec status length len_cap setup | interval start_frame xfer_flags ndesc
local RECORD = "<I4I4I4I4I8c1BBBI2c1c1i8i4i4I4I4c8i4i4I4I4"
local CONTROL, IN = 2, 0x80
local IN_PROGRESS = -115
local URB_DIR_IN = 0x200

-- Linux's error numbers for the errors of our ports.
local ERRNO = { stall = -32, gone = -19, timeout = -110, io = -71, cancelled = -2 }

local function refuse(name, why)
  errors.raise { code = "file.write", message = ("--pcap %s: %s"):format(name, why) }
end

-- Only a capture may be overwritten, so that a wrong name does not destroy a firmware file.
local function check(name)
  local stat = sys.stat(name)
  if not stat or stat.type ~= "file" or stat.size == 0 then return end
  local file = io.open(name, "rb")
  local first = file and file:read(4)
  if file then file:close() end
  if first ~= ("<I4"):pack(MAGIC) then
    refuse(name, "exists and is not a capture file; not overwritten")
  end
end

---Begins a capture.
---@param name string a file; an existing capture is overwritten
---@return table capture
function M.open(name)
  local is_new = sys.stat(name) == nil
  check(name)
  local file, why
  if is_new then file, why = sys.create(name) else file, why = io.open(name, "wb") end
  if not file then refuse(name, why:gsub("^.*: ", "")) end
  file:setvbuf("no") -- unbuffered, so that a crash loses no request
  local self = setmetatable({ name = name, file = file, id = 0, devices = 0, numbers = {},
                              zero = sys.time() - task.now() }, Capture)
  self:write(("<I4I2I2i4I4I4I4"):pack(MAGIC, 2, 4, 0, 0, LONGEST, LINK_TYPE))
  if self.why then refuse(name, self.why) end
  return self
end

function Capture:write(bytes)
  if self.why then return end
  local ok, why = self.file:write(bytes)
  if not ok then self.why = why end
end

local function record(self, kind, at, number, direction, status, length, setup, data)
  local time = math.floor((self.zero + at) * 1e6 + 0.5)
  local seconds, micros = time // 1000000, time % 1000000
  local submitted = kind == "S"
  local moves = submitted == (direction == 0) -- OUT data moves at submission, IN data at completion
  data = moves and data or ""
  return RECORD:pack(seconds, micros, 64 + #data, 64 + #data, self.id, kind, CONTROL, direction,
    number.device, number.bus, submitted and "\0" or "-",
    moves and "\0" or submitted and "<" or ">", seconds, micros, status, length, #data,
    submitted and setup or "", 0, 0, direction ~= 0 and URB_DIR_IN or 0, 0) .. data
end

-- The two records of a transfer.
local function transfer(self, number, started, elapsed, result, setup, length, data)
  self.id = self.id + 1
  local direction = setup:byte() & IN
  local moved = math.type(result) and result or 0
  return record(self, "S", started, number, direction, IN_PROGRESS, length, setup, data)
    .. record(self, "C", started + elapsed, number, direction, ERRNO[result] or 0, moved, setup,
      data)
end

local function setup_of(type, request, value, index, length)
  return ("<BBI2I2I2"):pack(type, request, value, index, length)
end

-- The enumeration requests of a new device, with their answers: the reader of a capture needs
-- these.
local function introduction(self, device, number, at)
  local function ask(type, request, value, data)
    return transfer(self, number, at, 0, #data, setup_of(type, request, value, 0, #data), #data,
      data)
  end
  local config = device.config
  if #device.device < 18 or #config < 9 then return "" end
  config = config:sub(1, (("<I2"):unpack(config, 3))) -- real devices may have several
  return ask(0x80, 6, 0x0100, device.device) .. ask(0x80, 6, 0x0200, config)
    .. ask(0x00, 9, config:byte(6), "")
end

-- The bus and the number of a device, as Linux has assigned them. Simulated devices get bus 0,
-- which Linux does not use, and consecutive numbers.
local function number_of(self, device)
  local generation = device.generation
  if device.path:find("^%d") then
    return { bus = generation >> 16 & 0xFFFF, device = generation & 0xFF }
  end
  self.devices = self.devices % 127 + 1
  return { bus = 0, device = self.devices }
end

local STATUS_REQUESTS = { [3] = true, [5] = true } -- GETSTATUS, GETSTATE
local MOST_COMMAND = 5 -- bytes of a DfuSe command in block 0
local MOST_COMMANDS = 16 -- bytes of the list of commands

-- Whether data are the board's contents, or go there: all blocks but DfuSe's commands, and requests
-- that DFU does not have.
local function is_content(device, type, request, value, data)
  if type & 0x60 == 0 or STATUS_REQUESTS[request] then return false end
  local dfuse = device.opened and device.opened.dfuse
  local most = type & IN ~= 0 and MOST_COMMANDS or MOST_COMMAND
  return not (dfuse and value == 0 and #data <= most)
end

-- Zeros in place of contents, and of the digits of the serial number.
local function blanked(device, type, request, value, data)
  local serial = device.device:byte(17)
  if is_content(device, type, request, value, data) then return ("\0"):rep(#data) end
  local is_string = type == 0x80 and request == 6 and value >> 8 == 3
  if is_string and serial ~= 0 and value & 0xFF == serial then
    return data:sub(1, 2) .. ("0\0"):rep((#data - 2) // 2)
  end
  return data
end

---Writes a request that has ended.
---@param device table from dfu.device
---@param started number in the time of task.now()
---@param elapsed number
---@param result integer|string number of bytes, or the error
---@param ... any type, request, value, index, length, data
function Capture:add(device, started, elapsed, result, ...)
  if self.why then return end
  local number = self.numbers[device]
  local before = ""
  if not number then
    number = number_of(self, device)
    self.numbers[device] = number
    before = introduction(self, device, number, started)
  end
  local type, request, value, index, length, data = ...
  if M.blank and data then data = blanked(device, type, request, value, data) end
  self:write(before .. transfer(self, number, started, elapsed, result,
    setup_of(type, request, value, index, length), length, data))
end

---Ends the capture.
---@return table? error if the file is not complete
function Capture:close()
  local closed, why = self.file:close()
  self.why = self.why or not closed and why
  return self.why and errors.new { code = "file.write",
    message = ("--pcap %s: %s; the capture is not complete"):format(self.name, self.why) } or nil
end

return M

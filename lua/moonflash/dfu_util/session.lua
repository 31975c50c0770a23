-- SPDX-License-Identifier: MIT
-- A session with one board: out of its program if need be, open, in dfuIDLE, with an alternate
-- setting; and its end.
local devices = require "moonflash.dfu_util.devices"
local dfu = require "dfu"
local errors = require "moonflash.errors"
local firmware = require "moonflash.dfu_util.firmware"
local lines = require "moonflash.dfu_util.lines"
local place = require "moonflash.board.place"
local running = require "moonflash.board.running"
local statuses = require "moonflash.dfu_util.status"

local M = {}

local DETACH = 0
local DETACH_TIMEOUT = 1000 -- milliseconds: what dfu-util asks for
local MOST_TRIES = 8        -- looks at a board until it is in dfuIDLE
local LEAST_DELAY = 5       -- seconds that a detached board has at least

-- The status codes of DFU 1.1, 6.1.2, in words, by number.
local STATUS_WORDS = {
  [0] = "No error condition is present", "File is not targeted for use by this device",
  "File is for this device but fails some vendor-specific test", "Device is unable to write memory",
  "Memory erase function failed", "Memory erase check failed", "Program memory function failed",
  "Programmed memory failed verification",
  "Cannot program memory due to received address that is out of range",
  "Received DFU_DNLOAD with wLength = 0, but device does not think that it has all data yet",
  "Device's firmware is corrupt. It cannot return to run-time (non-DFU) operations",
  "iString indicates a vendor specific error", "Device detected unexpected USB reset signalling",
  "Device detected unexpected power on reset",
  "Something went wrong, but the device does not know what it was",
  "Device stalled an unexpected request",
}

local function number_of(names, name)
  for number, other in pairs(names) do
    if other == name then return number end
  end
  return 0
end

---Prints a board's state, as programs read it.
---@param state string "dfuIDLE"
---@param status? string "OK"
function M.tell_state(state, status)
  local code = status and number_of(dfu.statuses, status) or 0
  lines.out("DFU state(%d) = %s, status(%d) = %s", number_of(dfu.states, state), state, code,
    STATUS_WORDS[code] or "INVALID")
end

-- ---- into dfuIDLE ----

-- Prints the state in which the board is, and brings it to dfuIDLE.
local function settle(board)
  for _ = 1, MOST_TRIES do
    lines.out("Determining device status...")
    local now = board:status()
    M.tell_state(now.state, now.status)
    if now.state == "dfuERROR" then
      lines.out("Clearing status")
      board:clear_status()
    elseif now.state == "dfuDNLOAD-IDLE" or now.state == "dfuUPLOAD-IDLE" then
      lines.out("Aborting previous incomplete transfer")
      board:abort()
    else
      return
    end
  end
end

local function tell_attributes(functional)
  local attributes = functional.attributes
  local words, bits = {}, 0
  for i, item in ipairs { { "can_download", "bitCanDnload" }, { "can_upload", "bitCanUpload" },
    { "tolerant", "bitManifestationTolerant" }, { "will_detach", "bitWillDetach" } } do
    if attributes[item[1]] then
      words[#words + 1], bits = " " .. item[2], bits | 1 << (i - 1)
    end
  end
  lines.out("DFU attributes: (0x%02x)%s", bits, table.concat(words))
  lines.out("Detach timeout %d ms", math.floor(functional.detach_timeout * 1000))
end

local function tell_memory(alt, verbose)
  if not alt or #alt.layout.segments == 0 then return end
  lines.out('DfuSe interface name: "%s"', alt.name:match("^@([^/]*)") or alt.layout.name)
  for _, s in ipairs(verbose and alt.layout.segments or {}) do
    lines.out("Memory segment at 0x%08x %3d x %4d = %5d (%s%s%s)", s.address, s.count, s.size,
      s.count * s.size, s.readable and "r" or "", s.erasable and "e" or "",
      s.writable and "w" or "")
  end
end

-- ---- a board that runs its program ----

-- Sends DETACH to a board in run-time mode. With `stay` the board is awaited in DFU mode.
local function detach(board, request, stay)
  lines.out("Claiming USB DFU (Run-Time) Interface...")
  place.open(board, nil, { mode = "runtime" })
  lines.out("Determining device status...")
  M.tell_state("appIDLE")
  lines.out("Device really in Run-Time Mode, send DFU detach request...")
  lines.out(dfu.fields(board).info.functional.attributes.will_detach
    and "Device will detach and reattach..." or "Resetting USB...")
  if not stay then return running.send_detach(board) end
  board:detach(math.max(request.delay, LEAST_DELAY))
  local ids = request.ids and request.ids.dfu
  local info = dfu.fields(board).info
  if ids and (ids.vid and ids.vid ~= info.vid or ids.pid and ids.pid ~= info.pid) then
    statuses.fail(statuses.IO, "The board came back as %04x:%04x, and not with the ids of -d",
      info.vid, info.pid)
  end
  lines.out("Opening DFU USB Device...")
end

-- ---- the whole ----

local function refuse(err, info)
  local why = errors.matches(err, "usb.permission") and "LIBUSB_ERROR_ACCESS"
  if why then
    statuses.fail(statuses.IO, "Cannot open DFU device %04x:%04x found on devnum %d (%s)\n  %s",
      info.vid, info.pid, info.devnum, why, err.hint or err.message)
  elseif errors.matches(err, "usb.busy") then
    statuses.fail(statuses.IO, "Cannot claim interface - LIBUSB_ERROR_BUSY\n  %s", err.message)
  end
  error(err, 0)
end

-- The transfer size, from the board and -t.
local function use_transfer_size(board, request)
  local announced, wanted = board.transfer_size, request.transfer_size or 0
  local functional = dfu.fields(board).info.functional
  if functional.transfer_size then
    lines.out("Device returned transfer size %d", functional.transfer_size)
  elseif wanted == 0 then
    lines.out("Device returned no transfer size; taking %d", announced)
  end
  if wanted == 0 then return end
  lines.out("Warning: Overriding device-reported transfer size")
  local most = functional.transfer_size and announced or 4096
  local size = math.min(wanted, most)
  if size < wanted then lines.out("Limited transfer size to %d", size) end
  if size % 16 ~= 0 or size < 16 then -- boot loaders write units of up to 16 bytes
    size = math.max(size // 16 * 16, math.min(16, most))
    lines.out("Adjusted transfer size to %d", size)
  end
  board.transfer_size = size
end

-- Raises the error for a file of another board. The ids of -d count, too, and those that the board
-- had while it ran its program.
local function check_file(file, request, info, first)
  local named = request.ids and request.ids.runtime or {}
  local runtime = { vid = named.vid, pid = named.pid }
  if named.vid == nil then runtime.vid = first.vid end -- any
  if named.pid == nil then runtime.pid = first.pid end
  if not file or firmware.is_for(file, info) or firmware.is_for(file, runtime) then return end
  statuses.fail(statuses.USAGE, "Error: File ID %04x:%04x does not match device (%04x:%04x or "
    .. "%04x:%04x)", file.suffix.vid, file.suffix.pid, runtime.vid or first.vid,
    runtime.pid or first.pid, info.vid or first.vid, info.pid or first.pid)
end

---Finds the board and opens it, in dfuIDLE.
---@param request table
---@param file? table
---@return table board
---@return table? alt of board.alts; nil: several are meant
function M.open(request, file)
  local info = devices.one(request, file and function(info) return firmware.is_for(file, info) end)
  local alt = info.mode == "dfu" and devices.alt(request, info, file and file.dfuse) or nil
  lines.out("Opening DFU capable USB device...")
  lines.out("Device ID %04x:%04x", info.vid, info.pid)
  lines.out("%s DFU version %04x", info.mode == "runtime" and "Run-Time device" or "Device",
    info.functional.dfu_version)
  if request.verbose > 0 then tell_attributes(info.functional) end
  local board, first = dfu.at { path = info.path }, info
  if info.mode == "runtime" then -- before it is taken out of its program
    check_file(file, request, request.ids and request.ids.dfu or first, first)
  end
  local ok, err = pcall(function()
    if info.mode == "runtime" then
      detach(board, request, true)
    else
      lines.out("Claiming USB DFU Interface...")
      place.open(board, nil, {})
    end
  end)
  if not ok then refuse(err, info) end
  info = dfu.fields(board).info
  alt = alt or devices.alt(request, info, file and file.dfuse)
  if alt then
    lines.out("Setting Alternate Interface #%d ...", alt.number)
    board:select(alt.number)
  end
  settle(board)
  check_file(file, request, info, first)
  lines.out("DFU mode device DFU version %04x", info.functional.dfu_version)
  if not dfu.fields(board).dfuse and request.dfuse_words then
    lines.out("Warning: DfuSe option used on non-DfuSe device")
  end
  use_transfer_size(board, request)
  for _, own in ipairs(board.alts) do
    if alt and own.number == alt.number then alt = own end
  end
  if dfu.fields(board).dfuse then tell_memory(alt, request.verbose > 0) end
  return board, alt
end

-- ---- DETACH and reset ----

-- Sends DETACH to a board in DFU mode. Some reboot then; others refuse it, and are brought back to
-- dfuIDLE.
local function detach_in_dfu_mode(board)
  local interface = dfu.fields(board).info.interface
  local _, refused = errors.catch("dfu.stall", board.control, board, 0x21, DETACH, DETACH_TIMEOUT,
    interface, "")
  if refused then
    if board:get_state() == "dfuERROR" then board:clear_status() end
    return false
  end
  return true
end

---What -e does: DETACH, and nothing else.
---@param request table
function M.detach(request)
  local info = devices.one(request)
  lines.out("Opening DFU capable USB device...")
  lines.out("Device ID %04x:%04x", info.vid, info.pid)
  local board <close> = dfu.at { path = info.path }
  local ok, err = pcall(function()
    if info.mode == "runtime" then return detach(board, request, false) end
    lines.out("Claiming USB DFU Interface...")
    place.open(board, nil, {})
    settle(board)
    if not errors.catch("usb.gone", detach_in_dfu_mode, board) and board.is_open then
      lines.warn("dfu-util", "can't detach")
    end
  end)
  if not ok then refuse(err, info) end
  if board.is_open and request.reset then M.reset(board) end
end

---What -R and -Q want at the end. Does nothing if the board has left.
---@param board table
---@param request table
function M.finish(board, request)
  if not board.is_open or not (request.reset or request.detach_last) then return end
  errors.catch("usb", detach_in_dfu_mode, board)
  if request.reset and board.is_open then M.reset(board) end
end

---@param board table
function M.reset(board)
  lines.out("Resetting USB to switch back to Run-Time mode")
  errors.catch("usb.gone", board.reset, board)
end

return M

-- SPDX-License-Identifier: MIT
-- Stands in for dfu-util 0.11: its options, its lines where programs read them, its exit statuses,
-- over the library, which verifies and writes only what differs. docs/dfu-util.md tells who calls
-- it, and how.
local devices = require "moonflash.dfu_util.devices"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local lines = require "moonflash.dfu_util.lines"
local options = require "moonflash.dfu_util.options"
local statuses = require "moonflash.dfu_util.status"

local PROGRAM = "dfu-util"

-- The file of -D. Ids in its suffix choose among boards, which is said.
local function load_file(request)
  local firmware = require "moonflash.dfu_util.firmware"
  local file = firmware.load(request.file)
  local named = request.ids and request.ids.runtime or {}
  if file.suffix and named.vid == nil and file.suffix.vid ~= 0xFFFF then
    lines.out("Match vendor ID from file: %04x", file.suffix.vid)
  end
  if file.suffix and named.pid == nil and file.suffix.pid ~= 0xFFFF then
    lines.out("Match product ID from file: %04x", file.suffix.pid)
  end
  if file.suffix and request.verbose > 0 then
    lines.out("DFU suffix version %x", file.suffix.format)
  end
  return file
end

local function work_on_board(request)
  if require("dfu").defaults.dry then
    statuses.fail(statuses.USAGE, "dfu-util has no dry run: moonflash flash --dry-run")
  end
  local session = require "moonflash.dfu_util.session"
  local file = request.mode == "download" and load_file(request) or nil
  if request.wait then lines.out("Waiting for device, exit with ctrl-C") end
  if request.mode == "detach" then return session.detach(request) end
  local board, alt = session.open(request, file)
  local _ <close> = board
  if request.mode == "upload" then
    require("moonflash.dfu_util.upload").run(board, request, alt)
  else
    require("moonflash.dfu_util.download").run(board, request, file, alt)
  end
  session.finish(board, request)
end

local function carry_out(argv, choose)
  local ok, request = pcall(options.read, argv)
  if not ok then
    if errors.is(request) then
      lines.warn(PROGRAM, request.message)
      lines.say(options.HELP)
      return statuses.USAGE
    end
    error(request, 0)
  end
  if request.mode == "help" then
    lines.say(options.HELP)
    return statuses.OK
  end
  lines.banner("dfu-util 0.11")
  if request.mode == "version" then return statuses.OK end
  if request.verbose > 0 then
    lines.out("libusb version %s", require("sys").versions().libusb)
  end
  if not request.mode then
    lines.say("You need to specify one of -D or -U\n" .. options.HELP)
    return statuses.USAGE
  end
  if choose then choose() end
  if request.mode == "list" then
    devices.list(devices.find(request))
  else
    work_on_board(request)
  end
  return statuses.OK
end

---@param argv string[]
---@param choose? function that sets the boards to look at
---@return integer status
return function(argv, choose)
  local _ <close> = events.apart("wire")
  local ok, status = pcall(carry_out, argv, choose)
  if ok then return status end
  local err = status
  if errors.matches(err, "exit") then error(err, 0) end
  lines.warn(PROGRAM, errors.text(errors.of_memory(err)))
  return statuses.of(err)
end

-- SPDX-License-Identifier: MIT
-- Takes boards into DFU mode before a run: by DETACH, by the touch of a serial port, or by a text
-- that is sent to it. The run then takes place on the boards that came.
local dfu = require "dfu"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local ids = require "moonflash.board.ids"
local sys = require "sys"

local M = {}

local BAUD = 115200
local SECONDS = 10 -- in which a board is back, by default

-- Options that a recipe can add to its arguments.
M.options = {
  { "--detach", "first put a board that runs its program into DFU mode", default = false },
  { "--touch", "the same by touching its serial port at 1200 baud: --touch, or --touch TTY",
    type = "tty" },
  { "--say", "the same by sending TEXT to its serial port (\\n: a newline)", type = "string" },
}

-- ---- serial ports ----

local function raise_ports(message, ports)
  local list = {}
  for i, port in ipairs(ports) do
    list[i] = ("%s (%04x:%04x, %s)"):format(port.tty, port.vid, port.pid, port.path)
  end
  errors.raise { code = "usage", remedy = { "touch", ports = table.concat(list, ", ") },
                 message = message }
end

-- The only port of a program that is known to enter its boot loader.
local function only_listed(ports)
  local listed = {}
  for _, port in ipairs(ports) do
    if ids.is_touched(port.vid, port.pid) then listed[#listed + 1] = port end
  end
  if #listed == 1 then return listed[1] end
  raise_ports(#listed == 0 and "no serial port is of a program that is known to enter DFU mode so"
    or #listed .. " serial ports are of programs that enter DFU mode so", #listed > 0 and listed
    or ports)
end

local function port_of(tty)
  local ports = dfu.ports()
  if tty == nil or tty == "" then return only_listed(ports) end
  local real = sys.readlink(tty) -- /dev/serial/by-id/...
  local name = real and "/dev/" .. real:match("[^/]*$") or tty
  for _, port in ipairs(ports) do
    if port.tty == tty or port.tty == name then return port end
  end
  if not sys.stat(tty) then
    errors.raise { code = "sys.missing", message = tty .. ": there is no such serial port",
                   remedy = { "plug-in" } }
  end
  raise_ports(tty .. " is not the serial port of a USB device, so it is unknown where the board "
    .. "will come back", ports)
end

local ESCAPES = { n = "\n", r = "\r", t = "\t", ["\\"] = "\\" }

local function unescape(text)
  return (text:gsub("\\x(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end)
    :gsub("\\([nrt\\])", ESCAPES))
end

local function say(port, text)
  local stream <close> = sys.serial(port.tty, BAUD)
  errors.catch("sys", stream.write, stream, unescape(text)) -- it may be gone before the end
end

-- ---- waiting ----

local function wait_for(path, done, seconds)
  events.emit("remark", nil, "entering", { path = path, done = done, seconds = seconds })
  dfu.wait_for({ path = path }, seconds)
  return path
end

local function by_port(options, seconds)
  local port = port_of(options.touch ~= true and options.touch or nil)
  local what = options.say and "sent the text to " .. port.tty or "touched " .. port.tty
  if dfu.defaults.dry then
    events.emit("remark", nil, "entering", { path = port.path, done = "would have " .. what,
                                             seconds = seconds })
    return {}
  end
  if options.say then say(port, options.say) else sys.touch(port.tty) end
  return { wait_for(port.path, what, seconds) }
end

-- ---- DETACH ----

-- The boards that run their program, by the selectors of --device; and whether boards in DFU mode
-- match.
local function running()
  local boards, others, seen = {}, {}, {}
  for _, selector in ipairs(dfu.defaults.selectors or { false }) do
    for _, info in ipairs(dfu.list(selector or nil)) do
      local list = info.mode == "runtime" and boards or others
      if not seen[info.path] then list[#list + 1] = info end
      seen[info.path] = true
    end
  end
  return boards, others
end

local function by_detach(seconds)
  local boards, others = running()
  local paths = {}
  for i, info in ipairs(others) do paths[i] = info.path end
  if #boards == 0 and #others > 0 then return paths end -- in DFU mode already
  if #boards == 0 then return by_port({}, seconds) end
  for _, info in ipairs(boards) do
    local board <close> = dfu.at { path = info.path }
    events.emit("remark", nil, "entering", { path = info.path, done = "sent DETACH",
                                             seconds = seconds })
    board:detach(seconds)
    paths[#paths + 1] = info.path
  end
  return paths
end

-- ---- the whole ----

---Takes boards into DFU mode, as the options say, and makes the run one on these.
---@param options table detach: boolean; touch: true, "" or a serial port; say: a text
---@param seconds? number in which a board is back
function M.dfu_mode(options, seconds)
  seconds = seconds or SECONDS
  if not (options.detach or options.touch or options.say) then return end
  local paths = (options.touch or options.say) and by_port(options, seconds)
    or by_detach(seconds)
  if #paths > 0 and not dfu.defaults.dry then dfu.defaults.entered = paths end
end

return M

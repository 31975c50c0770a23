-- SPDX-License-Identifier: MIT
-- sim.lua: offers simulated boards to a kernel over USB/IP, and prints their events.
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local shown = require "moonflash.base.shown"
local text = require "moonflash.base.text"

-- "127.0.0.1:3240", "[::1]:3240", "127.0.0.1", "localhost" --> address, port
local function parse(where)
  local host, port = where:match("^%[(.*)%]:?(%d*)$")
  if not host then host, port = where:match("^([^:]*):?(%d*)$") end
  if not host or host == "" then
    errors.raise { code = "usage", message = ("'%s' is not ADDRESS:PORT"):format(where),
                   hint = "--usbip 127.0.0.1:3240" }
  end
  port = port == "" and 3240 or tonumber(port)
  if port > 65535 then
    errors.raise { code = "usage", message = ("%d is not a port: at most 65535"):format(port) }
  end
  return host == "localhost" and "127.0.0.1" or host, port
end

-- The command that attaches a board on this computer. Elsewhere the address is another one.
local function attach_command(server, bus_id)
  local port = server.port == 3240 and "" or ("--tcp-port %d "):format(server.port)
  return ("usbip %sattach -r %s -b %s"):format(port, server.address, bus_id)
end

-- The program that starts at the address, or the reason why none can.
local function start(event)
  local vectors = ("stack 0x%08X, entry 0x%08X"):format(event.sp, event.pc)
  if event.works then return ("would start at %s (%s)"):format(text.hex(event.address), vectors) end
  return ("the program at %s can't start (%s: the stack must be in RAM, the entry odd and in "
    .. "flash or RAM)"):format(text.hex(event.address), vectors)
end

local function bytes(event)
  return ("%d bytes, %s"):format(event.bytes, text.range(event.first, event.last))
end

-- The words for each event; false: nothing is printed.
local words = {
  ready = function() return false end,
  attached = function() return "attached" end,
  detached = function(event) return "detached: " .. event.why end,
  flashed = function(event) return "flashed " .. bytes(event) end,
  erased = function(event) return "erased " .. bytes(event) end,
  left = function(event) return "left: " .. start(event) end,
  gone = function() return "off the bus" end,
  reset = function(event, server)
    return ("reset: back in %s; %s"):format(event.mode == "dfu" and "DFU mode" or "run-time mode",
      attach_command(server, event.bus_id))
  end,
  refused = function(event) return "refused: " .. event.why end,
  trouble = function(event) return event.why end,
  lost = function(event) return ("%d events were not shown"):format(event.count) end,
}

local function kinds()
  local rows = {}
  for i, row in ipairs(sim.catalogue()) do rows[i] = { "sim:" .. row.kind, row.summary } end
  return shown.as(sim.catalogue(), function() return shown.columns(rows) end)
end

local function announce(server, boards)
  print(("Serving %s over USB/IP at %s, port %d. Ctrl-C ends it."):format(
    text.count(#boards, "simulated board"), server.address, server.port))
  for i, board in ipairs(boards) do
    print(("  %s    plugs in %s"):format(attach_command(server, "1-" .. i), board))
  end
end

return {
  api         = 1,
  summary     = "Offer simulated boards to this computer as USB devices (USB/IP)",
  description = "Each board gets a bus id: 1-1, 1-2, ... As root: 'modprobe vhci-hcd' once;\n"
    .. "'usbip attach -r 127.0.0.1 -b 1-1' plugs in the first board. A board that leaves\n"
    .. "DFU mode or restarts disconnects; attach it again to get it back in DFU mode.",
  args        = {
    { "selector", "simulated boards: sim:f407,flash=board.img sim:g474", default = {} },
    { "--kinds", "list the kinds of simulated boards", default = false },
    { "--compare", "send the requests of a capture to this kind, and show what differs",
      type = "string" },
    { "--usbip", "where to listen", default = "127.0.0.1:3240" },
    { "--anywhere", "also at an address that other computers can reach", default = false },
  },

  setup = function(opt)
    if opt.kinds then return kinds() end
    if opt.compare then
      if #opt.selector ~= 1 then
        errors.raise { code = "usage", message = "--compare needs one capture",
                       hint = "moonflash sim --compare f042 board.pcap" }
      end
      local result = require "moonflash.trace.compare" (opt.compare, opt.selector[1])
      if #result.differences > 0 then fail("%s", tostring(result)) end
      return result
    end
    if #opt.selector == 0 then
      errors.raise { code = "usage", message = "no simulated board was given",
                     hint = "moonflash sim sim:f407\n'moonflash sim --kinds' lists the kinds." }
    end
    local address, port = parse(opt.usbip)
    local server <close> = sim.serve(address, port, opt.selector, { anywhere = opt.anywhere })
    announce(server, opt.selector)
    for event in server.event, server do
      events.emit("served", event)
      local line = words[event.event](event, server)
      if line and event.path then line = ("%s %s: %s"):format(event.bus_id, event.path, line) end
      if line then print(line) end
    end
  end,
}

-- SPDX-License-Identifier: MIT
-- Module `dfu`, and the list of Board's methods that are written in Lua. The primitives are in
-- src/lua/lboard.c.
local bus = require "moonflash.board.bus"
local chip = require "moonflash.board.chip"
local class = require "moonflash.board.class"
local guard = require "moonflash.board.guard"
local leave = require "moonflash.flash.leave"
local link = require "moonflash.link"
local memory = require "moonflash.memory"
local place = require "moonflash.board.place"
local refusal = require "moonflash.board.refusal"
local running = require "moonflash.board.running"
local selectors = require "moonflash.board.selector"
local settings = require "moonflash.board.settings"

local M = { API = 1 }

-- ---- the methods of Board ----

-- Loads flash/examine.lua at the first call: most recipes need none of these methods.
local function examined(name)
  return function(...) return require("moonflash.flash.examine")[name](...) end
end

local methods = {
  open = place.open_again,
  detach = running.detach,
  wait_app = running.wait_app,
  leave = leave.leave,
  chip = chip.chip,
  unprotect = function(board, options)
    return require("moonflash.flash").unprotect(board, options)
  end,
  step = function(board, ...) class.state(board).job:begin_step(board, ...) end,
  note = function(board, ...) class.state(board).job:measure(board, ...) end,
  status = examined "status",
  regions = examined "regions",
  dump = examined "dump",
  find = examined "find",
  diff = examined "diff",
  save = examined "save",
  fill = examined "fill",
}
-- A command that a boot loader is known not to have is not sent.
for name, command in pairs { read_unprotect = 0x92, mass_erase = 0x41 } do
  local primitive = link.methods[name]
  methods[name] = function(board, ...)
    local state = class.check("board:" .. name .. "()", board)
    guard.command(state, board, command, (name:gsub("_", " ")))
    if state.device.dry then state.device:pretend():erase_all(state.device.alts) end
    return primitive(board, ...)
  end
end
-- What a dry run would have changed is read as if it had.
local read, write, erase_page = link.methods.read, link.methods.write, link.methods.erase_page
function methods.read(board, ...)
  local device = class.state(board).device
  local pretended = device.pretended
  local address, length = ...
  if not pretended or not math.tointeger(address) or not math.tointeger(length) then
    return read(board, ...)
  end
  return pretended:read(address, length, device.part.erased, function()
    return read(board, address, length)
  end)
end
function methods.write(board, ...)
  write(board, ...)
  local device = class.state(board).device
  if device.dry then device:pretend():write(...) end
end
function methods.erase_page(board, ...)
  erase_page(board, ...)
  local address = ...
  local device = class.state(board).device
  if device.dry then
    local alt = device.alts[1]
    for _, other in ipairs(device.alts) do
      if memory.find(other.layout.segments, address) then alt = other end
    end
    local segment, start = memory.find(alt.layout.segments, address)
    device:pretend():erase(start, segment.size, device.part.erased)
  end
end
for name, method in pairs(methods) do link.extend(name, method) end

-- ---- finding and opening boards ----

---The boards on the bus, in DFU mode or in run-time mode.
---@param selector? string|table
---@return table[] { { path=, vid=, pid=, serial=, product=, mode=, alts=, ... }, ... }
function M.list(selector)
  return bus.find(selectors.parse(selector))
end

M.open, M.at, M.arrivals = place.open_any, place.at, place.arrivals

-- ---- for the library and for tests ----

M.defaults = settings
M.fields, M.names = class.state, class.names()
M.wait_for, M.whereabouts, M.several = place.wait_for, place.whereabouts, refusal.several
M.others, M.device, M.ports = bus.others, bus.device, bus.ports
M.states, M.statuses = link.states, link.statuses
M.observe, M.is_closing = link.observe, link.is_closing

---Brings a board back to dfuIDLE after an abandoned operation; does nothing otherwise.
M.to_idle = link.to_idle

return M

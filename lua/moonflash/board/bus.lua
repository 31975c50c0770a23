-- SPDX-License-Identifier: MIT
-- What is on the bus: rows of descriptors, and the strings that have to be asked for.
local class = require "moonflash.board.class"
local descriptor = require "moonflash.board.descriptor"
local errors = require "moonflash.errors"
local failure = require "moonflash.board.failure"
local link = require "moonflash.link"
local memory = require "moonflash.memory"
local parts = require "moonflash.board.families"
local selectors = require "moonflash.board.selector"
local sim = require "sim"
local task = require "task"

local RESCAN = 0.05 -- seconds between two looks for a device that is waited for
local SETTLING = 2 -- seconds that udev may take to set the rights of a device that has come

-- Seconds for a string, which no board has to work for: USB 2.0, 9.2.6.4, gives each packet of an
-- answer half a second. Who does not answer is left alone for a while, and then asked again: it
-- may have been erasing.
local STRING_TIMEOUT = 1
local SILENCE = 5

local M = { RESCAN = RESCAN, SETTLING = SETTLING }

local GET_DESCRIPTOR, STRING = 6, 0x0300
local US_ENGLISH = 0x0409

-- A device may refuse a string, and then has none; what else goes wrong is passed on.
local function string_bytes(handle, index, language)
  return errors.catch("dfu.stall", handle.control, handle, 0x80, GET_DESCRIPTOR, STRING | index,
    language, 255)
end

local function read_string(handle, index, language)
  local bytes = index ~= 0 and string_bytes(handle, index, language)
  return bytes and descriptor.string(bytes) or nil
end

local function language_of(handle)
  local bytes = string_bytes(handle, 0, 0)
  return bytes and #bytes >= 4 and ("<I2"):unpack(bytes, 3) or US_ENGLISH
end

-- What the descriptors say, without the strings.
local function describe(row)
  local device = descriptor.device(row.device)
  local functional = device and descriptor.dfu(row.config, device, row.configuration)
  if not functional then return nil end
  local info = {
    path = row.path, generation = row.generation,
    vid = device.vid, pid = device.pid, version = device.version,
    mode = functional.mode, alts = {},
    configuration = functional.configuration, interface = functional.interface,
    functional = functional, device = device,
  }
  for i, alt in ipairs(functional.alts) do
    info.alts[i] = { number = alt.number, index = alt.name, name = "",
                     layout = { name = "", segments = {} } }
  end
  return info
end

-- Raises what goes wrong; after that nothing more is asked.
local function add_strings(info, handle)
  local usual = handle.timeout
  local _ <close> = setmetatable({}, { __close = function() handle.timeout = usual end })
  handle.timeout = math.min(usual, STRING_TIMEOUT)
  local language = language_of(handle)
  info.product = read_string(handle, info.device.product, language)
  info.manufacturer = read_string(handle, info.device.manufacturer, language)
  info.serial = read_string(handle, info.device.serial, language)
  for _, alt in ipairs(info.alts) do
    -- twice: some F411 stall at random (dfu-util 140), and much hangs on this one
    alt.name = read_string(handle, alt.index, language)
      or read_string(handle, alt.index, language)
    alt.unread = alt.name == nil
    alt.name = alt.name or "unknown"
    alt.layout = parts.correct(memory.parse(alt.name))
  end
end

---What tells a device from all others that were, are or will be there.
---@param info table
---@return string
function M.key_of(info) return info.path .. "\0" .. info.generation end

-- What is remembered of a device, by path: the row that link.devices() had, and
--   came          when it was seen first; false: when its path was looked at first
--   info          what describe() made of it, with the strings, which are read once
--   silent_until  the time until which a device that did not answer is not asked again
--   before        the device that was at this path before; older ones are forgotten
--   opened        the moonflash.Device of the Board that opened it last
local places, count = {}, 0
local looked_at = { all = false } -- paths that were looked at

-- Paths that may be remembered before those without a device are forgotten.
local MOST_PLACES = 256

local function forget_empty(rows)
  local here = {}
  for _, row in ipairs(rows) do here[row.path] = true end
  count, looked_at = 0, { all = true }
  for path in pairs(places) do
    if here[path] then count = count + 1 else places[path] = nil end
  end
end

local function remember(row)
  local before = places[row.path]
  if before and before.generation == row.generation then return end
  row.came = (looked_at.all or looked_at[row.path]) and task.now()
  if before then before.before = nil else count = count + 1 end
  row.before = before
  places[row.path] = row
end

-- The devices that are there: all, or the one at a path.
local function look(path)
  local rows = link.devices(path)
  for _, row in ipairs(rows) do remember(row) end
  looked_at[path or "all"] = true
  if not path and count > MOST_PLACES + #rows then forget_empty(rows) end
  return rows
end

---A device that is there, or was there before the one that is.
---@param path string
---@param generation integer
---@return table { path=, generation=, device=bytes, config=bytes, ... }
function M.device(path, generation)
  local device = places[path]
  if device and device.generation ~= generation then device = device.before end
  if device and device.generation == generation then return device end
  return { path = path, generation = generation, device = "", config = "" }
end

-- What the operating system read of a device that can't be asked: no names of memories.
local function add_system_strings(info)
  for _, name in ipairs { "manufacturer", "product", "serial" } do
    local text = not info[name] and link.system_string(info.path, info.generation, name)
    if text then info[name] = descriptor.system_string(text) end
  end
end

-- As far as they can be had: one that goes away meanwhile, or does not answer, has none.
local function with_strings(info)
  local device = M.device(info.path, info.generation)
  if device.info then return device.info end
  if task.now() >= (device.silent_until or 0) then
    local handle <close> = class.bare(info.path)
    local ok, why = link.attach(handle, info.generation, 0, -1)
    info.forbidden = why == "permission"
    if ok then ok, why = pcall(add_strings, info, handle) end
    if ok then
      device.info = info
      return info
    end
    if errors.matches(why, "timeout") then device.silent_until = task.now() + SILENCE end
  end
  add_system_strings(info)
  return info
end

-- All at once: several that hang take as long as one.
local function all_with_strings(infos)
  local jobs = {}
  local _ <close> = setmetatable({}, { __close = function(_, err)
    for _, job in pairs(jobs) do job:cancel() end
    if err then failure.interrupted(err, "while the boards were listed") end
  end })
  local at_once = #infos > 1 and task.can_join()
  for i, info in ipairs(infos) do
    if at_once and not M.is_known(info) then jobs[i] = task.spawn(with_strings, info) end
  end
  for i, info in ipairs(infos) do
    infos[i] = jobs[i] and jobs[i]:join() or with_strings(info)
  end
end

local function is_there(path, generation)
  local row = link.devices(path)[1]
  return row ~= nil and row.generation == generation
end

---Waits until a device is off the bus.
---@param path string
---@param generation integer
---@param seconds number at most
---@return boolean gone
function M.wait_gone(path, generation, seconds)
  local by = task.now() + seconds
  while is_there(path, generation) do
    if task.now() >= by then return false end
    task.sleep(RESCAN)
  end
  return true
end

---Whether the strings of a device have been read.
---@param info table
---@return boolean
function M.is_known(info) return M.device(info.path, info.generation).info ~= nil end

---Reads the strings that could not be read before, from the board that is open now. Raises what
---goes wrong.
---@param info table
---@param board table
function M.complete(info, board)
  local device = M.device(info.path, info.generation)
  if device.info then return end
  local ok, err = pcall(add_strings, info, board)
  if not ok then
    if errors.matches(err, "timeout") then
      err.message = info.path .. ": no answer while its strings were read"
    end
    error(err, 0)
  end
  device.info = info
end

---A Board has opened a device.
---@param info table
---@param device moonflash.Device
---@return table row
function M.opened(info, device)
  local row = M.device(info.path, info.generation)
  row.opened = device
  return row
end

---Sees to it that a simulated board that is named is there.
---@param wanted table a selector
function M.ensure_simulated(wanted)
  if wanted.path and wanted.path:find("^sim:") then sim.ensure(wanted.path) end
end

---Whether a device came just now, so that nobody may open it yet who may later.
---@param info table
---@return boolean
function M.is_settling(info)
  local at = M.device(info.path, info.generation).came
  return at and task.now() - at < SETTLING
end

---The DFU devices that are there and match, by path.
---@param wanted table a selector
---@return table[] as dfu.list() has them
function M.find(wanted)
  M.ensure_simulated(wanted)
  local infos, found = {}, {}
  for _, row in ipairs(look(wanted.path)) do infos[#infos + 1] = describe(row) end
  all_with_strings(infos)
  for _, info in ipairs(infos) do
    if selectors.matches(info, wanted) then found[#found + 1] = info end
  end
  table.sort(found, function(a, b) return a.path < b.path end)
  return found
end

---The path of a DFU device that may be the one that is wanted, if its strings could be read: this
---user may not open it.
---@param wanted table a selector
---@return string?
function M.forbidden(wanted)
  for _, info in ipairs(M.find { path = wanted.path, vid = wanted.vid, pid = wanted.pid }) do
    local other = wanted.serial and info.serial and info.serial ~= wanted.serial
    if info.forbidden and not other then return info.path end
  end
end

---The path of a debug probe, if there is one: its board is near, but on another connector.
---@return string?
function M.st_link()
  for _, row in ipairs(link.devices()) do
    local device = descriptor.device(row.device)
    if device and parts.is_st_link(device.vid, device.pid) then return row.path end
  end
end

---The devices that have no DFU interface, one of which may be a board that runs its program.
---@return table[] { { path=, vid=, pid= }, ... }
function M.others()
  local others = {}
  for _, row in ipairs(link.devices()) do
    local device = descriptor.device(row.device)
    if device and not descriptor.dfu(row.config, device) then
      others[#others + 1] = { path = row.path, vid = device.vid, pid = device.pid }
    end
  end
  table.sort(others, function(a, b) return a.path < b.path end)
  return others
end

local ACM = 0x0202 -- class and subclass of what Linux makes a ttyACM of

local function has_acm(config_bytes)
  for _, interface in ipairs((descriptor.config(config_bytes) or {}).interfaces or {}) do
    if interface.class << 8 | interface.subclass == ACM then return true end
  end
  return false
end

---What runs at a place and is not in DFU mode, whatever kind of device it is.
---@param path string
---@param stale? integer the generation of a device that has left it
---@return table? { vid=, pid=, serial=, product=, tty= }
---@return boolean? settling its terminal is yet to come, or to be opened by us
function M.application(path, stale)
  local here = false
  for _, row in ipairs(look(path)) do
    here = true
    local device = row.generation ~= stale and descriptor.device(row.device)
    local info = device and describe(row)
    if device and (not info or info.mode == "runtime") then
      info = info and with_strings(info) or {}
      local tty, may_open = link.tty(row.path, row.generation)
      tty = tty or sim.tty(path)
      return { vid = device.vid, pid = device.pid, serial = info.serial, product = info.product,
               tty = tty }, tty and may_open == false or not tty and has_acm(row.config)
    end
  end
  local tty = not here and sim.running(path)
  return tty and { tty = tty } or nil
end

return M

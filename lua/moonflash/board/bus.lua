-- SPDX-License-Identifier: MIT
-- The devices on the bus: their descriptors, and their strings, which are requested once a device.
local class = require "moonflash.board.class"
local descriptor = require "moonflash.board.descriptor"
local errors = require "moonflash.errors"
local failure = require "moonflash.board.failure"
local link = require "moonflash.link"
local memory = require "moonflash.memory"
local ids = require "moonflash.board.ids"
local part_of = require "moonflash.board.part"
local selectors = require "moonflash.board.selector"
local sim = require "sim"
local task = require "task"

local RESCAN = 0.05 -- seconds between two looks at the bus while a device is awaited
local SETTLING = 2 -- seconds that udev may take to set the permissions of a new device

-- Timeout of a string request, in seconds. USB 2.0, 9.2.6.4, gives each packet of an answer half a
-- second. A device that does not answer is not asked again for SILENCE seconds: it may be erasing.
local STRING_TIMEOUT = 1
local SILENCE = 5

local M = { RESCAN = RESCAN, SETTLING = SETTLING }

local GET_DESCRIPTOR, STRING = 6, 0x0300
local US_ENGLISH = 0x0409

-- A STALL means that the device has no such string. Other errors are raised.
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

-- The facts in a device's descriptors, without its strings; nil if it has no DFU interface.
local function describe(row)
  local device = descriptor.device(row.device)
  local functional = device and descriptor.dfu(row.config, device, row.configuration)
  if not functional then return nil end
  local info = {
    path = row.path, generation = row.generation, devnum = row.number,
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

-- Reads the strings into `info`. Raises the first error; the strings after it are not requested.
local function add_strings(info, handle)
  local usual = handle.timeout
  local _ <close> = setmetatable({}, { __close = function() handle.timeout = usual end })
  handle.timeout = math.min(usual, STRING_TIMEOUT)
  local language = language_of(handle)
  info.product = read_string(handle, info.device.product, language)
  info.manufacturer = read_string(handle, info.device.manufacturer, language)
  info.serial = read_string(handle, info.device.serial, language)
  for _, alt in ipairs(info.alts) do
    -- Requested twice: some F411 stall at random (dfu-util 140), and the layout is in this string.
    alt.name = read_string(handle, alt.index, language)
      or read_string(handle, alt.index, language)
    alt.unread = alt.name == nil
    alt.name = alt.name or "unknown"
    alt.layout = part_of.correct(memory.parse(alt.name))
  end
end

---A key that no other device has, at any time.
---@param info table
---@return string
function M.key_of(info) return info.path .. "\0" .. info.generation end

-- The last device at each path: its row from link.devices(), with these fields added
--   came          time of its first listing; false if its path was listed for the first time then
--   info          result of describe(), with the strings, which are read once
--   silent_until  a device that did not answer is not asked again before this time
--   before        the previous device at this path; older ones are forgotten
--   opened        the moonflash.Device of the Board that opened it last
local places, count = {}, 0
local looked_at = { all = false } -- paths that have been listed

-- Number of remembered paths above which the paths without a device are forgotten.
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

-- Lists the present devices: all of them, or the one at `path`. Remembers each.
local function look(path)
  local rows = link.devices(path)
  for _, row in ipairs(rows) do remember(row) end
  looked_at[path or "all"] = true
  if not path and count > MOST_PLACES + #rows then forget_empty(rows) end
  return rows
end

---The row of the device at a path, or of the one before it.
---@param path string
---@param generation integer
---@return table { path=, generation=, device=bytes, config=bytes, ... }
function M.device(path, generation)
  local device = places[path]
  if device and device.generation ~= generation then device = device.before end
  if device and device.generation == generation then return device end
  return { path = path, generation = generation, device = "", config = "" }
end

-- Adds the strings that the operating system has read, for a device that can't be asked. The names
-- of its memories are not among them.
local function add_system_strings(info)
  for _, name in ipairs { "manufacturer", "product", "serial" } do
    local text = not info[name] and link.system_string(info.path, info.generation, name)
    if text then info[name] = descriptor.system_string(text) end
  end
end

-- Adds the strings of a device. A device that leaves meanwhile or does not answer has none.
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

-- Reads the strings of all devices in parallel, so that several silent ones take one timeout.
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

---Waits until a device has left the bus.
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

---Reads the strings that could not be read before, through the open board. Raises its errors.
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

---Records that a Board has opened a device. Returns the device's row.
---@param info table
---@param device moonflash.Device
---@return table row
function M.opened(info, device)
  local row = M.device(info.path, info.generation)
  row.opened = device
  return row
end

---Creates the simulated board that a selector names, unless it exists.
---@param wanted table a selector
function M.ensure_simulated(wanted)
  if wanted.path and wanted.path:find("^sim:") then sim.ensure(wanted.path) end
end

---Whether a device came so recently that udev may still have to set its permissions.
---@param info table
---@return boolean
function M.is_settling(info)
  local at = M.device(info.path, info.generation).came
  return at and task.now() - at < SETTLING
end

---The present DFU devices that match a selector, sorted by path.
---@param wanted table a selector
---@return table[] in the format of dfu.list()
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

---What is on the bus, without asking any device for its strings.
---@return table<string, table> by path: path=, generation=, vid=, pid=; mode= of a DFU device
function M.present()
  local here = {}
  for _, row in ipairs(look()) do
    local device = M.device(row.path, row.generation)
    if not device.brief then
      local info, ids_of = describe(row), descriptor.device(row.device) or {}
      device.brief = { path = row.path, generation = row.generation, vid = ids_of.vid,
                       pid = ids_of.pid, mode = info and info.mode }
    end
    here[row.path] = device.brief
  end
  return here
end

---The path of a DFU device that this user may not open, and that may be the wanted one: its strings
---can't be read.
---@param wanted table a selector
---@return string?
function M.forbidden(wanted)
  for _, info in ipairs(M.find { path = wanted.path, vid = wanted.vid, pid = wanted.pid }) do
    local other = wanted.serial and info.serial and info.serial ~= wanted.serial
    if info.forbidden and not other then return info.path end
  end
end

---The path of an ST-Link, if one is connected: its board may need a cable at another connector.
---@return string?
function M.st_link()
  for _, row in ipairs(link.devices()) do
    local device = descriptor.device(row.device)
    if device and ids.is_st_link(device.vid, device.pid) then return row.path end
  end
end

---The devices without a DFU interface. One of them may be a board that runs its program.
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

---The serial ports of the devices on the bus.
---@return table[] { { tty=, path=, vid=, pid= }, ... } sorted by tty
function M.ports()
  local ports = {}
  for _, row in ipairs(link.devices()) do
    local device = descriptor.device(row.device)
    local tty = link.tty(row.path, row.generation) or sim.tty(row.path)
    if device and tty then
      ports[#ports + 1] = { tty = tty, path = row.path, vid = device.vid, pid = device.pid }
    end
  end
  table.sort(ports, function(a, b) return a.tty < b.tty end)
  return ports
end

local ACM = 0x0202 -- class and subclass of an interface for which Linux creates a ttyACM

local function has_acm(config_bytes)
  for _, interface in ipairs((descriptor.config(config_bytes) or {}).interfaces or {}) do
    if interface.class << 8 | interface.subclass == ACM then return true end
  end
  return false
end

---The device at a path that is not in DFU mode, of any kind.
---@param path string
---@param stale? integer generation of a device that has left this path
---@return table? { vid=, pid=, serial=, product=, tty= }
---@return boolean? settling its terminal does not exist yet, or can't be opened yet
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

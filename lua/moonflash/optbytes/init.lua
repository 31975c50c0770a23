-- SPDX-License-Identifier: MIT
-- Option bytes by name. They are read and changed one by one, although a chip takes only all of
-- them at once and then resets itself. Their meaning is data, in optbytes/families.lua.
local checks = require "moonflash.base.check"
local class = require "moonflash.board.class"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local families = require "moonflash.optbytes.families"
local memory = require "moonflash.memory"
local misuse = require "moonflash.base.misuse"
local suggest = require "moonflash.base.suggest"

local M = {}

local MOST_RAW = 64 -- bytes that fit on a line
local BACK = 10     -- seconds until a board is back after the reset

-- ---- the family ----

-- The board's own layout; --layout does not change it.
local function segments_of(board)
  for _, alt in ipairs(class.state(board).info.alts) do
    if memory.is_option_bytes(alt.layout) and alt.layout.segments[1] then
      return alt.layout.segments
    end
  end
end

---The option bytes, unparsed. Nil if the board has none, does not allow to read them, or has more
---than MOST_RAW.
---@param board table
---@return string?
function M.raw(board)
  local s = (segments_of(board) or {})[1]
  if s and s.readable and s.count * s.size <= MOST_RAW then
    return board:read(s.address, s.count * s.size)
  end
end

local function has_flash(board, runs)
  local main = class.state(board).info.alts[1]
  local segments = main and main.layout.segments or {}
  if #segments ~= #runs then return false end
  for i, run in ipairs(runs) do
    if segments[i].count ~= run[1] or segments[i].size ~= run[2] then return false end
  end
  return true
end

---The description of a board's option bytes; nil if there is none.
---@param board table
---@return table? family
function M.family(board)
  local segments = segments_of(board) or {}
  for _, family in ipairs(families) do
    if #segments == 1 and segments[1].address == family.address
      and memory.size(segments) == family.length and has_flash(board, family.flash)
      and board.vid == family.vid and board.pid == family.pid then
      return family
    end
  end
end

local function need_family(board)
  local family = M.family(board)
  if family then return family end
  if not segments_of(board) then
    errors.raise { code = "dfu.outside", path = board.path,
      message = board.path .. ": the board announces no option bytes",
      remedy = { "info" } }
  end
  local bytes = M.raw(board)
  errors.raise { code = "dfu.unknown-part", path = board.path,
    message = board.path .. ": the option bytes of this part are not described",
    bytes = bytes, remedy = { "describe" } }
end

-- ---- bytes and values ----

local function find_field(family, name)
  for _, field in ipairs(family.fields) do
    if field.name == name then return field end
  end
end

local function most_of(field)
  return (1 << field.high - field.low + 1) - 1
end

local function get(bytes, field)
  return string.unpack("<I4", bytes, field.word + 1) >> field.low & most_of(field)
end

local function put(bytes, offset, format, value)
  local packed = string.pack(format, value)
  return bytes:sub(1, offset) .. packed .. bytes:sub(offset + #packed + 1)
end

local function set(bytes, field, value)
  local word = string.unpack("<I4", bytes, field.word + 1)
  word = word & ~(most_of(field) << field.low) | value << field.low
  return put(bytes, field.word, "<I4", word)
end

-- Updates the complements of those half words that had correct ones before.
local function complement(family, before, after)
  for _, pair in ipairs(family.complements) do
    local value, mirror = string.unpack("<I2", before, pair[1] + 1),
      string.unpack("<I2", before, pair[2] + 1)
    if value ~ mirror == 0xFFFF then
      after = put(after, pair[2], "<I2", string.unpack("<I2", after, pair[1] + 1) ~ 0xFFFF)
    end
  end
  return after
end

local function shown(field, value)
  local most = most_of(field)
  return most > 9 and ("0x%0" .. #("%X"):format(most) .. "X"):format(value) or tostring(value)
end

local function meaning(field, value)
  if field.says then return field.says(value) end
  return field.values[value] or field.other or ""
end

local function by_name(a, b) return a.name < b.name end

-- The values by name, in a table that prints with their meaning.
local function values_of(family, bytes)
  local values = {}
  for _, field in ipairs(family.fields) do values[field.name] = get(bytes, field) end
  return setmetatable(values, { __tostring = function(self)
    local fields, lines = table.move(family.fields, 1, #family.fields, 1, {}), {}
    table.sort(fields, by_name)
    for i, field in ipairs(fields) do
      local value = self[field.name]
      lines[i] = ("%-11s %-6s %s"):format(field.name, shown(field, value), meaning(field, value))
    end
    return table.concat(lines, "\n")
  end })
end

-- Reads twice: an undetected read error would be written back, and may be irreversible.
local function load(board, family)
  local bytes = board:read(family.address, family.length)
  if board:read(family.address, family.length) ~= bytes then
    errors.raise { code = "usb.io", path = board.path, op = "read", address = family.address,
      message = board.path .. ": the option bytes were read twice, and differ",
      remedy = { "cable", again = true } }
  end
  return bytes
end

-- Reads the option bytes and checks them: a board that can be read has no read protection. If its
-- option bytes show another level, the description does not apply, and nothing may be merged.
local function load_sound(board, family)
  local bytes = load(board, family)
  for _, field in ipairs(family.fields) do
    local value = get(bytes, field)
    if field.open and value ~= field.open then
      errors.raise { code = "dfu.unknown-part", path = board.path,
        message = ("%s: the option bytes are not those of an %s: the board can be read, and %s is "
          .. "%s instead of %s"):format(board.path, family.name, field.name, shown(field, value),
          shown(field, field.open)),
        bytes = bytes, remedy = {} }
    end
  end
  return bytes
end

-- ---- checks before writing ----

local function usage(board, format, ...)
  errors.raise { code = "usage", path = board.path,
    message = board.path .. ": " .. format:format(...),
    remedy = { "optbytes" } }
end

local function listed(field)
  local list = {}
  for value in pairs(field.values) do list[#list + 1] = value end
  table.sort(list)
  for i, value in ipairs(list) do
    list[i] = ("%s (%s)"):format(shown(field, value), field.values[value])
  end
  return table.concat(list, ", ")
end

local function check(board, family, changes, irreversible)
  for name, value in pairs(changes) do
    local field = find_field(family, name)
    if not field then
      local names = {}
      for i, known in ipairs(family.fields) do names[i] = known.name end
      usage(board, "an %s has no option '%s'%s", family.name, tostring(name),
        suggest.hint(name, names))
    end
    if math.type(value) ~= "integer" or value < 0 or value > most_of(field) then
      usage(board, "%s is a number from 0 to %s, not %s", name, shown(field, most_of(field)),
        tostring(value))
    end
    if field.only and not field.values[value] then
      usage(board, "%s is one of %s", name, listed(field))
    end
    if value == field.irreversible and not irreversible then
      errors.raise { code = "dfu.irreversible", path = board.path,
        message = ("%s: %s %s is irreversible (%s); nothing was sent"):format(board.path,
          name, shown(field, value), field.values[value]),
        remedy = { "irreversible" } }
    end
  end
end

-- Applies the changes to the bytes. Returns the new bytes, and lines about each changed field.
local function merge(family, before, changes)
  local after, lines = before, {}
  for _, field in ipairs(family.fields) do
    local old, new = get(before, field), changes[field.name]
    if new and new ~= old then
      after = set(after, field, new)
      lines[#lines + 1] = ("%s: %s -> %s, %s"):format(field.name, shown(field, old),
        shown(field, new), meaning(field, new))
      lines[#lines + 1] = field.costs and field.costs[new]
    end
  end
  return complement(family, before, after), lines
end

-- ---- writing ----

local function complain(board, family, wanted, found)
  local fields = class.state(board)
  local wrong, commands = {}, {}
  for _, field in ipairs(family.fields) do
    local expected, value = get(wanted, field), get(found, field)
    if value ~= expected then
      wrong[#wrong + 1] = ("%s is %s instead of %s"):format(field.name, shown(field, value),
        shown(field, expected))
      commands[#commands + 1] = field.name .. "=" .. shown(field, expected)
    end
  end
  if #wrong == 0 then return end
  fields.history:mark("doubt", family.address, family.address + family.length - 1)
  errors.raise { code = "verify", path = board.path, op = "verify", address = family.address,
    message = ("%s: verify failed: %s"):format(board.path, table.concat(wrong, ", ")),
    flash = fields.journal:text(), ranges = fields.journal:claims(),
    remedy = { "optbytes", changes = table.concat(commands, " ") } }
end

-- The field that has just turned read protection on; nil if none has.
local function closing(family, bytes)
  for _, field in ipairs(family.fields) do
    if field.open and get(bytes, field) ~= field.open then return field end
  end
end

-- Returns f's results; nil and the error if f raises the expected code.
local function expect(code, f, ...)
  if code then return errors.catch(code, f, ...) end
  return f(...)
end

-- Opens the board again and compares, or records why that is not possible.
local function verify(board, family, wanted, seconds)
  local history = class.state(board).history
  local closed = closing(family, wanted)
  local for_ever = closed and get(wanted, closed) == closed.irreversible
  if not board.is_open then
    local _, err = expect(for_ever and "usb.no-device", board.open, board, { wait = seconds })
    if err then
      history:left()
      history:not_verified("a closed chip does not come back to DFU mode")
      return nil
    end
  end
  local found, err = expect(closed and "board.protected", load, board, family)
  if err then
    history:not_verified("the read protection is on, and nothing can be read any more")
    return nil
  end
  complain(board, family, wanted, found)
  history:mark("verified", family.address, family.address + family.length - 1)
  history:verified()
  return values_of(family, found)
end

-- ---- for recipes ----

---Reads the option bytes.
---@param board table
---@return table values { BOR_LEV = 3, ... }; it prints with their meaning
function M.read(board)
  class.check("optbytes.read(board)", board)
  local family = need_family(board)
  return values_of(family, load_sound(board, family))
end

---Changes option bytes by name; all others are kept. The board resets itself and is opened again;
---then the option bytes are read and compared. Without a change nothing is written.
---@param board table
---@param changes table<string, integer>
---@param options? table irreversible (boolean), seconds (the longest time until the board is back)
---@return table? values after writing; nil if they can't be read any more, or on a dry run
function M.write(board, changes, options)
  class.check("optbytes.write(board, changes, options)", board)
  if type(changes) ~= "table" then
    misuse("optbytes.write(board, changes, options): changes, for example { BOR_LEV = 2 }")
  end
  local family = need_family(board)
  checks.options("optbytes.write(board, changes, options)", options, { "irreversible", "seconds" })
  local irreversible = options and rawget(options, "irreversible") or false
  check(board, family, changes, irreversible)
  local before = load_sound(board, family)
  local after, lines = merge(family, before, changes)
  if #lines == 0 then
    events.emit("remark", board, "option-bytes-same")
    return values_of(family, before)
  end
  for _, line in ipairs(lines) do events.emit("remark", board, "option-bytes", { text = line }) end
  board:write(family.address, after, { irreversible = irreversible })
  if board.dry then return nil end
  return verify(board, family, after, options and rawget(options, "seconds") or BACK)
end

return M

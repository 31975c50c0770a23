-- SPDX-License-Identifier: MIT
-- Option bytes by name. They are read and changed one by one, although a chip takes only all of
-- them at once, and often resets itself then. What is known of them is data, in board/families/.
local checks = require "moonflash.base.check"
local class = require "moonflash.board.class"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local guard = require "moonflash.board.guard"
local memory = require "moonflash.memory"
local misuse = require "moonflash.base.misuse"
local option_bytes = require "moonflash.optbytes.bytes"
local place = require "moonflash.board.place"
local suggest = require "moonflash.base.suggest"
local task = require "task"
local words = require "moonflash.optbytes.words"

local M = {}

local MOST_RAW = 64 -- bytes that fit on a line
local BACK = 10     -- seconds until a board is back after the reset
local SETTLE = 1    -- seconds within which a board that resets itself has left the bus

-- ---- the description ----

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

-- Whether the board announces all blocks, with their lengths.
local function has_blocks(segments, options)
  for i, block in ipairs(options) do
    local s = segments[i]
    if not s or s.address ~= block.address
      or block.length and block.length ~= s.count * s.size then
      return false
    end
  end
  return #segments == #options
end

---What is known of a board's option bytes; nil if they are not described.
---@param board table
---@return table? options
function M.family(board)
  local part = class.state(board).part
  local options, segments = part and part.options, segments_of(board)
  if options and segments and has_blocks(segments, options) then return options end
end

local function need_family(board)
  local options = M.family(board)
  if options then return options end
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

-- "STM32F405/407", or "board that can be an STM32F2, STM32F405/407 or STM32F412"
local function chip_of(board)
  local part = class.state(board).part
  local article = part.family:find("^[AS]") and "an " or "a "
  if #part.families == 1 then return article .. part.family end
  return "a board that can be " .. article .. part.family
end

-- ---- bytes and values ----

local function shown(field, value)
  local most = option_bytes.most(field)
  return most > 9 and ("0x%0" .. #("%X"):format(most) .. "X"):format(value) or tostring(value)
end

local function by_name(a, b) return a.name < b.name end

local MARKS = { recalled = "(recalled, not proven)", inferred = "(inferred, not proven)" }

-- The values by name, in a table that prints with their meaning.
local function values_of(options, blocks)
  local values = {}
  for _, field in ipairs(options.fields) do
    values[field.name] = option_bytes.get(field, blocks[field.block])
  end
  return setmetatable(values, { __tostring = function(self)
    local fields, lines = table.move(options.fields, 1, #options.fields, 1, {}), {}
    table.sort(fields, by_name)
    local wide = 11
    for _, field in ipairs(fields) do wide = math.max(wide, #field.name) end
    for i, field in ipairs(fields) do
      local value = self[field.name]
      local line = ("%-" .. wide .. "s %-6s %s"):format(field.name, shown(field, value),
        words.meaning(options, field, value))
      lines[i] = (line .. (field.mark and " " .. MARKS[field.mark] or "")):gsub("%s+$", "")
    end
    return table.concat(lines, "\n")
  end })
end

local function length_of(board, options, index)
  local s = segments_of(board)[index]
  return options[index].length or s.count * s.size
end

-- Reads each block twice: an undetected read error would be written back, and may be irreversible.
local function load(board, options)
  local blocks = {}
  for i, block in ipairs(options) do
    local length = length_of(board, options, i)
    blocks[i] = board:read(block.address, length)
    if board:read(block.address, length) ~= blocks[i] then
      errors.raise { code = "usb.io", path = board.path, op = "read", address = block.address,
        message = board.path .. ": the option bytes were read twice, and differ",
        remedy = { "cable", again = true } }
    end
  end
  return blocks
end

-- The protection field and its value.
local function protection_of(options, blocks)
  local field = options.fields[options.open[1]]
  return field, field and option_bytes.get(field, blocks[field.block])
end

-- Reads the option bytes and checks them: a board that can be read has no read protection. If its
-- option bytes show another level, the description does not apply, and nothing may be merged.
local function load_sound(board, options)
  local blocks = load(board, options)
  local field, value = protection_of(options, blocks)
  if field and value ~= options.open[2] and not options.readonly then
    errors.raise { code = "dfu.unknown-part", path = board.path,
      message = ("%s: the option bytes are not those of %s: the board can be read, and %s is "
        .. "%s instead of %s"):format(board.path, chip_of(board), field.name, shown(field, value),
        shown(field, options.open[2])),
      bytes = blocks[1], remedy = {} }
  end
  return blocks
end

-- ---- checks before writing ----

local function usage(board, format, ...)
  errors.raise { code = "usage", path = board.path,
    message = board.path .. ": " .. format:format(...),
    remedy = { "optbytes" } }
end

local function listed(options, field)
  local list = words.levels(options)
  for i, value in ipairs(list) do
    list[i] = ("%s (%s)"):format(shown(field, value), words.meaning(options, field, value))
  end
  return table.concat(list, ", ")
end

local function names_of(options)
  local names = {}
  for i, known in ipairs(options.fields) do names[i] = known.name end
  return names
end

local function irreversible(board, message)
  errors.raise { code = "dfu.irreversible", path = board.path,
    message = ("%s: %s; nothing was sent"):format(board.path, message),
    remedy = { "irreversible" } }
end

local function check_value(board, options, field, value)
  local most = option_bytes.most(field)
  if math.type(value) ~= "integer" or value < 0 or value > most then
    usage(board, "%s is a number from 0 to %s, not %s", field.name, shown(field, most),
      tostring(value))
  end
  if field.name ~= options.open[1] then return end
  for _, level in ipairs(words.levels(options)) do
    if level == value then return end
  end
  usage(board, "%s is one of %s", field.name, listed(options, field))
end

-- Refuses all changes of option bytes that are never written.
local function check_writable(board, options)
  if not options.readonly then return end
  errors.raise { code = "dfu.irreversible", path = board.path, remedy = {},
    message = ("%s: the option bytes of %s are not written: %s"):format(board.path, chip_of(board),
      options.readonly) }
end

local function check(board, options, changes, given)
  for name, value in pairs(changes) do
    local field = type(name) == "string" and options.fields[name]
    if not field then
      usage(board, "%s has no option '%s'%s", chip_of(board), tostring(name),
        suggest.hint(name, names_of(options)))
    end
    check_value(board, options, field, value)
    local forever = options.forever[name]
    if forever and forever[value] and not given.irreversible then
      irreversible(board, ("%s %s is irreversible (%s)"):format(name, shown(field, value),
        words.meaning(options, field, value)))
    end
    if options.keep[name] then
      usage(board, "%s is shown, and not changed: %s", name, options.keep[name])
    end
    if field.mark and not given.unproven then
      errors.raise { code = "dfu.unproven", path = board.path, remedy = { "unproven" },
        message = ("%s: the place of %s is %s, and not proven; nothing was sent"):format(
          board.path, name, field.mark) }
    end
  end
end

-- Applies the changes to the blocks. Returns the new blocks, lines about each changed field, and
-- the changes as text: { name=, from=, to=, meaning= }.
local function merge(options, before, changes)
  local after, lines, by_block, told = {}, {}, {}, {}
  for _, field in ipairs(options.fields) do
    local old, new = option_bytes.get(field, before[field.block]), changes[field.name]
    if new and new ~= old then
      by_block[field.block] = by_block[field.block] or {}
      by_block[field.block][field] = new
      lines[#lines + 1] = ("%s: %s -> %s, %s"):format(field.name, shown(field, old),
        shown(field, new), words.meaning(options, field, new)):gsub(", $", "")
      lines[#lines + 1] = words.cost(options, field, new)
      told[#told + 1] = { name = field.name, from = shown(field, old), to = shown(field, new),
                          meaning = words.meaning(options, field, new) }
    end
  end
  for i, bytes in ipairs(before) do
    after[i] = option_bytes.set(options.form, bytes, by_block[i] or {})
  end
  return after, lines, told
end

-- ---- writing ----

local function mark(board, options, state)
  local history = class.state(board).history
  for i, block in ipairs(options) do
    history:mark(state, block.address, block.address + length_of(board, options, i) - 1)
  end
end

-- The fields that differ from the wanted ones: as text, and as arguments of `moonflash optbytes`.
local function differences(options, wanted, found)
  local wrong, commands = {}, {}
  for _, field in ipairs(options.fields) do
    local expected = option_bytes.get(field, wanted[field.block])
    local value = option_bytes.get(field, found[field.block])
    if value ~= expected then
      wrong[#wrong + 1] = ("%s is %s instead of %s"):format(field.name, shown(field, value),
        shown(field, expected))
      commands[#commands + 1] = field.name .. "=" .. shown(field, expected)
    end
  end
  return wrong, commands
end

-- unchanged: the bytes are those from before, on a ROM that does not reset the chip.
local function complain(board, options, wanted, found, unchanged)
  local wrong, commands = differences(options, wanted, found)
  if #wrong == 0 then return end
  mark(board, options, "doubt")
  local fields = class.state(board)
  errors.raise { code = unchanged and "board.power-cycle" or "verify", path = board.path,
    op = "verify", address = options[1].address,
    message = ("%s: %s: %s"):format(board.path, unchanged
      and "the option bytes were written, and are not in force yet" or "verify failed",
      table.concat(wrong, ", ")),
    flash = fields.journal:text(), ranges = fields.journal:claims(),
    remedy = unchanged and { "power-cycle", info = true }
      or { "optbytes", changes = table.concat(commands, " ") } }
end

-- Whether the read protection has just been turned on; and whether that is for ever.
local function closing(options, blocks)
  local field, value = protection_of(options, blocks)
  if not field or value == options.open[2] then return false, false end
  return true, (options.forever[field.name] or {})[value] ~= nil
end

-- Returns f's results; nil and the error if f raises the expected code.
local function expect(code, f, ...)
  if code then return errors.catch(code, f, ...) end
  return f(...)
end

-- Opens the board again and compares, or records why that is not possible.
local function verify(board, options, before, wanted, seconds)
  local history = class.state(board).history
  local stayed = board.is_open -- the ROM has not reset the chip
  local closed, for_ever = closing(options, wanted)
  if not board.is_open then
    local _, err = expect(for_ever and "usb.no-device", board.open, board, { wait = seconds })
    if err then
      history:left()
      history:not_verified("a closed chip does not come back to DFU mode")
      return nil
    end
  end
  local found, err = expect(closed and "board.protected", load, board, options)
  if err then
    history:not_verified("the read protection is on, and nothing can be read any more")
    return nil
  end
  local same = table.concat(found) == table.concat(before)
  complain(board, options, wanted, found, same and not options.resets)
  mark(board, options, "verified")
  history:verified()
  if stayed then events.emit("remark", board, "option-bytes-power") end
  return values_of(options, found)
end

-- A board that resets itself leaves the bus soon after the last block. One that stays has not.
local function settle(board)
  local by = task.now() + SETTLE
  while board.is_open and place.whereabouts(board) == "there" and task.now() < by do
    task.sleep(0.05)
  end
  if board.is_open and place.whereabouts(board) ~= "there" then board:close() end
end

-- Writes the blocks that differ, one by one: the chip may reset itself after each.
local function write_blocks(board, options, before, after, given)
  local part = class.state(board).part
  for i, block in ipairs(options) do
    if after[i] ~= before[i] then
      if not board.is_open then board:open { wait = given.seconds } end
      -- locks that were closed before stay so; in a block with such options the others may change
      local locked = given.irreversible or guard.is_locked(part, block.address, before[i])
      board:write(block.address, after[i], { irreversible = locked })
      if board.dry then
        class.state(board).device:pretend():write(block.address, after[i])
      elseif not options.resets then
        settle(board)
      end
    end
  end
end

-- ---- for recipes ----

---Reads the option bytes.
---@param board table
---@return table values { BOR_LEV = 3, ... }; it prints with their meaning
function M.read(board)
  class.check("optbytes.read(board)", board)
  local options = need_family(board)
  return values_of(options, load_sound(board, options))
end

local WRITE = "optbytes.write(board, changes, options)"

-- On a dry run a protected board stays so, and its option bytes can't be read.
local function would_write(board, options, changes)
  for _, name in ipairs(suggest.keys(changes)) do
    events.emit("remark", board, "option-bytes", { text = ("would set %s to %s"):format(name,
      shown(options.fields[name], changes[name])) })
  end
end

---Changes option bytes by name; all others are kept. The board is opened again after its reset;
---then the option bytes are read and compared. Without a change nothing is written.
---@param board table
---@param changes table<string, integer>
---@param options? table irreversible, unproven (booleans), seconds (the longest time until the
---  board is back)
---@return table? values after writing; nil if they can't be read any more, or on a dry run
function M.write(board, changes, options)
  class.check(WRITE, board)
  if type(changes) ~= "table" then
    misuse(WRITE .. ": changes, for example { BOR_LEV = 2 }")
  end
  local known = need_family(board)
  checks.options(WRITE, options, { "irreversible", "unproven", "seconds" })
  local given = {}
  for _, name in ipairs { "irreversible", "unproven", "seconds" } do
    given[name] = options and rawget(options, name) or nil
  end
  given.seconds = given.seconds or BACK
  check(board, known, changes, given)
  local pretended = class.state(board).device.pretended
  if pretended and pretended.blank then return would_write(board, known, changes) end
  local before = load_sound(board, known)
  local after, lines, told = merge(known, before, changes)
  if #lines == 0 then
    events.emit("remark", board, "option-bytes-same")
    return values_of(known, before)
  end
  check_writable(board, known)
  for _, line in ipairs(lines) do events.emit("remark", board, "option-bytes", { text = line }) end
  for _, change in ipairs(told) do class.state(board).history:option_changed(change) end
  write_blocks(board, known, before, after, given)
  if board.dry then return nil end
  return verify(board, known, before, after, given.seconds)
end

---The values, for plans; nil if the option bytes are not described or can't be read. Each block is
---read once.
---@param board table
---@return table? values
---@return table? options
---@return table? sound the values whose complements are right, or that need none
function M.values(board)
  local options, state = M.family(board), class.state(board)
  if not options or not state.info.functional.attributes.can_upload then return nil end
  if state.device.pretended and state.device.pretended.blank then return nil end -- on a dry run
  local blocks = {}
  for i, block in ipairs(options) do
    blocks[i] = errors.catch("dfu", board.read, board, block.address, length_of(board, options, i))
    if not blocks[i] then return nil end
  end
  local values, sound = values_of(options, blocks), {}
  for _, field in ipairs(options.fields) do
    if option_bytes.is_sound(options, field, blocks[field.block]) then
      sound[field.name] = values[field.name]
    end
  end
  return values, options, sound
end

return M

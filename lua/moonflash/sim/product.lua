-- SPDX-License-Identifier: MIT
-- A product's own simulated board, "sim:./product.lua": a file that returns a table. This file
-- checks each field; src/lua/lproduct.c makes the board. The fields and their defaults are in
-- docs/api.md, 'A product of your own'.
local clean = require("moonflash.base.text").clean
local datafile = require "moonflash.base.datafile"
local errors = require "moonflash.errors"
local memory = require "moonflash.memory"
local suggest = require "moonflash.base.suggest"
local text = require "moonflash.base.text"

local M = {}

local MOST_FILE = 1 << 20 -- bytes
local MOST_BYTES = 64 << 20 -- of all memories together
local MOST_MEMORIES, MOST_PIECES = 8, 15
local MOST_UNITS = 126 -- UTF-16 units that fit in a string descriptor
local OPTIONS_LEAST = 16 -- bytes, for read and write protection

local function bad(file, format, ...)
  errors.raise { code = "usage", remedy = { "product" },
                 message = file .. ": " .. format:format(...) }
end

-- ---- single values: each check returns the value, or nil and the expected format ----

local function show(value)
  if type(value) == "string" then
    return ("'%s'"):format(clean(#value > 40 and value:sub(1, 37) .. "..." or value))
  end
  return math.type(value) and tostring(value) or "a " .. type(value)
end

local function is_text(value)
  if type(value) ~= "string" then return nil, "is a string" end
  if clean(value) ~= value then
    return nil, "is UTF-8 without control characters"
  end
  local units = 0
  for _, code in utf8.codes(value) do units = units + (code > 0xFFFF and 2 or 1) end
  if units == 0 or units > MOST_UNITS then
    return nil, ("has 1 to %d characters"):format(MOST_UNITS)
  end
  return value
end

local function integer(least, most, format)
  local why = ("is an integer from %d to " .. (format or "%d")):format(least, most)
  return function(value)
    local n = math.type(value) and math.tointeger(value)
    if n and n >= least and n <= most then return n end
    return nil, why
  end
end

local function seconds(most)
  local why = ("is a number of seconds from 0 to %d"):format(most)
  return function(value)
    if math.type(value) and value >= 0 and value <= most then return value end
    return nil, why
  end
end

local function boolean(value)
  if type(value) == "boolean" then return value end
  return nil, "is true or false"
end

local one_of = suggest.one_of

local function is_table(value)
  if type(value) == "table" then return value end
  return nil, "is a table"
end

local id = integer(0, 0xFFFF, "0x%X")

local APPLICATION = {
  vid = id, pid = id, version = id,
  manufacturer = is_text, product = is_text, serial = is_text, tty = is_text,
  dfu = boolean, seconds = seconds(60),
}
-- Seconds for a sector, or for sectors of each size: { [2048] = 0.02 }
local function erase_times(value)
  if type(value) ~= "table" then return seconds(60)(value) end
  for size, time in pairs(value) do
    if math.type(size) ~= "integer" or not seconds(60)(time) then
      return nil, "is a number of seconds, or { [BYTES] = SECONDS, ... }"
    end
  end
  return value
end

local function bytes(value)
  if type(value) == "string" then return value end
  return nil, "is a string of bytes"
end

local MEMORY = {
  name = is_text, role = one_of { "flash", "options", "otp", "ram", "feature", "data", "system" },
  erase = erase_times, unit = integer(1, 4096), write = seconds(1), real = is_text,
  initial = bytes, hidden = boolean, raw = boolean,
}

-- The memory behind a name that is nonsense on purpose.
local BEHIND_NONSENSE = "@Internal Flash  /0x08000000/064*001Kg"

local function product_fields(kinds)
  return {
    base = one_of(kinds), vid = id, pid = id, version = id,
    manufacturer = is_text, product = is_text, serial = is_text,
    transfer_size = integer(64, 4096), ram = integer(1, MOST_BYTES),
    dfu_version = id, attributes = integer(0, 0xFF, "0x%X"), starts_idle = boolean,
    poll_erase = id, poll_write = id, poll_address = id, align = integer(1, 64),
    mass_erase = seconds(120), rdp_at = integer(0, 64), rdp_open = integer(0, 0xFF, "0x%X"),
    summary = is_text,
    memories = is_table, application = is_table, habits = is_table,
  }
end

local function name_of(where) return where == "" and "a product" or where:sub(1, -2) end

-- Checks the fields of a table. `where` is the prefix of their names in messages: "memories[2].".
local function check_fields(file, where, value, fields, must)
  for key in pairs(value) do
    if not fields[key] then
      bad(file, "%s has no field %s%s", name_of(where), show(key),
        suggest.hint(key, suggest.keys(fields)))
    end
  end
  local checked = {}
  for _, name in ipairs(suggest.keys(fields)) do
    if value[name] ~= nil then
      local good, why = fields[name](value[name])
      if good == nil then bad(file, "%s%s %s, not %s", where, name, why, show(value[name])) end
      checked[name] = good
    end
  end
  for _, name in ipairs(must) do
    if checked[name] == nil then bad(file, "%s%s is missing", where, name) end
  end
  return checked
end

-- ---- memories ----

-- The error in a single memory; nil if there is none.
local function complaint(m, layout, is_first)
  if layout.dropped then return ("name: %s"):format(layout.dropped) end
  if #layout.segments == 0 then
    return "name has no layout, as '@Internal Flash  /0x08000000/04*016Kg' has"
  elseif is_first and m.role ~= "flash" then
    return "role: the first memory is the main flash"
  elseif (m.role == "options") ~= memory.is_option_bytes(layout) then
    return "role: 'options' goes with a name that begins with 'Option Byte', and no other"
  elseif m.role ~= "flash" and m.erase
    or m.role ~= "flash" and m.role ~= "data" and (m.unit or m.write) then
    return "role: only a flash has erase, unit and write"
  elseif m.initial and #m.initial > layout.segments[1].count * layout.segments[1].size then
    return "initial: it is longer than the memory"
  elseif (m.unit == nil) ~= (m.write == nil) then
    return "unit and write go together"
  elseif m.role == "options" and memory.size(layout.segments) < OPTIONS_LEAST then
    return ("name: option bytes are at least %d"):format(OPTIONS_LEAST)
  elseif m.role == "feature" and memory.size(layout.segments) ~= 4 then
    return "name: the 'Device Feature' has 4 bytes"
  end
end

-- The contiguous pieces of a layout, in its order: { first=, last= }.
local function pieces_of(segments)
  local pieces = {}
  for _, s in ipairs(segments) do
    local last, piece = s.address + s.count * s.size - 1, pieces[#pieces]
    if piece and piece.last + 1 == s.address then
      piece.last = last
    else
      pieces[#pieces + 1] = { first = s.address, last = last }
    end
  end
  return pieces
end

-- Checks all pieces together. pieces: with the field `of`, a name for messages; the first is the
-- RAM. shared: alternate settings may have the same addresses.
local function check_pieces(file, pieces, shared)
  if #pieces - 1 > MOST_PIECES then
    bad(file, "memories have %d pieces: %d at most", #pieces - 1, MOST_PIECES)
  end
  local total = 0
  for i, a in ipairs(pieces) do
    total = total + a.last - a.first + 1
    for j = 1, i - 1 do
      local b = pieces[j]
      local may_be = shared and j > 1 and a.of ~= b.of
      if not may_be and a.first <= b.last and b.first <= a.last then
        bad(file, "%s (%s) and %s (%s) overlap", b.of, text.range(b.first, b.last), a.of,
          text.range(a.first, a.last))
      end
    end
  end
  if total > MOST_BYTES then
    bad(file, "its memories have %s: %s at most", text.size(total), text.size(MOST_BYTES))
  end
end

local function check_memory(file, at, value)
  local where = ("memories[%d]"):format(at)
  if type(value) ~= "table" then bad(file, "%s is a table, not %s", where, show(value)) end
  local m = check_fields(file, where .. ".", value, MEMORY, { "name" })
  local layout = memory.parse(m.real or m.raw and BEHIND_NONSENSE or m.name)
  m.role, m.segments = m.role or "flash", layout.segments
  local why = complaint(m, layout, at == 1)
  if why then bad(file, "%s.%s", where, why) end
  for _, segment in ipairs(m.segments) do
    segment.erase = type(m.erase) == "table" and m.erase[segment.size] or nil
  end
  if type(m.erase) == "table" then m.erase = nil end
  return m
end

-- The alternate settings, in the format for C.
local function check_memories(file, list, ram, shared)
  local settings, pieces = {}, { ram }
  for key in pairs(list) do
    if math.type(key) ~= "integer" or key < 1 or key > #list then
      bad(file, "memories is a list: it has no %s", show(key))
    end
  end
  if #list == 0 or #list > MOST_MEMORIES then
    bad(file, "memories has 1 to %d, not %d", MOST_MEMORIES, #list)
  end
  for i = 1, #list do
    settings[i] = check_memory(file, i, list[i])
    if i > 1 and settings[i - 1].hidden and not settings[i].hidden then
      bad(file, "memories[%d].hidden: hidden memories are the last", i)
    end
    local own = pieces_of(settings[i].segments)
    if i == 1 and #own > 1 then bad(file, "memories[1].name: the main flash has no gaps") end
    for _, piece in ipairs(own) do
      piece.of = ("memories[%d]"):format(i)
      pieces[#pieces + 1] = piece
    end
    check_pieces(file, pieces, shared) -- after each memory: the next may have thousands of pieces
  end
  return settings
end

-- ---- the whole product ----

local function check_application(file, value, plain)
  local app = check_fields(file, "application.", value, APPLICATION, { "vid", "pid" })
  if plain and app.dfu == false then
    bad(file, "application.dfu is true with base 'dfu11'")
  elseif plain and app.seconds then
    bad(file, "application.seconds can't be said with base 'dfu11': it comes up at once")
  end
  app.dfu = app.dfu or plain
  app.seconds = app.seconds or 0.5
  return app
end

-- The differences of a boot loader from its base: checks a list of names, and returns a set.
local function check_habits(file, list, known)
  local choose, habits = one_of(known), {}
  for i, name in ipairs(list) do
    local habit, why = choose(name)
    if not habit then bad(file, "habits[%d] %s, not %s", i, why, show(name)) end
    habits[habit] = true
  end
  return habits
end

local function check(file, value, sim)
  if type(value) ~= "table" then bad(file, "it returns %s, not a table", show(value)) end
  local product = check_fields(file, "", value, product_fields(sim.kinds()), { "base" })
  local plain = product.base == "dfu11"
  if (product.poll_erase or product.poll_address) and not product.poll_write then
    bad(file, "poll_erase, poll_write and poll_address go together")
  end
  if product.rdp_open and not product.rdp_at then bad(file, "rdp_at is missing") end
  if plain and product.memories then bad(file, "memories can't be said with base 'dfu11'") end
  local address, size, reserved = sim.ram(product.base)
  size = product.ram or size
  if size <= reserved then
    bad(file, "ram is more than %d: so much of it is the boot loader's", reserved)
  end
  local ram = { first = address, last = address + size - 1, of = "the RAM" }
  local habits = check_habits(file, product.habits or {}, sim.habits())
  product.settings = product.memories
    and check_memories(file, product.memories, ram, habits["by-setting"]) or {}
  if product.application then
    product.application = check_application(file, product.application, plain)
  end
  return product
end

---Whether the kind in a spec is the name of a file.
---@param word string
---@return boolean
function M.is_file(word)
  return word:find("/", 1, true) ~= nil or word:find("%.lua$") ~= nil
end

---Parses a built-in product. Returns it in the format for C.
---@param name string
---@param source string
---@param sim table the module's C part
---@return table
function M.parse(name, source, sim)
  return check(name, assert(load(source, "=" .. name, "t", {}))(), sim)
end

---Loads a product from a file. Returns it in the format for C. Raises `file` if it can't be read,
---`usage` if it is invalid.
---@param file string
---@param sim table the module's C part
---@return table
function M.load(file, sim)
  local ok, value = datafile.load(file, MOST_FILE)
  if not ok then bad(file, "%s", value) end
  return check(file, value, sim)
end

return M

-- SPDX-License-Identifier: MIT
-- A Pool gives each unit what it has of its own, once: a number of a counter ("PX-%06d"), or a line
-- of a CSV file. The state of each item is in the store.
local csv = require "moonflash.station.csv"
local errors = require "moonflash.errors"
local files = require "moonflash.base.files"
local json = require "dkjson"
local misuse = require "moonflash.base.misuse"
local secret = require "moonflash.station.secret"
local suggest = require "moonflash.base.suggest"

---@class moonflash.Pool
---@field name string in records
---@field spec string
---@field label string of the column in exports
---@field from integer the first number
---@field to integer the last one
---@field rows? table[] of a CSV file
---@field heads? string[] its columns
---@field secrets table<string, boolean> columns that are secret
---@field given? integer items that are not free; nil: to be counted
---@field warned boolean few items are left, and that was said
local Pool = {}
Pool.__index = Pool

local M = {}

local USAGE = "units.open(spec, options)"
local OPTIONS = { "name", "from", "to", "secret" }
local MOST = 1 << 26 -- bytes of a CSV file
local FEW = 0.1      -- of all items: what is left is said

-- ---- opening ----

-- "PX-%06d": the text around the number, and its width.
local function parse_counter(spec)
  local before, width, kind, after = spec:match("^(.-)%%0?(%d*)([dxX])(.*)$")
  if not before or after:find("%%") or before:find("%%") then return nil end
  return { digits = tonumber(width), base = kind == "d" and 10 or 16 }
end

local function bound(options, key, default)
  local value = options[key]
  if value == nil then return default end
  if math.type(value) ~= "integer" or value < 0 then
    misuse("%s: %s is an integer, 0 or more", USAGE, key)
  end
  return value
end

local function open_counter(pool, counter, options)
  local last = counter.digits and counter.digits < 15 and math.tointeger(counter.base
    ^ counter.digits) - 1 or math.maxinteger
  pool.from, pool.to = bound(options, "from", 1), bound(options, "to", last)
  if pool.from > pool.to then misuse("%s: from is more than to", USAGE) end
  if options.secret then misuse("%s: a counter has no secret columns", USAGE) end
end

local function bad_file(path, why)
  errors.raise { code = "file", message = ("%s: %s"):format(path, why) }
end

-- Reads the rows. The first column is the value; it is different in each row.
local function read_rows(pool, path)
  local rows, why = csv.parse(files.read(path, MOST))
  if not rows then bad_file(path, why) end
  local heads = table.remove(rows, 1)
  if not heads or #rows == 0 then bad_file(path, "it has no rows below its header") end
  local seen = {}
  for _, row in ipairs(rows) do
    if #row ~= #heads then
      bad_file(path, ("line %d has %d cells, the header has %d"):format(row.line, #row, #heads))
    elseif row[1] == "" then
      bad_file(path, ("line %d: the first cell is empty"):format(row.line))
    elseif seen[row[1]] then
      bad_file(path, ("line %d: %s stands in line %d, too"):format(row.line, row[1], seen[row[1]]))
    end
    seen[row[1]] = row.line
  end
  pool.rows, pool.heads, pool.label = rows, heads, heads[1]
  pool.from, pool.to = 1, #rows
end

local function open_file(pool, path, options)
  read_rows(pool, path)
  local wanted = type(options.secret) == "string" and { options.secret } or options.secret or {}
  for _, name in ipairs(wanted) do
    local known = false
    for _, head in ipairs(pool.heads) do known = known or head == name end
    if not known then
      misuse("%s: %s has no column '%s'%s", USAGE, pool.spec, tostring(name),
        suggest.hint(tostring(name), pool.heads))
    end
    pool.secrets[name] = true
  end
end

---Opens a pool.
---@param store moonflash.Store
---@param spec string "PX-%06d", or the path of a CSV file
---@param options? table name=, from=, to=, secret= (a column, or a list)
---@param folder? string of the recipe, in which the file is
---@return moonflash.Pool
function M.open(store, spec, options, folder)
  options = options or {}
  if type(spec) ~= "string" or type(options) ~= "table" then misuse("%s: a string, and a table",
    USAGE) end
  for key in pairs(options) do
    local known = false
    for _, name in ipairs(OPTIONS) do known = known or key == name end
    if not known then
      misuse("%s: there is no option '%s'%s", USAGE, tostring(key), suggest.hint(tostring(key),
        OPTIONS))
    end
  end
  local pool = setmetatable({ store = store, spec = spec, name = options.name or spec,
                              secrets = {}, warned = false }, Pool)
  local counter = parse_counter(spec)
  if counter then
    pool.label = pool.name
    open_counter(pool, counter, options)
  elseif spec:find("%.csv$") then
    local path = folder and not spec:find("^/") and folder .. "/" .. spec or spec
    open_file(pool, path, options)
    if options.name then pool.label = options.name end
  else
    misuse('%s: the spec is a format with one number, "PX-%%06d", or a CSV file', USAGE)
  end
  if next(pool.secrets) then
    pool.key = secret.key(store.folder)
    secret.begin()
  end
  return pool
end

-- ---- items ----

-- The value and the columns of a number.
function Pool:entry(number)
  if not self.rows then return self.spec:format(number), {} end
  local row, columns = self.rows[number], {}
  for i, head in ipairs(self.heads) do columns[head] = row[i] end
  return row[1], columns
end

-- What the store keeps of a value or a column.
function Pool:kept(name, value)
  if not self.secrets[name] then return value end
  return "hmac:" .. secret.hmac(self.key, value)
end

-- The row of the store for a number that was never given out.
local function new_row(pool, number)
  local value, columns = pool:entry(number)
  local kept = {}
  for name, cell in pairs(columns) do kept[name] = pool:kept(name, cell) end
  return { pool = pool.name, number = number,
           value = pool:kept(pool.heads and pool.heads[1], value),
           columns = next(kept) and json.encode(kept) or nil }
end

-- The next number that was never given out. A CSV file may have changed since: what counts is
-- whether its value was given out.
local function next_new(pool)
  if not pool.rows then
    local number = math.max(pool.from, (pool.store:highest(pool.name) or pool.from - 1) + 1)
    return number <= pool.to and new_row(pool, number) or nil
  end
  for number = pool.at or 1, #pool.rows do
    pool.at = number
    local row = new_row(pool, number)
    if not pool.store:item(pool.name, row.value) then return row end
  end
end

---Called when an item has become free: it is counted anew.
function Pool:recount() self.given = nil end

---How many items are left.
---@return integer
function Pool:left()
  if not self.rows then
    local highest = self.store:highest(self.name) or self.from - 1
    local left = self.to - math.max(highest, self.from - 1)
    return left + (self.store:free_item(self.name) and 1 or 0)
  end
  self.given = self.given or self.store:count_items(self.name)
  return math.max(#self.rows - self.given, 0)
end

---@return integer of all items
function Pool:size() return self.to - self.from + 1 end

---Whether few items are left. True once.
---@return boolean
function Pool:is_low()
  if self.warned or self:left() > self:size() * FEW then return false end
  self.warned = true
  return true
end

---@return boolean
function Pool:is_empty()
  return not self.store:free_item(self.name) and not next_new(self)
end

-- The line of the file that has a value; the file may have been sorted anew.
local function number_of(pool, row)
  if not pool.rows then return row.number end
  for number = 1, #pool.rows do
    local value = pool:entry(number)
    if pool:kept(pool.heads[1], value) == row.value then return number end
  end
  errors.raise { code = "station", message = ("%s: %s is no more in the file"):format(pool.name,
    row.value) }
end

-- What a recipe gets.
local function item_for(pool, number, id)
  local value, columns = pool:entry(number)
  local item = { value = value, index = number, id = id, pool = pool.name }
  for name, cell in pairs(columns) do
    item[name] = cell
    if pool.secrets[name] then secret.remember(cell) end
  end
  return item
end

-- A reference unit takes nothing: its item is of number 0, or has zeros for digits and letters.
local function reference_item(pool)
  if not pool.rows then return { value = pool.spec:format(0), index = 0, pool = pool.name } end
  local item = { index = 0, pool = pool.name }
  for i, head in ipairs(pool.heads) do item[head] = pool.rows[1][i]:gsub("%w", "0") end
  item.value = item[pool.heads[1]]
  return item
end

---The item that a chip has, or the attempt that an attempt repeats. Never one that another attempt
---in work has.
---@param attempt table chip_id=, retry_of=
---@return table? row
function Pool:own_of(attempt)
  local store = self.store
  local row = store:item_of(self.name, "chip_id", attempt.chip_id)
    or store:item_of(self.name, "attempt_id", attempt.retry_of)
  return row and not store:is_in_work(row) and row or nil
end

---Takes the item of an attempt: its own again if the attempt, the chip, or the attempt that it
---repeats has one; else a new one, which is reserved on the disk before this returns. Raises
---`station.empty`.
---@param attempt table id=, chip_id=, retry_of=, reference=
---@return table item value=, index=, and the columns
function Pool:take_for(attempt)
  if attempt.reference then return reference_item(self) end
  local store = self.store
  local mine = store:item_of(self.name, "attempt_id", attempt.id)
  local row = mine or self:own_of(attempt) or store:free_item(self.name) or next_new(self)
  if not row then
    errors.raise { code = "station.empty", message = ("%s is used up: %d were given out"):format(
      self.name, store:count_items(self.name)) }
  end
  local number = row.id and number_of(self, row) or row.number
  if not mine then
    local is_new = not row.id or row.state == "free"
    if self.given and is_new then self.given = self.given + 1 end
    store:reserve(row, attempt)
    store:durable()
  end
  return item_for(self, number, row.id)
end

return M

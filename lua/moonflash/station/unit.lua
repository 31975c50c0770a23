-- SPDX-License-Identifier: MIT
-- One attempt at a unit: what stands in front of the recipe's run, and what becomes of its result.
local chips = require "moonflash.board.chip"
local dfu = require "dfu"
local errors = require "moonflash.errors"
local json = require "dkjson"
local secret = require "moonflash.station.secret"
local sys = require "sys"
local text = require "moonflash.base.text"

---@class moonflash.Unit
---@field place moonflash.Place
---@field board table
---@field id? integer of the attempt's row; nil until it has begun
---@field items table[] that were taken: id=, value=, sent= (of the history), before= (the row)
---@field dut? string the unit's name: the first value that was taken, or the scan, or the chip id
---@field scan? string
---@field chip_id? string
---@field reference? boolean
---@field retry_of? integer
---@field skipped? table the attempt for which this unit is not run again
local M = {}

local LONGEST = 4000 -- bytes of a text in a record

---@param place moonflash.Place
---@param board table
---@param facts? table scan=, reference=, retry_of=, handling=
---@return moonflash.Unit
function M.new(place, board, facts)
  local unit = { place = place, board = board, items = {} }
  for key, value in pairs(facts or {}) do unit[key] = value end
  return unit
end

---The first line of an error, without secrets; nil without an error.
---@param err any
---@return string?
function M.reason(err)
  return err ~= nil and secret.mask(errors.said(errors.origin(err)):match("[^\n]*")) or nil
end

local function usb_ids(board)
  return board.vid and ("%04x:%04x"):format(board.vid, board.pid) or nil
end

-- ---- before the run ----

local function read_chip_id(board)
  if not board.is_open then return nil end
  local uid = errors.catch("dfu", chips.uid, board)
  return uid and text.bytes(uid):gsub(" ", "") or nil
end

-- Raises `station.again`, which ends the unit without an attempt, if its chip is not to be run
-- again.
local function check_again(station, unit)
  local last = unit.chip_id and not unit.retry_of and station.store:last_of_chip(unit.chip_id)
  if not last then return end
  local rule = station.config.again or last.outcome == "PASS" and "skip" or "run"
  local name = last.dut_id or "#" .. last.id
  local when = os.date("%Y-%m-%d %H:%M", last.start_time_millis // 1000)
  if rule == "ask" then
    local answer = sys.ask { text = ("this is %s, %s %s; run it again (y/n)?"):format(name,
      last.outcome, when), check = function(line) return line:find("^[yYnN]") ~= nil, "y or n" end }
    rule = answer:find("^[yY]") and "run" or "skip"
  end
  if rule == "skip" then
    unit.skipped = last
    errors.raise { code = "station.again", message = ("this is %s, %s %s"):format(name,
      last.outcome == "PASS" and "passed" or last.outcome, when) }
  end
  unit.retry_of = last.id
end

-- Asks the recipe which number of a crash is on the board, and gives the unit its items again.
local function identify(station, unit)
  local f = station.recipe.table.identify
  if not f then return end
  local open = station.store:unsettled()
  if #open == 0 then return end
  local value = f(unit.board)
  for _, row in ipairs(open) do
    if value ~= nil and row.value == tostring(value) then
      station.store:settle(row.id, "used", "found on the board")
      station.store:durable()
      station:say(("%s: found on the board; it is settled."):format(row.value))
      unit.retry_of = row.attempt_id
      return
    end
  end
end

---Called in the unit's task, with its board open unless the recipe opens it itself. The attempt is
---on the disk when this returns.
---@param station table
---@param unit moonflash.Unit
function M.begin(station, unit)
  local board = unit.board
  unit.chip_id = read_chip_id(board)
  if not unit.reference then
    check_again(station, unit)
    identify(station, unit)
  end
  unit.id = station.store:begin_attempt {
    slot = unit.place.slot, path = unit.place.path, generation = unit.place.generation,
    chip_id = unit.chip_id, usb_serial = board.serial, scan = secret.mask(unit.scan),
    usb_ids = usb_ids(board), operator = station.operator, lot = station.lot,
    reference = unit.reference,
    retry_of = unit.retry_of, handling = unit.handling,
  }
end

---pool:take(board)
---@param unit moonflash.Unit
---@param pool moonflash.Pool
---@return table item
function M.take(unit, pool)
  local taken
  for _, item in ipairs(unit.items) do taken = taken or item.pool == pool.name and item end
  if taken then return taken.item end
  local before = not unit.reference and pool:own_of(unit) or nil
  local item = pool:take_for(unit)
  if not pool.secrets[pool.heads and pool.heads[1]] and not unit.reference then
    unit.dut = unit.dut or item.value
  end
  unit.items[#unit.items + 1] = { item = item, of = pool, id = item.id, pool = pool.name,
    before = before, sent = dfu.fields(unit.board).history.sent }
  return item
end

-- ---- after the run ----

local function short(s)
  if type(s) ~= "string" then return s end
  s = secret.mask(s)
  return #s > LONGEST and s:sub(1, LONGEST) .. "..." or s
end

-- The state of an item after a failure. It is free again, or what it was before, only if nothing
-- was sent to the board since it was taken. Returns true if it is free: the next unit gets it.
local function settle_failed(store, item, sent, why)
  if sent > item.sent then
    store:settle(item.id, "void", why)
  elseif item.before and item.before.state ~= "free" then
    store:settle(item.id, item.before.state, item.before.reason)
  else
    store:settle(item.id, "free", nil)
    item.of:recount()
    return true
  end
end

local function image_facts(board, facts)
  local image = dfu.fields(board).job.image
  if not image then return end
  local bytes = {}
  for _, segment in ipairs(image.segments) do
    bytes[#bytes + 1] = ("%X:"):format(segment.address) .. segment.bytes
  end
  facts.image = image.name
  facts.image_sha256 = sys.sha256(table.concat(bytes))
  facts.source_sha256 = image.files and image.files[1] and image.files[1].sha256 or nil
end

---The facts of a result for the record, without secrets.
---@param unit moonflash.Unit
---@param result table from run.on_board
---@return table
function M.facts(unit, result)
  local err, stats = errors.is(result.err) and result.err or nil, result.stats
  local board = result.board
  local facts = {
    outcome = result.outcome, code = err and err.code, step = result.step,
    message = short(M.reason(result.err)),
    flash = err and err.flash or result.flash, seconds = result.seconds,
    ranges = #result.ranges > 0 and json.encode(result.ranges) or nil,
    usb_serial = board.serial, usb_ids = usb_ids(board),
    bytes = stats.bytes_written, sectors = stats.sectors_erased, verified = stats.verified or false,
    dut_id = unit.dut or secret.mask(unit.scan) or unit.chip_id or "#" .. unit.id,
    steps = stats.steps, notes = {},
    data = result.data ~= nil and short(errors.words(result.data)) or nil,
  }
  for i, note in ipairs(stats.notes) do
    facts.notes[i] = setmetatable({ value = short(note.value) }, { __index = note })
  end
  image_facts(board, facts)
  return facts
end

---Records the end of an attempt, and waits until it is on the disk. Raises `store` if it can't be
---recorded.
---@param station table
---@param unit moonflash.Unit
---@param result table
---@return table facts
function M.record(station, unit, result)
  local store, sent = station.store, dfu.fields(unit.board).history.sent
  local why = short(M.reason(result.err))
  for _, item in ipairs(unit.reference and {} or unit.items) do
    if result.outcome == "PASS" then
      store:settle(item.id, "used", nil)
    elseif settle_failed(store, item, sent, why or result.outcome)
      and unit.dut == item.item.value then
      unit.dut = nil
    end
  end
  local facts = M.facts(unit, result)
  store:end_attempt(unit.id, facts)
  if not unit.reference then
    station.limits:count(unit.place.name, result.outcome, unit.retry_of == nil)
  end
  store:durable()
  return facts
end

return M

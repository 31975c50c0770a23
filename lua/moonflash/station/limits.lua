-- SPDX-License-Identifier: MIT
-- Limits at which a station stops. Their counts are in the store: a restart resets nothing, an act
-- of a person does.
local json = require "dkjson"
local misuse = require "moonflash.base.misuse"
local suggest = require "moonflash.base.suggest"

---@class moonflash.Limits
---@field stop table failures_in_a_row=, per_slot=, units=, first_pass_below=
---@field counts table row=, slots=, passed=, first=, tried=, stopped= (why)
local Limits = {}
Limits.__index = Limits

local M = {}

local NAMES = { "failures_in_a_row", "per_slot", "units", "first_pass_below" }
local ENOUGH = 20 -- units before a share of them says something

local function zero() return { row = 0, slots = {}, passed = 0, first = 0, tried = 0 } end

-- Checks `stop = { ... }` of a recipe.
local function check(stop)
  for key, value in pairs(stop) do
    local known = false
    for _, name in ipairs(NAMES) do known = known or key == name end
    if not known then
      misuse("station.stop has no '%s'%s", tostring(key), suggest.hint(tostring(key), NAMES))
    elseif key == "first_pass_below" then
      if not math.type(value) or value <= 0 or value > 1 then
        misuse("station.stop.first_pass_below is a share, more than 0 and up to 1")
      end
    elseif math.type(value) ~= "integer" or value < 1 then
      misuse("station.stop.%s is an integer, 1 or more", key)
    end
  end
end

---@param store moonflash.Store
---@param stop? table
---@return moonflash.Limits
function M.new(store, stop)
  check(stop or {})
  local saved = store:get("limits")
  local counts = saved and json.decode(saved) or zero()
  return setmetatable({ store = store, stop = stop or {}, counts = counts }, Limits)
end

local function save(limits)
  limits.store:set("limits", json.encode(limits.counts))
end

local function judged(limits, place)
  local counts, stop = limits.counts, limits.stop
  if stop.failures_in_a_row and counts.row >= stop.failures_in_a_row then
    return ("%d failures in a row"):format(counts.row)
  elseif stop.per_slot and (counts.slots[place] or 0) >= stop.per_slot then
    return ("%d failures in a row at %s"):format(counts.slots[place], place)
  elseif stop.units and counts.passed >= stop.units then
    return ("%d units are done"):format(counts.passed)
  elseif stop.first_pass_below and counts.tried >= ENOUGH
    and counts.first / counts.tried < stop.first_pass_below then
    return ("only %.1f %% of %d units passed at the first try"):format(
      100 * counts.first / counts.tried, counts.tried)
  end
end

---Counts an attempt, in the turn's transaction. ABORTED counts as nothing.
---@param place string its name
---@param outcome string
---@param first boolean it was the unit's first attempt
---@return string? why the station stops from now on
function Limits:count(place, outcome, first)
  local counts = self.counts
  if outcome == "ABORTED" then return nil end
  if outcome == "PASS" then
    counts.row, counts.slots[place], counts.passed = 0, 0, counts.passed + 1
  else
    counts.row, counts.slots[place] = counts.row + 1, (counts.slots[place] or 0) + 1
  end
  if first then
    counts.tried = counts.tried + 1
    if outcome == "PASS" then counts.first = counts.first + 1 end
  end
  counts.stopped = counts.stopped or judged(self, place)
  save(self)
  return counts.stopped
end

---Why the station does not begin units; nil: it does.
---@return string?
function Limits:stopped() return self.counts.stopped end

---Sets the counts to zero.
function Limits:reset()
  self.counts = zero()
  save(self)
end

return M

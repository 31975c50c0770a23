-- SPDX-License-Identifier: MIT
-- What people may do at a station: lines that are typed or scanned, and what a page sends.
local events = require "moonflash.base.events"
local policies = require "moonflash.station.policy"
local secret = require "moonflash.station.secret"
local task = require "task"
local text = require "moonflash.base.text"
local unit = require "moonflash.station.unit"

local M = {}

local HELP = [[
Enter            goes on where an act is needed: tries a failed unit again, ends a block
NAME             the same at the place of that name
r SCAN           the next unit is a reference: recorded, without a number
void NUMBER      a number of a lost unit is never given out
reset            the station goes on after a limit
sign-on NAME     who works here; sign-off
lot NAME         the lot, for the records
accept           station.lua is as it should be
q                ends the station when the units in work are done]]

-- Keeps an act in the audit rows, on the disk.
local function audit(station, what, detail)
  station.store:audit(what, station.operator, detail)
  station.store:durable()
end

-- ---- places ----

-- Whether an act is needed at a place.
local function needs(place)
  return place.state == "BLOCKED" or place.state == "FAIL" or place.state == "READY"
    or place.unfinished ~= nil
end

-- Enter at a place. scan: what was scanned there.
local function go_on(station, place, scan)
  if place.unfinished then
    local of = place.unfinished
    task.spawn(function()
      task.supervise()
      station:finish_unit(place, of)
    end)
  elseif place.state == "READY" then
    if station.start == "scan" and not scan then return "scan the unit's code" end
    station:begin_unit(place, { scan = scan })
  elseif place.state == "FAIL" then
    station.retry[place] = place.unit and place.unit.id or nil
    if place.mine then
      station:begin_unit(place, { scan = place.unit and place.unit.scan })
    else
      station:tell(place, "the next board there is the same unit")
    end
  elseif place.state == "BLOCKED" then
    if place.stopped then
      local why = station:obstacle()
      if why then return why end
    end
    place.passed_before = nil
    place:release()
    events.emit("place", place)
  else
    return "nothing is to be done there"
  end
end

local function named(station, line)
  for _, place in ipairs(station.places) do
    if place.name == line or place.path == line then return place end
  end
end

-- The only place where an act is needed.
local function only_place(station)
  local found
  for _, place in ipairs(station.places) do
    if needs(place) then
      if found then return nil, "which place? type its name" end
      found = place
    end
  end
  return found, "nothing waits for an act"
end

-- ---- acts ----

local acts = {}

function acts.void(station, value)
  if value == "" then return "which number? void NUMBER" end
  for _, pool in ipairs(station.pools) do
    local item = station.store:item(pool.name, pool:kept(pool.heads and pool.heads[1], value))
    if item and item.state == "reserved" then
      for _, of in pairs(station.units) do
        if of.id == item.attempt_id then return value .. " is in work" end
      end
      station.store:settle(item.id, "void", "said by a person")
      audit(station, "void", item.value)
      station:say(value .. " is void.")
      return nil
    elseif item then
      return ("%s is %s already"):format(value, item.state)
    end
  end
  return value .. " was never given out"
end

function acts.reset(station)
  if not (station.limits:stopped() or station.disk_full) then
    return "no limit has stopped the station"
  end
  station.limits:reset()
  station.said_stop, station.disk_full = nil, nil
  audit(station, "reset")
  station:unblock()
  station:say("The limits are reset.")
end

acts["sign-on"] = function(station, name)
  if name == "" then return "who? sign-on NAME" end
  local allowed = station.policy.operators
  for _, other in ipairs(allowed or { name }) do
    if other == name then
      station.operator = name
      audit(station, "sign-on", name)
      station:unblock()
      station:say(name .. " has signed on.")
      return nil
    end
  end
  return ("%s is not among the operators of station.lua: %s"):format(name,
    table.concat(allowed, ", "))
end

acts["sign-off"] = function(station)
  audit(station, "sign-off", station.operator)
  station.operator = nil
  station:say("Signed off.")
end

function acts.lot(station, name)
  if name == "" then return "which lot? lot NAME" end
  station.lot = name
  audit(station, "lot", name)
  station:say("The lot is " .. name .. ".")
end

function acts.accept(station)
  if not station.policy.changed then return "station.lua is as it was" end
  policies.accept(station.policy, station.store, station.operator)
  station.store:durable()
  station:unblock()
  station:say("station.lua is accepted.")
end

function acts.r(station, scan)
  local place = only_place(station)
  if place then
    place.reference = true
  else
    for _, other in ipairs(station.places) do other.reference = other.state ~= "RUNNING" or nil end
  end
  station:say(("The next unit%s is a reference%s."):format(place and " at " .. place.name or "",
    scan ~= "" and ", " .. scan or ""))
end

function acts.q(station)
  if station.watcher then station.watcher:cancel() end
end

acts["?"] = function(station) station:say(HELP) end

-- ---- lines ----

-- A line that is no command: a place's name, or a scan.
local function scanned(station, line)
  local place = named(station, line)
  if place then
    if place.state == "READY" and station.start == "scan" then
      station.chosen = place
      station:tell(place, "scan the unit's code")
      return nil
    end
    return go_on(station, place)
  end
  if station.start ~= "scan" then return ("'%s' is no command; ? shows them"):format(line) end
  local used = station.store:last_scan(line)
  if used and used.outcome == "PASS" then
    return ("%s has passed already: %s"):format(line, os.date("%Y-%m-%d %H:%M",
      used.start_time_millis // 1000))
  end
  place = station.chosen
  station.chosen = nil
  if not place or place.state ~= "READY" then
    local why
    place, why = nil, "no board waits for a scan"
    for _, other in ipairs(station.places) do
      if other.state == "READY" then
        if place then return "which place? scan or type its name first" end
        place = other
      end
    end
    if not place then return why end
  end
  return go_on(station, place, line)
end

---Does what a line says.
---@param station moonflash.Station
---@param line string
---@return string? why nothing was done
function M.line(station, line)
  line = text.clean(line):match("^%s*(.-)%s*$")
  local word, rest = line:match("^(%S+)%s*(.*)$")
  local ok, why = pcall(function()
    if line == "" then
      local place, nothing = only_place(station)
      if not place then return nothing end
      return go_on(station, place)
    elseif acts[word] and not named(station, line) then
      return acts[word](station, rest)
    end
    return scanned(station, line)
  end)
  if not ok then why = unit.reason(why) end
  if why then station:say(secret.mask(why)) end
  return why
end

return M

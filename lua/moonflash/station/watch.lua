-- SPDX-License-Identifier: MIT
-- The station's looks at the bus: each place is told what is there, and what it wants done is done.
local bus = require "moonflash.board.bus"
local events = require "moonflash.base.events"
local places = require "moonflash.station.place"
local slots = require "moonflash.board.slots"
local task = require "task"
local text = require "moonflash.base.text"

local M = {}

-- Whether a device without its strings may be a board for the recipe.
local function may_fit(station, device)
  local wanted = station.wanted or {}
  if device.mode ~= (wanted.mode or station.recipe.table.mode or "dfu") then return false end
  return (not wanted.vid or wanted.vid == device.vid)
    and (not wanted.pid or wanted.pid == device.pid)
end

local SAID = {
  contact = "boards come and go there: bad contact?",
  ["too-soon"] = "take it out and put it in again",
  ["hub-back"] = "its hub is back; this is no new unit",
}

-- A board that was there when the station began, at a place whose last unit has passed.
local function is_old_pass(station, place)
  return place.passed_before and station.now_first
end

local function act(station, place, what)
  if what == "start" or what == "ready" then
    if is_old_pass(station, place) then
      local last = place.passed_before
      station:block(place, ("%s passed here; take it out, or press Enter"):format(
        last.dut_id or "the last unit"))
      place.mine = place.generation
      return
    end
    if what == "start" then return station:begin_unit(place) end
  elseif SAID[what] then
    station:tell(place, SAID[what])
  end
  events.emit("place", place)
end

-- Tells hubs that went away with several boards.
local function look_for_hubs(station, now, present)
  local recent = {}
  for _, departure in ipairs(station.departures) do
    if now - departure.at <= places.TOGETHER * 2 then recent[#recent + 1] = departure end
  end
  station.departures = recent
  if #recent < 2 then return end
  local function is_there(path) return present[path] ~= nil end
  for hub, list in pairs(places.lost_hubs(recent, is_there)) do
    for _, departure in ipairs(list) do departure.place:lose_hub(now) end
    station:say(("The hub %s went away, with %s; what comes back there is no new unit."):format(hub,
      text.count(#list, "board")))
    station.departures = {}
  end
end

---One look at the bus.
---@param station moonflash.Station
function M.look(station)
  local now, present = task.now(), bus.present()
  if not station.is_fixed then
    for path, device in pairs(present) do
      if not station.by_path[path] and may_fit(station, device) then
        station:add_place(path, slots.name_of(path))
      end
    end
  end
  for _, place in ipairs(station.places) do
    local device = present[place.path]
    if not device and place.was_there then
      station.departures[#station.departures + 1] = { place = place, at = now }
    end
    place.was_there = device ~= nil
    local before = place.state
    local what = place:see(now, device and { generation = device.generation,
                                             fits = may_fit(station, device) })
    if what then
      act(station, place, what)
    elseif place.state ~= before then
      events.emit("place", place)
    end
    if not device and place.state ~= "RUNNING" then place.passed_before = nil end
  end
  look_for_hubs(station, now, present)
end

---Looks until the station ends.
---@param station moonflash.Station
function M.run(station)
  local began = task.now()
  if station.start == "operator" then
    for _, place in ipairs(station.places) do station:begin_unit(place) end
  end
  while not station.ending do
    station.now_first = task.now() - began < station.config.settle + 1
    M.look(station)
    task.sleep(bus.RESCAN)
  end
end

return M

-- SPDX-License-Identifier: MIT
-- A place of the station as a state machine. It sees what is there, and says what is to be done; it
-- does no input or output, and has no clock of its own.
--
-- state     meaning
-- EMPTY     nothing is there that the recipe is for
-- SETTLING  a board came, and has to stay for a moment
-- READY     it has stayed; a scan or Enter starts its unit (start = "scan" and "enter" only)
-- RUNNING   the recipe works on it, and owns the place
-- PASS      the verdict, until the next board settles
-- FAIL
-- BLOCKED   an act of the operator is needed

---@class moonflash.Place
---@field name string its slot, or its path
---@field path string
---@field slot? string
---@field state string
---@field why? string the reason of BLOCKED
---@field outcome? string of the last unit: PASS, FAIL, ERROR, TIMEOUT, ABORTED
---@field generation? integer of the device that is there
---@field mine? integer generation of the device of the last unit
---@field gone_at? number since when nothing is there
---@field empty_since? number since when nothing was there, before a board began to settle
---@field left? boolean the last unit was told to start its program
---@field judged_at? number time of the last verdict
local Place = {}
Place.__index = Place

local M = {}

-- Seconds after a verdict in which the board may come back by itself: an F042 that had started its
-- program was off the bus for 0.375 s, and reset it twice within 0.75 s (seen in a capture).
local AFTERWARDS = 3
local BOUNCES, WITHIN = 5, 60 -- so many boards that were seen too shortly, in so many seconds
local HUB_MEMORY = 60         -- seconds in which a hub that went away may come back

---@param path string
---@param slot? string
---@param options table settle=, empty=: seconds; start: "plug", "scan", "enter" or "operator"
---@return moonflash.Place
function M.new(path, slot, options)
  return setmetatable({ path = path, slot = slot, name = slot or path, state = "EMPTY",
    settle = options.settle, empty = options.empty, start = options.start, bounces = {} }, Place)
end

---What is shown: while a board settles, the verdict of the one before still stands.
---@return string state
function Place:shown()
  return self.state == "SETTLING" and self.before or self.state
end

local function enter(place, state, why)
  place.state, place.why = state, why
end

-- A board that may be a new unit has come.
local function begin_settling(place, now, device)
  place.before = place.state ~= "SETTLING" and place.state or place.before
  place.seen_at, place.generation = now, device.generation
  place.state = "SETTLING"
end

-- A board went before it had settled. Returns "contact" if that happened often.
local function bounce(place, now)
  enter(place, place.before or "EMPTY", place.why)
  place.before, place.generation = nil, nil
  place.gone_at, place.too_soon = place.empty_since or now, nil
  local list = { now }
  for _, at in ipairs(place.bounces) do
    if now - at < WITHIN then list[#list + 1] = at end
  end
  place.bounces = list
  if #list < BOUNCES then return nil end
  place.bounces = {}
  return "contact"
end

local function settled(place)
  place.before, place.why = nil, nil
  place.hub_gone = nil
  place.mine = place.generation
  if place.start == "plug" then
    place.state = "RUNNING"
    return "start"
  end
  place.state = "READY"
  return "ready"
end

local function see_settling(place, now, device)
  if not device or not device.fits then return bounce(place, now) end
  if device.generation ~= place.generation then
    place.seen_at, place.generation = now, device.generation
  elseif now - place.seen_at >= place.settle then
    if place.too_soon then
      place.too_soon, place.before = nil, nil
      enter(place, "BLOCKED", "take it out and put it in again")
      place.mine = device.generation
      return "too-soon"
    end
    return settled(place)
  end
end

-- Whether a device that came is the board of the last unit, and not a new one.
local function is_own(place, now, absent)
  if place.hub_gone and now - place.hub_gone < HUB_MEMORY then return true end
  if place.state == "PASS" or place.state == "FAIL" then
    return place.left and absent < place.empty and now - place.judged_at < AFTERWARDS
  end
  return false
end

-- A place without a unit in work.
local function see_idle(place, now, device)
  if not device then
    place.gone_at = place.gone_at or now
    place.mine = nil
    if place.state == "READY" or place.state == "BLOCKED" and not place.stopped then
      enter(place, "EMPTY")
    end
    return nil
  end
  if place.state == "READY" and device.generation == place.generation then return nil end
  if device.generation == place.mine then return nil end
  if place.state == "BLOCKED" and place.stopped then
    place.mine = nil
    return nil
  end
  local absent = place.gone_at and now - place.gone_at or 0
  if is_own(place, now, absent) then
    place.mine, place.gone_at = device.generation, nil
    local back = place.hub_gone ~= nil
    place.hub_gone = nil
    return back and "hub-back" or nil
  end
  if not device.fits then
    place.mine, place.gone_at = device.generation, nil -- the place is not empty
    return nil
  end
  place.too_soon = place.judged_at ~= nil and absent < place.empty or nil
  place.empty_since, place.gone_at = place.gone_at, nil
  begin_settling(place, now, device)
end

---Takes what is at the place now.
---@param now number seconds
---@param device? table generation=, fits (boolean: the recipe is for it)
---@return string? what is to be done: "start" a unit, "ready" (ask for it), "contact" (say that the
---  contact may be bad), "too-soon", "hub-back"
function Place:see(now, device)
  if self.state == "RUNNING" then
    -- the recipe owns the place; only what is there is remembered
    if device then
      self.mine, self.gone_at = device.generation, nil
    else
      self.mine, self.gone_at = nil, self.gone_at or now
    end
    return nil
  elseif self.state == "SETTLING" then
    return see_settling(self, now, device)
  end
  return see_idle(self, now, device)
end

---The unit's run has begun, by an act of the operator or of the recipe.
function Place:run()
  self.before, self.too_soon, self.stopped = nil, nil, nil
  enter(self, "RUNNING")
end

---@param now number
---@param outcome string
---@param left boolean the board was told to start its program
function Place:judge(now, outcome, left)
  self.outcome, self.left, self.judged_at = outcome, left, now
  enter(self, outcome == "PASS" and "PASS" or "FAIL")
end

---An act of the operator is needed.
---@param why string
---@param stopped? boolean taking the board out does not end it
function Place:block(why, stopped)
  self.stopped, self.before = stopped, nil
  enter(self, "BLOCKED", why)
end

---Ends BLOCKED. What is there counts as new from now on.
function Place:release()
  self.stopped, self.mine, self.gone_at, self.judged_at = nil, nil, nil, nil
  enter(self, "EMPTY")
end

---The hub below which the place is has gone.
---@param now number
function Place:lose_hub(now) self.hub_gone = now end

-- ---- hubs ----

M.TOGETHER = 0.1 -- seconds within which the places of a hub go

---The path of the hub at which a path is: "1-4.2" -> "1-4".
---@param path string
---@return string?
function M.parent(path) return path:match("^(%d+%-.*)%.%d+$") end

---Finds hubs that went away: two or more places below one of them went together.
---@param departures table[] { { place=, at= }, ... }, of the last moments
---@param present fun(path: string): boolean whether a device is there
---@return table<string, table[]> departures by hub
function M.lost_hubs(departures, present)
  local by_hub, lost = {}, {}
  for _, departure in ipairs(departures) do
    local hub = M.parent(departure.place.path)
    if hub and not present(hub) then
      by_hub[hub] = by_hub[hub] or {}
      table.insert(by_hub[hub], departure)
    end
  end
  for hub, list in pairs(by_hub) do
    if #list > 1 and list[#list].at - list[1].at <= M.TOGETHER then lost[hub] = list end
  end
  return lost
end

return M

-- SPDX-License-Identifier: MIT
-- The operator's terminal: a row a place with its verdict until the next board settles there, and
-- counts below. Without a terminal it is lines.
local color = require "moonflash.ui.color"
local console = require "moonflash.ui.console"
local events = require "moonflash.base.events"
local several = require "moonflash.ui.several"
local rows = require "moonflash.ui.rows"
local sys = require "sys"
local text = require "moonflash.base.text"
local ui = require "moonflash.ui"

local M = {}

local STATES = { EMPTY = "empty", SETTLING = "settling", RUNNING = "begins" }
local READY = { scan = "scan the unit's code", enter = "press Enter" }

---The counts of a run as a line.
---@param station moonflash.Station
---@return string
function M.counts(station)
  local counts = station.counts
  local parts = { ("passed %d"):format(counts.passed), ("failed %d"):format(counts.failed) }
  if counts.tried > 0 then
    parts[#parts + 1] = ("first-pass %.1f %%"):format(100 * counts.first / counts.tried)
  end
  for _, pool in ipairs(station.pools) do
    parts[#parts + 1] = #station.pools > 1 and ("left %d %s"):format(pool:left(), pool.name)
      or ("left %d"):format(pool:left())
  end
  return table.concat(parts, "  ")
end

-- ---- rows ----

local Screen = setmetatable({}, several)
Screen.__index = Screen

-- The verdict of a place: the unit's name, and the reason of a failure.
local function verdict(place)
  local facts, note = place.facts, place.note
  local words = facts and facts.dut_id or ""
  if facts and facts.outcome ~= "PASS" then
    words = ("%s  %s"):format(words, text.without_path(facts.message or facts.code or "",
      place.path))
  elseif facts then
    words = ("%s  %s"):format(words, text.seconds(facts.seconds or 0))
  end
  return note and words .. "  " .. note or words
end

function Screen:place(place)
  if not self.known[place] then
    self.known[place] = true
    rows.add(place)
  end
  local state = place:shown()
  if state == "PASS" or state == "FAIL" then
    rows.renew(place, "")
    rows.result(place, place.facts and place.facts.outcome ~= "PASS" and place.facts.outcome
      or state, verdict(place))
    if state == "FAIL" and self.rung ~= place.judged_at and color.can_draw() then
      self.rung = place.judged_at
      io.stderr:write("\a")
    end
  elseif state == "BLOCKED" then
    rows.renew(place, "")
    rows.result(place, "STOP", place.why or "")
  elseif state == "READY" then
    rows.renew(place, READY[self.station.start] or "ready")
  else
    rows.renew(place, STATES[state])
  end
  rows.count(M.counts(self.station))
end

-- Phases, steps and scans come with a Board, whose row is that of the place.
function Screen.unit(_, place, of)
  rows.alias(of.board, place)
  if of.scan then rows.scanned(place, of.scan) end
end

function Screen.passed() end
function Screen.returned() end
function Screen.result(_, _) end
function Screen.tell_again() end
function Screen.summary() end

---Begins to show a station.
---@param station moonflash.Station
---@param session table json=, quiet=, progress=
---@return table to close
function M.begin(station, session)
  console.set_several()
  local shown = { finish = function() end }
  if not (session.json or session.quiet or session.trace or session.progress == "never")
    and color.can_draw() then
    local screen = several.new({}, function() end)
    setmetatable(screen, Screen)
    screen.station, screen.known = station, {}
    ui.use(screen)
    sys.desk().prompt = ">"
    for _, place in ipairs(station.places) do screen:place(place) end
    function shown.finish()
      sys.desk().prompt = nil
      several.end_rows(screen)
      ui.begin(session)
      console.set_several()
    end
  else
    local subscriber = {
      place = function(_, place)
        if place.state == "BLOCKED" then
          station:tell(place, place.why or "stopped")
        elseif place.state == "READY" then
          station:tell(place, READY[station.start] or "ready")
        end
      end,
      result = function(_, result)
        if result.unit then
          station:say(("%s: %s: %s"):format(console.who(result.board), result.unit,
            result.outcome))
        end
      end,
    }
    events.on(subscriber)
    function shown.finish() events.off(subscriber) end
  end
  return setmetatable(shown, { __index = shown, __close = function() shown.finish() end })
end

return M

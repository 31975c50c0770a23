-- SPDX-License-Identifier: MIT
-- Files that a station keeps of each unit: a report (--report) and a capture (--pcap), where their
-- names are patterns.
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local pattern = require "moonflash.base.pattern"
local run = require "moonflash.run"

local M = {}

local function facts_of(of, result)
  return { slot = of.place.slot, path = of.place.path, serial = of.board.serial,
           unit = result and result.unit or nil }
end

---Checks the options, before the first unit. Raises `usage` for a report that is no pattern.
---@param session table report=
function M.check(session)
  if session.report and not pattern.is_pattern(session.report) then
    errors.raise { code = "usage", message = "--report: a station writes a report of each unit",
                   hint = "Its name is a pattern: 'runs/{unit}-{date}-{time}.html'." }
  end
  local trace = package.loaded["moonflash.trace"]
  session.captures_units = trace and trace.capture_units() or false
end

---@param session table
---@param of moonflash.Unit
function M.begin(session, of)
  if session.captures_units then
    require("moonflash.trace").begin_unit(of.place.path, facts_of(of))
  end
end

---A file that can't be written is told, and changes no verdict.
---@param station moonflash.Station
---@param of moonflash.Unit
---@param result table
function M.keep(station, of, result)
  local session, recipe = station.session, station.recipe
  local facts = facts_of(of, result)
  if session.captures_units then
    local failure = require("moonflash.trace").end_unit(of.place.path, facts)
    if failure then events.emit("complaint", failure) end
  end
  if not session.report then return end
  local about = run.beginning(recipe.name, session)
  about.summary, about.args, about.opt = recipe.summary, recipe.args, station.opt
  about.results, about.outcome = { result }, result.outcome
  about.began, about.seconds = result.began, result.seconds
  about.status = result.err ~= nil and errors.exit_status(result.err) or 0
  about.note = result.unit and "Unit " .. result.unit or nil
  local written, why = pcall(session.write_report, session.report, about, facts)
  if not written then events.emit("complaint", errors.is(why) and why
    or errors.new { code = "file.write", message = tostring(why) }) end
end

return M

-- SPDX-License-Identifier: MIT
-- records.lua: what a station has recorded.
local errors = require "moonflash.errors"
local export = require "moonflash.station.export"
local recipes = require "moonflash.run.recipe"
local records = require "moonflash.station.records"
local stores = require "moonflash.station.store"
local sys = require "sys"
local text = require "moonflash.base.text"

local FORMATS = { "csv", "junit", "openhtf" }

local function usage(message) errors.raise { code = "usage", message = message } end

-- "2026-11-28" or "2026-11-28 10:30", local time, as milliseconds.
local function parse_date(words)
  local year, month, day, rest = words:match("^(%d%d%d%d)-(%d%d?)-(%d%d?)[T ]?(.*)$")
  local hour, minute = (rest or ""):match("^(%d%d?):(%d%d)$")
  if not year or rest ~= "" and not hour then
    usage(("--from: '%s' is no date: 2026-11-28, or '2026-11-28 10:30'"):format(words))
  end
  local time = os.time { year = year, month = month, day = day, hour = hour or 0,
                         min = minute or 0 }
  if os.date("%m %d %H", time) ~= ("%02d %02d %02d"):format(month, day, hour or 0) then
    usage(("--from: there is no %s"):format(words))
  end
  return time * 1000
end

-- The format of an export; --json is an option of moonflash.
local function format_of(opt)
  local wanted = recipes.stdout_is_data and "json" or nil
  for _, format in ipairs(FORMATS) do
    if opt[format] then
      if wanted then usage(("--%s and --%s exclude each other"):format(wanted, format)) end
      wanted = format
    end
  end
  return wanted
end

local function backup(store, file)
  if sys.stat(file) then
    errors.raise { code = "file.write", message = file .. " exists already" }
  end
  store.db:backup(file)
  return "copied to " .. file
end

local function check(store)
  local count, why = store:check_audit()
  if why then
    errors.raise { code = "fail", message = "the audit rows do not hold together: " .. why }
  end
  return ("%s, unbroken"):format(text.count(count, "audit row"))
end

return {
  api         = 1,
  summary     = "Show what a station has recorded",
  example     = "moonflash records --folder line4 --from 2026-11-28",
  description = "Units count, not tries. ERROR and ABORTED are the station's fault, and count\n"
    .. "for no yield. A store can be read while a station uses it.",
  args        = {
    { "--folder", "the station's folder", default = "station" },
    { "--from", "records since that day: 2026-11-28, or '2026-11-28 10:30'", type = "string" },
    { "--lot", "records of that lot", type = "string" },
    { "--unit", "the history of the unit with that number, scan or chip id", type = "string" },
    { "--csv", "a row a unit (RFC 4180)", default = false },
    { "--junit", "a test case a step", default = false },
    { "--openhtf", "an object a unit, as OpenHTF's records", default = false },
    { "--backup", "copy the store, which may be in use, to this file", type = "string" },
    { "--check", "check that no audit row is missing or changed", default = false },
  },

  setup = function(opt)
    local store = stores.read(opt.folder)
    local _ <close> = setmetatable({}, { __close = function() store:close() end })
    local filter = { from = opt.from and parse_date(opt.from), lot = opt.lot }
    if opt.lot and not store.db:row("SELECT 1 AS one FROM attempt WHERE lot = ?", opt.lot) then
      errors.raise { code = "fail", message = ("no record has the lot '%s'"):format(opt.lot) }
    end
    if opt.backup then return backup(store, opt.backup) end
    if opt.check then return check(store) end
    if opt.unit then
      if format_of(opt) then usage("--unit is a text to read: no --" .. format_of(opt)) end
      local history = records.history(store, opt.unit)
      if not history then
        errors.raise { code = "fail", message = ("there is no unit '%s'"):format(opt.unit) }
      end
      return history
    end
    local format = format_of(opt)
    if not format then return records.summary(store, filter) end
    export.write(store, format, filter, function(s) io.stdout:write(s) end)
  end,
}

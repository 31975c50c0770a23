-- SPDX-License-Identifier: MIT
-- Exports of a station's records: a unit at a time, so that memory does not grow with them.
--   csv      RFC 4180, a row a unit
--   json     an object a unit, a line each
--   junit    a test suite a unit, a test case a step
--   openhtf  an object a unit with the fields of OpenHTF's TestRecord
local csv = require "moonflash.station.csv"
local json = require "dkjson"

local M = {}

local FIRST = { "dut_id", "station_id", "start_time", "end_time", "outcome", "code", "step",
                "message", "slot", "path", "chip_id", "usb_serial" }

-- "2026-11-28T10:31:07Z"
local function iso(millis)
  return millis and os.date("!%Y-%m-%dT%H:%M:%SZ", millis // 1000) or nil
end

local function list(db, sql, ...)
  local rows = {}
  for row in db:rows(sql, ...) do rows[#rows + 1] = row end
  return rows
end

-- The last attempt of each unit, in the order of these attempts.
local function units(db, filter)
  local parts, values = { "reference = 0" }, {}
  if filter.from then
    parts[#parts + 1] = "start_time_millis >= ?"
    values[#values + 1] = filter.from
  end
  if filter.lot then
    parts[#parts + 1] = "lot = ?"
    values[#values + 1] = filter.lot
  end
  return db:rows(([[SELECT attempt.*, run.station_id FROM attempt JOIN run ON run.id = run_id
    WHERE attempt.id IN (SELECT max(id) FROM attempt WHERE %s
      GROUP BY coalesce(dut_id, '#' || id)) ORDER BY attempt.id]]):format(
    table.concat(parts, " AND ")), table.unpack(values))
end

local function details(db, row)
  row.start_time, row.end_time = iso(row.start_time_millis), iso(row.end_time_millis)
  row.steps = list(db, "SELECT * FROM step WHERE attempt_id = ? ORDER BY number", row.id)
  row.notes = list(db, "SELECT * FROM measurement WHERE attempt_id = ? ORDER BY number", row.id)
  row.items = list(db, "SELECT * FROM item WHERE attempt_id = ? ORDER BY id", row.id)
  return row
end

local function names(db, sql)
  local found = {}
  for i, row in ipairs(list(db, sql)) do found[i] = row.name end
  return found
end

local makers = {}

function makers.csv(db, write)
  local pools = names(db, "SELECT DISTINCT pool AS name FROM item ORDER BY name")
  local notes = names(db, "SELECT DISTINCT name FROM measurement ORDER BY name")
  local heads = table.move(FIRST, 1, #FIRST, 1, {})
  for _, more in ipairs { pools, notes } do table.move(more, 1, #more, #heads + 1, heads) end
  write(csv.line(heads, #heads) .. "\r\n")
  local places = {} -- a pool and a measurement may have one name
  for i, name in ipairs(pools) do places["pool\0" .. name] = #FIRST + i end
  for i, name in ipairs(notes) do places["note\0" .. name] = #FIRST + #pools + i end
  return function(row)
    local cells = {}
    for i, name in ipairs(FIRST) do cells[i] = row[name] end
    for _, item in ipairs(row.items) do cells[places["pool\0" .. item.pool]] = item.value end
    for _, note in ipairs(row.notes) do cells[places["note\0" .. note.name]] = note.value end
    write(csv.line(cells, #heads) .. "\r\n")
  end
end

function makers.json(_, write)
  local order = table.move(FIRST, 1, #FIRST, 1, {})
  return function(row)
    local unit = { event = "unit", attempt = row.id, seconds = row.seconds, handling = row.handling,
      flash = row.flash, bytes = row.bytes, sectors = row.sectors, verified = row.verified == 1,
      image = row.image, image_sha256 = row.image_sha256, source_sha256 = row.source_sha256,
      operator = row.operator, lot = row.lot, scan = row.scan, items = {}, steps = {}, notes = {} }
    for _, name in ipairs(FIRST) do unit[name] = row[name] end
    for i, item in ipairs(row.items) do
      unit.items[i] = { pool = item.pool, value = item.value, state = item.state }
    end
    for i, step in ipairs(row.steps) do
      unit.steps[i] = { name = step.name, seconds = step.seconds }
    end
    for i, note in ipairs(row.notes) do
      unit.notes[i] = { name = note.name, value = note.value, unit = note.unit, min = note.low,
                        max = note.high, ok = note.ok == 1 }
    end
    write(json.encode(unit, { keyorder = order }) .. "\n")
  end
end

local ENTITIES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }

-- Text for an attribute; characters that XML 1.0 forbids are left out.
local function xml(value)
  return (tostring(value or ""):gsub("[%z\1-\8\11\12\14-\31]", ""):gsub('[&<>"]', ENTITIES))
end

function makers.junit(_, write)
  write('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n')
  return function(row)
    local passed = row.outcome == "PASS"
    local steps = #row.steps > 0 and row.steps or { { name = row.step or "unit",
                                                      seconds = row.seconds } }
    write(('<testsuite name="%s" tests="%d" failures="%d" timestamp="%s">\n'):format(
      xml(row.dut_id), #steps, passed and 0 or 1, xml(row.start_time)))
    for i, step in ipairs(steps) do
      local failed = not passed and i == #steps
      write(('  <testcase classname="%s" name="%s" time="%.3f"%s\n'):format(xml(row.dut_id),
        xml(step.name), step.seconds or 0, failed and ">" or "/>"))
      if failed then
        write(('    <%s message="%s" type="%s"/>\n  </testcase>\n'):format(
          (row.outcome == "FAIL" or row.outcome == "TIMEOUT") and "failure" or "error",
          xml(row.message or "it did not end"), xml(row.code or row.outcome)))
      end
    end
    write("</testsuite>\n")
  end, function() write("</testsuites>\n") end
end

local function htf_measurements(row, step)
  local all = setmetatable({}, { __jsontype = "object" })
  for _, note in ipairs(row.notes) do
    if note.step == step then
      local validators = (note.low or note.high) and { ("%s <= x <= %s"):format(note.low or "-inf",
        note.high or "inf") } or nil
      all[note.name] = { name = note.name, outcome = note.ok == 1 and "PASS" or "FAIL",
        measured_value = note.value, units = note.unit, validators = validators }
    end
  end
  return all
end

function makers.openhtf(_, write)
  return function(row)
    local at, phases = row.start_time_millis, {}
    local function phase(name, seconds, step)
      local stop = at + math.floor((seconds or 0) * 1000)
      phases[#phases + 1] = { name = name, start_time_millis = at, end_time_millis = stop,
        outcome = "PASS", measurements = htf_measurements(row, step),
        attachments = setmetatable({}, { __jsontype = "object" }) }
      at = stop
    end
    if #row.steps == 0 then phase("unit", row.seconds, nil) end
    for _, step in ipairs(row.steps) do phase(step.name, step.seconds, step.name) end
    if row.outcome ~= "PASS" and #phases > 0 then
      phases[#phases].outcome = row.outcome == "FAIL" and "FAIL" or "ERROR"
    end
    write(json.encode({
      dut_id = row.dut_id, station_id = row.station_id or "moonflash",
      start_time_millis = row.start_time_millis, end_time_millis = row.end_time_millis,
      outcome = row.outcome or "ABORTED", phases = phases,
      outcome_details = row.message and { { code = row.code or row.outcome,
                                            description = row.message } } or {},
      metadata = { slot = row.slot, path = row.path, chip_id = row.chip_id,
        usb_serial = row.usb_serial, image_sha256 = row.image_sha256, lot = row.lot,
        operator = row.operator },
    }, { keyorder = { "dut_id", "station_id", "start_time_millis", "end_time_millis", "outcome" } })
      .. "\n")
  end
end

---Writes all units.
---@param store moonflash.Store
---@param kind string "csv", "json", "junit" or "openhtf"
---@param filter moonflash.Filter
---@param write fun(s: string)
---@return integer units
function M.write(store, kind, filter, write)
  local each, finish = makers[kind](store.db, write)
  local count = 0
  for row in units(store.db, filter) do
    each(details(store.db, row))
    count = count + 1
  end
  if finish then finish() end
  return count
end

return M

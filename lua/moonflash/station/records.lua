-- SPDX-License-Identifier: MIT
-- What the records of a station say: units, yields, failures, times, and the history of a unit.
-- Units count, not tries. ERROR and ABORTED are the station's fault, and count for no yield.
local text = require "moonflash.base.text"

local M = {}

local JUDGED = "reference = 0 AND outcome IN ('PASS', 'FAIL', 'TIMEOUT')"

---@class moonflash.Filter
---@field from? integer milliseconds since 1970
---@field lot? string

-- The condition of a filter, its parameters, and the table with a hint which way to search it. Rows
-- are in the order of their ids, and nearly in that of time.
local function condition(filter)
  if filter.from then
    local more = "AND id >= (SELECT min(id) FROM attempt INDEXED BY attempt_by_time "
      .. "WHERE start_time_millis >= ?1) AND start_time_millis >= ?1"
    if not filter.lot then return more, { filter.from }, "attempt NOT INDEXED" end
    return more .. " AND lot = ?2", { filter.from, filter.lot }, "attempt NOT INDEXED"
  elseif filter.lot then
    return "AND lot = ?1", { filter.lot }, "attempt INDEXED BY attempt_by_lot"
  end
  return "", {}, "attempt"
end

-- How many units there are, and how many passed, by their first (min) or last (max) attempt.
local function units_by(db, which, filter)
  local more, values, from = condition(filter)
  local sql = [[SELECT count(*) AS units, coalesce(sum(outcome = 'PASS'), 0) AS passed FROM (
    SELECT %s(id), outcome FROM %s WHERE %s %s GROUP BY dut_id)]]
  return db:row(sql:format(which, from, JUDGED, more), table.unpack(values))
end

-- A quantile of a column.
local function quantile(db, column, where, share, filter)
  local more, values, from = condition(filter)
  local n = db:row(("SELECT count(*) AS n FROM %s WHERE %s %s"):format(from, where, more),
    table.unpack(values)).n
  if n == 0 then return nil end
  values[#values + 1] = math.min(math.floor(n * share), n - 1)
  return db:row(("SELECT %s AS x FROM %s WHERE %s %s ORDER BY %s LIMIT 1 OFFSET ?"):format(column,
    from, where, more, column), table.unpack(values)).x
end

---The numbers of a summary.
---@param store moonflash.Store
---@param filter moonflash.Filter
---@return table units=, passed=, first=, errors=, open=, seconds= and handling= (p50=, p95=)
function M.numbers(store, filter)
  local db = store.db
  local last, first = units_by(db, "max", filter), units_by(db, "min", filter)
  local more, values, from = condition(filter)
  local errors = [[SELECT coalesce(sum(outcome IN ('ERROR', 'ABORTED')), 0) AS errors
    FROM %s WHERE reference = 0 AND outcome <> 'PASS' %s]]
  local other = db:row(errors:format(from, more), table.unpack(values))
  local open = db:row(("SELECT count(*) AS n FROM %s WHERE outcome IS NULL %s"):format(from, more),
    table.unpack(values))
  local passed = "reference = 0 AND outcome = 'PASS'"
  return {
    units = last.units, passed = last.passed, first = first.passed, errors = other.errors,
    open = open.n,
    seconds = { p50 = quantile(db, "seconds", passed, 0.5, filter),
                p95 = quantile(db, "seconds", passed, 0.95, filter) },
    handling = { p50 = quantile(db, "handling", "handling IS NOT NULL", 0.5, filter) },
  }
end

---Failures by step and code, the most frequent first.
---@param store moonflash.Store
---@param filter moonflash.Filter
---@return table[] rows step=, code=, attempts=, units=, slots=
function M.failures(store, filter)
  local more, values, from = condition(filter)
  local rows = {}
  for row in store.db:rows(([[SELECT step, code, outcome, count(*) AS attempts,
    count(DISTINCT dut_id) AS units, count(DISTINCT slot) AS slots, min(slot) AS slot
    FROM %s WHERE reference = 0 AND outcome <> 'PASS' %s
    GROUP BY step, code ORDER BY attempts DESC, step, code LIMIT 20]]):format(from, more),
    table.unpack(values)) do
    rows[#rows + 1] = row
  end
  return rows
end

local function share(part, whole)
  return whole == 0 and "-" or ("%.1f %%"):format(100 * part / whole)
end

local function seconds(value) return value and text.seconds(value) or "-" end

-- "2026-11-28 10:31", local time.
local function moment(millis)
  return millis and os.date("%Y-%m-%d %H:%M:%S", millis // 1000) or "-"
end

-- How many items are void, and how many wait for a decision after a crash.
local function items_of(store)
  local row = store.db:row([[SELECT coalesce(sum(state = 'void'), 0) AS void,
    coalesce(sum(state = 'reserved'), 0) AS reserved FROM item
    WHERE state IN ('void', 'reserved')]])
  return row.void, row.reserved
end

---A summary to read.
---@param store moonflash.Store
---@param filter moonflash.Filter
---@return string
function M.summary(store, filter)
  local n = M.numbers(store, filter)
  local slots = store.db:row("SELECT count(DISTINCT slot) AS n FROM attempt WHERE id > "
    .. "(SELECT max(id) - 10000 FROM attempt)").n
  local lines = {
    ("units      %d, %d passed"):format(n.units, n.passed),
    ("yield      %s"):format(share(n.passed, n.units)),
    ("first-pass %s"):format(share(n.first, n.units)),
    ("cycle      %s (p50), %s (p95)"):format(seconds(n.seconds.p50), seconds(n.seconds.p95)),
    ("handling   %s (p50)"):format(seconds(n.handling.p50)),
  }
  if n.errors > 0 then
    lines[#lines + 1] = ("errors     %d attempts that say nothing about a unit"):format(n.errors)
  end
  if n.open > 0 then
    lines[#lines + 1] = ("unended    %s: power was lost, or they are in work"):format(
      text.count(n.open, "attempt"))
  end
  local void, reserved = items_of(store)
  if void + reserved > 0 then
    lines[#lines + 1] = ("items      %d void, %d not settled"):format(void, reserved)
  end
  local failures = M.failures(store, filter)
  if #failures > 0 then lines[#lines + 1] = "\nfailures   attempts  units  slots  step, code" end
  for _, row in ipairs(failures) do
    local is_one = row.slots == 1 and slots > 1
    local where = is_one and (" (only %s: the fixture?)"):format(row.slot) or ""
    lines[#lines + 1] = ("%19d %6d %6d  %s, %s%s"):format(row.attempts, row.units, row.slots,
      row.step or "-", row.code or row.outcome, where)
  end
  return text.plain(table.concat(lines, "\n"))
end

---The attempts at a unit, by its number, its scan or its chip id.
---@param store moonflash.Store
---@param name string
---@return string? nil: there is no such unit
function M.history(store, name)
  local lines = {}
  for row in store.db:rows([[SELECT * FROM attempt WHERE id IN (
    SELECT id FROM attempt WHERE dut_id = ?1 UNION SELECT id FROM attempt WHERE chip_id = ?1
    UNION SELECT id FROM attempt WHERE scan = ?1
    UNION SELECT attempt_id FROM item WHERE value = ?1) ORDER BY id]], name) do
    lines[#lines + 1] = ("%s  %-7s  %s%s%s"):format(moment(row.start_time_millis),
      row.outcome or "unended", row.slot or row.path or "-", row.seconds and "  "
      .. text.seconds(row.seconds) or "", row.reference ~= 0 and "  reference" or "")
    if row.scan then lines[#lines + 1] = "    scanned: " .. row.scan end
    if row.outcome == nil then
      lines[#lines + 1] = "    power was lost in it, or it is in work"
    elseif row.message then
      lines[#lines + 1] = ("    %s%s"):format(row.step and row.step .. ": " or "", row.message)
      if row.flash then lines[#lines + 1] = "    " .. row.flash end
    end
    for item in store.db:rows("SELECT * FROM item WHERE attempt_id = ? ORDER BY id", row.id) do
      lines[#lines + 1] = ("    %s  %s%s"):format(item.value, item.state,
        item.reason and ": " .. item.reason or "")
    end
    for note in store.db:rows("SELECT * FROM measurement WHERE attempt_id = ? ORDER BY number",
      row.id) do
      lines[#lines + 1] = ("    %s = %s%s%s"):format(note.name, tostring(note.value),
        note.unit and " " .. note.unit or "", note.ok == 0 and "  outside its limits" or "")
    end
  end
  return #lines > 0 and text.plain(table.concat(lines, "\n")) or nil
end

return M

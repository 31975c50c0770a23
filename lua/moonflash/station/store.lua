-- SPDX-License-Identifier: MIT
-- A station's store: one SQLite file, in WAL mode with synchronous FULL, so that what was committed
-- stays after a power cut. Only this file changes the store. The queries of records.lua, export.lua
-- and rehearse.lua read it.
--
-- Changes of one turn of the loop are one transaction. durable() waits until it is on the disk.
local errors = require "moonflash.errors"
local schema = require "moonflash.station.schema"
local sqlite = require "sqlite"
local sys = require "sys"
local task = require "task"

---@class moonflash.Store
---@field db userdata sqlite.Database
---@field file string ":memory:", or its path
---@field is_new boolean it was made by this opening
---@field found string[] what the opening has found, a sentence each
local Store = {}
Store.__index = Store

local M = {}

local FILE = "station.db"
local APPLICATION = 0x6D6F6F6E -- "moon": SQLite's application id
local CLOCK_BACK = 60 -- seconds that the clock may lie before the newest row

---@return integer milliseconds since 1970
function M.now() return math.floor(sys.time() * 1000) end

-- ---- opening ----

local function damaged(file, why)
  errors.raise { code = "store.damaged", message = ("%s is damaged: %s"):format(file, why),
    hint = "Keep the file. A copy from 'moonflash records --backup' can take its place;\n"
      .. "set 'from' in the recipe above the highest number that was given out since." }
end

-- The value of a row with one column.
local function first_column(row)
  return select(2, next(row or {}))
end

-- Runs one of SQLite's checks of the whole file.
local function check(store, pragma)
  local ok, row = pcall(store.db.row, store.db, "PRAGMA " .. pragma)
  if not ok then damaged(store.file, tostring(row)) end
  local said = first_column(row)
  if said ~= "ok" then damaged(store.file, tostring(said)) end
end

-- Raises `store` for a database that is not ours. A new one is empty.
local function check_own(db, file)
  local is_ours = first_column(db:row("PRAGMA application_id")) == APPLICATION
  if not is_ours and db:row("SELECT 1 AS one FROM sqlite_master") then
    errors.raise { code = "store", message = file .. " is no store of a moonflash station",
                   hint = "--folder names the station's folder." }
  end
end

local function migrate(store)
  local db = store.db
  check_own(db, store.file)
  local version = first_column(db:row("PRAGMA user_version"))
  if version > #schema then
    errors.raise { code = "store",
      message = ("%s was made by a newer moonflash (schema %d; this one knows %d)"):format(
        store.file, version, #schema) }
  end
  store.is_new = version == 0
  for step = version + 1, #schema do
    local marks = ("PRAGMA application_id = %d;PRAGMA user_version = %d"):format(APPLICATION, step)
    db:script(("BEGIN IMMEDIATE;%s;%s;COMMIT"):format(schema[step], marks))
  end
end

-- Takes the lock that makes one station the only one of a store.
local function take_lock(folder)
  local path = folder .. "/lock"
  local file, why = io.open(path, "a")
  if not file then
    errors.raise { code = "file.write", message = ("%s can't be opened: %s"):format(path, why) }
  end
  if not sys.lock(file) then
    errors.raise { code = "store.busy",
                   message = folder .. ": another station has this store open",
                   hint = "End it first, or name another folder." }
  end
  return file
end

---Opens a store, or makes a new one. Raises `store`, `store.busy`, `store.damaged`.
---@param folder? string which exists; nil: a store in memory
---@param options? table fast: commits do not wait for the disk
---@return moonflash.Store
function M.open(folder, options)
  local file = folder and folder .. "/" .. FILE or ":memory:"
  local store = setmetatable({ folder = folder, file = file, found = {}, lock = folder
    and take_lock(folder) }, Store)
  local ok, db = pcall(sqlite.open, file)
  if not ok then
    if errors.matches(db, "store.damaged") then damaged(file, db.message) end
    error(db, 0)
  end
  store.db = db
  local prepared, why = pcall(function()
    db:row("PRAGMA journal_mode = WAL")
    db:script("PRAGMA synchronous = " .. (options and options.fast and "OFF" or "FULL"))
    db:script("PRAGMA foreign_keys = ON")
    check(store, "quick_check")
    migrate(store)
    if not store:get("clean", true) then check(store, "integrity_check") end
    store:look_back()
    store:set("clean", false)
  end)
  if not prepared then
    if errors.matches(why, "store.damaged") and not why.hint then damaged(file, why.message) end
    error(why, 0)
  end
  return store
end

---Opens a store for reading, while a station may use it.
---@param folder string
---@return moonflash.Store
function M.read(folder)
  local file = folder .. "/" .. FILE
  if not sys.stat(file) then
    errors.raise { code = "file", message = folder .. ": there is no store (station.db)",
      hint = "--folder names the station's folder." }
  end
  local store = setmetatable({ folder = folder, file = file, found = {} }, Store)
  store.db = sqlite.open(file, { read_only = true })
  local ok, err = pcall(check_own, store.db, file)
  if not ok then
    if errors.matches(err, "store.damaged") then damaged(file, err.message) end
    error(err, 0)
  end
  return store
end

-- What is to be said about the time before this start: attempts and items that did not end, and a
-- clock that was set back.
function Store:look_back()
  local open = self.db:row("SELECT count(*) AS n FROM attempt WHERE outcome IS NULL").n
  if open > 0 then
    self.found[#self.found + 1] = ("%d attempt%s did not end: power was lost, or the station was "
      .. "killed."):format(open, open == 1 and "" or "s")
  end
  local newest = self.db:row([[SELECT max(t) AS t FROM (
    SELECT max(start_time_millis) AS t FROM run UNION ALL
    SELECT start_time_millis FROM attempt WHERE id = (SELECT max(id) FROM attempt))]]).t
  local back = newest and newest - M.now() or 0
  if back > CLOCK_BACK * 1000 then
    self.found[#self.found + 1] = ("The clock is %d minutes before the newest record. Records keep "
      .. "their order; check the clock."):format(back // 60000)
  end
end

---Closes the store. The next opening finds that it was closed.
function Store:close()
  if not self.db then return end
  pcall(function()
    self:set("clean", true)
    self:durable()
  end)
  self.db:close()
  self.db = nil
  if self.lock then self.lock:close() end
end

-- ---- transactions ----

-- Ends the turn's transaction. After a failure nothing of it is in the store, and all that wait for
-- it get the error.
local function commit(store)
  task.supervise()
  task.sleep(0) -- what other tasks of this turn write belongs to it
  store.committer = nil
  if not store.db then return end
  local ok, err = pcall(store.db.run, store.db, "COMMIT")
  if ok then return end
  if store.db.in_transaction then pcall(store.db.run, store.db, "ROLLBACK") end
  error(err, 0)
end

---Executes a statement that changes the store, in the turn's transaction.
---@param sql string
---@return integer id of the row that was inserted
function Store:write(sql, ...)
  if not self.db.in_transaction then
    self.db:run("BEGIN IMMEDIATE")
    self.committer = task.spawn(commit, self)
  end
  self.db:run(sql, ...)
  return self.db.last_id
end

---Waits until all that was written so far is on the disk. Raises `store` if it can't be written:
---then nothing that was written since the last call that returned is in the store.
function Store:durable()
  if self.committer then self.committer:join() end
end

-- ---- facts about the store ----

---@param key string
---@param default any
function Store:get(key, default)
  local row = self.db:row("SELECT value FROM meta WHERE key = ?", key)
  if not row or row.value == nil then return default end
  if type(default) == "boolean" then return row.value ~= 0 end
  return row.value
end

---@param key string
---@param value any
function Store:set(key, value)
  self:write([[INSERT INTO meta VALUES (?, ?)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value]], key, value)
end

-- ---- runs and attempts ----

-- Inserts a row, from a table of its columns.
local function insert(store, name, columns, row)
  local names, places, values = {}, {}, {}
  for i, column in ipairs(columns) do names[i], places[i], values[i] = column, "?", row[column] end
  return store:write(("INSERT INTO %s (%s) VALUES (%s)"):format(name, table.concat(names, ", "),
    table.concat(places, ", ")), table.unpack(values, 1, #columns))
end

local RUN = { "station_id", "start_time_millis", "recipe", "recipe_sha256", "moonflash", "command" }

---@param facts table the columns of RUN; files: { { name=, sha256=, size= }, ... }
---@return integer id
function Store:begin_run(facts)
  facts.start_time_millis = M.now()
  self.run = insert(self, "run", RUN, facts)
  self:durable()
  return self.run
end

---@param file table name=, sha256=, size=
function Store:add_file(file)
  insert(self, "run_file", { "run_id", "name", "sha256", "size" },
    { run_id = self.run, name = file.name, sha256 = file.sha256, size = file.size })
end

function Store:end_run()
  self:write("UPDATE run SET end_time_millis = ? WHERE id = ?", M.now(), self.run)
end

local BEGINNING = { "run_id", "start_time_millis", "slot", "path", "generation", "chip_id",
  "usb_serial", "usb_ids", "scan", "operator", "lot", "reference", "retry_of", "handling" }

---Begins an attempt. It is on the disk when this returns.
---@param facts table the columns of BEGINNING
---@return integer id
function Store:begin_attempt(facts)
  facts.run_id, facts.start_time_millis = self.run, M.now()
  facts.reference = facts.reference or false
  local id = insert(self, "attempt", BEGINNING, facts)
  self:durable()
  return id
end

local END = { "dut_id", "end_time_millis", "seconds", "outcome", "code", "message", "step", "flash",
  "ranges", "usb_serial", "usb_ids", "bytes", "sectors", "verified", "image", "image_sha256",
  "source_sha256", "data" }

local function update_attempt(store, id, facts)
  local places, values = {}, {}
  for i, column in ipairs(END) do -- what the beginning knew stays, if the end does not know it
    places[i], values[i] = ("%s = coalesce(?, %s)"):format(column, column), facts[column]
  end
  values[#END + 1] = id
  store:write(("UPDATE attempt SET %s WHERE id = ?"):format(table.concat(places, ", ")),
    table.unpack(values, 1, #END + 1))
end

---Records the end of an attempt. durable() tells when it is on the disk.
---@param id integer
---@param facts table the columns of END; steps and notes as in a result's stats
function Store:end_attempt(id, facts)
  facts.end_time_millis = M.now()
  update_attempt(self, id, facts)
  for i, step in ipairs(facts.steps or {}) do
    insert(self, "step", { "attempt_id", "number", "name", "seconds" },
      { attempt_id = id, number = i, name = step.name, seconds = step.seconds })
  end
  for i, note in ipairs(facts.notes or {}) do
    insert(self, "measurement",
      { "attempt_id", "number", "name", "step", "value", "unit", "low", "high", "ok" },
      { attempt_id = id, number = i, name = note.name, step = note.step, value = note.value,
        unit = note.unit, low = note.min, high = note.max, ok = note.ok })
  end
end

---The last attempt that ended at a place.
---@param place table slot=, path=
---@return table? row
function Store:last_at(place)
  return self.db:row([[SELECT * FROM attempt WHERE outcome IS NOT NULL AND path = ?
    ORDER BY id DESC LIMIT 1]], place.path)
end

---The last attempt at a chip.
---@param chip_id string
---@return table? row
function Store:last_of_chip(chip_id)
  return self.db:row([[SELECT * FROM attempt WHERE outcome IS NOT NULL AND chip_id = ?
    AND reference = 0 ORDER BY id DESC LIMIT 1]], chip_id)
end

---The last attempt with a scan.
---@param scan string
---@return table? row
function Store:last_scan(scan)
  return self.db:row([[SELECT * FROM attempt WHERE outcome IS NOT NULL AND scan = ?
    AND reference = 0 ORDER BY id DESC LIMIT 1]], scan)
end

-- ---- items ----

---The items of an attempt, or of a chip, in a pool: the newest first.
---@param pool string
---@param key string "attempt_id" or "chip_id"
---@param value any
---@return table? row
function Store:item_of(pool, key, value)
  if value == nil then return nil end
  local sql = "SELECT * FROM item WHERE pool = ? AND %s = ? ORDER BY id DESC LIMIT 1"
  return self.db:row(sql:format(key), pool, value)
end

---Whether an item belongs to an attempt that is in work.
---@param row table of an item
---@return boolean
function Store:is_in_work(row)
  return row.state == "reserved" and self.db:row([[SELECT 1 AS yes FROM attempt WHERE id = ?
    AND outcome IS NULL AND run_id = ?]], row.attempt_id, self.run) ~= nil
end

---The lowest item that became free again.
---@param pool string
---@return table? row
function Store:free_item(pool)
  return self.db:row([[SELECT * FROM item WHERE pool = ? AND state = 'free'
    ORDER BY number LIMIT 1]], pool)
end

---The highest number that a pool has given out; nil: none.
---@param pool string
---@return integer?
function Store:highest(pool)
  return self.db:row("SELECT max(number) AS n FROM item WHERE pool = ?", pool).n
end

---Whether a value was given out.
---@param pool string
---@param value string
---@return table? row
function Store:item(pool, value)
  return self.db:row("SELECT * FROM item WHERE pool = ? AND value = ?", pool, value)
end

---@param pool string
---@return integer
function Store:count_items(pool)
  return self.db:row("SELECT count(*) AS n FROM item WHERE pool = ? AND state <> 'free'", pool).n
end

---Reserves an item for an attempt: a new one, or a row of the table.
---@param item table pool, number, value, columns (JSON), id of the row if it has one
---@param attempt table id=, chip_id=
function Store:reserve(item, attempt)
  if item.id then
    self:write([[UPDATE item SET
      chip_id = CASE state WHEN 'free' THEN ?2 ELSE ifnull(?2, chip_id) END, state = 'reserved',
      attempt_id = ?1, reason = NULL, time_millis = ?3 WHERE id = ?4]],
      attempt.id, attempt.chip_id, M.now(), item.id)
    return
  end
  item.id = self:write([[INSERT INTO item (pool, number, value, columns, state, attempt_id, chip_id,
    time_millis) VALUES (?, ?, ?, ?, 'reserved', ?, ?, ?)]], item.pool, item.number, item.value,
    item.columns, attempt.id, attempt.chip_id, M.now())
end

---Settles an item.
---@param id integer
---@param state string "used", "void" or "free"
---@param reason? string
function Store:settle(id, state, reason)
  if state == "free" then -- it belongs to no attempt and no chip
    self:write("UPDATE item SET attempt_id = NULL, chip_id = NULL WHERE id = ?", id)
  end
  self:write("UPDATE item SET state = ?, reason = ?, time_millis = ? WHERE id = ?", state, reason,
    M.now(), id)
end

---The reserved items of attempts that are not under way: their station was killed.
---@return table[] rows
function Store:unsettled()
  local rows = {}
  for row in self.db:rows([[SELECT item.*, attempt.slot, attempt.path FROM item
    LEFT JOIN attempt ON attempt.id = attempt_id
    WHERE state = 'reserved' AND (attempt.run_id IS NULL OR attempt.run_id < ?) ORDER BY item.id]],
    self.run or math.maxinteger) do
    rows[#rows + 1] = row
  end
  return rows
end

-- ---- audit ----

local function hash_of(before, row)
  return sys.sha256(table.concat({ before, row.time_millis, row.who or "", row.what,
    row.detail or "" }, "\0"))
end

---Adds an act of a person to the chain.
---@param what string "void"
---@param who? string
---@param detail? string
function Store:audit(what, who, detail)
  local last = self.db:row("SELECT hash FROM audit ORDER BY id DESC LIMIT 1")
  local row = { time_millis = M.now(), who = who, what = what, detail = detail }
  row.hash = hash_of(last and last.hash or "", row)
  insert(self, "audit", { "time_millis", "who", "what", "detail", "hash" }, row)
  self:set("audit_rows", (self:get("audit_rows", 0)) + 1)
end

---Checks the chain of audit rows.
---@return integer count of rows
---@return string? what is wrong
function Store:check_audit()
  local before, count = "", 0
  for row in self.db:rows("SELECT * FROM audit ORDER BY id") do
    count = count + 1
    if row.id ~= count then return count, ("row %d is missing"):format(count) end
    if row.hash ~= hash_of(before, row) then return count, ("row %d was changed"):format(row.id) end
    before = row.hash
  end
  local said = self:get("audit_rows", 0)
  if said ~= count then return count, ("%d rows are missing at the end"):format(said - count) end
  return count
end

return M

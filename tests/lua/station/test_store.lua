-- SPDX-License-Identifier: MIT
-- The store, pools of items, secrets and limits of a station; CSV.
local lu = require "luaunit"
local csv = require "moonflash.station.csv"
local export = require "moonflash.station.export"
local limits = require "moonflash.station.limits"
local pools = require "moonflash.station.pool"
local records = require "moonflash.station.records"
local secret = require "moonflash.station.secret"
local stores = require "moonflash.station.store"
local support = require "support"
local task = require "task"

local TestStore = {}

local function new_store(folder)
  local store = stores.open(folder)
  store:begin_run { recipe = "x.lua" }
  return store
end

local function attempt(store, facts)
  facts = facts or {}
  facts.path = facts.path or "1-1"
  local chip, retry = facts.chip_id, facts.retry_of
  return { id = store:begin_attempt(facts), chip_id = chip, retry_of = retry }
end

local function ended(store, of, outcome, more)
  local facts = { outcome = outcome, dut_id = "#" .. of.id, seconds = 1.5 }
  for key, value in pairs(more or {}) do facts[key] = value end
  store:end_attempt(of.id, facts)
  store:durable()
end

local function raised(code, f, ...)
  local ok, err = pcall(f, ...)
  lu.assertFalse(ok)
  lu.assertEquals(type(err) == "table" and err.code or err, code)
  return err
end

-- ---- the store ----

function TestStore.test_one_station_on_one_store()
  local folder, _ <close> = support.folder()
  local store = new_store(folder)
  raised("store.busy", stores.open, folder)
  store:close()
  stores.open(folder):close()
end

function TestStore.test_what_did_not_end_is_found()
  local folder, _ <close> = support.folder()
  local store = new_store(folder)
  local of = attempt(store)
  pools.open(store, "PX-%03d"):take_for(of)
  -- the process is killed: nothing is closed
  store.lock:close()
  local again = stores.open(folder)
  lu.assertStrContains(again.found[1], "1 attempt did not end")
  again:begin_run { recipe = "x.lua" }
  local open = again:unsettled()
  lu.assertEquals({ #open, open[1].value, open[1].state }, { 1, "PX-001", "reserved" })
  -- it is never given out, and blocks nothing
  lu.assertEquals(pools.open(again, "PX-%03d"):take_for(attempt(again)).value, "PX-002")
  again:close()
  store.db:close()
end

function TestStore.test_a_clock_that_was_set_back_is_told()
  local folder, _ <close> = support.folder()
  local store = new_store(folder)
  store:write("UPDATE run SET start_time_millis = ?", stores.now() + 7200 * 1000)
  store:durable()
  store:close()
  local again = stores.open(folder)
  lu.assertStrContains(table.concat(again.found), "The clock is 119 minutes before")
  again:begin_run {}
  local of = attempt(again)
  lu.assertEquals(pools.open(again, "N%d"):take_for(of).value, "N1")
  again:close()
end

function TestStore.test_a_damaged_file_is_refused()
  local folder, _ <close> = support.folder()
  local file <close> = assert(io.open(folder .. "/station.db", "wb"))
  file:write("SQLite format 3\0" .. ("nonsense"):rep(1000))
  file:close()
  raised("store.damaged", stores.open, folder)
end

function TestStore.test_another_s_database_is_left_alone()
  local sqlite = require "sqlite"
  local folder, _ <close> = support.folder()
  local db = sqlite.open(folder .. "/station.db")
  db:script "CREATE TABLE t (a)"
  db:close()
  raised("store", stores.open, folder)
  raised("store", stores.read, folder)
  db = sqlite.open(folder .. "/station.db")
  lu.assertEquals(db:row("SELECT count(*) AS n FROM sqlite_master").n, 1)
  db:close()
end

function TestStore.test_a_number_without_a_result_has_a_history()
  local store = new_store()
  pools.open(store, "N%d"):take_for(attempt(store))
  lu.assertStrContains(records.history(store, "N1"), "N1  reserved")
  lu.assertStrContains(records.summary(store, {}), "0 void, 1 not settled")
  store:close()
end

function TestStore.test_writes_of_one_turn_are_one_transaction()
  local folder, _ <close> = support.folder()
  local store = new_store(folder)
  local jobs, committers = {}, {}
  for i = 1, 16 do
    jobs[i] = task.spawn(function()
      store:set("key" .. i, i)
      committers[store.committer] = true
      store:durable()
      return store.db.in_transaction
    end)
  end
  for _, job in ipairs(jobs) do lu.assertFalse(job:join()) end
  lu.assertNil(next(committers, next(committers))) -- one for all
  for i = 1, 16 do lu.assertEquals(store:get("key" .. i), i) end
  store:close()
end

-- ---- pools ----

function TestStore.test_numbers_are_given_once()
  local store = new_store()
  local pool = pools.open(store, "PX-%02d", { from = 7, to = 9 })
  lu.assertEquals({ pool:left(), pool:size() }, { 3, 3 })
  local seen = {}
  for _ = 1, 3 do
    local of = attempt(store)
    local item = pool:take_for(of)
    lu.assertEquals(pool:take_for(of).value, item.value) -- the same attempt, the same item
    lu.assertNil(seen[item.value])
    seen[item.value] = true
  end
  lu.assertEquals(seen, { ["PX-07"] = true, ["PX-08"] = true, ["PX-09"] = true })
  lu.assertTrue(pool:is_empty())
  raised("station.empty", pool.take_for, pool, attempt(store))
  store:close()
end

function TestStore.test_the_end_of_a_width_is_the_end()
  local store = new_store()
  local pool = pools.open(store, "%02d", { from = 99 })
  lu.assertEquals(pool:take_for(attempt(store)).value, "99")
  raised("station.empty", pool.take_for, pool, attempt(store))
  store:close()
end

function TestStore.test_a_chip_gets_its_own_again()
  local store = new_store()
  local pool = pools.open(store, "N%d")
  local first = attempt(store, { chip_id = "aa" })
  lu.assertEquals(pool:take_for(first).value, "N1")
  ended(store, first, "FAIL")
  lu.assertEquals(pool:take_for(attempt(store, { chip_id = "bb" })).value, "N2")
  lu.assertEquals(pool:take_for(attempt(store, { chip_id = "aa" })).value, "N1")
  store:close()
end

-- Found by a rehearsal: an item that had become free still belonged to the chip of its first owner.
function TestStore.test_a_free_item_belongs_to_no_chip()
  local store = new_store()
  local pool = pools.open(store, "N%d")
  local first = attempt(store, { chip_id = "aa" })
  local item = pool:take_for(first)
  store:settle(item.id, "free")
  ended(store, first, "FAIL")
  local second = attempt(store) -- its chip could not be read
  lu.assertEquals(pool:take_for(second).value, "N1")
  local third = attempt(store, { chip_id = "aa", retry_of = first.id })
  lu.assertEquals(pool:take_for(third).value, "N2")
  store:close()
end

function TestStore.test_retry_gets_the_items_of_the_failed_attempt()
  local store = new_store()
  local pool = pools.open(store, "N%d")
  local first = attempt(store)
  local item = pool:take_for(first)
  store:settle(item.id, "void", "no answer")
  ended(store, first, "FAIL")
  lu.assertEquals(pool:take_for(attempt(store, { retry_of = first.id })).value, "N1")
  lu.assertEquals(pool:take_for(attempt(store)).value, "N2")
  store:close()
end

function TestStore.test_a_reference_takes_nothing()
  local store = new_store()
  local pool = pools.open(store, "N%03d")
  local item = pool:take_for { id = 1, reference = true }
  lu.assertEquals({ item.value, item.id }, { "N000" })
  lu.assertEquals(pool:take_for(attempt(store)).value, "N001")
  store:close()
end

local function csv_pool(store, text, options)
  local name = os.tmpname() .. ".csv"
  local file <close> = assert(io.open(name, "wb"))
  file:write(text)
  file:close()
  local ok, pool = pcall(pools.open, store, name, options)
  return pool, ok, support.close_with(function() os.remove(name) end), name
end

function TestStore.test_a_file_of_items()
  local store = new_store()
  local pool, ok, _ <close>, name = csv_pool(store, 'serial,mac\r\nA1,"02:00"\nA2,02:01\n',
    { name = "units" })
  lu.assertTrue(ok)
  local item = pool:take_for(attempt(store))
  lu.assertEquals({ item.value, item.mac, item.index }, { "A1", "02:00", 1 })
  -- the file is sorted anew, and grows: what was given out is not given out again
  local file <close> = assert(io.open(name, "wb"))
  file:write("serial,mac\nA0,02:05\nA2,02:01\nA1,02:00\n")
  file:close()
  pool = pools.open(store, name, { name = "units" })
  lu.assertEquals(pool:left(), 2)
  lu.assertEquals(pool:take_for(attempt(store)).value, "A0")
  lu.assertEquals(pool:take_for(attempt(store)).value, "A2")
  raised("station.empty", pool.take_for, pool, attempt(store))
  store:close()
end

function TestStore.test_files_that_are_wrong()
  local store = new_store()
  for text, why in pairs {
    ["serial\n"] = "no rows below its header",
    ["a,b\n1\n"] = "line 2 has 1 cells, the header has 2",
    ["a\nx\nx\n"] = "line 3: x stands in line 2, too",
    ["a,b\n,1\n"] = "line 2: the first cell is empty",
    ['a\n"x\n'] = "line 2: a quote is not closed",
  } do
    local err, ok, _ <close> = csv_pool(store, text)
    lu.assertFalse(ok)
    lu.assertStrContains(tostring(err), why)
  end
  store:close()
end

function TestStore.test_secrets_are_nowhere_to_be_read()
  local folder, _ <close> = support.folder()
  local store = new_store(folder)
  local pool, ok, _ <close> = csv_pool(store, "serial,pin\nA1,483911\nA2,224466\n",
    { secret = "pin", name = "pins" })
  lu.assertTrue(ok)
  local of = attempt(store)
  lu.assertEquals(pool:take_for(of).pin, "483911")
  lu.assertEquals(secret.mask("pin 483911 refused, found 34 38 33"), "pin *** refused, found ***")
  ended(store, of, "PASS")
  store:close()
  for _, name in ipairs { "station.db", "station.db-wal" } do
    local file = io.open(folder .. "/" .. name, "rb")
    if file then
      lu.assertNil(file:read("a"):find("483911", 1, true))
      file:close()
    end
  end
  secret.reset()
end

-- RFC 4231, test cases 2 and 6.
function TestStore.test_hmac()
  lu.assertEquals(secret.hmac("Jefe", "what do ya want for nothing?"),
    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
  lu.assertEquals(secret.hmac(("\xAA"):rep(131),
    "Test Using Larger Than Block-Size Key - Hash Key First"),
    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
end

function TestStore.test_csv()
  lu.assertEquals(csv.line({ "a", 'b"c', "d,e", nil, "=1+1", "-3", "@x" }, 7),
    "a,\"b\"\"c\",\"d,e\",,'=1+1,-3,'@x")
  local rows = csv.parse('\xEF\xBB\xBFa,"b\n""c"""\r\n\r\nd,\n')
  lu.assertEquals(#rows, 2)
  lu.assertEquals({ rows[1][1], rows[1][2] }, { "a", 'b\n"c"' })
  lu.assertEquals({ rows[2][1], rows[2][2], rows[2].line }, { "d", "", 4 })
  lu.assertNil(csv.parse('"a"b\n'))
end

-- ---- limits ----

function TestStore.test_limits_survive_a_restart()
  local store = new_store()
  local own = limits.new(store, { failures_in_a_row = 2, units = 10 })
  lu.assertNil(own:count("one", "FAIL", true))
  lu.assertNil(own:count("one", "PASS", true))
  lu.assertNil(own:count("one", "ABORTED", true))
  lu.assertNil(own:count("one", "FAIL", true))
  lu.assertEquals(own:count("two", "ERROR", true), "2 failures in a row")
  local again = limits.new(store, { failures_in_a_row = 2, units = 10 })
  lu.assertEquals(again:stopped(), "2 failures in a row")
  again:reset()
  lu.assertNil(limits.new(store, {}):stopped())
  store:durable()
  store:close()
end

function TestStore.test_other_limits()
  local store = new_store()
  local per_slot = limits.new(store, { per_slot = 2 })
  per_slot:count("one", "FAIL", true)
  lu.assertNil(per_slot:count("two", "FAIL", true))
  lu.assertEquals(per_slot:count("one", "FAIL", true), "2 failures in a row at one")
  per_slot:reset()
  local first = limits.new(store, { first_pass_below = 0.9 })
  for i = 1, 20 do first:count("one", i <= 3 and "FAIL" or "PASS", true) end
  lu.assertEquals(first:stopped(), "only 85.0 % of 20 units passed at the first try")
  first:reset()
  local units = limits.new(store, { units = 2 })
  units:count("one", "PASS", true)
  lu.assertEquals(units:count("one", "PASS", true), "2 units are done")
  lu.assertErrorMsgContains("did you mean 'units'?", limits.new, store, { unitz = 1 })
  store:durable()
  store:close()
end

-- ---- audit ----

function TestStore.test_the_chain_of_audit_rows()
  local store = new_store()
  for i = 1, 5 do store:audit("lot", "anna", "L" .. i) end
  lu.assertEquals({ store:check_audit() }, { 5 })
  store:write("UPDATE audit SET detail = 'L9' WHERE id = 3")
  lu.assertEquals(select(2, store:check_audit()), "row 3 was changed")
  store:write("UPDATE audit SET detail = 'L3' WHERE id = 3")
  store:write("DELETE FROM audit WHERE id = 2")
  lu.assertEquals(select(2, store:check_audit()), "row 2 is missing")
  store:write("DELETE FROM audit")
  lu.assertEquals(select(2, store:check_audit()), "5 rows are missing at the end")
  store:durable()
  store:close()
end

-- ---- records ----

-- Three units: the first passes, the second passes at the second try, the third fails twice.
local function sample()
  local store = new_store()
  local pool = pools.open(store, "N%d")
  local function unit(outcome, retry, more)
    local of = attempt(store, { retry_of = retry, slot = "one", usb_serial = "=S" })
    local item = pool:take_for(of)
    store:settle(item.id, outcome == "PASS" and "used" or "void")
    local facts = { dut_id = item.value, step = outcome ~= "PASS" and "flash" or nil,
      code = outcome ~= "PASS" and "verify" or nil, message = outcome ~= "PASS" and "a <b>" or nil,
      steps = { { name = "flash", seconds = 1 } },
      notes = { { name = "vdd", value = 3.3, unit = "V", min = 3, max = 3.4, ok = true,
                  step = "flash" } } }
    for key, value in pairs(more or {}) do facts[key] = value end
    ended(store, of, outcome, facts)
    return of.id
  end
  unit("PASS")
  unit("PASS", unit("FAIL"))
  unit("FAIL", unit("FAIL"))
  unit("ERROR", nil, { code = "usb.permission" })
  return store
end

function TestStore.test_yields_are_of_units()
  local store = sample()
  local n = records.numbers(store, {})
  lu.assertEquals({ n.units, n.passed, n.first, n.errors, n.open }, { 3, 2, 1, 1, 0 })
  lu.assertEquals(n.seconds.p50, 1.5)
  local failures = records.failures(store, {})
  lu.assertEquals({ failures[1].step, failures[1].code, failures[1].attempts, failures[1].units,
    failures[1].slots }, { "flash", "verify", 3, 2, 1 })
  lu.assertEquals(records.numbers(store, { from = stores.now() + 10000 }).units, 0)
  lu.assertStrContains(records.summary(store, {}), "first-pass 33.3 %")
  lu.assertStrContains(records.history(store, "N2"), "FAIL")
  lu.assertNil(records.history(store, "N9"))
  store:close()
end

local function exported(store, kind)
  local parts = {}
  export.write(store, kind, {}, function(s) parts[#parts + 1] = s end)
  return table.concat(parts)
end

function TestStore.test_exports_have_a_row_a_unit()
  local json = require "dkjson"
  local store = sample()
  local rows = csv.parse(exported(store, "csv"))
  lu.assertEquals(#rows, 5)
  lu.assertEquals({ rows[1][1], rows[1][13], rows[1][14] }, { "dut_id", "N%d", "vdd" })
  lu.assertEquals({ rows[3][1], rows[3][5], rows[3][12], rows[3][13], rows[3][14] },
    { "N2", "PASS", "'=S", "N2", "3.3" })
  local units = {}
  for line in exported(store, "openhtf"):gmatch("[^\n]+") do
    units[#units + 1] = json.decode(line)
  end
  lu.assertEquals({ #units, units[3].dut_id, units[3].outcome }, { 4, "N3", "FAIL" })
  lu.assertEquals(units[1].phases[1].measurements.vdd.measured_value, 3.3)
  lu.assertEquals(units[3].outcome_details[1].code, "verify")
  local xml = exported(store, "junit")
  lu.assertEquals(select(2, xml:gsub("<testsuite ", "")), 4)
  lu.assertStrContains(xml, 'message="a &lt;b&gt;"')
  store:close()
end

return { TestStore = TestStore }

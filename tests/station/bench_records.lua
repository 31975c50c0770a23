-- SPDX-License-Identifier: MIT
-- A store of a million attempts: how long the records take to answer, and the rate and the memory
-- of exports. arg[1]: how many attempts; arg[2]: a folder that exists.
local export = require "moonflash.station.export"
local records = require "moonflash.station.records"
local stores = require "moonflash.station.store"

local attempts, folder = tonumber(arg[1]), arg[2]

local function resident()
  local file <close> = assert(io.open("/proc/self/statm"))
  return tonumber(file:read("a"):match("^%d+ (%d+)")) * 4096
end

local store = stores.open(folder, { fast = true })
local db = store.db
store:begin_run { recipe = "bench" }
local began = os.clock()
math.randomseed(1)
db:run "BEGIN"
for i = 1, attempts do
  local failed = math.random() < 0.03
  db:run([[INSERT INTO attempt (run_id, dut_id, start_time_millis, end_time_millis, seconds,
    handling, outcome, code, message, step, slot, path, usb_serial, bytes, sectors, verified,
    image_sha256)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)]], store.run,
    ("PX-%07d"):format(i - (i % 50 == 0 and 1 or 0)), i * 1000, i * 1000 + 900,
    1 + math.random(), 3 + math.random(), failed and "FAIL" or "PASS", failed and "verify" or nil,
    failed and "verify failed at 0x08000000" or nil, failed and "flash" or nil,
    "slot" .. i % 16, "1-" .. i % 16, "315A28A0B956", 58836, 4, 1, ("a"):rep(64))
  db:run("INSERT INTO step VALUES (?, 1, 'flash', 1.2)", i)
  db:run("INSERT INTO measurement VALUES (?, 1, 'vdd', 'flash', 3.3, 'V', 3.2, 3.4, 1)", i)
  db:run([[INSERT INTO item (pool, number, value, state, attempt_id)
    VALUES ('PX-%07d', ?, ?, 'used', ?)]], i, ("PX-%07d"):format(i), i)
end
db:run "COMMIT"
print(("%d attempts written in %.0f s"):format(attempts, os.clock() - began))

local function answer(name, f, ...)
  local at = os.clock()
  f(...)
  print(("records: %s in %.2f s"):format(name, os.clock() - at))
end

answer("summary", records.summary, store, {})
answer("yield", records.numbers, store, {})
answer("failures", records.failures, store, {})
answer("a unit's history", records.history, store, ("PX-%07d"):format(attempts // 2))
answer("the last thousand", records.summary, store, { from = (attempts - 1000) * 1000 })

for _, kind in ipairs { "csv", "json", "junit", "openhtf" } do
  collectgarbage()
  local before, at = resident(), os.clock()
  local units = export.write(store, kind, {}, function() end)
  local seconds = os.clock() - at
  print(("export of %s: %d units, %.0f a second, memory %+.1f MB"):format(kind, units,
    units / seconds, (resident() - before) / 1e6))
end
store:close()

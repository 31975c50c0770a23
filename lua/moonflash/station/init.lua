-- SPDX-License-Identifier: MIT
-- The station: runs a recipe for each unit that is put in, until a signal or an act ends it. The
-- states of its places are in place.lua, the looks at the bus in watch.lua, what an attempt is in
-- unit.lua, what people may do in acts.lua.
local bus = require "moonflash.board.bus"
local cleanup = require "moonflash.run.cleanup"
local dfu = require "dfu"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local files = require "moonflash.base.files"
local limits = require "moonflash.station.limits"
local misuse = require "moonflash.base.misuse"
local papers = require "moonflash.station.papers"
local places = require "moonflash.station.place"
local policies = require "moonflash.station.policy"
local run = require "moonflash.run"
local secret = require "moonflash.station.secret"
local selectors = require "moonflash.board.selector"
local slots = require "moonflash.board.slots"
local suggest = require "moonflash.base.suggest"
local streams = require "moonflash.sys.stream"
local sys = require "sys"
local task = require "task"
local text = require "moonflash.base.text"
local unit = require "moonflash.station.unit"
local units = require "moonflash.station.units"
local watch = require "moonflash.station.watch"

---@class moonflash.Station
---@field recipe table
---@field store moonflash.Store
---@field config table of the recipe: again=, stop=, empty=, settle=
---@field start string "plug", "scan", "enter" or "operator"
---@field places moonflash.Place[] in the order in which they are shown
---@field by_path table<string, moonflash.Place>
---@field pools moonflash.Pool[]
---@field units table<moonflash.Place, moonflash.Unit> in work
---@field retry table<moonflash.Place, integer> the attempt that the next unit there repeats
---@field counts table passed=, failed=, errors=, aborted=: tries of this run
---@field files table<string, string> what the recipe's files looked like, by path
---@field operator? string who has signed on
---@field lot? string
---@field policy moonflash.Policy
---@field limits moonflash.Limits
---@field most? integer units after which the station ends
---@field done integer units so far
---@field ending boolean no new unit begins
local Station = {}
Station.__index = Station

local M = {}

local OPENING = 2      -- seconds in which a board that settled must let itself be opened
local SPARE = 64 << 20 -- bytes on the disk below which it is said that little is left
local CONFIG = { again = "string", stop = "table", empty = "number", settle = "number" }
local AGAIN = { ask = true, run = true, skip = true }

-- ---- making it ----

local function check_config(recipe)
  local config = recipe.table.station or {}
  for key, value in pairs(config) do
    if CONFIG[key] ~= type(value) then
      misuse("station.%s: %s", tostring(key), CONFIG[key] and "a " .. CONFIG[key]
        or "there is no such field" .. suggest.hint(tostring(key), suggest.keys(CONFIG)))
    end
  end
  if config.again and not AGAIN[config.again] then
    misuse("station.again is 'ask', 'run' or 'skip'")
  end
  return { again = config.again, stop = config.stop, empty = config.empty or 1.0,
           settle = config.settle or 0.3 }
end

---@param recipe table from run.recipe
---@param options table store=; session= (--slots, --every-slot, -d); reference=
---@return moonflash.Station
function M.new(recipe, options)
  local self = setmetatable({ recipe = recipe, store = options.store, places = {}, by_path = {},
    pools = {}, units = {}, jobs = {}, files = {}, retry = {}, departures = {}, ending = false,
    most = options.units, done = 0, reference = options.reference or false,
    session = options.session or {},
    counts = { passed = 0, failed = 0, errors = 0, aborted = 0, tried = 0, first = 0 } }, Station)
  self.config, self.start = check_config(recipe), recipe.table.start or "plug"
  papers.check(self.session)
  self.policy = policies.load(self.store.folder)
  policies.compare(self.policy, self.store)
  self.limits = limits.new(self.store, self.config.stop)
  self.wanted = recipe.table.board and selectors.parse(recipe.table.board) or nil
  self:lay_out()
  return self
end

-- ---- places ----

function Station:add_place(path, slot)
  local place = places.new(path, slot, { settle = self.config.settle, empty = self.config.empty,
                                         start = self.start })
  self.places[#self.places + 1], self.by_path[path] = place, place
  local last = self.store:last_at(place)
  if last and last.outcome == "PASS" then place.passed_before = last end
  events.emit("place", place)
  return place
end

-- The places that are known from the beginning: what -d or MOONFLASH_DEVICE names, else the slots.
-- Without these each place on the bus is one.
function Station:lay_out()
  local all = slots.load()
  if self.session.selectors then
    for _, selector in ipairs(self.session.selectors) do
      local path = dfu.at(selector).path
      if not self.by_path[path] then self:add_place(path, slots.name_of(path)) end
    end
  else
    for _, name in ipairs(all.names) do
      local path = all.by_name[name]
      bus.ensure_simulated { path = path }
      self:add_place(path, name)
    end
  end
  self.is_fixed = #self.places > 0
  if self.start == "operator" and not self.is_fixed then
    errors.raise { code = "usage", message = "this recipe needs the places of its boards",
                   hint = "Name them: --slots FILE, or -d for each." }
  end
end

---Says something to the operator.
---@param line string
function Station.say(_, line)
  events.emit("print", nil, secret.mask(line))
end

---@param place moonflash.Place
---@param line string
function Station:tell(place, line)
  self:say(("%s: %s"):format(place.name, line))
end

---The unit of a board in work.
---@param board table
---@return moonflash.Unit?
function Station:unit_of(board)
  for _, of in pairs(self.units) do
    if of.board == board then return of end
  end
end

---@param pool moonflash.Pool
function Station:add_pool(pool)
  self.pools[#self.pools + 1] = pool
  if next(pool.secrets) then M.check_secrets(self.session) end
  if not self.store:highest(pool.name) then
    self:say(("new store: numbers begin at %s"):format(secret.mask(pool:kept(pool.heads
      and pool.heads[1], (pool:entry(pool.from))))))
  end
end

---Raises `usage` for options that would write secrets down.
---@param session table
function M.check_secrets(session)
  local trace = package.loaded["moonflash.trace"]
  if session.trace_bytes or trace and trace.shows_bytes() then
    errors.raise { code = "usage",
      message = "--trace-bytes would show secrets: a pool with a secret column is open" }
  elseif trace and trace.captures_bytes() then
    errors.raise { code = "usage", hint = "Add --pcap-blank.",
      message = "--pcap would hold secrets: a pool with a secret column is open" }
  end
end

-- ---- whether a unit may begin ----

-- Why no unit begins at any place; nil if one may.
function Station:obstacle()
  if self.policy.changed then return self.policy.changed .. ": type accept" end
  local stopped = self.limits:stopped()
  if stopped then return stopped .. ": type reset" end
  if self.policy.operators and not self.operator then
    return "nobody has signed on: type sign-on NAME"
  end
  for _, pool in ipairs(self.pools) do
    if pool:is_empty() then return pool.name .. " is used up" end
  end
  if self.disk_full then return self.disk_full end
end

---@param place moonflash.Place
---@param why string
---@param stopped? boolean
function Station.block(_, place, why, stopped)
  place:block(why, stopped)
  events.emit("place", place)
end

---Ends the blocks of a stop.
function Station:unblock()
  for _, place in ipairs(self.places) do
    if place.state == "BLOCKED" and place.stopped then
      place:release()
      events.emit("place", place)
    end
  end
end

-- ---- a unit ----

-- The recipe with what stands in front of its run.
local function wrapped(station, of)
  local t = station.recipe.table
  local own = setmetatable({ run = function(board, opt, value)
    unit.begin(station, of)
    events.emit("unit", of.place, of)
    return t.run(board, opt, value)
  end }, { __index = t })
  return setmetatable({ table = own, wait = OPENING }, { __index = station.recipe })
end

-- The seconds since the verdict before: what the operator took.
local function handling_of(place, now)
  return place.judged_at and now - place.judged_at or nil
end

function Station:warn_of_few()
  for _, pool in ipairs(self.pools) do
    if pool:is_low() then
      self:say(("%s: %s left of %d."):format(pool.name, text.count(pool:left(), "item"),
        pool:size()))
    end
  end
  local folder = self.store.folder
  local free = folder and sys.free_space(folder)
  if free and free < SPARE and not self.said_space then
    self.said_space = true
    self:say(("Little space is left on the disk of %s: %s."):format(folder, text.size(free)))
  end
end

local function count(station, of, result)
  if of.reference then return end
  local counts = station.counts
  if result.outcome == "PASS" then
    counts.passed = counts.passed + 1
  elseif result.outcome == "ABORTED" then
    counts.aborted = counts.aborted + 1
  elseif result.outcome == "ERROR" then
    counts.errors = counts.errors + 1
  else
    counts.failed = counts.failed + 1
  end
  if not of.retry_of and result.outcome ~= "ABORTED" and result.outcome ~= "ERROR" then
    counts.tried = counts.tried + 1
    if result.outcome == "PASS" then counts.first = counts.first + 1 end
  end
end

-- What the recipe does with a unit whose PASS is on the disk: a label, for example. Its failure
-- leaves the PASS, and Enter repeats it.
function Station:finish_unit(place, of)
  local f = self.recipe.table.finish_unit
  if not f then return end
  local job = task.spawn(f, of.finished)
  local ok, err = pcall(job.join, job)
  place.unfinished = not ok and of or nil
  if not ok then
    place.note = unit.reason(err)
    self:tell(place, ("%s; the unit has passed. Enter repeats it."):format(place.note))
  end
  events.emit("place", place)
end

-- An attempt that did not begin: the board could not be opened, or its chip is not run again.
function Station:not_begun(place, of, result)
  local why = result.err ~= nil and text.without_path(unit.reason(result.err), place.path)
  if of.skipped then
    place:judge(task.now(), of.skipped.outcome == "PASS" and "PASS" or "FAIL", false)
    place.note = why
  elseif result.outcome == "PASS" then
    place:release() -- the recipe's run did nothing at all
  else
    self:block(place, why)
  end
  events.emit("place", place)
end

function Station:conclude(place, of, result)
  self.units[place] = nil
  place.unit, place.note = of, nil
  if not of.id then return self:not_begun(place, of, result) end
  local ok, facts = pcall(unit.record, self, of, result)
  if not ok then
    result.outcome, result.err = "ERROR", errors.is(facts) and facts
      or errors.new { code = "store", message = tostring(facts) }
    result.err.message = "the record can't be stored: " .. result.err.message
    self.disk_full = result.err.message
    facts = unit.facts(of, result)
  end
  result.unit, result.attempt = facts.dut_id, of.id
  place.facts = facts
  place:judge(task.now(), result.outcome, result.stats.left ~= nil)
  count(self, of, result)
  events.emit("result", result)
  events.emit("place", place)
  papers.keep(self, of, result)
  self:warn_of_few()
  local stopped = self.limits:stopped()
  if stopped and not self.said_stop then
    self.said_stop = true
    self:say(("The station stops: %s. 'reset' goes on."):format(stopped))
  end
  of.finished = { value = facts.dut_id, outcome = result.outcome, data = result.data,
                  slot = place.slot, path = place.path, items = {} }
  for _, taken in ipairs(of.items) do of.finished.items[taken.pool] = taken.item end
  if result.outcome == "PASS" and not of.reference then self:finish_unit(place, of) end
  self.done = self.done + 1
  if self.done == self.most then self:stop() end
  if self.on_unit then self:on_unit(place, of, result) end
end

-- Says once that a file of the recipe's options has changed: what was read at the start is written.
function Station:look_at_files()
  for _, arg in ipairs(self.recipe.args) do
    local path = arg.type == "file" and self.opt[arg.field]
    local stat = type(path) == "string" and sys.stat(path:gsub("@0x%x+$", ""), nil)
    local now = stat and ("%d %d %s"):format(stat.size, stat.mtime, stat.id) or "gone"
    if path and self.files[path] and self.files[path] ~= now then
      self:say(("%s has changed on the disk. What was read at the start is written; a new start "
        .. "reads it again."):format(path))
    end
    if path then self.files[path] = now end
  end
end

---Begins a unit at a place.
---@param place moonflash.Place
---@param facts? table scan=, retry_of=
function Station:begin_unit(place, facts)
  if self.ending then return place:release() end
  local why = self:obstacle()
  if why then return self:block(place, why, true) end
  self:look_at_files()
  facts = facts or {}
  facts.reference = self.reference or place.reference or nil
  facts.retry_of = facts.retry_of or self.retry[place]
  facts.handling = handling_of(place, task.now())
  place.reference, self.retry[place] = nil, nil
  place.note, place.unit, place.facts = nil, nil, nil
  place:run()
  local board = dfu.at { path = place.path }
  local of = unit.new(place, board, facts)
  self.units[place] = of
  local job = dfu.fields(board).job
  if self.start == "operator" then
    job:mean(self.recipe.table.board)
    job:bring()
  end
  events.emit("place", place)
  papers.begin(self.session, of)
  self.jobs[place] = task.spawn(function()
    task.supervise()
    job:stand_beside(self:boards())
    local result = run.on_board(wrapped(self, of), board, self.opt, self.value)
    task.end_tagged(board) -- what the run has left behind ends with its unit
    local closed, failure = pcall(streams.close_all, board)
    if not closed then result.at_end[#result.at_end + 1] = failure end
    self:conclude(place, of, result)
    self.jobs[place] = nil
    if self.start == "operator" and not self.ending then self:begin_unit(place) end
  end)
end

---The boards in work.
---@return table[]
function Station:boards()
  local list = {}
  for _, of in pairs(self.units) do list[#list + 1] = of.board end
  return list
end

-- ---- the whole run ----

-- Ends when no unit is in work.
function Station:settle()
  local place = next(self.jobs)
  while place do
    local job = self.jobs[place]
    job:join()
    if self.jobs[place] == job then self.jobs[place] = nil end
    place = next(self.jobs)
  end
end

---No new unit begins from now on.
function Station:stop()
  self.ending = true
end

-- What an opening has found: attempts that did not end, numbers that are not settled.
local function say_findings(station)
  for _, line in ipairs(station.store.found) do station:say(line) end
  local open = station.store:unsettled()
  if #open == 0 then return end
  local pools, order = {}, {}
  for _, row in ipairs(open) do
    if not pools[row.pool] then
      pools[row.pool], order[#order + 1] = {}, row.pool
    end
    table.insert(pools[row.pool], row.value)
  end
  for _, pool in ipairs(order) do
    station:say(("Not settled: %s."):format(table.concat(pools[pool], ", ")))
  end
  local knows = station.recipe.table.identify ~= nil
  station:say(("They are not given out. 'void NUMBER' settles one%s."):format(knows
    and "; so does the board that has it, when it is put in" or ""))
end

local function files_of(value, list)
  if type(value) == "table" and type(value.files) == "table" then
    for _, file in ipairs(value.files) do list[#list + 1] = file end
  elseif type(value) == "table" and not getmetatable(value) then
    for _, part in pairs(value) do
      if type(part) == "table" and part ~= value then files_of(part, list) end
    end
  end
  return list
end

function Station:begin_run()
  local recipe = self.recipe
  local path = recipe.folder and recipe.chunk and recipe.chunk:match("^@(.*)$")
  local stat = path and sys.stat(path)
  self.store:begin_run {
    station_id = self.policy.id, recipe = recipe.name, moonflash = MOONFLASH_VERSION,
    command = self.session.command,
    recipe_sha256 = stat and sys.sha256(files.read(path, 1 << 24, true)) or nil,
  }
end

-- setup, with `units` at hand. Approved images are checked when a recipe loads them.
local function set_up(station, opt)
  station.opt = opt
  station:look_at_files()
  local t = station.recipe.table
  station.value = t.setup and run.shielded(t.setup, opt) or nil
  for _, file in ipairs(files_of(station.value, {})) do station.store:add_file(file) end
  station.store:durable()
end

local FOREVER = 1e9 -- seconds

-- The second signal cancels all tasks that are not protected. This one is not; ours is from now on,
-- because the records of the interrupted units are still to be written.
function Station:hear_second_signal()
  task.supervise()
  return task.spawn(function()
    local _ <close> = setmetatable({}, { __close = function()
      self.interrupted = self.interrupted or not self.has_ended
    end })
    task.sleep(FOREVER)
  end)
end

---Runs the station until it is told to end. Returns when the last unit is recorded.
---@param opt table of the recipe
---@param how? table attend= function(station), called before the first unit; close= function
function Station:run(opt, how)
  local watch_for_second = self:hear_second_signal()
  units.serve(self)
  events.filter(secret.filter)
  local policy = self.policy
  local _ <close> = events.on {
    image = function(_, _, image) policies.check_image(policy, image) end,
  }
  local image_module = require "moonflash.image"
  image_module.on_load(function(image) policies.check_image(policy, image) end)
  local _ <close> = setmetatable({}, { __close = function()
    units.serve(nil)
    events.filter(nil)
    image_module.on_load(nil)
  end })
  cleanup.begin()
  self:begin_run()
  local ok, err = pcall(function()
    set_up(self, opt)
    say_findings(self)
    if how and how.attend then how.attend(self) end
    local watcher = task.spawn(watch.run, self)
    self.watcher = watcher
    task.gate(watcher)
    local watched, why = pcall(watcher.join, watcher)
    self:stop()
    if not watched and not errors.matches(errors.origin(why), "cancelled") then error(why, 0) end
  end)
  self:stop()
  if next(self.jobs) then
    self:say(("Ending: %s in work."):format(text.count(#self:boards(), "unit")))
  end
  self:settle()
  self.has_ended = true
  task.gate(nil)
  if how and how.close then how.close(self) end
  self.store:end_run()
  self.store:durable()
  for _, failure in ipairs(run.close_all(self.value)) do events.emit("complaint", failure) end
  if not ok then error(err, 0) end
  watch_for_second:cancel()
  if self.interrupted then
    errors.raise { code = "cancelled", message = "interrupted" }
  end
end

return M

-- SPDX-License-Identifier: MIT
-- Rehearses a station in virtual time: simulated operators put simulated boards in and take them
-- out, with random faults, bounces, replugs and retries. Then the records are compared with what
-- the boards' own flash holds:
--   every attempt has a record that ended;
--   no number stands on two boards;
--   no board that failed is called PASS;
--   the counts of the database, of the screen and of the boards agree.
local acts = require "moonflash.station.acts"
local check = require "moonflash.base.check"
local dfu = require "dfu"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local faults = require "moonflash.run.rehearse".FAULTS
local secret = require "moonflash.station.secret"
local sim = require "sim"
local stations = require "moonflash.station"
local stores = require "moonflash.station.store"
local sys = require "sys"
local task = require "task"
local text = require "moonflash.base.text"
local try = require "moonflash.run.try"

local M = {}

M.MOST_PLACES = 16

local PATIENCE = 600 -- seconds of virtual time for one unit
local FAULTY = 0.3   -- of all units
local AGAIN = 0.05   -- the board of the last unit comes again, where its chip can be known
local BOUNCY, HASTY, RETRIED = 0.1, 0.05, 0.5

-- ---- the truth: what the boards hold ----

-- Whether a board holds an image that was written to it.
local function holds(board, image)
  for _, segment in ipairs(image.segments) do
    if board:peek(segment.address, #segment.bytes) ~= segment.bytes then return false end
  end
  return true
end

-- The values of items that the flash of a board has, of those that were given out.
local function values_on(board, image, given)
  local found = {}
  for _, segment in ipairs(image.segments) do
    local bytes = board:peek(segment.address, #segment.bytes)
    for value in pairs(given) do
      if bytes:find(value, 1, true) then found[value] = true end
    end
  end
  return found
end

local function erase(board, image)
  for _, segment in ipairs(image.segments) do
    board:poke(segment.address, ("\255"):rep(#segment.bytes))
  end
end

local function chance(share) return math.random() < share end

-- Where simulated boards have their unique id (CMSIS).
local UID_AT = { u083 = 0x1FFF6E50, c071 = 0x1FFF7550 }

-- Makes it another board: blank, with another unique id. False: it is the same one again.
local function renew(board, kind, image, before)
  local at = UID_AT[kind:match("^%w+")]
  if at and before and chance(AGAIN) then return false end
  if at then
    board:poke(at, ("<I4I4I4"):pack(math.random(0, 0xFFFFFFFF), math.random(0, 0xFFFFFFFF),
      math.random(0, 0xFFFFFFFF)))
  end
  if image then erase(board, image) end
  return true
end

-- ---- an operator ----

local Show = {}
Show.__index = Show

local function plug(board) pcall(board.plug, board) end
local function unplug(board) pcall(board.unplug, board) end

local function is_used_up(station)
  for _, pool in ipairs(station.pools) do
    if pool:is_empty() then return true end
  end
  return false
end

-- Waits for the verdict of a board that was put in. Where nothing happens, the operator puts it in
-- again: a fault may strike before its unit begins.
local function wait_for_verdict(station, place, board, before)
  local by = task.now() + PATIENCE
  while place.judged_at == before and (place.state ~= "BLOCKED" or place.stopped) do
    if task.now() > by then return false end
    if place.stopped and station.limits:stopped() then acts.line(station, "reset") end -- limits
    if place.stopped and is_used_up(station) then return true end
    if place.state == "EMPTY" then plug(board) end
    task.sleep(0.1)
  end
  return true
end

-- Takes the board out, and looks at what it holds.
function Show:take_out(place, board, unit)
  unplug(board)
  if not unit then return end
  self.boards = self.boards + 1
  local image = self.image[place]
  if not image then return end
  for value in pairs(self.is_light and {} or values_on(board, image, unit.values)) do
    if self.on_board[value] and self.on_board[value] ~= unit.number then
      self:complain("%s stands on two boards (units %d and %d, %s)", value, self.on_board[value],
        unit.number, place.name)
    end
    self.on_board[value] = unit.number
  end
  local record = unit.outcome
  if record == "PASS" and not holds(board, image) then
    self:complain("a board that holds something else is called PASS (unit %d)", unit.number)
  end
  if record == "PASS" then self.passed = self.passed + 1 end
end

function Show:complain(message, ...)
  self.complaints[#self.complaints + 1] = message:format(...)
end

-- One unit at a place: a new board, put in, perhaps with a fault, perhaps tried again.
function Show:one(place, board, number)
  local before = self.unit[place]
  local is_new = renew(board, self.kind, self.image[place], before)
  local unit = { number = is_new and number or before.number, values = {} }
  self.unit[place] = unit
  if chance(BOUNCY) then
    plug(board)
    task.sleep(0.1)
    unplug(board)
    task.sleep(0.2)
  end
  plug(board)
  if chance(FAULTY) then
    board:fault(faults[math.random(#faults)], board.requests + math.random(150))
  end
  local judged = place.judged_at
  if not wait_for_verdict(self.station, place, board, judged) then
    return self:complain("%s: no verdict (%s)", place.name, place.state)
  end
  if place.state == "FAIL" and chance(RETRIED) then
    unplug(board)
    task.sleep(1.5)
    self.station.retry[place] = place.unit and place.unit.id
    judged = place.judged_at
    plug(board)
    wait_for_verdict(self.station, place, board, judged)
  end
  if chance(HASTY) then -- the same board, in again at once: no new unit
    local attempts = self.attempts
    unplug(board)
    task.sleep(0.3)
    plug(board)
    task.sleep(1)
    while place.state == "RUNNING" do task.sleep(0.1) end -- it was gone for longer: a new attempt
    if self.attempts ~= attempts and self.places == 1 then
      self:complain("%s: a replug was taken for a new unit", place.name)
    end
  end
  self:take_out(place, board, unit)
  task.sleep(1.2 + math.random() * 2)
end

function Show:work(place, board)
  while self.left > 0 and not is_used_up(self.station) do
    self.left = self.left - 1
    self.number = self.number + 1
    self:one(place, board, self.number)
  end
end

-- ---- the comparison ----

local function compare(show, station)
  local db = station.store.db
  local function count(sql) return db:row("SELECT count(*) AS n FROM " .. sql).n end
  local function agree(what, one, other)
    if one ~= other then show:complain("%s: %d and %d", what, one, other) end
  end
  agree("attempts without an end", count("attempt WHERE outcome IS NULL"), 0)
  agree("attempts in the database and at the places", count("attempt"), show.attempts)
  agree("PASS in the database and on the screen", count("attempt WHERE outcome = 'PASS'"),
    station.counts.passed)
  agree("PASS in the database and on boards", count("attempt WHERE outcome = 'PASS'"), show.passed)
  agree("failures in the database and on the screen",
    count("attempt WHERE outcome IN ('FAIL', 'TIMEOUT')"), station.counts.failed)
  agree("errors in the database and on the screen", count("attempt WHERE outcome = 'ERROR'"),
    station.counts.errors)
  agree("items of passed units that are not used", count([[item JOIN attempt ON attempt.id =
    attempt_id WHERE outcome = 'PASS' AND state <> 'used']]), 0)
  agree("items that are reserved at the end", count("item WHERE state = 'reserved'"), 0)
  local used = count("item WHERE state = 'used'")
  return { attempts = count("attempt"), passed = show.passed, used = used,
           void = count("item WHERE state = 'void'") }
end

local function temporary_folder()
  local name = os.tmpname()
  os.remove(name)
  assert(sys.mkdir(name))
  return name
end

local function remove(folder)
  for _, name in ipairs(sys.readdir(folder) or {}) do os.remove(folder .. "/" .. name) end
  os.remove(folder)
end

---Rehearses a station. Raises `fail` with the complaints if a promise was broken.
---@param recipe table
---@param opt table its options
---@param how table units=, seed=, places=, board= (what sim.new takes), folder= (keeps the store,
---  and waits for the disk), light= (does not remember which number is on which board)
---@return table attempts=, passed=, used=, void=, shown=
function M.recipe(recipe, opt, how)
  math.randomseed(how.seed)
  local _ <close> = events.apart()
  local folder = how.folder or temporary_folder()
  local store = stores.open(folder, { fast = not how.folder })
  local boards, paths = {}, {}
  for i = 1, how.places do
    boards[i] = sim.new(how.board)
    boards[i]:unplug()
    paths[i] = boards[i].path
  end
  local station = stations.new(recipe, { store = store, session = { selectors = paths } })
  local show = setmetatable({ station = station, left = how.units, number = 0, passed = 0,
    attempts = 0, boards = 0, places = how.places, kind = how.board, is_light = how.light,
    complaints = {},
    on_board = {}, image = {}, unit = {} }, Show)
  function station.on_unit(_, place, of, result)
    show.attempts = show.attempts + 1
    show.image[place] = dfu.fields(of.board).job.image or show.image[place]
    local unit = show.unit[place]
    if not unit then return end
    unit.outcome = result.outcome
    for _, taken in ipairs(of.items) do unit.values[taken.item.value] = true end
  end
  station:run(opt, { attend = function()
    task.spawn(function()
      local jobs = {}
      for i, place in ipairs(station.places) do
        jobs[i] = task.spawn(show.work, show, place, boards[i])
      end
      for _, job in ipairs(jobs) do job:join() end
      station:stop()
    end)
  end })
  local done = compare(show, station)
  store:close()
  secret.reset()
  if not how.folder then remove(folder) end
  done.shown = ("%s: %s at %s, seed %d: %s, %d passed; numbers: %d used, %d void"):format(
    recipe.name, text.count(how.units, "unit"), text.count(how.places, "place"), how.seed,
    text.count(done.attempts, "attempt"), done.passed, done.used, done.void)
  if show.left > 0 then
    done.shown = done.shown .. ("; %d units were left when a pool was used up"):format(show.left)
  end
  if #show.complaints > 0 then
    errors.raise { code = "fail", message = done.shown .. "\nThe records are wrong:",
      hint = table.concat(show.complaints, "\n", 1, math.min(#show.complaints, 10)) }
  end
  return done
end

local HOW = { "units", "seed", "places", "board" }

---sim.station(name, options, how): rehearses a station in a test.
---@param name string of the recipe, or its file, beside the script that calls this
---@param options? table
---@param how? table units= (100), seed= (1), places= (4), board= ("f407")
---@return table attempts=, passed=, used=, void=, shown=
function M.named(name, options, how)
  local usage = "sim.station(recipe, options, how)"
  local recipe, opt = try.load_recipe(usage, name, options)
  check.options(usage, how, HOW)
  how = how or {}
  return M.recipe(recipe, opt, { units = how.units or 100, seed = how.seed or 1,
    places = how.places or 4, board = how.board or "f407" })
end

return M

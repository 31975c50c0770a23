-- SPDX-License-Identifier: MIT
-- The operator's page: one file of HTML, and what happens at the station as server-sent events.
-- What a page may do needs the token that the station prints in the URL's fragment.
local acts = require "moonflash.station.acts"
local advice = require "moonflash.station.advice"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local http = require "http"
local json = require "dkjson"
local progress = require "moonflash.ui.progress"
local secret = require "moonflash.station.secret"
local slots = require "moonflash.board.slots"
local sys = require "sys"
local task = require "task"
local text = require "moonflash.base.text"

---@class moonflash.Page
---@field server userdata http.Server
---@field token string
---@field hosts table<string, boolean> that requests may name
---@field clients table<userdata, boolean> requests with a stream
---@field last table[] the last units
local Page = {}
Page.__index = Page

local M = {}

local FILE = "lua/moonflash/station/page.html"
local TICK = 1           -- seconds between two signs of life
local REDRAW = 0.2       -- seconds between two states of a phase
local MOST_UNITS = 12    -- of the list of the last ones
local CODES = { ["in-use"] = "sys.busy", missing = "sys.missing" }
local HINTS = { missing = "Debian's package libmicrohttpd12 has it.",
                ["in-use"] = "Choose another port; 0 is a free one.",
                address = "The address is a number: 127.0.0.1:8080." }
local READY = { scan = "scan the unit's code", enter = "press Enter" }
local WORDS = { SETTLING = "…", RUNNING = "TEST", BLOCKED = "STOP" }

local function hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local function is_loopback(address)
  return address:find("^127%.") ~= nil or address == "::1"
end

---Opens the page's port. Raises `sys.busy` if it is in use.
---@param where table address=, port=
---@return moonflash.Page
function M.open(where)
  local server, what, why = http.listen(where.address, where.port)
  if not server then
    errors.raise { code = CODES[what] or "usage",
      hint = HINTS[what],
      message = ("--page: %s port %d can't be opened: %s"):format(where.address, where.port, why) }
  end
  local shown = where.address:find(":") and "[" .. where.address .. "]" or where.address
  local page = setmetatable({ server = server, address = where.address, clients = {}, last = {},
    token = hex(secret.random()):sub(1, 32), drawn_at = setmetatable({}, { __mode = "k" }) }, Page)
  page.base = ("%s:%d"):format(shown, server.port)
  page.hosts = { [page.base] = true }
  if is_loopback(where.address) then page.hosts["localhost:" .. server.port] = true end
  return page
end

-- ---- what is shown ----

-- The message of a failure, and what to do: by its code, or a parent of it.
local function cause(station, place)
  local facts = place.facts
  if not facts or facts.outcome == "PASS" then return nil, nil end
  return text.without_path(facts.message or facts.outcome, place.path),
    advice.todo(station.recipe, facts.code)
end

local function state_of(station, place)
  local shown = place:shown()
  local message, todo = cause(station, place)
  local position = slots.load().position[place.slot] or {}
  local judged, is_running = shown == "PASS" or shown == "FAIL", shown == "RUNNING"
  local of = station.units[place] or judged and place.unit
  return {
    kind = "place", name = place.name, state = shown, row = position.row, column = position.column,
    word = WORDS[shown] or shown,
    unit = of and secret.mask(of.dut or of.scan) or judged and place.facts and place.facts.dut_id
      or nil,
    step = is_running and place.step or nil, share = is_running and place.share or nil,
    why = shown == "BLOCKED" and secret.mask(place.why) or nil,
    message = shown == "FAIL" and message or nil, todo = shown == "FAIL" and todo or nil,
    note = judged and place.note or nil,
    ready = shown == "READY" and READY[station.start] or nil,
  }
end

-- "line" for scripts/examples/line.lua
local function name_of(recipe)
  return (recipe.name:match("[^/]*$"):gsub("%.lua$", ""))
end

local function station_state(page, station)
  local counts, left = station.counts, {}
  for i, pool in ipairs(station.pools) do left[i] = { name = pool.name, left = pool:left() } end
  local question = sys.desk().question
  return {
    kind = "station", name = station.policy.id or name_of(station.recipe),
    passed = counts.passed, failed = counts.failed, first = counts.tried > 0
      and counts.first / counts.tried or nil,
    left = left, stopped = station:obstacle(), operator = station.operator, lot = station.lot,
    last = page.last,
    prompt = question and { text = question.text, place = question.board
      and (question.board.slot or question.board.path) } or nil,
  }
end

local function send(page, client, value)
  if not client:send("data: " .. json.encode(value) .. "\n\n") then page.clients[client] = nil end
end

function Page:tell(value)
  for client in pairs(self.clients) do send(self, client, value) end
end

-- The events of the station, as the page's.
function Page:subscribe(station)
  local function tell_place(place)
    if place then self:tell(state_of(station, place)) end
  end
  local function tell_station() self:tell(station_state(self, station)) end
  local function follow(phase)
    local place = station.by_path[phase.board.path]
    if not place then return end
    place.step, place.share = phase.name, progress.share(phase)
    if task.now() - (self.drawn_at[place] or -1) < REDRAW then return end
    self.drawn_at[place] = task.now()
    tell_place(place)
  end
  self.subscriber = {
    place = function(_, place)
      if place.state ~= "RUNNING" then place.step, place.share = nil, nil end
      tell_place(place)
      tell_station()
    end,
    unit = function(_, place) tell_place(place) end,
    phase = function(_, phase) follow(phase) end,
    advance = function(_, phase) follow(phase) end,
    step = function(_, board, step)
      local place = station.by_path[board.path]
      if not place then return end
      place.step, place.share = text.clean(step.name), nil
      tell_place(place)
    end,
    result = function(_, result)
      local place = station.by_path[result.path]
      if not (place and result.unit) then return end
      table.insert(self.last, 1, { unit = result.unit, outcome = result.outcome,
        place = place.name, time = os.date("%H:%M:%S"),
        message = place.facts and place.facts.message or nil })
      self.last[MOST_UNITS + 1] = nil
    end,
    question = tell_station, answer = tell_station,
    print = function(_, _, line) self:tell { kind = "said", text = secret.mask(line) } end,
  }
  events.on(self.subscriber)
end

-- ---- requests ----

local function headers_of(kind, more)
  local headers = { ["Content-Type"] = kind, ["Cache-Control"] = "no-store",
    ["X-Content-Type-Options"] = "nosniff", ["Referrer-Policy"] = "no-referrer",
    ["X-Frame-Options"] = "DENY" }
  for name, value in pairs(more or {}) do headers[name] = value end
  return headers
end

-- Whether a request is from the page itself: other sites can't name its host, nor their own origin.
local function is_from_page(page, request)
  local host, origin = request:header("Host"), request:header("Origin")
  local known = page.hosts[host or ""]
    or not is_loopback(page.address) and (host or ""):find("^[%d.]+:%d+$") ~= nil
  return known and (origin == nil or origin == "http://" .. host)
end

local function show_page(request)
  local nonce = hex(secret.random()):sub(1, 32)
  local policy = ("default-src 'none'; script-src 'nonce-%s'; style-src 'nonce-%s'; "
    .. "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"):format(
    nonce, nonce)
  local headers = headers_of("text/html; charset=utf-8", { ["Content-Security-Policy"] = policy })
  request:reply(200, (sys.builtin(FILE):gsub("NONCE", nonce)), headers)
end

local function show_events(page, station, request)
  request:stream(headers_of("text/event-stream"))
  page.clients[request] = true
  for _, place in ipairs(station.places) do send(page, request, state_of(station, place)) end
  send(page, request, station_state(page, station))
  send(page, request, { kind = "ready", start = station.start })
end

-- Compares in the same time for all words of a length.
local function is_equal(a, b)
  if #a ~= #b then return false end
  local different = 0
  for i = 1, #a do different = different | (a:byte(i) ~ b:byte(i)) end
  return different == 0
end

local function act(page, station, request)
  local token = request:header("X-Station-Token") or ""
  local function reply(status, value)
    request:reply(status, json.encode(value), headers_of("application/json"))
  end
  if not is_equal(token, page.token) then
    return reply(403, { why = "this page may only look: open the URL that the station printed" })
  end
  local body = request.body and json.decode(request.body)
  local line = type(body) == "table" and body.line
  if type(line) ~= "string" or #line > 1000 or line:find("[\r\n%z]") then
    return reply(400, { why = "that is no line" })
  end
  local desk = sys.desk()
  if desk.question then
    desk.given = line
    return reply(200, {})
  end
  reply(200, { why = acts.line(station, line) })
end

local function serve(page, station, request)
  if not is_from_page(page, request) then
    return request:reply(403, "forbidden\n", headers_of("text/plain"))
  elseif request.method == "GET" and request.path == "/" then
    return show_page(request)
  elseif request.method == "GET" and request.path == "/events" then
    return show_events(page, station, request)
  elseif request.method == "POST" and request.path == "/act" then
    return act(page, station, request)
  end
  request:reply(404, "not found\n", headers_of("text/plain"))
end

---Serves the page until it is closed.
---@param station moonflash.Station
function Page:serve(station)
  self:subscribe(station)
  station:say(("Page: http://%s/#t=%s"):format(self.base, self.token))
  if not is_loopback(self.address) then
    station:say("This is plain HTTP: everybody in the network can read the page.")
  end
  self.jobs = {
    task.spawn(function()
      task.supervise()
      while true do
        local request = self.server:next()
        if not request then return end
        task.spawn(serve, self, station, request)
      end
    end),
    task.spawn(function()
      task.supervise()
      while true do
        task.sleep(TICK)
        self:tell { kind = "tick" }
      end
    end),
  }
end

function Page:close()
  events.off(self.subscriber)
  for _, job in ipairs(self.jobs) do job:cancel() end
  for client in pairs(self.clients) do client:finish() end
  self.server:close()
end

return M

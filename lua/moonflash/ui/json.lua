-- SPDX-License-Identifier: MIT
-- --json: events as JSON on standard output, one object a line (docs/report.md). Lines for people
-- go to standard error.
local dfu = require "dfu"
local errors = require "moonflash.errors"
local json = require "dkjson"
local lines = require "moonflash.ui.lines"
local output = require "moonflash.ui.output"
local remedies = require "moonflash.ui.remedies"
local slots = require "moonflash.board.slots"
local suggest = require "moonflash.base.suggest"
local sys = require "sys"
local task = require "task"
local text = require "moonflash.base.text"

local M = setmetatable({}, lines)
M.__index = M

local REDRAW = 0.04 -- seconds between two "progress" events of a phase

---@return table a new subscriber
function M.new()
  local self = setmetatable(lines.new(), M)
  self.told_at = setmetatable({}, { __mode = "k" }) -- by phase
  self.dropping = false                             -- "progress" events are left out
  return self
end

-- ---- encoding ----

-- The first keys of an object; the others follow by name, so that the order is always the same.
local FIRST = { "event", "path", "slot", "outcome", "code", "phase", "done", "total" }

local function collect_keys(value, keys, seen)
  seen[value] = true
  for key, item in pairs(value) do
    if type(key) == "string" then keys[key] = true end
    if type(item) == "table" and not seen[item] then collect_keys(item, keys, seen) end
  end
  return keys
end

local function key_order(event)
  local order = table.move(FIRST, 1, #FIRST, 1, {})
  local keys = collect_keys(event, {}, {})
  for _, key in ipairs(FIRST) do keys[key] = nil end
  for _, key in ipairs(suggest.keys(keys)) do order[#order + 1] = key end
  return order
end

-- A recipe may return any value; what JSON can't express becomes text.
local function as_text(reason, value)
  return json.encode(reason == "reference cycle" and "<the same again>" or errors.words(value))
end

local function encode(event)
  return json.encode(event, { keyorder = key_order(event), exception = as_text })
end

-- Data that can't be encoded (tables nested too deeply, for example) becomes text.
local function write(event)
  if event.path then event.slot = slots.name_of(event.path) end
  local encoded, line = pcall(encode, event)
  if not encoded then
    event.data = errors.words(event.data)
    line = encode(event)
  end
  output.raw(io.stdout, text.json(line) .. "\n")
  io.stdout:flush()
end

-- ---- phases ----

-- Progress is left out while the reader of standard output is behind. A "dropping" event marks the
-- beginning.
function M:tell(phase)
  local dropping = sys.backlog(1) > 0
  if dropping and not self.dropping then write { event = "dropping" } end
  self.dropping = dropping
  if dropping then return end
  write { event = "progress", path = phase.board.path, phase = phase.name, done = phase.done,
          total = phase.total }
end

M.phase, M.phase_end = M.tell, M.tell

function M:advance(phase)
  if task.now() - (self.told_at[phase] or -1) < REDRAW then return end
  self.told_at[phase] = task.now()
  self:tell(phase)
end

-- ---- during the run ----

function M.board(_, board)
  write { event = "board", path = board.path, vid = board.vid, pid = board.pid,
          serial = board.serial, product = board.product, mode = board.mode }
end

function M:empty(path, slot)
  lines.empty(self, path, slot)
  write { event = "empty", path = path }
end

function M:plan(board, plan, dry)
  local sectors, erased = {}, 0
  for i, sector in ipairs(plan.sectors) do
    sectors[i] = { address = sector.address, size = sector.size, state = sector.state,
                   erase = sector.erase }
    if sector.erase then erased = erased + 1 end
  end
  write { event = "plan", path = board.path, image = plan.image.name, bytes = plan.bytes,
    sectors_erase = erased, bytes_write = plan.bytes_write, mass_erase = plan.mass,
    seconds = plan.seconds, seconds_full = plan.seconds_full, sectors = sectors }
  lines.plan(self, board, plan, dry)
end

function M.sector(_, board, sector, phase, seconds)
  write { event = "sector", path = board.path, phase = phase, address = sector.address,
          size = sector.size, seconds = seconds }
end

function M.mass_erase(_, board, seconds)
  write { event = "mass_erase", path = board.path, seconds = seconds }
end

function M.left(_, board, address)
  write { event = "left", path = board.path, address = address }
end

function M:step(board, step)
  write { event = "step", path = board.path, name = step.name, limit = step.limit }
  lines.step(self, board, step)
end

function M.step_end(_, board, step)
  write { event = "step", path = board.path, name = step.name, seconds = step.seconds }
end

function M.measurement(_, board, note)
  write { event = "note", path = board.path, name = note.name, value = note.value,
          unit = note.unit, min = note.min, max = note.max, ok = note.ok }
end

function M:question(board, question)
  write { event = "question", path = board and board.path, text = question }
  lines.question(self, board, question)
end

function M:refusal(board, why)
  write { event = "refusal", path = board and board.path, message = why }
  lines.refusal(self, board, why)
end

function M.served(_, event)
  write(event)
end

-- ---- results ----

function M.passed() end
function M.returned() end

local function some(list)
  return #list > 0 and list or nil
end

-- The files of the image that the run has used: { { name=, sha256= }, ... }.
local function images_of(board)
  local image = dfu.fields(board).image
  local list = {}
  for i, file in ipairs(image and image.files or {}) do
    list[i] = { name = file.name, sha256 = file.sha256 }
  end
  return some(list)
end

function M:result(result)
  lines.result(self, result)
  local stats, err = result.stats, errors.is(result.err) and result.err or {}
  local at_end = {}
  for i, failure in ipairs(result.at_end) do at_end[i] = errors.words(failure) end
  local board = result.board
  write {
    event = "result", path = result.path, outcome = result.outcome, code = err.code,
    unit = result.unit, attempt = result.attempt, -- of a station
    serial = board.serial, vid = board.vid, pid = board.pid,
    start = os.date("!%Y-%m-%dT%H:%M:%SZ", result.began), version = MOONFLASH_VERSION,
    images = images_of(board),
    message = result.err and errors.said(result.err) or nil,
    flash = err.flash or result.flash,
    ranges = err.ranges or result.flash and result.ranges or nil,
    verified = stats.verified or false, unverified = stats.unverified,
    bytes_unverified = stats.bytes_unverified,
    board_seconds = result.seconds, sectors_erased = stats.sectors_erased,
    bytes_written = stats.bytes_written, bytes_skipped = stats.bytes_skipped,
    bytes_verified = stats.bytes_verified, left = stats.left, data = result.data,
    remedy = remedies.names(err), step = result.step, steps = some(stats.steps),
    notes = some(stats.notes),
    sectors_same = stats.sectors_same, seconds_saved = stats.seconds_saved,
    retries = result.board.retries > 0 and result.board.retries or nil, at_end = some(at_end),
  }
end

function M.summary() end

function M.value(_, value)
  write { event = "result", outcome = "PASS", data = value }
end

function M:failure(err)
  local is_ours = errors.is(err)
  self:failed(errors.text(err))
  write { event = "result", outcome = errors.outcome(err), code = is_ours and err.code or nil,
          message = errors.said(err), path = is_ours and err.path or nil,
          remedy = is_ours and remedies.names(err) or nil,
          data = is_ours and err.data or nil }
end

return M

-- SPDX-License-Identifier: MIT
-- Rehearses a recipe on simulated boards: once without faults, then with each kind of fault at each
-- request. Checks every run against moonflash's promises:
--   a run that passes leaves the same memory as the run without faults;
--   a failure reports the true state of the flash;
--   memory that the run without faults did not change is unchanged;
--   after a reset of the board, the same recipe passes.
local dfu = require "dfu"
local difference = require "moonflash.base.difference"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local files = require "moonflash.base.files"
local kept = require "moonflash.flash.kept"
local memory = require "moonflash.memory"
local part_of = require "moonflash.board.part"
local run = require "moonflash.run"
local sim = require "sim"
local text = require "moonflash.base.text"

local M = {}

M.FAULTS = { "unplug", "stall", "error", "corrupt", "hang", "short" }

local MOST_SHOWN = 10
local MOST_BYTES = 1 << 26 -- of the file that flash=FILE names
local OLD = "old firmware; " -- initial contents of the flash: any change is visible

-- ---- one run ----

-- The first address and the length of a simulated board's main flash, and its erased byte.
local function flash_of(path)
  local info = dfu.list(path)[1]
  if not info then return nil end
  local part, reported = part_of.of(info), info.alts[1].layout
  local segments = (part_of.mended(part, 1, reported) or reported).segments
  if segments[1] then return segments[1].address, memory.size(segments), part.erased end
end

-- Takes flash=FILE out of a spec, and returns the file's bytes: the initial contents of the flash.
-- The file is not changed.
local function take_flash(spec)
  local file = spec:match(",flash=([^,]*)")
  if not file then return spec end
  return (spec:gsub(",flash=[^,]*", "", 1)), files.read(file, MOST_BYTES)
end

-- The address, length and initial contents of the board's main flash; no address if it has none.
local function scene_of(spec)
  local plain, bytes = take_flash(spec)
  local board <close> = sim.new(plain)
  local address, length, erased = flash_of(board.path)
  bytes = bytes and bytes .. (erased or "\255"):rep((length or 0) - #bytes)
  return { spec = plain, address = address, length = length, erased = erased,
           before = address and (bytes or OLD:rep(length // #OLD + 1)):sub(1, length) }
end

local function new_board(scene)
  local board = sim.new(scene.spec)
  if scene.address then board:poke(scene.address, scene.before) end
  return setmetatable({ sim = board }, { __index = scene })
end

local function flash_now(stage)
  return stage.address and stage.sim:peek(stage.address, stage.length) or ""
end

local function perform(recipe, opt, value, stage)
  dfu.defaults.selectors = { stage.sim.path }
  local result = run.on_board(recipe, dfu.at(stage.sim.path), opt, value)
  result.flash = flash_now(stage)
  return result
end

-- ---- checks ----

-- The part of a range that is in the main flash, as indices into its bytes; nil if there is none.
local function within(stage, range)
  local first = math.max(range.first - stage.address, 0) + 1
  local last = math.min(range.last - stage.address + 1, stage.length)
  if first <= last then return first, last end
end

local function is_erased(found, _, _, erased) return found == erased:rep(#found) end

local truths = {
  erased = is_erased,
  blank = is_erased,
  written = function(found, _, clean) return found == clean end,
  verified = function(found, _, clean) return found == clean end,
  untouched = function(found, before) return found == before end,
  doubt = function() return true end,
}

-- The claims of a failure. Gaps between its ranges are claims, too: that they are untouched.
local function claims_of(stage, ranges)
  local claims, at = {}, stage.address
  for _, range in ipairs(ranges or {}) do
    if range.first > at then
      claims[#claims + 1] = { state = "untouched", first = at, last = range.first - 1 }
    end
    claims[#claims + 1] = range
    at = math.max(at, range.last + 1)
  end
  claims[#claims + 1] = { state = "untouched", first = at, last = stage.address + stage.length - 1 }
  return claims
end

local function false_claim(stage, result, clean)
  for _, claim in ipairs(claims_of(stage, result.ranges)) do
    local first, last = within(stage, claim)
    local holds = not first or truths[claim.state](result.flash:sub(first, last),
      stage.before:sub(first, last), clean.flash:sub(first, last), stage.erased)
    if not holds then
      return ("the run reported %s as %s, which is false"):format(
        text.range(claim.first, claim.last), claim.state)
    end
  end
end

-- The complaint about a change outside the ranges that the run without faults touched; nil if none.
local function outside_the_plan(stage, result, clean)
  local at = 1
  local touched = {}
  for _, range in ipairs(clean.ranges) do
    local first, last = within(stage, range)
    if first then touched[#touched + 1] = { first, last } end
  end
  touched[#touched + 1] = { stage.length + 1, stage.length + 1 }
  for _, range in ipairs(touched) do
    local i = difference(result.flash:sub(at, range[1] - 1), stage.before:sub(at, range[1] - 1))
    if i then
      return ("the run changed %s, which the run without faults leaves alone"):format(
        text.hex(stage.address + at + i - 2))
    end
    at = range[2] + 1
  end
end

local function differs(stage, result, clean)
  local i = difference(result.flash, clean.flash)
  return i and text.hex(stage.address + i - 1)
end

-- The promise that a run broke, as text; nil if it kept all.
local function broken(stage, result, clean)
  if not stage.address then return nil end
  local foreign = outside_the_plan(stage, result, clean)
  if foreign then return foreign end
  if result.outcome == "PASS" then
    local where = differs(stage, result, clean)
    if where and (not result.stats.unverified or result.stats.uncompared) then
      return "the run passed, but the flash is wrong at " .. where
    end
    return nil
  end
  if not errors.is(result.err) then
    return "the run failed with an error that has no code: " .. tostring(result.err)
  end
  return false_claim(stage, result, clean)
end

local function rerun_fails(recipe, opt, value, stage, clean)
  stage.sim:unplug()
  stage.sim:plug()
  local again = perform(recipe, opt, value, stage)
  if again.outcome ~= "PASS" then
    return "the second run failed: " .. tostring(again.err)
  end
  local where = stage.address and differs(stage, again, clean)
  if where and not again.stats.unverified then
    return "the second run passed, but the flash is wrong at " .. where
  end
end

-- ---- the rehearsal ----

local function clean_run(recipe, opt, value, scene)
  local stage = new_board(scene)
  local _ <close> = kept.in_memory()
  local result = perform(recipe, opt, value, stage)
  result.requests = stage.sim.requests
  stage.sim:close()
  if result.outcome ~= "PASS" then
    local err, message = result.err, "without any fault, " .. tostring(result.err)
    if not errors.is(err) then errors.raise { code = "recipe", message = message } end
    err.message = message
    error(err, 0)
  end
  return result
end

-- The numbers of the requests that get a fault: all, or `most` of them, evenly spread.
local function strikes(requests, most)
  local list, count = {}, math.min(most or requests, requests)
  for i = 0, count - 1 do list[i + 1] = i * requests // count + 1 end
  return list
end

---Rehearses a recipe. Raises `fail` with the complaints if a run breaks a promise.
---@param recipe table from moonflash.run.recipe
---@param opt table its options
---@param spec string the simulated board: "f407,rdp=1"
---@param most? integer at most this many requests of a run get faults
---@return table summary requests=, runs=
function M.recipe(recipe, opt, spec, most)
  -- the operator has to answer questions
  local _ <close> = events.apart("question", "answer", "refusal")
  local value = recipe.table.setup and recipe.table.setup(opt)
  local scene = scene_of(spec)
  local clean = clean_run(recipe, opt, value, scene)
  local complaints, runs = {}, 0
  for _, fault in ipairs(M.FAULTS) do
    for _, request in ipairs(strikes(clean.requests, most)) do
      local stage = new_board(scene)
      local _ <close> = kept.in_memory()
      stage.sim:fault(fault, request)
      local result = perform(recipe, opt, value, stage)
      local why = broken(stage, result, clean) or rerun_fails(recipe, opt, value, stage, clean)
      if why then
        complaints[#complaints + 1] = ("%s at request %d: %s"):format(fault, request, why)
      end
      runs = runs + 1
      stage.sim:close()
    end
  end
  local shown = ("%s on sim:%s: %d requests, %d faults at each of %d: %d runs"):format(recipe.name,
    spec, clean.requests, #M.FAULTS, #strikes(clean.requests, most), runs)
  if #complaints > 0 then
    local more = #complaints - MOST_SHOWN
    errors.raise { code = "fail",
      message = ("%s\n%s of them broke a promise:"):format(shown, #complaints),
      hint = table.concat(complaints, "\n", 1, math.min(#complaints, MOST_SHOWN))
        .. (more > 0 and ("\nand %d more"):format(more) or "") }
  end
  return { requests = clean.requests, runs = runs, shown = shown }
end

return M

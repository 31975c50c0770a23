-- SPDX-License-Identifier: MIT
-- Rehearses a recipe on simulated boards: once clean, then with each kind of fault at each request,
-- and holds every run to what moonflash promises:
--   it passes only with the memory that the clean run left;
--   a failure tells the truth about the flash;
--   nothing that the clean run left alone has changed;
--   the same recipe, run again on the board reset, passes.
local dfu = require "dfu"
local difference = require "moonflash.base.difference"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local files = require "moonflash.base.files"
local kept = require "moonflash.flash.kept"
local memory = require "moonflash.memory"
local run = require "moonflash.run"
local sim = require "sim"
local text = require "moonflash.base.text"

local M = {}

M.FAULTS = { "unplug", "stall", "error", "corrupt", "hang", "short" }

local MOST_SHOWN = 10
local MOST_BYTES = 1 << 26 -- of a file with what is in the flash before
local OLD = "old firmware; " -- what the flash is full of before, so that every change shows

-- ---- one run ----

-- The main flash of a simulated board: its first address, and its length.
local function flash_of(path)
  local info = dfu.list(path)[1]
  local segments = info and info.alts[1].layout.segments or {}
  if segments[1] then return segments[1].address, memory.size(segments) end
end

-- flash=FILE: what is in the flash before, for recipes that need something of their own there. The
-- file itself is left alone.
local function take_flash(spec)
  local file = spec:match(",flash=([^,]*)")
  if not file then return spec end
  return (spec:gsub(",flash=[^,]*", "", 1)), files.read(file, MOST_BYTES)
end

-- Where the board's main flash is, and what is in it before; of a kind without one, nothing.
local function scene_of(spec)
  local plain, bytes = take_flash(spec)
  local board <close> = sim.new(plain)
  local address, length = flash_of(board.path)
  bytes = bytes and bytes .. ("\255"):rep((length or 0) - #bytes)
  return { spec = plain, address = address, length = length,
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

-- ---- what must hold ----

-- The part of a claim that is in the main flash, as indices into its bytes.
local function within(stage, range)
  local first = math.max(range.first - stage.address, 0) + 1
  local last = math.min(range.last - stage.address + 1, stage.length)
  if first <= last then return first, last end
end

local truths = {
  erased = function(found) return found == ("\255"):rep(#found) end,
  blank = function(found) return found == ("\255"):rep(#found) end,
  written = function(found, _, clean) return found == clean end,
  verified = function(found, _, clean) return found == clean end,
  untouched = function(found, before) return found == before end,
  doubt = function() return true end,
}

-- What a failure claims, with what it leaves out, which is claimed to be untouched.
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
      stage.before:sub(first, last), clean.flash:sub(first, last))
    if not holds then
      return ("it reported that %s is %s, which is false"):format(
        text.range(claim.first, claim.last), claim.state)
    end
  end
end

-- What changed outside the ranges that the clean run touched.
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
      return ("it changed %s, which the clean run leaves alone"):format(
        text.hex(stage.address + at + i - 2))
    end
    at = range[2] + 1
  end
end

local function differs(stage, result, clean)
  local i = difference(result.flash, clean.flash)
  return i and text.hex(stage.address + i - 1)
end

-- Why a run broke a promise; nil where it kept them.
local function broken(stage, result, clean)
  if not stage.address then return nil end
  local foreign = outside_the_plan(stage, result, clean)
  if foreign then return foreign end
  if result.outcome == "PASS" then
    local where = differs(stage, result, clean)
    if where and (not result.stats.unverified or result.stats.uncompared) then
      return "it passed, but the flash is wrong at " .. where
    end
    return nil
  end
  if not errors.is(result.err) then
    return "it failed without a word about the board: " .. tostring(result.err)
  end
  return false_claim(stage, result, clean)
end

local function rerun_fails(recipe, opt, value, stage, clean)
  stage.sim:unplug()
  stage.sim:plug()
  local again = perform(recipe, opt, value, stage)
  if again.outcome ~= "PASS" then
    return "run again, it failed: " .. tostring(again.err)
  end
  local where = stage.address and differs(stage, again, clean)
  if where and not again.stats.unverified then
    return "run again, it passed, but the flash is wrong at " .. where
  end
end

-- ---- the whole ----

local function clean_run(recipe, opt, value, scene)
  local stage = new_board(scene)
  local _ <close> = kept.in_memory()
  local result = perform(recipe, opt, value, stage)
  result.requests = stage.sim.requests
  stage.sim:close()
  if result.outcome ~= "PASS" then
    local err = errors.is(result.err) and result.err or {}
    errors.raise { code = err.code or "recipe", flash = err.flash, hint = err.hint,
      message = "without any fault, " .. tostring(result.err) }
  end
  return result
end

-- Every request, or `most` of them, evenly spread.
local function strikes(requests, most)
  local list, count = {}, math.min(most or requests, requests)
  for i = 0, count - 1 do list[i + 1] = i * requests // count + 1 end
  return list
end

---Rehearses a recipe. Raises `fail`, with what went wrong, if it breaks a promise.
---@param recipe table from moonflash.recipe
---@param opt table its options
---@param spec string the simulated board: "f407,rdp=1"
---@param most? integer at most so many requests of a run get faults
---@return table summary requests=, runs=
function M.recipe(recipe, opt, spec, most)
  local _ <close> = events.apart("question", "answer") -- the operator still has to answer
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
  local shown = ("%s on sim:%s: %d requests, %d faults each: %d runs"):format(recipe.name, spec,
    clean.requests, #M.FAULTS, runs)
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

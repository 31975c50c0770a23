-- SPDX-License-Identifier: MIT
-- Which boards a recipe runs on: those that -d, --every-board, --every-slot and the recipe mean.
local dfu = require "dfu"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local selectors = require "moonflash.board.selector"
local slots = require "moonflash.board.slots"
local task = require "task"

local M = {}

---Raises, where a board is not one that a recipe is for.
---@param info table as dfu.list() has it
---@param selector? string|table the recipe's `board`
---@param recipe? string what to call it
function M.check(info, selector, recipe)
  if not selector or selectors.matches(info, selectors.parse(selector)) then return end
  local for_what = type(selector) == "table" and selectors.text(selector) or selector
  errors.raise { code = "usb.no-device", path = info.path,
    message = ("%s is not what %s is for (%s)"):format(info.path, recipe or "this recipe",
      for_what) }
end

-- The devices that a selector finds and the recipe is for, and the selector as a table.
local function find(selector, recipe)
  local wanted = selectors.parse(selector)
  local found = dfu.wait_for(setmetatable({ mode = recipe.table.mode }, { __index = wanted }),
    recipe.wait)
  if not recipe.table.board then return found, wanted end
  local right, meant = selectors.parse(recipe.table.board), {}
  for _, info in ipairs(found) do
    if selectors.matches(info, right) then meant[#meant + 1] = info end
  end
  if #meant == 0 then M.check(found[1], recipe.table.board) end
  return meant, wanted
end

-- The same, of a place that was named: what is wrong there is said of the slot, too.
local function find_named(selector, recipe)
  local found, wanted = errors.catch("usb", find, selector, recipe)
  if found then return found, wanted end
  local err = wanted
  local slot = err.path and slots.name_of(err.path)
  if slot then err.message = slot .. ": " .. err.message end
  error(err, 0)
end

local function slots_in_force()
  local all = slots.load()
  if #all.names > 0 then return all end
  errors.raise { code = "usage", message = "there are no slots",
    remedy = { "slots", file = all.file } }
end

-- Whether nothing at all is plugged in there.
local function is_empty(path)
  for _, other in ipairs(dfu.others()) do
    if other.path == path then return false end
  end
  return #dfu.list { path = path } == 0
end

-- All slots are waited for at once. One with nothing in it is said, and left out; what is in one
-- and can't be used fails when its turn comes, like any board, so that the others go on.
local function in_slots(recipe)
  local all, jobs, boards = slots_in_force(), {}, {}
  for i, name in ipairs(all.names) do
    jobs[i] = task.spawn(errors.catch, "usb", find, { path = all.by_name[name] }, recipe)
  end
  for i, name in ipairs(all.names) do
    local path = all.by_name[name]
    local found, err = jobs[i]:join()
    if not found and errors.matches(err, "usb.no-device") and is_empty(path) then
      events.emit("empty", path, name)
    else
      local board = dfu.at { path = path }
      if not found then dfu.fields(board).job:refuse(err) end
      boards[#boards + 1] = board
    end
  end
  if #boards == 0 then
    errors.raise { code = "usb.no-device", message = "there is no board in any slot" }
  end
  return boards
end

-- Places, whether a board is there or not: the recipe brings it.
local function away(recipe, options)
  local boards, seen, places = {}, {}, options.selectors or {}
  if options.every_slot then
    local all = slots_in_force()
    places = {}
    for i, name in ipairs(all.names) do places[i] = { path = all.by_name[name] } end
  end
  for _, place in ipairs(places) do
    local board = dfu.at(place)
    if not seen[board.path] then
      seen[board.path] = true
      boards[#boards + 1] = board
      local job = dfu.fields(board).job -- for board:open
      job:require(recipe.table.board)
      job:bring()
    end
  end
  if #boards == 0 then
    errors.raise { code = "usage", remedy = { "place" },
      message = "this recipe starts with empty places: name them" }
  end
  return boards
end

---The boards that a run is for, not yet open. Raises where there are none, or too many.
---@param recipe table
---@param options table selectors, every_board, every_slot
---@return table[] boards
function M.choose(recipe, options)
  if recipe.table.start == "operator" then return away(recipe, options) end
  if options.every_slot then return in_slots(recipe) end
  local boards, seen = {}, {}
  for _, selector in ipairs(options.selectors or { recipe.table.board or false }) do
    local found, wanted = find_named(selector or nil, recipe)
    if #found > 1 and not options.every_board then dfu.several(found) end
    for _, info in ipairs(found) do
      if not seen[info.path] then
        seen[info.path] = true
        boards[#boards + 1] = dfu.at { path = info.path, alt = wanted.alt }
      end
    end
  end
  return boards
end

return M

-- SPDX-License-Identifier: MIT
-- The boards that a recipe runs on, from -d, --every-board, --every-slot and the recipe's `board`.
local dfu = require "dfu"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local selectors = require "moonflash.board.selector"
local slots = require "moonflash.board.slots"
local task = require "task"

local M = {}

---Raises `usb.no-device` if a board does not match the recipe's selector.
---@param info table in the format of dfu.list()
---@param selector? string|table the recipe's `board`
---@param recipe? string its name, for the message
function M.check(info, selector, recipe)
  if not selector or selectors.matches(info, selectors.parse(selector)) then return end
  local for_what = type(selector) == "table" and selectors.text(selector) or selector
  errors.raise { code = "usb.no-device", path = info.path,
    message = ("%s is not a board for %s (%s)"):format(info.path, recipe or "this recipe",
      for_what) }
end

---The mode in which a recipe wants its boards.
---@param recipe table
---@return string?
function M.mode(recipe)
  return not dfu.defaults.entered and recipe.table.mode or nil
end

-- The devices that match a selector and the recipe, and the selector as a table.
local function find(selector, recipe)
  local wanted = selectors.parse(selector)
  local found = dfu.wait_for(setmetatable({ mode = M.mode(recipe) }, { __index = wanted }),
    recipe.wait)
  if not recipe.table.board then return found, wanted end
  local right, meant = selectors.parse(recipe.table.board), {}
  for _, info in ipairs(found) do
    if selectors.matches(info, right) then meant[#meant + 1] = info end
  end
  if #meant == 0 then M.check(found[1], recipe.table.board) end
  return meant, wanted
end

-- Like find, but an error also names the slot.
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

-- Whether no device at all is at a path.
local function is_empty(path)
  for _, other in ipairs(dfu.others()) do
    if other.path == path then return false end
  end
  return #dfu.list { path = path } == 0
end

-- What a slot's search has found. The error of a wrong entry names the slot.
local function join_named(job, name)
  local ok, found, err = pcall(job.join, job)
  if ok then return found, err end
  if errors.is(found) then found.message = ("slot '%s': %s"):format(name, found.message) end
  error(found, 0)
end

-- Waits for the boards in all slots at once. An empty slot is reported and left out. A board that
-- can't be used fails at its turn, so that the others go on.
local function in_slots(recipe)
  local all, jobs, boards = slots_in_force(), {}, {}
  for i, name in ipairs(all.names) do
    jobs[i] = task.spawn(errors.catch, "usb", find, { path = all.by_name[name] }, recipe)
  end
  for i, name in ipairs(all.names) do
    local path = all.by_name[name]
    local found, err = join_named(jobs[i], name)
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

-- The Boards of a recipe with start = "operator": named places, whether or not a board is there.
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
      local job = dfu.fields(board).job -- board:open needs the selector
      job:mean(recipe.table.board)
      job:bring()
    end
  end
  if #boards == 0 then
    errors.raise { code = "usage", remedy = { "place" },
      message = "this recipe needs the places of its boards; none were given" }
  end
  return boards
end

---The boards of a run, not open. Raises if there are none, or several without --every-board.
---@param recipe table
---@param options table selectors, every_board, every_slot
---@return table[] boards
function M.choose(recipe, options)
  if recipe.table.start == "operator" then return away(recipe, options) end
  if options.every_slot then return in_slots(recipe) end
  local boards, seen = {}, {}
  local wanted_boards = dfu.defaults.entered or options.selectors or { recipe.table.board or false }
  for _, selector in ipairs(wanted_boards) do
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

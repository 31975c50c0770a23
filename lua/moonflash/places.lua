-- SPDX-License-Identifier: MIT
-- Which boards a recipe runs on: those that -d, --every-board, --every-slot and the recipe mean.
local dfu = require "dfu"
local errors = require "moonflash.errors"
local progress = require "moonflash.progress"
local selectors = require "moonflash.selector"
local slots = require "moonflash.slots"
local task = require "task"

local M = {}

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
  if #meant == 0 then
    errors.raise { code = "usb.no-device",
      message = ("%s is not what this recipe is for (%s)"):format(found[1].path,
        recipe.table.board) }
  end
  return meant, wanted
end

local function slots_in_force()
  local all = slots.load()
  if #all.names > 0 then return all end
  errors.raise { code = "usage", message = "there are no slots",
    hint = ("%s can name them:\n  return { left = \"1-4.1\", right = \"1-4.2\" }\n"
      .. "'moonflash slots' shows them; --slots names another file."):format(slots.default_file()) }
end

-- All slots are waited for at once. One with nothing in it is said, and left out.
local function in_slots(recipe)
  local all, jobs, boards = slots_in_force(), {}, {}
  for i, name in ipairs(all.names) do
    jobs[i] = task.spawn(pcall, find, { path = all.by_name[name] }, recipe)
  end
  for i, name in ipairs(all.names) do
    local ok, err = jobs[i]:join()
    if ok then
      boards[#boards + 1] = dfu.at { path = all.by_name[name] }
    elseif errors.matches(err, "usb.no-device") and not err.was_there then
      progress.print(("%s (%s): no board for this recipe"):format(name, all.by_name[name]))
    else
      error(err, 0)
    end
  end
  if #boards == 0 then
    errors.raise { code = "usb.no-device", message = "there is no board in any slot" }
  end
  return boards
end

-- Places, whether a board is there or not: the recipe brings it.
local function away(recipe, options)
  local boards, places = {}, options.selectors or {}
  if options.every_slot then
    local all = slots_in_force()
    places = {}
    for i, name in ipairs(all.names) do places[i] = { path = all.by_name[name] } end
  end
  for i, place in ipairs(places) do
    boards[i] = dfu.at(place)
    dfu.fields(boards[i]).meant = recipe.table.board -- for board:open
  end
  if #boards == 0 then
    errors.raise { code = "usage", message = "this recipe begins with places that are empty: "
      .. "say which", hint = "-d 1-4.2, -d SLOT, or --every-slot" }
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
    local found, wanted = find(selector or nil, recipe)
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

-- SPDX-License-Identifier: MIT
-- rehearse.lua: runs a recipe on simulated boards with every fault at every request.
local dfu = require "dfu"
local errors = require "moonflash.errors"
local recipes = require "moonflash.run.recipe"
local rehearse = require "moonflash.run.rehearse"
local text = require "moonflash.base.text"

-- The simulated board: --device sim:g474, for example; default: the Discovery.
local function board_to_simulate()
  local selectors = dfu.defaults.selectors or { "sim:f407" }
  local spec = #selectors == 1 and selectors[1]:match("^sim:(.*)$")
  if not spec then
    errors.raise { code = "usage", message = "a rehearsal needs one simulated board",
                   hint = "For example --device sim:f407, which is the default." }
  end
  return spec
end

return {
  api         = 1,
  summary     = "Run a recipe on simulated boards, with every fault at every request",
  description = "Calls the recipe's setup once, and its run once for each fault. Checks four\n"
    .. "promises: no false success, correct reports of the flash, no other data changed,\n"
    .. "and a second run that passes.",
  virtual     = true,
  rest        = "the recipe, its arguments and options",
  args        = {
    { "--most", "faults at N requests at most, evenly spread", type = "integer" },
    { "--station", "units at a station, with random faults, bounces and replugs", default = false },
    { "--units", "with --station: how many", default = 100, min = 1 },
    { "--seed", "with --station: of the random numbers", default = 1 },
    { "--places", "with --station: how many", default = 4, min = 1, max = 16 },
  },

  setup = function(opt)
    local name = opt.rest[1]
    if not name then
      errors.raise { code = "usage", message = "no recipe given",
                     hint = "moonflash rehearse discovery build/ch.bin" }
    end
    local recipe = recipes.load(name)
    if not recipe or not recipe.table.run then
      errors.raise { code = "usage",
        message = name .. " is not a recipe that runs on a board" }
    end
    local own = opt.options_behind(recipe)
    local started = os.clock()
    if opt.station then
      local done = require("moonflash.station.rehearse").recipe(recipe, own, {
        units = opt.units, seed = opt.seed, places = opt.places,
        board = board_to_simulate():gsub("^sim:", "") })
      return done.shown .. "\nEvery attempt has a record, no number stands on two boards, no "
        .. "failure is called PASS.   " .. text.seconds(os.clock() - started)
    end
    local done = rehearse.recipe(recipe, own, board_to_simulate(), opt.most)
    return done.shown .. "\nNo false success. Every message was correct about the flash. "
      .. "Every rerun passed.   " .. text.seconds(os.clock() - started)
  end,
}

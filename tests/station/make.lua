-- SPDX-License-Identifier: MIT
-- Makes some units at a station of simulated boards: arg[1] the folder, arg[2] how many. Each
-- number that a recipe has got, and each PASS that was shown, is a line "m K number" or "m P
-- number" of the record of power.c.
local recipes = require "moonflash.run.recipe"
local rehearse = require "moonflash.station.rehearse"
local events = require "moonflash.base.events"

local log = os.getenv("POWER_LOG")

local function mark(kind, value)
  if not log then return end
  local file <close> = assert(io.open(log, "a"))
  file:write("m ", kind, " ", value, "\n")
end

local name = os.tmpname() .. ".lua"
do
  local file <close> = assert(io.open(name, "w"))
  file:write [[return { api = 1, setup = function() return units.open("K%04d") end,
    run = function(board, _, numbers)
      local item = numbers:take(board)
      _G_mark("K", item.value)
      flash.write(board, image.new { segments = { { address = 0x08000000,
        bytes = item.value .. ("\255"):rep(1024) } } })
    end }]]
end
local recipe = recipes.load(name)
os.remove(name)
rawset(recipe.env, "_G_mark", mark)
local apart = events.apart
function events.apart(...)
  local kept = apart(...)
  events.on { place = function(_, place)
    if place.state == "PASS" and place.facts then mark("P", place.facts.dut_id) end
  end }
  return kept
end
local ok, err = pcall(rehearse.recipe, recipe, {}, { units = tonumber(arg[2]), places = 4, seed = 3,
  board = "f407", folder = arg[1] })
print(ok and "made" or require("moonflash.errors").words(err))

-- SPDX-License-Identifier: MIT
-- Many units in one process, in virtual time: memory, file descriptors and time a unit. arg[1]: how
-- many.
local recipes = require "moonflash.run.recipe"
local rehearse = require "moonflash.station.rehearse"
local stations = require "moonflash.station"

local units = tonumber(arg[1])
local recipe = recipes.load(here("unit.lua"))
local marks, count = {}, 0

local function resident()
  local file <close> = assert(io.open("/proc/self/statm"))
  return tonumber(file:read("a"):match("^%d+ (%d+)")) * 4096
end

local new = stations.new
function stations.new(...)
  local station = new(...)
  local conclude = station.conclude
  function station:conclude(...)
    conclude(self, ...)
    count = count + 1
    if count % 1000 == 0 then
      collectgarbage()
      marks[#marks + 1] = { at = os.clock(), memory = resident(), lua = collectgarbage("count"),
                            files = #sys.readdir("/proc/self/fd") }
    end
  end
  return station
end

rehearse.recipe(recipe, {}, { units = units, places = 16, seed = 1, board = "f407",
  light = true })
local first, last = marks[1], marks[#marks]

-- The shortest of the times that five thousands took: what else the machine did counts least there.
local function shortest(from)
  local best = math.huge
  for i = from, math.min(from + 4, #marks - 1) do
    best = math.min(best, marks[i + 1].at - marks[i].at)
  end
  return best
end

local early, late = shortest(1), shortest(math.max(1, #marks - 5))
print(("%d attempts: memory %+.1f MB after the first thousand (Lua %+.1f MB), file descriptors %+d,"
  .. " time a unit %+.0f %%"):format(count, (last.memory - first.memory) / 1e6,
  (last.lua - first.lua) / 1e3, last.files - first.files, 100 * (late / early - 1)))

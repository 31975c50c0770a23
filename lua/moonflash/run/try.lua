-- SPDX-License-Identifier: MIT
-- Recipes in tests: sim.run runs one on simulated boards and gives its results, sim.rehearse is an
-- assertion that it keeps its promises, and tests() runs files of tests.
local args = require "moonflash.run.args"
local dfu = require "dfu"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local misuse = require "moonflash.base.misuse"
local recipes = require "moonflash.run.recipe"
local rehearse = require "moonflash.run.rehearse"
local run = require "moonflash.run"
local sim = require "sim"
local task = require "task"

local M = {}

-- The folder of the script that calls sim.run: recipes are looked for there first.
local function folder_of_caller()
  for level = 3, 20 do
    local info = debug.getinfo(level, "S")
    if not info then return nil end
    local path = info.source:match("^@(.*)$")
    if path and not path:find("lua/moonflash/", 1, true) then
      return path:match("^(.*)/") or "."
    end
  end
end

-- A recipe with its options.
local function load_recipe(usage, name, options)
  if type(name) ~= "string" then misuse("%s: the name of a recipe, or its file", usage) end
  local folder = folder_of_caller()
  local recipe = recipes.load(name, folder and { folder = folder, chunk = "=a test" } or nil)
  if not recipe then misuse("%s: %s is a plain script, not a recipe", usage, name) end
  return recipe, args.given(options or {}, recipe.args, name)
end

-- The simulated boards of a list: Sims, or what sim.new takes. Those made here exist as long as the
-- results, in which they are.
local function boards_of(usage, list)
  local sims = {}
  for i, board in ipairs(list) do
    if type(board) == "string" then board = sim.new((board:gsub("^sim:", ""))) end
    if type(board) ~= "userdata" then misuse("%s: board %d is no simulated board", usage, i) end
    sims[i] = board
  end
  return sims
end

---Runs a recipe on simulated boards. An error of setup, or of choosing the boards, is raised.
---@param name string of the recipe, or its file, beside the script that calls this
---@param options? table the recipe's options, with _ for -
---@param boards? table Sims, or what sim.new takes; default: one F407
---@return table[] results one for each board: outcome, err, data, seconds, stats, steps, notes,
---  at_end, sim, path; in the field `status` the exit status
function M.run(name, options, boards)
  local usage = "sim.run(recipe, options, boards)"
  local recipe, opt = load_recipe(usage, name, options)
  local sims = boards_of(usage, boards or { "f407" })
  local before, paths = dfu.defaults.selectors, {}
  for i, board in ipairs(sims) do paths[i] = board.path end
  dfu.defaults.selectors = paths
  local _ <close> = setmetatable({}, { __close = function()
    dfu.defaults.selectors, dfu.defaults.entered = before, nil
  end })
  local _ <close> = events.apart()
  local results
  local finish = recipe.table.finish
  recipe.table.finish = function(own, all)
    results = all
    if finish then finish(own, all) end
  end
  local status = run.recipe(recipe, opt, { selectors = paths, every_board = true })
  results = results or {}
  for i, result in ipairs(results) do
    result.sim, result.steps, result.notes = sims[i], result.stats.steps, result.stats.notes
  end
  results.status = status
  return results
end

---Rehearses a recipe on a simulated board, with every fault at requests that are evenly spread.
---Raises `fail` if a run breaks a promise.
---@param name string as for sim.run
---@param options? table
---@param how? table board: what sim.new takes (default "f407"); most: requests that get faults
---  (default: all)
---@return table { requests=, runs= }
function M.rehearse(name, options, how)
  local recipe, opt = load_recipe("sim.rehearse(recipe, options, how)", name, options)
  how = how or {}
  local before = dfu.defaults.selectors
  local _ <close> = setmetatable({}, { __close = function() dfu.defaults.selectors = before end })
  return rehearse.recipe(recipe, opt, how.board or "f407", how.most)
end

---A recipe with its options, for tests of what is above this floor.
---@type fun(usage: string, name: string, options?: table): table, table
M.load_recipe = load_recipe

-- ---- files of tests ----

-- The tests of a file: its script returns them, { name = function, ... }.
local function tests_of(file)
  local chunk, env = recipes.compile(recipes.find(file))
  local ok, tests = pcall(chunk)
  if not ok then return nil, tests end
  if type(tests) ~= "table" then
    return nil, file .. " returns no table of tests: { name = function() ... end }"
  end
  local list = {}
  for name, f in pairs(tests) do
    if type(name) ~= "string" or type(f) ~= "function" then
      return nil, ("%s: '%s' is no test: a name, and a function"):format(file, tostring(name))
    end
    list[#list + 1] = { name = name, f = f, env = env }
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

-- Calls a test in a task of its own. Returns what it raised, as text.
local function failure_of(f)
  local job = task.spawn(f)
  local ok, err = pcall(job.join, job)
  return not ok and errors.text(errors.origin(err)) or nil
end

---Runs the tests of files.
---@param files string[]
---@return table[] results { { file=, name=, failure= text or nil, seconds= }, ... }
function M.tests(files)
  local results = {}
  for _, file in ipairs(files) do
    local tests, why = tests_of(file)
    if not tests then
      results[#results + 1] = { file = file, name = "(the file)", failure = errors.text(why),
                                seconds = 0 }
    end
    for _, test in ipairs(tests or {}) do
      local began = os.clock()
      local failure = failure_of(test.f)
      results[#results + 1] = { file = file, name = test.name, failure = failure,
                                seconds = os.clock() - began }
    end
  end
  return results
end

return M

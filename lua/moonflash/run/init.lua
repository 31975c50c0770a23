-- SPDX-License-Identifier: MIT
-- Runs a recipe: setup once, run once a board, each in a task of its own, finish at the end.
local cleanup = require "moonflash.run.cleanup"
local dfu = require "dfu"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local last_words = require "moonflash.base.last_words"
local places = require "moonflash.run.choose"
local recipe_library = require "moonflash.run.recipe"
local remedies = require "moonflash.ui.remedies"
local streams = require "moonflash.sys.stream"
local task = require "task"

local M = {}

---Calls f in a task of its own, so that a cancellation ends f and not the caller. An error carries
---the task's traceback (errors.origin).
---@param f function
---@return any result
function M.shielded(f, ...)
  local job = task.spawn(f, ...)
  local ok, result = pcall(job.join, job)
  if ok then return result end
  errors.raise_from(result, job:traceback())
end

-- ---- one board ----

local function work(recipe, board, opt, value, result)
  local job = dfu.fields(board).job
  task.tag(board)
  local _ <close> = board
  job:begin(recipe.table.seconds)
  if job.refused then error(job.refused, 0) end
  local brought = recipe.table.start == "operator" -- the recipe opens the board
  if not brought then
    board:open { wait = recipe.wait, selector = { mode = places.mode(recipe) } }
  end
  result.opened = task.now()
  -- closed first: the time ends before the board is closed, however the run ends
  local _ <close> = setmetatable({}, { __close = function()
    job:finish(board)
    result.seconds = math.max(task.now() - result.opened - job.waited, 0)
  end })
  return recipe.table.run(board, opt, value)
end

---Runs a recipe on one board. Errors are returned in the result, not raised.
---@param recipe table
---@param board table not open
---@param opt table
---@param value any the value that setup returned
---@return table result outcome=, err=, data=, seconds=, stats=, at_end= errors beside err
function M.on_board(recipe, board, opt, value)
  local result = { board = board, path = board.path, seconds = 0 }
  local began = os.time()
  cleanup.begin(board)
  local ok, data = pcall(M.shielded, work, recipe, board, opt, value, result)
  result.at_end = cleanup.run(board)
  if ok then
    result.data, result.err = data, table.remove(result.at_end, 1)
  else
    result.err, result.traceback = errors.origin(data)
  end
  result.outcome = errors.outcome(result.err)
  result.began = began
  result.stats = dfu.fields(board).stats
  dfu.fields(board).history:settle()
  last_words.set(board.path)
  result.ranges = dfu.fields(board).journal:claims()
  result.err = errors.of_memory(result.err)
  local err = errors.is(result.err) and result.err or nil
  if err and recipe.from == "built in" then err.where = nil end
  local last = result.stats.steps[#result.stats.steps]
  result.step = not ok and last and last.name or nil -- the step in which it failed
  if err then err.step = result.step end
  if err and not err.path then
    err.path, err.message = board.path, board.path .. ": " .. err.message
  end
  -- taken after the clean-up, which may have changed the flash
  local flash = board.found_state and dfu.fields(board).journal:text()
  if err and flash and err.code ~= "usage" then
    err.flash, err.ranges = flash, result.ranges
  elseif flash and result.err ~= nil and not err and #result.ranges > 0 then
    result.flash = flash
  end
  return result
end

-- ---- the whole run ----

local function closer_of(value)
  local meta = getmetatable(value)
  return type(meta) == "table" and meta.__close or nil
end

-- The closable values in what setup returned: the value itself, or those in a plain table.
local function parts_of(value)
  if closer_of(value) then return { value } end
  local parts = {}
  for _, part in pairs(type(value) == "table" and not getmetatable(value) and value or {}) do
    if closer_of(part) then parts[#parts + 1] = part end
  end
  return parts
end

---Closes, whatever happened, first the functions of task.at_end, then the values that setup
---returned, then all Streams that are still open. Returns the errors.
---@param value any what setup returned
---@return table[] errors
function M.close_all(value)
  local failures = cleanup.run()
  local values = recipe_library.to_close
  recipe_library.to_close = {}
  table.insert(values, value)
  task.at_end(streams.close_all)
  for _, made in ipairs(values) do
    for _, part in ipairs(parts_of(made)) do
      task.at_end(function() closer_of(part)(part, nil) end)
    end
  end
  for _, err in ipairs(cleanup.run()) do failures[#failures + 1] = err end
  return failures
end

-- Runs the recipe on all boards at once. Returns the results, and the packed error and traceback of
-- a failed task that was never joined, if there is one.
local function run_boards(recipe, boards, opt, value)
  local results, jobs = {}, {}
  for i, board in ipairs(boards) do
    dfu.fields(board).job:stand_beside(boards)
    jobs[i] = task.spawn(function()
      task.supervise()
      results[i] = M.on_board(recipe, board, opt, value)
      events.emit("result", results[i])
    end)
  end
  for _, job in ipairs(jobs) do job:join() end
  local failure = table.pack(task.failure())
  events.emit("summary", results, failure.n > 0)
  return results, failure
end

-- The exit status of the first board that failed; 0 if none did.
local function status_of(results)
  for _, result in ipairs(results) do
    local status = result.outcome ~= "PASS" and errors.exit_status(result.err) or 0
    if status ~= 0 then return status end
  end
  return 0
end

-- Calls setup, run and finish. Returns the exit status. made.value is the value that setup
-- returned.
local function carry_out(recipe, opt, options, about, made)
  local t = recipe.table
  if t.setup then made.value = M.shielded(t.setup, opt) end
  if not t.run then
    events.emit("value", made.value)
    about.text = made.value ~= nil and tostring(made.value) or nil
    return 0
  end
  local boards = M.shielded(places.choose, recipe, options)
  events.emit("boards", boards)
  local failure
  about.results, failure = run_boards(recipe, boards, opt, made.value)
  if t.finish then M.shielded(t.finish, opt, about.results) end
  if failure.n > 0 then errors.raise_from(failure[1], failure[2]) end
  return status_of(about.results)
end

-- os.exit(0) must not hide that a board has failed: returns that board's status, or nil.
local function status_of_exit(about, raised)
  local err = errors.origin(raised)
  if not errors.matches(err, "exit") or err.status ~= 0 then return nil end
  local failed = status_of(about.results)
  return failed ~= 0 and failed or nil
end

-- Carries out a recipe and its clean-up. Returns the exit status. An error of the clean-up becomes
-- the error of a run that passed; otherwise it is reported in addition.
local function attempt(recipe, opt, options, about)
  local made = {}
  cleanup.begin()
  local ok, status = pcall(carry_out, recipe, opt, options, about, made)
  local raised = not ok and status or nil
  if not ok then status = status_of_exit(about, raised) end
  for i, failure in ipairs(M.close_all(made.value)) do
    if i == 1 and status == 0 then
      status, raised = nil, failure
    else
      events.emit("complaint", failure)
      about.at_end = about.at_end or {}
      table.insert(about.at_end, failure)
    end
  end
  if not status then error(raised, 0) end
  return status
end

-- ---- the report ----

---The facts for a report that are known when a run begins.
---@param name string of the recipe or script
---@param options table command
---@return table
function M.beginning(name, options)
  return { name = name, command = options.command, results = {}, began = os.time(),
           clock = task.now() }
end

---Calls f, which returns an exit status or raises, and writes a report if one was requested. An
---error in writing becomes the error of a run that passed; otherwise it is reported in addition. If
---f returns false, no run has taken place, and no report is written.
---@param about table from M.beginning
---@param options table report: the file; write_report: the function that writes it
---@param f function
---@return integer|false status
function M.reported(about, options, f, ...)
  local ok, status = pcall(f, ...)
  if options.report and (not ok or status) then
    about.seconds = task.now() - about.clock
    about.err = not ok and errors.origin(status) or nil
    about.outcome = errors.outcome(about.err)
    about.status = ok and status or errors.exit_status(about.err)
    local written, why = pcall(options.write_report, options.report, about)
    if written then
      events.emit("report", why)
    elseif ok and status == 0 then
      error(why, 0)
    else
      events.emit("complaint", why)
    end
  end
  if not ok then error(status, 0) end
  return status
end

---Runs a recipe on all its boards. Returns the exit status.
---@param recipe table
---@param opt table
---@param options table selectors, every_board, every_slot, wait, report, command
---@return integer status
function M.recipe(recipe, opt, options)
  recipe.wait = options.wait
  remedies.for_recipe(recipe.args)
  local about = M.beginning(recipe.name, options)
  about.summary, about.args, about.opt = recipe.summary, recipe.args, opt
  return M.reported(about, options, attempt, recipe, opt, options, about)
end

return M

-- SPDX-License-Identifier: MIT
-- What is done at the end of a board's run, or of the whole run, whatever happened: relays go off.
-- Neither a deadline nor a signal that comes just then cuts it short; a second Ctrl-C does.
local errors = require "moonflash.errors"
local misuse = require "moonflash.base.misuse"
local task = require "task"

local M = {}

local SECONDS = 10 -- that one function may take

local lists = setmetatable({}, { __mode = "k" }) -- by board
local whole -- of the recipe that runs

---From now on functions are taken for the end of the whole run, or of a board's.
---@param board? table
function M.begin(board)
  if board then lists[board] = {} else whole = {} end
end

---Calls f when the board's run has ended; in `setup` and `finish`, when all have.
---@param f function
function task.at_end(f)
  if type(f) ~= "function" then misuse("task.at_end(f): a function") end
  local board = task.tag()
  local list = whole
  if board then list = lists[board] end
  if not list then misuse("task.at_end is for recipes: in setup, run and finish") end
  list[#list + 1] = f
end

-- Nothing but time ends it.
local function guarded(board, f)
  local job = task.spawn(function()
    task.supervise(true)
    task.tag(board)
    task.deadline(SECONDS, f)
  end)
  return pcall(job.join, job)
end

local function at_the_end(err)
  if not errors.is(err) then return "at the end: " .. errors.words(err) end
  err.message = "at the end: " .. err.message
  return err
end

---Calls the functions of a board, or those of the whole run, the last first, and all of them.
---@param board? table
---@return any[] errors of those that failed
function M.run(board)
  local failures = {}
  local list = board and lists[board] or whole or {}
  while #list > 0 do -- one may ask for another
    local ok, err = guarded(board, table.remove(list))
    if not ok then failures[#failures + 1] = at_the_end(err) end
  end
  return failures
end

return M

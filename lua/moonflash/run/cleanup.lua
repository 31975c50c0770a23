-- SPDX-License-Identifier: MIT
-- Functions that are called at the end of a board's run, or of the whole run, whatever happened: to
-- switch relays off, for example. Neither a deadline nor the first signal cuts them short; a second
-- Ctrl-C does.
local errors = require "moonflash.errors"
local misuse = require "moonflash.base.misuse"
local task = require "task"

local M = {}

local SECONDS = 10 -- limit of one function

local lists = setmetatable({}, { __mode = "k" }) -- by board
local whole -- of the current recipe

---Begins a run: from now on task.at_end accepts functions for a board, or for the whole run.
---@param board? table
function M.begin(board)
  if board then lists[board] = {} else whole = {} end
end

---Registers f for the end of the board's run; in `setup` and `finish`, for the end of the whole
---run.
---@param f function
function task.at_end(f)
  if type(f) ~= "function" then misuse("task.at_end(f): a function") end
  local board = task.tag()
  local list = whole
  if board then list = lists[board] end
  if not list then misuse("task.at_end is for recipes: in setup, run and finish") end
  list[#list + 1] = f
end

-- Calls f in a supervised task, which only the deadline of SECONDS can end.
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

---Calls the functions of a board, or of the whole run: all of them, the last one first.
---@param board? table
---@return any[] errors of the functions that failed
function M.run(board)
  local failures = {}
  local list = board and lists[board] or whole or {}
  while #list > 0 do -- a function may register another one
    local ok, err = guarded(board, table.remove(list))
    if not ok then failures[#failures + 1] = at_the_end(err) end
  end
  return failures
end

return M

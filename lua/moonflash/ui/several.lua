-- SPDX-License-Identifier: MIT
-- Shows the events of a run for several boards on a terminal: a row for each board (rows.lua), and
-- lines above them.
local bars = require "moonflash.ui.bars"
local console = require "moonflash.ui.console"
local errors = require "moonflash.errors"
local lines = require "moonflash.ui.lines"
local rows = require "moonflash.ui.rows"
local sys = require "sys"
local task = require "task"
local text = require "moonflash.base.text"
local words = require "moonflash.ui.words"

local M = setmetatable({}, lines)
M.__index = M

local REDRAW = 0.04 -- seconds between two drawings of a phase

---@param boards table[]
---@param on_end function called when the rows are complete: later output goes below them
---@return table a new subscriber
function M.new(boards, on_end)
  local self = setmetatable(lines.new(), M)
  self.drawn_at = setmetatable({}, { __mode = "k" }) -- by phase
  self.on_end = on_end
  rows.begin(boards)
  return self
end

function M.above(_, printed)
  printed = text.plain(printed)
  if console.question() then return console.say(printed .. "\n") end
  rows.print(printed)
end

-- ---- phases ----

function M.phase(_, phase)
  rows.update(phase.board, phase.name, bars.share(phase))
end

function M:advance(phase)
  if task.now() - (self.drawn_at[phase] or -1) < REDRAW then return end
  self.drawn_at[phase] = task.now()
  self:phase(phase)
end

M.phase_end = M.phase

M.report = bars.report

function M.step(_, board, step)
  rows.update(board, words.one_line(step.name))
end

-- ---- questions ----

function M.question(_, board, question)
  question = console.prefix(board) .. question
  rows.pause(question .. " ")
  console.ask(question)
end

function M.answer(_, answer, typed)
  local question, alone = console.answered(typed)
  rows.resume(question .. " " .. (answer or ""), alone)
end

-- ---- results ----

function M.passed(_, board, stats, seconds)
  rows.result(board, "PASS", ("%s  %s%s"):format(text.seconds(seconds), words.done(stats),
    words.aside(words.remarks(stats, board.retries))))
end

function M:returned(board, value)
  if not sys.is_terminal(1) then return lines.returned(self, board, value) end
  self:above(console.prefix(board) .. errors.words(value))
end

function M:result(result)
  lines.result(self, result)
  if result.outcome == "PASS" or errors.matches(result.err, "exit") then return end
  rows.result(result.board, result.outcome, text.without_path(text.plain(errors.text(result.err)),
    result.board.path))
end

-- The reason for a failure is in its row.
function M:tell_again(failed)
  for _, result in ipairs(failed) do
    rows.result(result.board, result.outcome, self.reason(result))
  end
  rows.finish()
  self.on_end()
end

return M

-- SPDX-License-Identifier: MIT
-- Shows the events of a run for several boards on a terminal: a row for each board (rows.lua), and
-- lines above them.
local bars = require "moonflash.ui.bars"
local console = require "moonflash.ui.console"
local errors = require "moonflash.errors"
local lines = require "moonflash.ui.lines"
local output = require "moonflash.ui.output"
local progress = require "moonflash.ui.progress"
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
  self.watch = progress.watch(function(phase) self.show(phase) end)
  rows.begin(boards)
  output.divert(function(written) self:above(written) end)
  return self
end

function M.above(_, printed, is_error)
  printed = lines.clean(printed, is_error)
  rows.print((printed:gsub("\t", "    "))) -- the width of a tab depends on where it stands
end

-- ---- phases ----

function M.show(phase)
  rows.update(phase.board, phase.name, progress.share(phase), select(2, progress.note(phase)))
end

function M:phase(phase)
  self.watch:begin(phase)
  self.show(phase)
end

function M:advance(phase)
  if task.now() - (self.drawn_at[phase] or -1) < REDRAW then return end
  self.drawn_at[phase] = task.now()
  self.show(phase)
end

function M:phase_end(phase)
  self.watch:finish(phase.board)
  self.show(phase)
end

M.report = bars.report

function M.step(_, board, step)
  rows.update(board, words.one_line(step.name))
end

-- ---- questions ----

function M.question(_, board, question)
  question = text.clean(console.prefix(board) .. question)
  rows.ask(question .. " ")
  console.ask(question)
end

function M.answer(_, answer, typed)
  local question = console.answered(typed)
  rows.answered(text.clean(question .. " " .. (answer or "")))
end

function M.accepted(_, board, line) rows.scanned(board, line) end

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
  self.watch:finish(result.board)
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
  self.watch:stop()
  rows.finish()
  output.divert(nil)
  self.on_end()
end

return M

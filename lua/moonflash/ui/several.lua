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

local REDRAW = 0.04   -- seconds between two drawings of a phase
local MOST_STATES = 4 -- of interrupted boards, which are told

---@param boards table[]
---@param on_end function called when the rows are complete: later output goes below them
---@return table a new subscriber
function M.new(boards, on_end)
  local self = setmetatable(lines.new(), M)
  self.drawn_at = setmetatable({}, { __mode = "k" }) -- by phase
  self.interrupted = {} -- results
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
  if result.outcome == "ABORTED" and #result.at_end == 0 then
    table.insert(self.interrupted, result)
  else
    lines.result(self, result)
  end
  if result.outcome == "PASS" or errors.matches(result.err, "exit") then return end
  rows.result(result.board, result.outcome, text.without_path(text.plain(errors.text(result.err)),
    result.board.path))
end

-- What there is to say of interrupted boards: each line once, with the names of its boards if it is
-- not true of all of them. If too much differs, the report has it.
local function said_of(interrupted)
  local order, names = {}, {}
  for _, result in ipairs(interrupted) do
    local said = errors.text(result.err) .. (result.flash and "\n" .. result.flash or "")
    for line in text.plain(said):gsub("^[^\n]*\n?", ""):gmatch("%s*([^\n]+)") do
      if not names[line] then
        order[#order + 1], names[line] = line, {}
      end
      table.insert(names[line], console.who(result.board))
    end
  end
  local common, own = "", {}
  for _, line in ipairs(order) do
    if #names[line] == #interrupted then
      common = common .. "\n  " .. line
    else
      own[#own + 1] = ("\n  %s: %s"):format(table.concat(names[line], ", "), line)
    end
  end
  if #own > MOST_STATES then
    own = { "\n  Each board is in a state of its own: --report and --json tell the ranges." }
  end
  return table.concat(own) .. common
end

-- Boards that were interrupted together are told together; their rows say where each of them was.
function M:tell_interrupted()
  local interrupted = self.interrupted
  if #interrupted == 0 then return end
  self:above(("moonflash: interrupted: %s%s"):format(text.count(#interrupted, "board"),
    said_of(interrupted)), true)
end

-- The reason for a failure is in its row.
function M:tell_again(failed)
  for _, result in ipairs(failed) do
    rows.result(result.board, result.outcome, self.reason(result))
  end
  self:tell_interrupted()
  self:end_rows()
  self.on_end()
end

-- Makes the last drawing.
function M:end_rows()
  self.watch:stop()
  rows.finish()
  output.divert(nil)
end

return M

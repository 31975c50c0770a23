-- SPDX-License-Identifier: MIT
-- Shows events on a terminal: a progress bar for each phase, and lines above it.
local console = require "moonflash.ui.console"
local lines = require "moonflash.ui.lines"
local output = require "moonflash.ui.output"
local sys = require "sys"
local task = require "task"
local text = require "moonflash.base.text"
local words = require "moonflash.ui.words"

local M = setmetatable({}, lines)
M.__index = M

local BAR = 28      -- cells
local REDRAW = 0.04 -- seconds between two drawings of a bar
local FULL, EMPTY = "█", "░"

---@return table a new subscriber
function M.new()
  -- bar: the phase whose bar is on the screen's last line. drawn: the bar is visible. first: the
  -- first board with a bar. several: more than one board has had a bar.
  local self = setmetatable(lines.new(), M)
  self.bar, self.drawn, self.drawn_at, self.first, self.several = nil, false, -1, nil, false
  return self
end

-- ---- the bar ----

---@param phase table
---@return number 0 to 1
function M.share(phase)
  return phase.total > 0 and math.min(phase.done / phase.total, 1) or 1
end

local function picture(phase, who, last)
  local share = M.share(phase)
  local width = math.max(8, math.min(BAR, sys.terminal_size() - 48 - #who))
  local full = math.floor(share * width + 0.5)
  local spent = task.now() - phase.began
  local left = not last and share > 0 and spent * (1 - share) / share
  local amount, rate
  if phase.unit == "bytes" then
    amount = text.size(phase.done)
    rate = spent > 0 and text.size(phase.done / spent) .. "/s" or ""
  else
    amount, rate = text.count(phase.done, phase.unit), ""
  end
  return ("\r  %s%-7s %s%s  %-10s %10s %8s\27[K%s"):format(who, phase.name, FULL:rep(full),
    EMPTY:rep(width - full), amount, rate,
    left and text.seconds(left) .. " left" or text.seconds(spent), last and "\n" or "")
end

function M:draw(phase, last)
  if not last and (console.question() or not output.may_draw()) then return end
  local who = self.several and console.who(phase.board) .. "  " or ""
  if last then console.say(picture(phase, who, last)) else output.say(picture(phase, who)) end
  self.drawn, self.drawn_at = not last, task.now()
end

function M:clear()
  if self.bar and self.drawn then output.say("\r\27[K") end
end

function M:phase(phase)
  local who = console.who(phase.board)
  self.first = self.first or who
  if who ~= self.first then self.several = true end
  self.bar = phase
  self:draw(phase)
end

function M:advance(phase)
  if self.drawn_at and task.now() - self.drawn_at < REDRAW then return end
  self.drawn_at = task.now()
  self:draw(phase)
end

function M:phase_end(phase)
  self:draw(phase, true)
  self.bar = nil
end

---Leaves the present bar on the screen, after an error; later output goes below it.
function M:end_drawing()
  if self.bar and self.drawn then output.say("\n") end
  self.bar = nil
end

-- ---- lines ----

function M:above(printed)
  self:clear()
  console.say(text.plain(printed) .. "\n")
  if self.bar then self:draw(self.bar) end
end

function M:board(board)
  self:print(board, words.board(board))
end

function M:image(board, image, sectors, total)
  self:print(board, words.image(image, sectors, total))
end

function M:step(board, step)
  self:print(board, "step " .. words.one_line(step.name))
end

function M:report(file)
  self:print(nil, "The report is in " .. file)
end

function M:question(board, question)
  self:clear()
  self.drawn = false
  console.ask(console.prefix(board) .. question)
end

function M:answer(_, typed)
  console.answered(typed)
  if self.bar then self:draw(self.bar) end
end

function M.passed(_, board, stats, seconds)
  if words.done(stats) == "" and not console.is_several() then return end
  console.say(("%-68s %8s\n"):format(words.last_sentence(board, stats), text.seconds(seconds)))
  if stats.bytes_skipped > 0 or words.saved(stats) then
    console.say(words.done(stats) .. words.aside(words.remarks(stats, board.retries)) .. ".\n")
  end
  if board.retries > 0 then
    console.say(text.count(board.retries, "request")
      .. " had to be sent again. Check the cable.\n")
  end
end

return M

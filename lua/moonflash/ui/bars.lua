-- SPDX-License-Identifier: MIT
-- Shows events on a terminal: a progress bar for each phase, and lines above it.
local color = require "moonflash.ui.color"
local console = require "moonflash.ui.console"
local lines = require "moonflash.ui.lines"
local output = require "moonflash.ui.output"
local progress = require "moonflash.ui.progress"
local sys = require "sys"
local task = require "task"
local text = require "moonflash.base.text"
local words = require "moonflash.ui.words"

local M = setmetatable({}, lines)
M.__index = M

local BAR, LEAST = 28, 4 -- cells
local BESIDE = 77   -- column at which the time of a result ends
local WIDE = 60     -- columns that have room for a rate, and for a note in full
local REDRAW = 0.04 -- seconds between two drawings of a bar
local FULL, EMPTY = "█", "░"

---@return table a new subscriber
function M.new()
  -- bar: the phase whose bar is on the screen's last line. drawn: the bar is visible. first: the
  -- first board with a bar. several: more than one board has had a bar.
  local self = setmetatable(lines.new(), M)
  self.bar, self.drawn, self.drawn_at, self.first, self.several = nil, false, -1, nil, false
  self.watch = progress.watch(function(phase)
    if phase == self.bar then self:draw(phase) end
  end)
  return self
end

-- ---- the bar ----

-- How much of the phase is done, and how fast.
local function amount_of(phase, last)
  if phase.typical then
    return last and "everything" or ("everything, about %.0f s"):format(phase.typical), ""
  elseif phase.unit ~= "bytes" then
    return text.count(phase.done, phase.unit), ""
  end
  local done, spent = progress.done(phase), task.now() - phase.began
  return text.size(done), spent > 0 and text.size(done / spent) .. "/s" or ""
end

-- The time that is left if the phase goes on like this; without a share, the time that has passed.
local function time_of(phase, last)
  local spent, share = task.now() - phase.began, progress.share(phase)
  if last or phase.typical or share == 0 then return text.seconds(spent) end
  return text.seconds(spent * (1 - share) / share) .. " left"
end

-- What stands behind the bar: amount, rate and time; or what keeps the board.
local function figures(phase, columns, last)
  local amount, rate = amount_of(phase, last)
  local note, short
  if not last then note, short = progress.note(phase) end
  if columns >= WIDE then
    return note and ("%-10s %s"):format(amount, note)
      or ("%-10s %10s %8s"):format(amount, rate, time_of(phase, last))
  end
  return ("%-9s%11s"):format(amount:match("^[^,]*"), note and short or time_of(phase, last))
end

local function picture(phase, who, last)
  local columns = sys.terminal_size()
  local head = ("  %s%-7s "):format(who, phase.name)
  local tail = figures(phase, columns, last)
  local width = math.min(BAR, columns - 3 - text.width(head) - text.width(tail))
  if width < LEAST then
    return "\r" .. text.shortened(head .. tail, columns - 1) .. "\27[K" .. (last and "\n" or "")
  end
  local full = math.floor(progress.share(phase) * width + 0.5)
  return ("\r%s%s%s  %s\27[K%s"):format(head, FULL:rep(full), EMPTY:rep(width - full), tail,
    last and "\n" or "")
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
  output.divert(function(written) self:above(written) end)
  self.watch:begin(phase)
  self:draw(phase)
end

function M:advance(phase)
  if self.drawn_at and task.now() - self.drawn_at < REDRAW then return end
  self.drawn_at = task.now()
  self:draw(phase)
end

function M:phase_end(phase)
  self:draw(phase, true)
  self.watch:finish(phase.board)
  self.bar = nil
  output.divert(nil)
end

---Leaves the present bar on the screen, after an error; later output goes below it.
function M:end_drawing()
  self.watch:stop()
  if self.bar and self.drawn then output.say("\n") end
  self.bar = nil
  output.divert(nil)
end

-- ---- lines ----

function M:above(printed, is_error)
  self:clear()
  console.say(lines.clean(printed, is_error) .. "\n")
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
  local columns = sys.terminal_size()
  local sentence, next_step = words.last_sentence(board, stats)
  local says = {}
  says[1] = text.width(sentence) > columns - 10 and sentence .. "\n" .. text.seconds(seconds)
    or sentence .. ("%" .. math.min(columns - 1, BESIDE) - text.width(sentence) .. "s"):format(
      text.seconds(seconds))
  says[2] = next_step
  if stats.bytes_skipped > 0 or words.saved(stats) then
    says[#says + 1] = words.done(stats) .. words.aside(words.remarks(stats, board.retries)) .. "."
  end
  if board.retries > 0 then
    says[#says + 1] = text.count(board.retries, "request")
      .. " had to be sent again. Check the cable."
  end
  says = console.fit(table.concat(says, "\n"), 2)
  console.say(says:gsub("^Verified%.", color.good):gsub("NOT VERIFIED", color.warning) .. "\n")
end

return M

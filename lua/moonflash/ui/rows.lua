-- SPDX-License-Identifier: MIT
-- Several boards on a terminal: a row each, with its progress bar, phase and result; other output
-- goes above the rows. If there are more boards than lines, the boards at work come first, then the
-- failed ones.
local output = require "moonflash.ui.output"
local sys = require "sys"
local task = require "task"
local text = require "moonflash.base.text"

local M = {}

local BAR, REDRAW = 24, 0.04 -- cells; seconds between two drawings
local FULL, EMPTY = "█", "░"
local MOST_LABEL, MOST_PATH = 16, 24
local BELOW = 2              -- lines that stay free: for a question, and for the cursor after it

local rows, by_board, drawn, drawn_at, label_width, path_width, paused, painter, ended

local function cut(s, width)
  return text.width(s) > width and text.cut(s, width - 1) .. "~" or s
end

local function pad(s, width)
  return s .. (" "):rep(width - text.width(s))
end

---Begins with a row for each board.
---@param boards table[]
function M.begin(boards)
  rows, by_board, drawn, drawn_at, paused, painter, ended = {}, {}, 0, -1, false, nil, false
  label_width, path_width = 0, 0
  for i, board in ipairs(boards) do
    local row = { label = cut(text.plain(board.slot or ""), MOST_LABEL),
                  path = cut(text.plain(board.path), MOST_PATH), phase = "", number = i }
    rows[i], by_board[board] = row, row
    label_width = math.max(label_width, text.width(row.label))
    path_width = math.max(path_width, text.width(row.path))
  end
end

local function draw_row(row, columns)
  local label = label_width > 0 and pad(row.label, label_width + 2) or ""
  local who = " " .. label .. pad(row.path, path_width)
  local line
  if row.outcome then
    line = ("%s  %-7s  %s"):format(who, row.outcome, row.words)
  elseif row.share then
    local full = math.floor(row.share * BAR + 0.5)
    local cells = FULL:rep(full) .. EMPTY:rep(BAR - full)
    line = ("%s  %s  %s  %3d %%"):format(who, pad(cut(row.phase, 7), 7), cells,
      math.floor(row.share * 100))
  else
    line = ("%s  %s"):format(who, row.phase)
  end
  return text.cut(line, columns)
end

local function rank(row)
  return not row.outcome and 1 or row.outcome ~= "PASS" and 2 or 3
end

-- The rows to draw: all, or as many as fit; and the number of the others. The last drawing has all
-- failed boards, even if they don't fit, because it is never overdrawn.
local function shown(most)
  if #rows <= most then return rows, 0 end
  local list, failed = table.move(rows, 1, #rows, 1, {}), 0
  table.sort(list, function(a, b)
    local first, second = rank(a), rank(b)
    return first < second or first == second and a.number < b.number
  end)
  for _, row in ipairs(rows) do failed = failed + (rank(row) < 3 and 1 or 0) end
  local count = ended and math.max(most - 1, failed) or most - 1
  list = table.move(list, 1, count, 1, {})
  if not ended then table.sort(list, function(a, b) return a.number < b.number end) end
  return list, #rows - #list
end

-- Draws the rows in the place of the last drawing, below the lines `above`, which stay. The old
-- drawing is erased line by line: some terminals move an erased screen to their scrollback.
local function draw(above, below)
  if not ended and not output.may_draw() then
    if above then output.say(above .. "\n") end
    drawn = 0 -- the next drawing goes below
    return
  end
  local columns, lines = sys.terminal_size()
  local list, more = shown(math.max(2, (lines or 24) - (below or BELOW)))
  local picture = {}
  for i, row in ipairs(list) do picture[i] = draw_row(row, columns - 1) .. "\n" end
  if more > 0 then picture[#picture + 1] = (" and %d more\n"):format(more) end
  local up = drawn > 0 and ("\27[%dA"):format(drawn) or ""
  local wipe = drawn > 0 and up .. "\r" .. ("\27[K\n"):rep(drawn) .. up or ""
  output.say(wipe .. (above and above .. "\n" or "") .. table.concat(picture))
  drawn, drawn_at = #picture, task.now()
end

-- A task that draws changes which came too soon after the last drawing. The run does not wait for
-- it.
local function paint_later()
  task.supervise()
  task.sleep(REDRAW)
  painter = nil
  if not paused and not ended then draw() end
end

local function draw_soon()
  if paused or ended then return end
  if task.now() - drawn_at >= REDRAW then
    draw()
  elseif not painter then
    painter = task.spawn(paint_later)
  end
end

---Sets the progress of a board.
---@param board table
---@param phase string
---@param share? number 0 to 1
function M.update(board, phase, share)
  local row = by_board[board]
  if not row or row.outcome then return end
  row.phase, row.share = phase, share
  draw_soon()
end

---Prints a line above the rows.
---@param line string
function M.print(line)
  draw(line)
end

---Sets the result of a board.
---@param board table
---@param outcome string
---@param words string
function M.result(board, outcome, words)
  local row = by_board[board]
  if not row or row.outcome then return end
  row.outcome, row.words = outcome, words:match("[^\n]*")
  if not paused then draw() end
end

local function lines_of(s)
  local columns = sys.terminal_size()
  return math.max(1, (text.width(s) + columns - 1) // columns)
end

---Called before a question. The rows are not redrawn while the operator types below them.
---@param question string
function M.pause(question)
  draw(nil, lines_of(question) + 1)
  paused = true
end

---Called when a question has been answered or given up, and the cursor is on the line below. Draws
---the rows again, below the question; in their old place if nothing else was printed.
---@param question string with the answer
---@param alone boolean nothing else was printed
function M.resume(question, alone)
  paused = false
  -- the number of lines of other text depends on the terminal
  if alone and not question:find("%c") and utf8.len(question) then
    drawn = drawn + lines_of(question)
    draw(question)
  else
    drawn = 0
    draw()
  end
end

---Makes the last drawing: later output goes below it.
function M.finish()
  ended = true
  if paused then drawn = 0 end
  if painter then painter:cancel() end
  draw()
end

return M

-- SPDX-License-Identifier: MIT
-- Several boards on a terminal: a row each, with its progress bar, phase and result; other output
-- goes above the rows, and the open question stands below them. If there are more boards than
-- lines, the boards at work come first, then the failed ones.
local color = require "moonflash.ui.color"
local output = require "moonflash.ui.output"
local sys = require "sys"
local task = require "task"
local text = require "moonflash.base.text"

local M = {}
local cut = text.shortened

local BAR, LEAST, REDRAW = 24, 4, 0.04 -- cells; seconds between two drawings
local FULL, EMPTY = "█", "░"
local MOST_LABEL, MOST_SCAN = 24, 16
local BELOW = 2              -- lines that stay free: for a question, and for the cursor after it

local rows, by_board, drawn, drawn_at, label_width, scan_width, painter, ended
local asked = 0 -- lines of the open question, below the rows
local below     -- a line below the rows: counts

local function pad(s, width)
  return s .. (" "):rep(width - text.width(s))
end

---Adds a row.
---@param board table a Board, or a place: slot=, path=
function M.add(board)
  local row = { label = cut(text.plain(board.slot or board.path), MOST_LABEL), scan = "",
                phase = "", number = #rows + 1 }
  rows[#rows + 1], by_board[board] = row, row
  label_width = math.max(label_width, text.width(row.label))
end

---Gives a board the row of its place.
---@param board table
---@param place table
function M.alias(board, place) by_board[board] = by_board[place] end

---Begins with a row for each board.
---@param boards table[]
function M.begin(boards)
  rows, drawn, drawn_at, painter, ended = {}, 0, -1, nil, false
  by_board = setmetatable({}, { __mode = "k" }) -- a station's boards come and go
  label_width, scan_width, asked, below = 0, 0, 0, nil
  for _, board in ipairs(boards) do M.add(board) end
end

local function draw_row(row, columns)
  local who = " " .. pad(row.label, label_width)
  if scan_width > 0 and columns >= 60 then who = who .. "  " .. pad(row.scan, scan_width) end
  if row.outcome then
    local line = cut(("%s  %-7s  %s"):format(who, row.outcome, row.words), columns)
    local before = who .. "  "
    return line:sub(1, #before) == before and before .. line:sub(#before + 1):gsub("^%u+",
      function(outcome) return color.outcome(outcome, row.outcome) end) or line
  elseif not row.share then
    return cut(("%s  %s"):format(who, row.phase), columns)
  end
  local tail = ("  %3d %%%s"):format(math.floor(row.share * 100),
    row.note and "  " .. row.note or "")
  local head = ("%s  %s"):format(who, pad(cut(row.phase, 7), 7))
  local width = math.min(BAR, columns - 2 - text.width(head) - text.width(tail))
  if width < LEAST then return cut(head .. tail, columns) end
  local full = math.floor(row.share * width + 0.5)
  return ("%s  %s%s%s"):format(head, FULL:rep(full), EMPTY:rep(width - full), tail)
end

local function rank(row)
  return not row.outcome and 1 or row.outcome ~= "PASS" and 2 or 3
end

-- Sorts rows by how much they want to be seen. last: the most important comes last.
local function sort(list, last)
  table.sort(list, function(a, b)
    local first, second = rank(a), rank(b)
    if first == second then return a.number < b.number end
    return (first < second) ~= last
  end)
  return list
end

-- The rows to draw: all, or as many as fit; and the number of the others. The last drawing has all,
-- because it is never overdrawn; if they don't fit, the failed boards come last, where they are
-- seen.
local function shown(most)
  if #rows <= most then return rows, 0 end
  local list = sort(table.move(rows, 1, #rows, 1, {}), ended)
  if ended then return list, 0 end
  list = table.move(list, 1, most - 1, 1, {})
  table.sort(list, function(a, b) return a.number < b.number end)
  return list, #rows - #list
end

local function lines_of(s)
  local columns, n = sys.terminal_size(), 0
  for line in (s .. "\n"):gmatch("([^\n]*)\n") do
    n = n + math.max(1, (text.width(line) + columns - 1) // columns)
  end
  return n
end

-- The rows as lines, and a line that says how many are left out.
local function picture(free)
  local columns, lines = sys.terminal_size()
  local list, more = shown(math.max(2, (lines or 24) - free - (below and 1 or 0)))
  local drawing = {}
  for i, row in ipairs(list) do drawing[i] = draw_row(row, columns - 1) end
  if more > 0 then drawing[#drawing + 1] = (" and %d more"):format(more) end
  if below then drawing[#drawing + 1] = " " .. cut(below, columns - 2) end
  return drawing
end

-- Draws the rows again above the open question, whose line stays as it is, with what the operator
-- has typed; `above` is inserted above the rows. The terminal keeps the place of the cursor (DECSC,
-- DECRC), and makes room by scrolling (IND) and by inserting lines (IL).
local function draw_around(above)
  if not output.may_draw() then
    if above then output.say("\n" .. above .. "\n") end
    drawn = above and 0 or drawn
    return
  end
  local room = above and lines_of(above) or 0
  local up = room + drawn + asked - 1
  local drawing = picture(asked + 1)
  local parts = { ("\27D"):rep(room), "\0277", up > 0 and ("\27[%dA"):format(up) or "", "\r" }
  if above then
    parts[#parts + 1] = ("\27[%dL"):format(room)
    parts[#parts + 1] = above .. "\n"
  end
  for i = 1, drawn do parts[#parts + 1] = "\27[K" .. (drawing[i] or "") .. "\n" end
  output.say(table.concat(parts) .. "\0278")
  drawn_at = task.now()
end

-- Draws the rows in the place of the last drawing, below the lines `above`, which stay. The old
-- drawing is erased line by line: some terminals move an erased screen to their scrollback.
local function draw(above, free)
  if asked > 0 then return draw_around(above) end
  if not ended and not output.may_draw() then
    if above then output.say(above .. "\n") end
    drawn = 0 -- the next drawing goes below
    return
  end
  local drawing = picture(free or BELOW)
  local up = drawn > 0 and ("\27[%dA"):format(drawn) or ""
  local wipe = drawn > 0 and up .. "\r" .. ("\27[K\n"):rep(drawn) .. up or ""
  output.say(wipe .. (above and above .. "\n" or "") .. table.concat(drawing, "\n") .. "\n")
  drawn, drawn_at = #drawing, task.now()
end

-- A task that draws changes which came too soon after the last drawing. The run does not wait for
-- it.
local function paint_later()
  task.supervise()
  task.sleep(REDRAW)
  painter = nil
  if not ended then draw() end
end

local function draw_soon()
  if ended then return end
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
---@param note? string what keeps the board
function M.update(board, phase, share, note)
  local row = by_board[board]
  if not row or row.outcome then return end
  row.phase, row.share, row.note = phase, share, note
  draw_soon()
end

---Makes a row that of another unit: its result, progress and scan go.
---@param board table
---@param phase string
function M.renew(board, phase)
  local row = by_board[board]
  if not row then return end
  row.outcome, row.words, row.share, row.note, row.scan = nil, nil, nil, nil, ""
  row.phase = phase
  draw_soon()
end

---Sets the line below the rows.
---@param line string
function M.count(line)
  below = line
  draw_soon()
end

---Sets what was scanned for a board.
---@param board table
---@param scan string
function M.scanned(board, scan)
  local row = by_board[board]
  if not row then return end
  row.scan = cut(text.clean(scan), MOST_SCAN)
  scan_width = math.max(scan_width, text.width(row.scan))
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
  draw()
end

---Called before a question is shown below the rows.
---@param question string
function M.ask(question)
  local lines = lines_of(question)
  draw(nil, lines + 1)
  asked = lines
end

---Called when a question has been answered or given up, and the cursor is on the line below. The
---question goes above the rows.
---@param question string with the answer
function M.answered(question)
  asked = 0
  drawn = drawn + lines_of(question)
  draw(question)
end

---Makes the last drawing: later output goes below it.
function M.finish()
  ended = true
  if painter then painter:cancel() end
  draw()
end

return M

-- SPDX-License-Identifier: MIT
-- Several boards on a terminal: a row each, with its bar, its phase and its result; what is printed
-- goes above them. Where there are more boards than lines, those that still work come first.
local sys = require "sys"
local task = require "task"

local M = {}

local BAR, REDRAW = 24, 0.04 -- cells; seconds between two pictures
local FULL, EMPTY = "█", "░"
local MOST_LABEL, MOST_PATH = 16, 24

local rows, by_board, drawn, drawn_at, label_width, path_width, paused

local function stderr(s) io.stderr:write(s) end

-- The first characters; never a part of one.
local function first(s, count)
  return s:sub(1, (utf8.offset(s, count + 1) or 0) - 1)
end

local function cut(s, width)
  return first(s, width) ~= s and first(s, width - 1) .. "~" or s
end

---A row for each of the boards.
---@param boards table[]
function M.begin(boards)
  rows, by_board, drawn, drawn_at, paused = {}, {}, 0, -1, false
  label_width, path_width = 0, 0
  for i, board in ipairs(boards) do
    local row = { label = cut(board.slot or "", MOST_LABEL), path = cut(board.path, MOST_PATH),
                  phase = "", number = i }
    rows[i], by_board[board] = row, row
    label_width = math.max(label_width, #row.label)
    path_width = math.max(path_width, #row.path)
  end
end

local function draw_row(row, columns)
  local label = label_width > 0 and row.label .. (" "):rep(label_width - #row.label + 2) or ""
  local who = " " .. label .. row.path .. (" "):rep(path_width - #row.path)
  local line
  if row.outcome then
    line = ("%s  %-7s  %s"):format(who, row.outcome, row.words)
  elseif row.share then
    local full = math.floor(row.share * BAR + 0.5)
    local cells = FULL:rep(full) .. EMPTY:rep(BAR - full)
    return ("%s  %-7s  %s  %3d %%"):format(who, cut(row.phase, 7), cells,
      math.floor(row.share * 100))
  else
    line = ("%s  %s"):format(who, row.phase)
  end
  return first(line, columns)
end

-- Those that are shown: all, or as many as there is room for.
local function shown(most)
  if #rows <= most then return rows, 0 end
  local list = {}
  for _, done in ipairs { false, true } do
    for _, row in ipairs(rows) do
      if (row.outcome ~= nil) == done and #list < most - 1 then list[#list + 1] = row end
    end
  end
  table.sort(list, function(a, b) return a.number < b.number end)
  return list, #rows - #list
end

local function wipe()
  if drawn > 0 then stderr(("\27[%dA\r\27[J"):format(drawn)) end
  drawn = 0
end

local function draw()
  if paused then return end
  local columns, lines = sys.columns()
  local list, more = shown(math.max(2, (lines or 24) - 1))
  local picture = {}
  for i, row in ipairs(list) do picture[i] = draw_row(row, columns - 1) .. "\n" end
  if more > 0 then picture[#picture + 1] = (" and %d more\n"):format(more) end
  wipe()
  stderr(table.concat(picture))
  drawn, drawn_at = #picture, task.now()
end

local function draw_soon()
  if task.now() - drawn_at >= REDRAW then draw() end
end

---How far a board is.
---@param board table
---@param phase string
---@param share? number 0 to 1
function M.update(board, phase, share)
  local row = by_board[board]
  if not row or row.outcome then return end
  row.phase, row.share = phase, share
  draw_soon()
end

---While the operator types an answer below them, the rows stay as they are.
---@param on boolean
function M.pause(on)
  paused = on
  drawn = 0
  if not on then draw() end
end

---A line above the rows.
---@param line string
function M.print(line)
  wipe()
  stderr(line .. "\n")
  draw()
end

---How it ended for a board.
---@param board table
---@param outcome string
---@param words string
function M.result(board, outcome, words)
  local row = by_board[board]
  if row then row.outcome, row.words = outcome, words:match("[^\n]*") end
  draw()
end

return M

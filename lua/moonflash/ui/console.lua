-- SPDX-License-Identifier: MIT
-- Standard error, for all modes: whole lines, and the open question. Lines are printed above an
-- open question, which is then shown again.
local columns = require "moonflash.base.columns"
local output = require "moonflash.ui.output"
local sys = require "sys"
local text = require "moonflash.base.text"

local M = {}

-- several: the run is for several boards. question: the open one. lines: number of lines printed
-- so far. typed: called when a typed answer has ended the line of the question.
local state = { several = false, question = nil, lines = 0, typed = nil }

---Called when a run begins.
function M.reset()
  state.several, state.lines = false, 0
end

---The run is for several boards: each line begins with the board's name.
function M.set_several()
  state.several = true
end

---@return boolean
function M.is_several() return state.several end

---The number of lines printed so far.
---@return integer
function M.lines() return state.lines end

---A board's name for the user: its slot, or its path.
---@param board table
---@return string
function M.who(board) return board.slot or board.path end

---The prefix of a board's lines, if the run is for several boards; otherwise "".
---@param board? table
---@return string
function M.prefix(board)
  return state.several and board and text.plain(M.who(board)) .. ": " or ""
end

---@return string?
function M.question() return state.question end

-- On a terminal the answer is typed behind the question, otherwise below it.
local function show_question()
  output.say(state.question .. (sys.is_terminal(2) and " " or "\n"))
end

---Lines wrapped at words, if a stream writes to a terminal.
---@param lines string
---@param fd integer 1: standard output, 2: standard error
---@return string
function M.fit(lines, fd)
  local width = columns(fd)
  return width and text.fold(lines, width) or lines
end

---Writes whole lines.
---@param lines string
function M.say(lines)
  local is_open = state.question and sys.is_terminal(2)
  if not is_open then output.begin_line() end
  state.lines = state.lines + select(2, lines:gsub("\n", ""))
  output.say((is_open and "\n" or "") .. lines)
  if is_open then show_question() end
end

---Shows a question. It stays the last line until it is answered.
---@param question string
function M.ask(question)
  state.question = question
  output.begin_line()
  show_question()
end

-- Whether typed input appears behind the question. A barcode reader may have a terminal of its own.
local function is_echoed()
  return sys.is_terminal(0)
    and sys.readlink("/proc/self/fd/0") == sys.readlink("/proc/self/fd/2")
end

---Sets the function that is called when a typed line has moved the cursor.
---@param f? function
function M.on_typed(f) state.typed = f end

---Called when the question has been answered or given up.
---@param typed? boolean the answer was typed behind the question, with a newline
---@return string question
function M.answered(typed)
  local question = state.question
  state.question = nil
  local echoed = typed and is_echoed()
  if echoed and state.typed then state.typed() end
  if sys.is_terminal(2) and not echoed then output.say("\n") end
  return question
end

return M

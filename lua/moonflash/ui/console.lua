-- SPDX-License-Identifier: MIT
-- Standard error, as all modes of showing use it: whole lines, and the question that is open. Lines
-- go above an open question, which is then shown again.
local output = require "moonflash.ui.output"
local sys = require "sys"
local text = require "moonflash.base.text"

local M = {}

-- several: whether the run is for several boards. question: the one that is open. disturbed: lines
-- were printed while it was open. lines: number of lines printed so far. typed: called when a typed
-- line has ended the question's line.
local state = { several = false, question = nil, disturbed = false, lines = 0, typed = nil }

---A new run begins.
function M.reset()
  state.several, state.lines = false, 0
end

---The run is for several boards: each line says whose it is.
function M.set_several()
  state.several = true
end

---@return boolean
function M.is_several() return state.several end

---The number of lines that were printed so far.
---@return integer
function M.lines() return state.lines end

---What a person calls a board: its slot, or its path.
---@param board table
---@return string
function M.who(board) return board.slot or board.path end

---Of several boards, the name in front of a line of one of them.
---@param board? table
---@return string
function M.prefix(board)
  return state.several and board and text.plain(M.who(board)) .. ": " or ""
end

---@return string?
function M.question() return state.question end

-- The answer is typed behind the question where there is a terminal, and below it elsewhere.
local function show_question()
  output.say(state.question .. (sys.is_terminal(2) and " " or "\n"))
end

---Writes whole lines.
---@param lines string
function M.say(lines)
  local is_open = state.question and sys.is_terminal(2)
  state.disturbed = true
  state.lines = state.lines + select(2, lines:gsub("\n", ""))
  output.say((is_open and "\n" or "") .. lines)
  if is_open then show_question() end
end

---Shows a question, which stays the last line until it is answered.
---@param question string
function M.ask(question)
  state.question, state.disturbed = question, false
  show_question()
end

-- Whether what is typed appears where the question stands: a barcode reader may have a terminal of
-- its own.
local function is_echoed()
  return sys.is_terminal(0)
    and sys.readlink("/proc/self/fd/0") == sys.readlink("/proc/self/fd/2")
end

---f is called when a line that was typed has moved the cursor.
---@param f? function
function M.on_typed(f) state.typed = f end

---The question was answered, or given up.
---@param typed? boolean the answer was typed behind the question, with a new line
---@return string question
---@return boolean alone nothing was printed since the question
function M.answered(typed)
  local question = state.question
  state.question = nil
  local echoed = typed and is_echoed()
  if echoed and state.typed then state.typed() end
  if sys.is_terminal(2) and not echoed then output.say("\n") end
  return question, not state.disturbed
end

return M

-- SPDX-License-Identifier: MIT
-- Questions to the operator, one at a time. Each is answered by a line of standard input, which may
-- come from a barcode reader. No other file reads standard input for recipes.
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local task = require "task"

local LONGEST = 4096 -- bytes of a line

---@param outside table the module of src/lua/lchannel.c
---@return function ask
return function(outside)
  local semaphore = task.semaphore(1) -- held by the task whose question is shown
  local input                         -- a channel, opened by the first question
  local rest = ""                     -- input after the last line
  local has_newline                   -- whether the last line had one

  -- The next line, or nil and the reason.
  local function next_line()
    while true do
      local line, after = rest:match("^([^\n]*)\n(.*)$")
      if line then
        rest, has_newline = after, true
        return (line:gsub("\r$", ""))
      elseif #rest > LONGEST then
        rest = ""
        return nil, ("a line of more than %d bytes"):format(LONGEST)
      end
      input:wait("r")
      local bytes, why = input:read(LONGEST)
      if bytes then
        rest = rest .. bytes
      elseif bytes == false and rest ~= "" then
        line, rest, has_newline = rest, "", false
        return line
      elseif bytes == false then
        return nil, why or "standard input has ended"
      end
    end
  end

  -- Waits for the terminal. The board's deadlines are paused: other boards' questions may take
  -- long.
  local function acquire(board)
    local _ <close> = board and require("moonflash.board.class").state(board).job:pause()
    return semaphore:acquire()
  end

  ---Asks a question, and waits for the answer.
  ---@param text string
  ---@return string line
  return function(text)
    local board = task.tag()
    local _ <close> = acquire(board)
    input = input or outside.input()
    -- input that was typed before the question was echoed above it, with its newline
    rest = rest .. (input:read(LONGEST) or "")
    local typed = not rest:find("\n", 1, true)
    local line, why
    events.emit("question", board, text)
    local _ <close> = setmetatable({}, { __close = function()
      -- input for an abandoned question is not an answer to the next one
      if not line then
        rest = "" -- an unfinished line; a terminal keeps such a line itself
        input:discard()
      end
      events.emit("answer", line, line and typed and has_newline)
    end })
    line, why = next_line()
    if not line then
      errors.raise { code = "sys.ended", message = ("no answer to '%s': %s"):format(text, why) }
    end
    return line
  end
end

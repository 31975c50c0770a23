-- SPDX-License-Identifier: MIT
-- Questions to the operator, who may be a barcode reader: one at a time, answered by a line of
-- standard input. All that reads standard input for recipes is here.
local class = require "moonflash.board.class"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local task = require "task"

local LONGEST = 4096 -- bytes of a line

---@param outside table what src/lua/lchannel.c gives
---@return function ask
return function(outside)
  local semaphore = task.semaphore(1) -- held by the task whose question is on the terminal
  local input                         -- a channel, from the first question on
  local rest = ""                     -- what came behind the last line
  local has_newline                   -- the last line had one

  -- The next line, or nil and why there is none.
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

  -- A board is not to blame for the questions of others: its deadlines stand still meanwhile.
  local function acquire(board)
    local _ <close> = board and class.state(board).job:pause()
    return semaphore:acquire()
  end

  ---Asks, and waits for the answer.
  ---@param text string
  ---@return string line
  return function(text)
    local board = task.tag()
    local _ <close> = acquire(board)
    input = input or outside.input()
    -- what was typed before the question has been on the screen before it, with its new line
    rest = rest .. (input:read(LONGEST) or "")
    local typed = not rest:find("\n", 1, true)
    local line, why
    events.emit("question", board, text)
    local _ <close> = setmetatable({}, { __close = function()
      -- what was typed for a question that was given up is no answer to the next
      if not line then
        rest = "" -- the line that has no end yet: of a pipe; the terminal's it keeps itself
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

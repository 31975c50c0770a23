-- SPDX-License-Identifier: MIT
-- Questions to the operator, one at a time. Each is answered by a line of standard input, which may
-- come from a barcode reader. A line that names the board of another question brings that question
-- forward: the operator scans the slot where he stands. Lines that answer no question go to the
-- desk, if there is one: a station's. No other file reads standard input for recipes.
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local task = require "task"

local LONGEST = 4096 -- bytes of a line
local LOOK = 0.05    -- seconds between two looks for an answer that comes another way

---@param outside table the module of src/lua/lchannel.c
---@return function ask
---@return table desk see below
return function(outside)
  local semaphore = task.semaphore(1) -- held by the task whose question is shown
  local waiting = {}                  -- a set of questions, the shown one included
  local wanted                        -- the board that the operator has named
  local input                         -- a channel, opened by the first question
  local rest = ""                     -- input after the last line
  local has_newline                   -- whether the last line had one
  local is_over = false               -- standard input has ended

  -- Where lines go that answer no question, and how answers come another way. listen: called with
  -- each of these lines. prompt: shown while one is awaited. remote: answers may come from
  -- elsewhere, after the end of the input, too. question: the open one; given: an answer to it.
  local desk = { listen = nil, remote = false, question = nil, given = nil, job = nil }

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
      if desk.given then
        line, desk.given, has_newline = desk.given, nil, false
        return line
      end
      local bytes, why
      if desk.remote then
        if is_over then task.sleep(LOOK) else input:wait("r", LOOK) end
        if not is_over then bytes, why = input:read(LONGEST) end
        is_over = is_over or bytes == false
      else
        input:wait("r")
        bytes, why = input:read(LONGEST)
      end
      if bytes then
        rest = rest .. bytes
      elseif bytes == false and rest ~= "" then
        line, rest, has_newline = rest, "", false
        return line
      elseif bytes == false and not desk.remote then
        return nil, why or "standard input has ended"
      end
    end
  end

  -- Reads lines for the desk while no question is open.
  local function attend_desk()
    task.supervise()
    local _ <close> = semaphore:acquire()
    input = input or outside.input()
    while true do
      if desk.prompt then events.emit("question", nil, desk.prompt) end
      local line
      do
        local _ <close> = setmetatable({}, { __close = function()
          if desk.prompt then events.emit("answer", line, line ~= nil and has_newline) end
        end })
        line = next_line()
      end
      if not line then return end -- the end of the input ends nothing
      task.spawn(desk.listen, line)
    end
  end

  local function call_desk()
    if desk.listen and not desk.job and next(waiting) == nil and not is_over then
      desk.job = task.spawn(attend_desk)
    end
  end

  local function dismiss_desk()
    local job = desk.job
    desk.job = nil
    if not job then return end
    job:cancel()
    pcall(job.join, job)
  end

  local function job_of(board)
    return require("moonflash.board.class").state(board).job
  end

  local function is_waiting(board)
    for question in pairs(waiting) do
      if question.board == board then return true end
    end
    return false
  end

  -- Waits for the terminal. The board's deadlines are paused: other boards' questions may take
  -- long. A question of the named board comes first; the others go to the queue's end.
  local function acquire(board)
    local _ <close> = board and job_of(board):pause()
    while true do
      local permit = semaphore:acquire()
      if not wanted or board == wanted or not is_waiting(wanted) then
        if board == wanted then wanted = nil end
        return permit
      end
      permit:close()
    end
  end

  -- The board of the run that a line names, by its slot or its path.
  local function named(line, board)
    for _, other in ipairs(board and job_of(board).beside or {}) do
      if (other.slot or other.path) == line then return other end
    end
  end

  -- Shows a question, and returns the line that is typed.
  local function show(question)
    input = input or outside.input()
    -- input that was typed before the question was echoed above it, with its newline
    rest = rest .. (input:read(LONGEST) or "")
    local typed = not rest:find("\n", 1, true)
    local line, why
    desk.question, desk.given = question, nil
    events.emit("question", question.board, question.text)
    local _ <close> = setmetatable({}, { __close = function()
      -- input for an abandoned question is not an answer to the next one
      if not line then
        rest = "" -- an unfinished line; a terminal keeps such a line itself
        input:discard()
      end
      desk.question, desk.given = nil, nil
      events.emit("answer", line, line and typed and has_newline)
    end })
    line, why = next_line()
    if line then return line end
    errors.raise { code = "sys.ended",
                   message = ("no answer to '%s': %s"):format(question.text, why) }
  end

  -- "'W9' is not accepted: it has two digits"
  local function refusal(answer, why)
    return ("'%s' is not accepted%s"):format(answer, why ~= nil and ": " .. tostring(why) or "")
  end

  -- Asks until an answer is accepted. Returns nothing if the operator has named a board instead.
  local function converse(question)
    local _ <close> = acquire(question.board)
    while true do
      local line = show(question)
      wanted = named(line, question.board)
      if wanted then return nil end
      local accepted, why = question.check(line)
      if accepted then
        events.emit("accepted", question.board, line)
        return line
      end
      question.refused = question.refused + 1
      if question.refused >= question.tries then
        errors.raise { code = "fail", message = ("%s (%s, %d of %d tries)"):format(
                       refusal(line, why), question.text, question.refused, question.tries) }
      end
      events.emit("refusal", question.board, refusal(line, why))
    end
  end

  ---Begins to pass lines that answer no question to a function, which may wait.
  ---@param f function
  function desk.open(f)
    desk.listen = f
    call_desk()
  end

  function desk.close()
    dismiss_desk()
    desk.listen, desk.remote = nil, false
  end

  ---Asks a question, and waits for the answer.
  ---@param asked table text=, check= function, tries= integer
  ---@return string line
  local function ask(asked)
    local began = task.now()
    local question = { text = asked.text, check = asked.check, tries = asked.tries, refused = 0,
                       board = task.tag() }
    waiting[question] = true
    dismiss_desk()
    local _ <close> = setmetatable({}, { __close = function()
      waiting[question] = nil
      call_desk()
      if question.board then job_of(question.board):asked(task.now() - began) end
    end })
    local line
    repeat line = converse(question) until line
    return line
  end

  return ask, desk
end

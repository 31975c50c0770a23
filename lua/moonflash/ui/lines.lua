-- SPDX-License-Identifier: MIT
-- Shows events as lines on standard error, without a terminal. The other modes inherit from this
-- one and replace some methods.
local color = require "moonflash.ui.color"
local columns = require "moonflash.base.columns"
local console = require "moonflash.ui.console"
local errors = require "moonflash.errors"
local measurement = require "moonflash.board.measurement"
local settings = require "moonflash.board.settings"
local show = require "moonflash.flash.show"
local text = require "moonflash.base.text"
local words = require "moonflash.ui.words"

local M = {}
M.__index = M

local SCREENFUL = 20 -- lines that are assumed to be still visible

---@return table a new subscriber
function M.new()
  return setmetatable({ told = {} }, M) -- told: by board, the line number of its failure
end

-- Prints lines above anything that is drawn. Modes for a terminal replace this. is_error: of an
-- error, whose first words are coloured.
function M.above(_, lines, is_error)
  console.say(M.clean(lines, is_error) .. "\n")
end

---Lines made safe for a terminal, and wrapped at words there, with the name before an error
---coloured.
---@param printed string
---@param is_error? boolean
---@return string
function M.clean(printed, is_error)
  printed = console.fit(text.plain(printed), 2)
  if not is_error then return printed end
  return (printed:gsub("^moonflash:", color.bad))
end

-- Ends drawing: later output goes below. Modes for a terminal replace this.
function M.end_drawing() end

-- ---- during the run ----

function M:print(board, line)
  local prefix = console.prefix(board)
  self:above(prefix .. (prefix ~= "" and text.without_path(line, board.path) or line))
end

function M:remark(board, name, facts)
  self:print(board, words.remark(name, facts))
end

function M:empty(path, slot)
  self:print(nil, ("%s (%s): no board for this recipe"):format(slot, path))
end

function M:would(board, ...)
  self:print(board, ("%s: %s"):format(board.path, words.would(...)))
end

function M:plan(board, plan, dry)
  if dry then self:print(board, show.plan(plan)) end
end

function M:step(board, step)
  if console.is_several() then self:print(board, "step " .. words.one_line(step.name)) end
end

function M:measurement(board, note)
  self:print(board, words.one_line(("%s: %s"):format(note.name, measurement.text(note))))
end

function M:wire(lines)
  self:above(lines)
end

function M.boards(_, boards)
  if #boards > 1 then console.set_several() end
end

-- ---- questions ----

function M:question(board, question)
  self:end_drawing()
  console.ask(console.prefix(board) .. question)
end

function M.answer(_, _, typed)
  console.answered(typed)
end

function M:refusal(board, why)
  self:above(console.prefix(board) .. why)
end

-- ---- results ----

function M.passed(_, board, stats, seconds)
  local done = words.done(stats)
  if done == "" and not console.is_several() then return end
  local remarks = words.remarks(stats, board.retries)
  console.say(("%s%s (%s%s)\n"):format(console.prefix(board), done == "" and "PASS" or done,
    text.seconds(seconds), remarks ~= "" and "; " .. remarks or ""))
end

-- A result, for standard output. A terminal wraps it at words.
local function write_value(printed)
  io.stdout:write(console.fit(text.plain(printed), 1), "\n")
end

-- The value that run returned for a board goes to standard output.
function M.returned(_, board, value)
  write_value(console.prefix(board) .. errors.words(value))
end

-- The name of the failed board, if there are several; most messages have the path already.
local function whose(message, board)
  if not console.is_several() or not board then return "" end
  if board.slot then return board.slot .. ": " end
  return text.without_path(message, board.path) == message and board.path .. ": " or ""
end

function M:failed(message, board)
  self:end_drawing()
  message = text.plain(message)
  self:above(("moonflash: %s%s"):format(whose(message, board), message), true)
end

local function prints(value)
  return type(value) == "string"
    or type(value) == "table" and (getmetatable(value) or {}).__tostring ~= nil
end

function M:result(result)
  local board = result.board
  if result.outcome == "PASS" then
    self:end_drawing()
    self:passed(board, result.stats, result.seconds)
    if prints(result.data) then self:returned(board, result.data) end
  elseif not errors.matches(result.err, "exit") then
    self:failed(errors.text(result.err) .. (result.flash and "\n  " .. result.flash or ""), board)
    self.told[board] = console.lines()
  end
  for _, err in ipairs(result.at_end) do self:failed(errors.text(err), board) end
end

---The first line of a board's error.
---@param result table
---@return string
function M.reason(result)
  if errors.matches(result.err, "exit") then return "exit " .. errors.exit_status(result.err) end
  local message = text.without_path(text.plain(errors.said(result.err)), result.board.path)
  return message:match("[^\n]*")
end

-- Prints the reasons of failed boards again as the last lines, unless all are still visible.
function M:tell_again(failed)
  local out_of_sight = false
  for _, result in ipairs(failed) do
    local told = self.told[result.board]
    out_of_sight = out_of_sight or not told or console.lines() - told > SCREENFUL
  end
  if not out_of_sight then return end
  local width = columns(2) or math.maxinteger
  for _, result in ipairs(failed) do
    local line = ("  %s: %s: %s"):format(console.who(result.board), result.outcome,
      M.reason(result))
    console.say(text.shortened(line, width) .. "\n")
  end
end

function M.all_passed(_, count)
  console.say(color.good(("%d boards passed."):format(count)) .. "\n")
end

function M:summary(results, also_failed)
  if settings.dry and #results > 0 then
    self:end_drawing()
    console.say("Nothing was written.\n")
  end
  if not console.is_several() then return end
  local failed, names = {}, {}
  for _, result in ipairs(results) do
    if result.outcome ~= "PASS" then
      failed[#failed + 1], names[#names + 1] = result, console.who(result.board)
    end
  end
  self:tell_again(failed)
  if #failed > 0 then
    console.say(("%s; %s\n"):format(text.count(#results - #failed, "board") .. " passed",
      color.bad(("%d of %d did not pass: %s"):format(#failed, #results,
        table.concat(names, ", ")))))
  elseif not also_failed then
    self:all_passed(#results)
  end
end

-- ---- the whole run ----

function M.value(_, value)
  if value ~= nil then write_value(tostring(value)) end
end

function M:complaint(err)
  self:failed(errors.text(err))
end

function M:failure(err)
  local data = errors.is(err) and err.data or nil
  if data == nil then return self:failed(errors.text(err)) end
  io.stdout:write(text.plain(tostring(data)), "\n") -- the data includes the hint
  io.stdout:flush()
  self:failed(err.message)
end

return M

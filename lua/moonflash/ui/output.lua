-- SPDX-License-Identifier: MIT
-- Writes to standard output and standard error. src/loop/outlet.c queues output that a reader does
-- not take; drawings of progress are dropped instead. Text that a script writes to a terminal is
-- cleaned.
local sys = require "moonflash.system"
local text = require "moonflash.base.text"

local M = {}

local methods = getmetatable(io.stdout).__index
local raw = methods.write

-- Writes to one of the two streams. A script may have replaced io.stdout or io.stderr.
local function straight(file, s)
  if io.type(file) then return raw(file, s) end
  return file:write(s)
end
local sink = straight

local dropping = false -- progress is being dropped, because the reader is behind

---Redirects what is written to the two streams to f(file, s).
---@param f function
---@return table to close: closing it ends that
function M.redirect(f)
  sink = f
  return setmetatable({}, { __close = function() sink = straight end })
end

---Writes to the stream itself, ignoring redirect.
---@param file userdata io.stdout or io.stderr
---@param s string
function M.raw(file, s) return straight(file, s) end

---Writes moonflash's own text to standard error, including cursor control. It is never dropped.
---@param s string
function M.say(s) sink(io.stderr, s) end

---Whether there is room for a drawing of progress. If not, a line is printed once.
---@return boolean
function M.may_draw()
  local may = sys.backlog(2) == 0
  if not may and not dropping then
    M.say("\n(output stalled: progress is not shown until it is read)\n")
  end
  dropping = not may
  return may
end

local MOST_HELD = 4096 -- bytes

local is_terminal = {} -- by stream
local unfinished = ""  -- what scripts have written to the terminal since their last newline
local above            -- prints whole lines above what is drawn; nil: nothing is drawn

---Ends an unfinished line of a script, so that what follows has a line of its own.
function M.begin_line()
  if above or unfinished == "" or not is_terminal[io.stderr] then return end
  unfinished = ""
  io.stdout:flush()
  M.say("\n")
end

---While progress is drawn, what scripts write goes to f(lines) in whole lines. An unfinished line
---is held back until the drawing has ended.
---@param f function? nil: the drawing has ended
function M.divert(f)
  M.begin_line()
  local held = above and not f and unfinished or ""
  above = f
  if held ~= "" then M.say(held) end
end

-- Writes a script's text to the terminal.
local function write_shown(file, s)
  s = text.plain(s)
  local lines, rest = s:match("^(.*\n)([^\n]*)$")
  if not above then
    unfinished = rest or unfinished .. s
    return sink(file, s)
  end
  local whole = unfinished .. (lines or s)
  if lines or #whole > MOST_HELD then
    unfinished = rest or ""
    above((whole:gsub("\n$", "")))
  else
    unfinished = whole
  end
  return file
end

local function write(file, ...)
  if file ~= io.stdout and file ~= io.stderr then return raw(file, ...) end
  local parts = table.pack(...)
  for i = 1, parts.n do
    local kind = type(parts[i])
    if kind ~= "string" and kind ~= "number" then
      error(("bad argument #%d to 'write' (string expected, got %s)"):format(i, kind), 2)
    end
  end
  local s = table.concat(parts, "", 1, parts.n)
  if is_terminal[file] then return write_shown(file, s) end
  return sink(file, s)
end

local warn = warn

---Replaces the functions that scripts write with, if the output may be a terminal.
function M.begin()
  is_terminal = { [io.stdout] = sys.is_terminal(1), [io.stderr] = sys.is_terminal(2) }
  if not (is_terminal[io.stdout] or is_terminal[io.stderr]) then return end
  methods.write = write
  _G.warn = function(...)
    local parts = table.pack(...)
    for i = 1, parts.n do
      if type(parts[i]) == "string" then parts[i] = text.plain(parts[i]) end
    end
    return warn(table.unpack(parts, 1, parts.n))
  end
  io.write = function(...) return write(io.output(), ...) end -- luacheck: ignore 122
  _G.print = function(...)
    local parts = table.pack(...)
    for i = 1, parts.n do parts[i] = tostring(parts[i]) end
    io.stdout:write(table.concat(parts, "\t"), "\n")
  end
end

return M

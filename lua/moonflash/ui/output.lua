-- SPDX-License-Identifier: MIT
-- What is written to standard output and standard error. src/loop/outlet.c keeps what a reader does
-- not take; pictures of progress are not worth keeping, and are dropped here. Text that a script
-- writes to a terminal is cleaned.
local sys = require "sys"
local text = require "moonflash.base.text"

local M = {}

local methods = getmetatable(io.stdout).__index
local raw = methods.write

-- Where a string for one of the two streams goes. A script may have put something of its own in
-- their place.
local function straight(file, s)
  if io.type(file) then return raw(file, s) end
  return file:write(s)
end
local sink = straight

local dropping = false -- a reader does not read

---From now on f(file, s) gets what is written to the two streams.
---@param f function
---@return table closing it undoes that
function M.redirect(f)
  sink = f
  return setmetatable({}, { __close = function() sink = straight end })
end

---Writes to the stream itself, past redirect.
---@param file userdata io.stdout or io.stderr
---@param s string
function M.raw(file, s) return straight(file, s) end

---Writes text of moonflash's own to standard error, with what moves the cursor. It is not dropped.
---@param s string
function M.say(s) sink(io.stderr, s) end

---Whether there is room for a picture of progress. The first no of a row of them is told in a line.
---@return boolean
function M.may_draw()
  local may = sys.backlog(2) == 0
  if not may and not dropping then
    M.say("\n(output stalled: progress is not shown until it is read)\n")
  end
  dropping = not may
  return may
end

local is_terminal = {} -- by stream

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
  return sink(file, is_terminal[file] and text.plain(s) or s)
end

local warn = warn

---Puts itself in the place of what scripts write with, if that may be a terminal.
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

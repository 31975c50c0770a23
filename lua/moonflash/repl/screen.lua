-- SPDX-License-Identifier: MIT
-- What is printed while somebody types: whole lines, above the line that is being typed. A bar
-- (progress.lua), which is drawn again and again in one line, is seen when it is finished.
local prompt = require "prompt"

local M = {}

local typing = false
local begun = {} -- by stream: what stands there without a newline so far

-- What is seen of a line that is drawn anew behind each "\r": the last, which keeps its "\r" as the
-- sign that it is a bar.
local function last_drawn(line)
  return line:match("\r[^\r]*$") or line
end

-- Writes the lines that are complete, and keeps the rest.
local function write_above(file, s)
  local text = (begun[file] or "") .. s
  local lines, rest = text:match("^(.*\n)([^\n]*)$")
  begun[file] = last_drawn(rest or text)
  if lines then prompt.write(lines:gsub("[^\n]*\r", ""), file == io.stderr) end
end

local methods = getmetatable(io.stdout).__index
local write = methods.write

-- Notes what a stream's last line is, so that the prompt begins a new one.
local function note(file, s)
  local line = ((begun[file] or "") .. s):match("([^\n]*)$")
  begun[file] = line ~= "" and last_drawn(line) or nil
end

local function write_one(file, ...)
  local parts = table.pack(...)
  for i = 1, parts.n do
    local kind = type(parts[i])
    if kind ~= "string" and kind ~= "number" then return write(file, ...) end -- it complains
  end
  local s = table.concat(parts, "", 1, parts.n)
  if typing then
    write_above(file, s)
    return file
  end
  note(file, s)
  return write(file, s)
end

---From now on what Lua writes to standard output and error goes through here.
---@return table closing it undoes that
function M.start()
  local old_print, old_io_write = print, io.write
  methods.write = function(file, ...)
    if file == io.stdout or file == io.stderr then return write_one(file, ...) end
    return write(file, ...)
  end
  io.write = function(...) return io.output():write(...) end -- luacheck: ignore 122
  _G.print = function(...)
    local parts = table.pack(...)
    for i = 1, parts.n do parts[i] = tostring(parts[i]) end
    io.stdout:write(table.concat(parts, "\t"), "\n")
  end
  return setmetatable({}, { __close = function()
    methods.write, _G.print = write, old_print
    io.write = old_io_write -- luacheck: ignore 122
    begun, typing = {}, false
  end })
end

-- A line that something was left in, before the prompt: a bar is wiped away.
local function clear()
  for _, file in ipairs { io.stdout, io.stderr } do
    local line = begun[file]
    if line and line ~= "" then write(file, line:find("^\r") and "\r\27[K" or "\n") end
    begun[file] = nil
    file:flush()
  end
end

---Reads a line.
---@param text string the prompt
---@return string? line nil at the end
function M.read(text)
  clear()
  typing = true
  local _ <close> = setmetatable({}, { __close = function()
    typing = false
    for _, file in ipairs { io.stdout, io.stderr } do -- what was begun above goes on below
      local line = begun[file]
      begun[file] = nil
      if line and line ~= "" and not line:find("^\r") then write_one(file, line) end
    end
  end })
  return prompt.read(text)
end

return M

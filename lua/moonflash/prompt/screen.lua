-- SPDX-License-Identifier: MIT
-- What is printed while somebody types: whole lines, above the line that is being typed. A bar
-- (ui/bars.lua), which is drawn again and again in one line, is seen when it is finished.
local console = require "moonflash.ui.console"
local output = require "moonflash.ui.output"
local prompt = require "prompt"
local sys = require "sys"

local M = {}

local typing = false
local begun = {}     -- by stream: what was written without a newline so far, while somebody types
local standing = nil -- what is on the screen's last line; all that counts is whether it is a bar

-- What is seen of a line that is drawn anew behind each "\r": the last, which keeps its "\r" as the
-- sign that it is a bar.
local function last_drawn(line)
  return line:match("\r[^\r]*$") or line
end

-- A complete line, as it stands when it has been drawn for the last time.
local function drawn(line)
  return (line:gsub("^.*\r(.)", "%1"))
end

-- Behind the last newline. Patterns are anchored here: others look again from each character on.
local function behind_newline(s)
  return s:match("^.*\n()") or 1
end

-- Writes the lines that are complete, and keeps the rest.
local function write_above(file, s)
  local text = (begun[file] or "") .. s
  local at = behind_newline(text)
  begun[file] = last_drawn(text:sub(at))
  if at > 1 then prompt.write(text:sub(1, at - 1):gsub("[^\n]+", drawn), file == io.stderr) end
end

-- Notes what the screen's last line is, so that the prompt begins a new one. Both streams write
-- there, unless standard error goes elsewhere.
local function note(file, s)
  if file == io.stderr and not sys.is_terminal(2) then return end
  local at = behind_newline(s)
  local line = (at == 1 and standing or "") .. s:sub(at)
  standing = line ~= "" and last_drawn(line):sub(1, 1) or nil
end

local function write_one(file, s)
  if typing then
    write_above(file, s)
    return file
  end
  note(file, s)
  return output.raw(file, s)
end

---From now on what Lua writes to standard output and error goes through here.
---@return table closing it undoes that
function M.start()
  local redirection = output.redirect(write_one)
  console.on_typed(function() standing = nil end)
  return setmetatable({}, { __close = function()
    local _ <close> = redirection
    console.on_typed(nil)
    begun, standing, typing = {}, nil, false
  end })
end

-- A line that something was left in, before the prompt: a bar is wiped away.
local function clear()
  io.stderr:flush()
  if standing then output.raw(io.stdout, standing == "\r" and "\r\27[K" or "\n") end
  standing = nil
  io.stdout:flush()
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

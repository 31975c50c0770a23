-- SPDX-License-Identifier: MIT
-- Output while the user types: whole lines are printed above the line being typed. A progress bar
-- (ui/bars.lua), which is redrawn in one line, is printed when it is finished.
local console = require "moonflash.ui.console"
local output = require "moonflash.ui.output"
local prompt = require "prompt"
local sys = require "sys"

local M = {}

local typing = false
local begun = {}     -- by stream: unfinished line that was written while the user types
local standing = nil -- first part of the screen's last line: "\r" means a bar

-- The visible part of a line that was redrawn after "\r": the last part. It keeps its "\r", which
-- marks it as a bar.
local function last_drawn(line)
  return line:match("\r[^\r]*$") or line
end

-- A complete line as it was last drawn.
local function drawn(line)
  return (line:gsub("^.*\r(.)", "%1"))
end

-- The position after the last newline. The pattern is anchored, so that it is tried only once.
local function behind_newline(s)
  return s:match("^.*\n()") or 1
end

-- Prints the complete lines, and keeps the rest.
local function write_above(file, s)
  local text = (begun[file] or "") .. s
  local at = behind_newline(text)
  begun[file] = last_drawn(text:sub(at))
  if at > 1 then prompt.write(text:sub(1, at - 1):gsub("[^\n]+", drawn), file == io.stderr) end
end

-- Remembers the screen's last line, so that the prompt can begin a new one. Both streams write to
-- the screen, unless standard error is redirected.
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

---Redirects all output of Lua to standard output and error to this module.
---@return table to close: closing it ends that
function M.start()
  local redirection = output.redirect(write_one)
  console.on_typed(function() standing = nil end)
  return setmetatable({}, { __close = function()
    local _ <close> = redirection
    console.on_typed(nil)
    begun, standing, typing = {}, nil, false
  end })
end

-- Ends an unfinished line before the prompt. A bar is erased.
local function clear()
  output.begin_line()
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
    for _, file in ipairs { io.stdout, io.stderr } do -- an unfinished line goes on below
      local line = begun[file]
      begun[file] = nil
      if line and line ~= "" and not line:find("^\r") then write_one(file, line) end
    end
  end })
  return prompt.read(text)
end

return M

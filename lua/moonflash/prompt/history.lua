-- SPDX-License-Identifier: MIT
-- The history of the prompt, kept between sessions: a file with a line for each statement, in which
-- "\n" is a newline and "\\" a backslash.
local files = require "moonflash.base.files"
local prompt = require "prompt"
local sys = require "sys"

local M = {}

local MOST = 1000 -- statements; a file with twice as many is shortened to this

local function place()
  return files.setting("XDG_STATE_HOME", (os.getenv("HOME") or "") .. "/.local/state")
    .. "/moonflash"
end

local function encode(source)
  return (source:gsub("[\\\n]", { ["\\"] = "\\\\", ["\n"] = "\\n" }))
end

local function decode(line)
  return (line:gsub("\\(.)", { ["\\"] = "\\", n = "\n" }))
end

local function write(mode, lines)
  local file = sys.mkdir(place()) and io.open(place() .. "/history", mode)
  if not file then return end -- the history is optional: an error is ignored
  file:write(table.concat(lines, "\n"), "\n")
  file:close()
end

local last

---Loads the statements of earlier sessions.
function M.load()
  local lines = {}
  local file = io.open(place() .. "/history", "rb")
  for line in file and file:lines() or function() end do lines[#lines + 1] = line end
  if file then file:close() end
  if #lines > 2 * MOST then
    lines = table.move(lines, #lines - MOST + 1, #lines, 1, {})
    write("wb", lines)
  end
  for i = math.max(1, #lines - MOST + 1), #lines do prompt.remember(decode(lines[i])) end
  last = lines[#lines] and decode(lines[#lines])
end

---Adds a statement, unless it equals the last one.
---@param source string
function M.add(source)
  if source == last then return end
  last = source
  prompt.remember(source)
  write("ab", { encode(source) })
end

return M

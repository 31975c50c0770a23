-- SPDX-License-Identifier: MIT
-- What was typed at the prompt, kept between sessions: a file with a line for each statement, in
-- which "\n" is a new line and "\\" a backslash.
local files = require "moonflash.base.files"
local prompt = require "prompt"
local sys = require "sys"

local M = {}

local MOST = 1000 -- statements; when there are twice as many, the older ones go

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
  if not file then return end -- it is a convenience
  file:write(table.concat(lines, "\n"), "\n")
  file:close()
end

local last

---Brings back what was typed in earlier sessions.
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

---Keeps a statement, unless it is the last one again.
---@param source string
function M.add(source)
  if source == last then return end
  last = source
  prompt.remember(source)
  write("ab", { encode(source) })
end

return M

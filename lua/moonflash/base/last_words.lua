-- SPDX-License-Identifier: MIT
-- The line that the process writes when a second signal ends it: the state of each board's flash.
-- The line is kept ready all the time, because a signal handler can only write existing text.
local sys = require "moonflash.system"

local M = {}

local lines, order = {}, {} -- by path

local function tell()
  local parts = {}
  for _, path in ipairs(order) do parts[#parts + 1] = path .. ": " .. lines[path] end
  local words = #parts > 0 and ("moonflash: ended by a second signal. %s\n"):format(
    table.concat(parts, " ")) or ""
  sys.last_words(words)
end

---Sets the line of a board.
---@param path string
---@param line? string the state of its flash; nil removes the board
function M.set(path, line)
  if line and not lines[path] then order[#order + 1] = path end
  for i, known in ipairs(order) do
    if not line and known == path then
      table.remove(order, i)
      break
    end
  end
  lines[path] = line
  tell()
end

return M

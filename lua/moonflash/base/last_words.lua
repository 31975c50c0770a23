-- SPDX-License-Identifier: MIT
-- What a process says that a second signal ends: in which state the flash of each board is. It is
-- kept up to date all the time, because the signal handler can only write what is there.
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

---What is true of a board's flash from now on.
---@param path string
---@param line? string nil: nothing needs to be said any more
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

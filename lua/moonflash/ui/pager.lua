-- SPDX-License-Identifier: MIT
-- Long text on a terminal, by the pager that the user has.
local sys = require "sys"

local M = {}

-- -F: text that fits the screen is only printed. -X: it stays there afterwards. -R: UTF-8 and
-- colours as they are. Where there is no less, the shell's complaint is no news.
local PAGER = "less -FRX 2>/dev/null"

local NOT_FOUND = 127 -- the exit status of a shell that does not find the program

-- The number of lines of a text.
local function height_of(s)
  return select(2, s:gsub("\n", ""))
end

---Prints a text. On a terminal that is too low for it, $PAGER shows it.
---@param s string
function M.show(s)
  local pager = os.getenv("PAGER") or PAGER
  if sys.is_terminal(1) and height_of(s) >= select(2, sys.terminal_size()) and pager ~= "" then
    local pipe <close> = assert(io.popen(pager, "w"))
    pipe:write(s) -- fails where the reader has seen enough
    if select(3, pipe:close()) ~= NOT_FOUND then return end
  end
  io.stdout:write(s)
end

return M

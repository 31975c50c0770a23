-- SPDX-License-Identifier: MIT
-- The width that text is made for.
local sys = require "moonflash.system"

---The columns of the terminal that a stream writes to; nil if it is no terminal.
---@param fd integer 1: standard output, 2: standard error
---@return integer?
return function(fd)
  return sys.is_terminal(fd) and (sys.terminal_size()) or nil
end

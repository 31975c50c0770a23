-- SPDX-License-Identifier: MIT
-- The exit statuses of the programs that are stood in for (sysexits.h), and the errors that end
-- them.
local errors = require "moonflash.errors"

local M = {
  OK = 0, USAGE = 64, DATA = 65, NO_INPUT = 66, BUG = 70, CANNOT_CREATE = 73, IO = 74, VERIFY = 79,
  CANCELLED = 130,
}

---Ends the program: what it says on standard error, and its exit status.
---@param status integer
---@param message string for string.format
function M.fail(status, message, ...)
  local values = table.pack(...)
  for i = 1, values.n do -- names of files and boards stay on their line
    if type(values[i]) == "string" then values[i] = values[i]:gsub("%c", "?") end
  end
  errors.raise { code = "fail", own_status = status,
                 message = values.n > 0 and message:format(table.unpack(values, 1, values.n))
                   or message }
end

-- The statuses of dfu-util for the codes of moonflash that have others. dfu-util knows 74 for all
-- that happens on the bus.
local KEPT = { [64] = true, [65] = true, [66] = true, [70] = true, [73] = true, [79] = true,
               [130] = true }

---@param err any
---@return integer
function M.of(err)
  if errors.is(err) and err.own_status then return err.own_status end
  if errors.matches(err, "board.write-protected") then return M.VERIFY end
  local status = errors.exit_status(err)
  return KEPT[status] and status or status == 1 and M.BUG or M.IO
end

return M

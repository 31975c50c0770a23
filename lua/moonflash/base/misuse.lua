-- SPDX-License-Identifier: MIT
-- Raises a plain error for a mistake in a script, with the position of the script's call.

---@param format string
return function(format, ...)
  local level = 2
  local info = debug.getinfo(level, "S")
  while info and (info.what == "C" or info.source:find("lua/moonflash/", 1, true)) do
    level = level + 1
    info = debug.getinfo(level, "S")
  end
  error(format:format(...), level)
end

-- SPDX-License-Identifier: MIT
-- Returns the first index at which two strings of one length differ, or nil. Comparing halves is as
-- fast as memcmp; comparing single bytes in Lua is not.

---@param a string
---@param b string
---@return integer? index
return function(a, b)
  if a == b then return nil end
  local low, high = 1, #a
  while low < high do
    local middle = (low + high) // 2
    if a:sub(low, middle) == b:sub(low, middle) then low = middle + 1 else high = middle end
  end
  return low
end

-- SPDX-License-Identifier: MIT
-- The memories of a board as text: a line for each run of equal sectors.
local shown = require "moonflash.base.shown"
local text = require "moonflash.base.text"

local function access(s)
  return (s.readable and "read " or "") .. (s.erasable and "erase " or "")
    .. (s.writable and "write" or "")
end

---@param alts table[] { { number=, layout= }, ... }
---@return string
return function(alts)
  local rows = {}
  for _, alt in ipairs(alts) do
    if #alt.layout.segments == 0 then
      rows[#rows + 1] = { ("%d %s"):format(alt.number, alt.layout.name), "no layout" }
    end
    for i, s in ipairs(alt.layout.segments) do
      rows[#rows + 1] = { i == 1 and ("%d %s"):format(alt.number, alt.layout.name) or "",
        text.range(s.address, s.address + s.count * s.size - 1),
        ("%d x %s"):format(s.count, text.size(s.size)), access(s) }
    end
    if alt.layout.dropped then
      rows[#rows + 1] = { "", "invalid layout: " .. alt.layout.dropped }
    end
  end
  return "  " .. shown.columns(rows):gsub("\n", "\n  ")
end

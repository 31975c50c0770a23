-- SPDX-License-Identifier: MIT
-- The memories of a board as text: a line for each run of equal sectors. On a narrow terminal the
-- name of a memory has a line of its own.
local columns = require "moonflash.base.columns"
local shown = require "moonflash.base.shown"
local text = require "moonflash.base.text"

local WIDE = 72 -- columns that the wide form needs

local function access(s)
  return (s.readable and "read " or "") .. (s.erasable and "erase " or "")
    .. (s.writable and "write" or "")
end

-- "0x08000000..0x0800FFFF", "4 x 16 KB"
local function run_of(s)
  return text.range(s.address, s.address + s.count * s.size - 1),
    ("%d x %s"):format(s.count, text.size(s.size))
end

local function narrow(alts)
  local lines = {}
  for _, alt in ipairs(alts) do
    local segments = alt.layout.segments
    lines[#lines + 1] = ("%d %s"):format(alt.number, alt.layout.name)
    if #segments == 0 then lines[#lines + 1] = "  no layout" end
    for i, s in ipairs(segments) do
      local range, run = run_of(s)
      if i == 1 or access(s) ~= access(segments[i - 1]) then
        lines[#lines + 1] = "  " .. access(s) .. ":"
      end
      lines[#lines + 1] = ("  %s  %s"):format(range, run)
    end
    if alt.layout.dropped then lines[#lines + 1] = "  invalid layout: " .. alt.layout.dropped end
  end
  return table.concat(lines, "\n")
end

local function wide(alts)
  local rows = {}
  for _, alt in ipairs(alts) do
    local segments = alt.layout.segments
    if #segments == 0 then
      rows[#rows + 1] = { ("%d %s"):format(alt.number, alt.layout.name), "no layout" }
    end
    for i, s in ipairs(segments) do
      local range, run = run_of(s)
      rows[#rows + 1] = { i == 1 and ("%d %s"):format(alt.number, alt.layout.name) or "", range,
                          run, access(s) }
    end
    if alt.layout.dropped then
      rows[#rows + 1] = { "", "invalid layout: " .. alt.layout.dropped }
    end
  end
  return shown.columns(rows)
end

---@param alts table[] { { number=, layout= }, ... }
---@return string
return function(alts)
  local is_narrow = (columns(1) or WIDE) < WIDE
  return "  " .. (is_narrow and narrow or wide)(alts):gsub("\n", "\n  ")
end

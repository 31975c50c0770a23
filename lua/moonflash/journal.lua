-- SPDX-License-Identifier: MIT
-- What was done to a board's memories since it was first opened: disjoint ranges, each erased,
-- written, verified, or in doubt (begun, and not known to have ended). What is in none is
-- untouched.
local text = require "moonflash.text"

local M = {}
M.__index = M

---An empty journal.
function M.new()
  return setmetatable({ ranges = {} }, M)
end

---From now on [first, last] is in that state, whatever it was before.
---@param state string "erased", "written", "verified" or "doubt"
---@param first integer
---@param last integer
function M:mark(state, first, last)
  local kept = {}
  for _, r in ipairs(self.ranges) do
    if r.last < first or r.first > last then
      kept[#kept + 1] = r
    else
      if r.first < first then
        kept[#kept + 1] = { state = r.state, first = r.first, last = first - 1 }
      end
      if r.last > last then
        kept[#kept + 1] = { state = r.state, first = last + 1, last = r.last }
      end
    end
  end
  kept[#kept + 1] = { state = state, first = first, last = last }
  table.sort(kept, function(a, b) return a.first < b.first end)
  local merged = {}
  for _, r in ipairs(kept) do
    local before = merged[#merged]
    if before and before.state == r.state and before.last + 1 == r.first then
      before.last = r.last
    else
      merged[#merged + 1] = r
    end
  end
  self.ranges = merged
end

---What another journal has, which was begun later, becomes a part of this one.
---@param later table
function M:append(later)
  for _, r in ipairs(later.ranges) do self:mark(r.state, r.first, r.last) end
end

---What is thought to be erased in [first, last] is in doubt from now on.
---@param first integer
---@param last integer
function M:doubt_erased(first, last)
  for _, r in ipairs(self:claims()) do
    local from, to = math.max(r.first, first), math.min(r.last, last)
    if r.state == "erased" and from <= to then self:mark("doubt", from, to) end
  end
end

---A copy of the ranges, for an error object.
---@return table[] { { state=, first=, last= }, ... } in ascending order
function M:claims()
  local copy = {}
  for i, r in ipairs(self.ranges) do
    copy[i] = { state = r.state, first = r.first, last = r.last }
  end
  return copy
end

local words = {
  erased = "erased",
  written = "written but not verified",
  verified = "verified",
  doubt = "in doubt",
}
local MOST = 6 -- ranges that a sentence names

---One sentence.
---@return string
function M:text()
  if #self.ranges == 0 then return "The flash is untouched." end
  local parts = {}
  for i, r in ipairs(self.ranges) do
    if i > MOST then
      parts[#parts + 1] = ("and %d more ranges"):format(#self.ranges - MOST)
      break
    end
    parts[#parts + 1] = text.range(r.first, r.last) .. " is " .. words[r.state]
  end
  return table.concat(parts, "; ") .. "; the rest is untouched."
end

return M

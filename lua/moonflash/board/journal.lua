-- SPDX-License-Identifier: MIT
-- The journal of a device's memories since it was first opened: disjoint ranges, each erased (by
-- the board's report), blank (erased and read back), written, verified, or in doubt (an operation
-- began, and is not known to have ended). All other addresses are untouched. `wanted` has the
-- ranges that were to be written: a run is verified only if all of them are.
local text = require "moonflash.base.text"

local M = {}
M.__index = M

---An empty journal.
function M.new()
  return setmetatable({ ranges = {}, wanted = {} }, M)
end

local function by_place(a, b)
  if a.alt ~= b.alt then return (a.alt or -1) < (b.alt or -1) end
  return a.first < b.first
end

-- Returns a new list: the disjoint ranges with one more. The new range replaces what it overlaps.
local function with(ranges, state, first, last, alt)
  local kept = {}
  for _, r in ipairs(ranges) do
    if r.alt ~= alt or r.last < first or r.first > last then
      kept[#kept + 1] = r
    else
      if r.first < first then
        kept[#kept + 1] = { state = r.state, first = r.first, last = first - 1, alt = alt }
      end
      if r.last > last then
        kept[#kept + 1] = { state = r.state, first = last + 1, last = r.last, alt = alt }
      end
    end
  end
  kept[#kept + 1] = { state = state, first = first, last = last, alt = alt }
  table.sort(kept, by_place)
  local merged = {}
  for _, r in ipairs(kept) do
    local before = merged[#merged]
    if before and before.state == r.state and before.alt == r.alt
      and before.last + 1 == r.first then
      before.last = r.last
    else
      merged[#merged + 1] = r
    end
  end
  return merged
end

---Sets the state of [first, last]. It replaces the former state.
---@param state string "erased", "blank", "written", "verified" or "doubt"
---@param first integer
---@param last integer
---@param alt? integer the alternate setting, where two of them share addresses
function M:mark(state, first, last, alt)
  self.ranges = with(self.ranges, state, first, last, alt)
  if state == "written" then self:want(first, last, alt) end
end

---Records that [first, last] is meant to be on the board at the end of the run.
---@param first integer
---@param last integer
---@param alt? integer
function M:want(first, last, alt)
  self.wanted = with(self.wanted, "wanted", first, last, alt)
end

---The number of wanted bytes that are not verified.
---@return integer bytes
function M:unverified()
  local missing = 0
  for _, w in ipairs(self.wanted) do
    missing = missing + w.last - w.first + 1
    for _, r in ipairs(self.ranges) do
      local from, to = math.max(w.first, r.first), math.min(w.last, r.last)
      if r.alt == w.alt and r.state == "verified" and from <= to then
        missing = missing - (to - from + 1)
      end
    end
  end
  return missing
end

---Adds the entries of another journal, which was begun later.
---@param later table
function M:append(later)
  for _, r in ipairs(later.ranges) do self:mark(r.state, r.first, r.last, r.alt) end
  for _, w in ipairs(later.wanted) do self:want(w.first, w.last, w.alt) end
end

---Takes the ranges of another journal in place of its own.
---@param other table
function M:adopt(other)
  self.ranges = other.ranges
end

---@return table a journal with a copy of the ranges
function M:copy()
  return setmetatable({ ranges = self:claims(), wanted = {} }, M)
end

---Puts the erased and blank parts of [first, last] into doubt.
---@param first integer
---@param last integer
---@param alt? integer
function M:doubt_erased(first, last, alt)
  for _, r in ipairs(self:claims()) do
    local from, to = math.max(r.first, first), math.min(r.last, last)
    if (r.state == "erased" or r.state == "blank") and r.alt == alt and from <= to then
      self:mark("doubt", from, to, alt)
    end
  end
end

---A copy of the ranges, for an error object.
---@return table[] { { state=, first=, last=, alt= }, ... } by alternate setting and address
function M:claims()
  local copy = {}
  for i, r in ipairs(self.ranges) do
    copy[i] = { state = r.state, first = r.first, last = r.last, alt = r.alt }
  end
  return copy
end

local words = {
  erased = "erased but not read back",
  blank = "erased",
  written = "written but not verified",
  verified = "verified",
  doubt = "in doubt",
}
local MOST = 6 -- ranges that a sentence names

---The journal as one sentence, for messages.
---@return string
function M:text()
  if #self.ranges == 0 then return "The flash is untouched." end
  local parts = {}
  for i, r in ipairs(self.ranges) do
    if i > MOST then
      parts[#parts + 1] = ("and %d more ranges"):format(#self.ranges - MOST)
      break
    end
    parts[#parts + 1] = ("%s%s is %s"):format(text.range(r.first, r.last),
      r.alt and (" of alternate setting %d"):format(r.alt) or "", words[r.state])
  end
  return table.concat(parts, "; ") .. "; the rest is untouched."
end

return M

-- SPDX-License-Identifier: MIT
-- Guesses the name behind a mistyped one.
local M = {}

-- Edit distance: letters to add, remove, change or swap with their neighbour.
local function distance(a, b)
  local before, row = nil, {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local next_row = { [0] = i }
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      next_row[j] = math.min(row[j] + 1, next_row[j - 1] + 1, row[j - 1] + (same and 0 or 1))
      if before and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        next_row[j] = math.min(next_row[j], before[j - 2] + 1)
      end
    end
    before, row = row, next_row
  end
  return row[#b]
end

-- The shortest candidate that begins with a name, at the end of a word: "erase" -> "erase_page".
local function beginning_with(name, candidates)
  local best
  for _, candidate in ipairs(candidates) do
    local begins = candidate:lower():sub(1, #name) == name:lower()
      and candidate:find("^[^%w]", #name + 1)
    if begins and (not best or #candidate < #best) then best = candidate end
  end
  return best
end

---The candidate that is most like `name`; nil if none is similar enough.
---@param name string
---@param candidates string[]
---@return string?
function M.guess(name, candidates)
  local best, least = nil, math.max(1, #name // 3) + 1
  if #name > 64 then return nil end
  for _, candidate in ipairs(candidates) do
    if math.abs(#candidate - #name) < least then
      local d = distance(name:lower(), candidate:lower())
      if d < least then best, least = candidate, d end
    end
  end
  return best or #name >= 3 and beginning_with(name, candidates) or nil
end

---" (did you mean 'x'?)", or "".
---@param name any
---@param candidates string[]
---@return string
function M.hint(name, candidates)
  local guess = type(name) == "string" and M.guess(name, candidates)
  return guess and (" (did you mean '%s'?)"):format(guess) or ""
end

---The string keys of a table, sorted.
---@param t table
---@return string[]
function M.keys(t)
  local keys = {}
  for key in pairs(t) do
    if type(key) == "string" then keys[#keys + 1] = key end
  end
  table.sort(keys)
  return keys
end

---Returns a function that checks whether a value is one of a list.
---@param choices string[]
---@return fun(value: any): string?, integer|string the choice and its index, or nil and the reason
function M.one_of(choices)
  return function(value)
    for i, choice in ipairs(choices) do
      if value == choice then return choice, i end
    end
    return nil, ("is one of %s%s"):format(table.concat(choices, ", "), M.hint(value, choices))
  end
end

return M

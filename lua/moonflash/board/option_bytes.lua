-- SPDX-License-Identifier: MIT
-- The option bytes of a board, from the families that it can be of: what all of them have in
-- common can be named, and what can't be undone on any of them is refused.
local families = require "moonflash.board.families"

local M = {}

local function same_place(a, b)
  if #a ~= #b or a.form ~= b.form or a.open[2] ~= b.open[2] then return false end
  for i, block in ipairs(a) do
    if block.address ~= b[i].address or block.length ~= b[i].length then return false end
  end
  return true
end

local function same_field(a, b)
  return b and a.block == b.block and a.word == b.word and a.low == b.low and a.high == b.high
end

-- The reason not to write, and whether all of it is certain.
local function merged(list)
  local first = list[1].options
  local it = { form = first.form, open = first.open, resets = first.resets, fields = {},
               keep = {}, costs = {}, forever = {}, names = {}, source = first.source,
               mark = "seen", readonly = first.readonly, protects = first.protects }
  for i, block in ipairs(first) do it[i] = block end
  for _, field in ipairs(first.fields) do
    local all, mark = true, field.mark
    for i = 2, #list do
      local other = list[i].options.fields[field.name]
      all = all and same_field(field, other)
      mark = mark or other and other.mark
    end
    if all then
      local own = { name = field.name, block = field.block, address = field.address,
                    word = field.word, low = field.low, high = field.high, mark = mark }
      it.fields[#it.fields + 1], it.fields[field.name] = own, own
    end
  end
  for _, family in ipairs(list) do
    local options = family.options
    it.readonly = it.readonly or options.readonly
    it.resets = it.resets and options.resets
    it.mark = options.mark ~= "seen" and options.mark or it.mark
    for name, why in pairs(options.keep) do it.keep[name] = why end
    for name, text in pairs(options.costs or {}) do it.costs[name] = text end
    for name, values in pairs(options.forever) do it.forever[name] = values end
  end
  for _, field in ipairs(it.fields) do field.mark = field.mark or it.mark ~= "seen" and it.mark end
  return it
end

---What is known of the option bytes of several families; nil if they have them in different places.
---@param list table[] families
---@return table? options as in family_shape.lua, with the fields that all families have
function M.of(list)
  if #list == 0 then return nil end
  for _, family in ipairs(list) do
    if not family.options or not same_place(list[1].options, family.options) then return nil end
  end
  return merged(list)
end

---The values that can't be undone, and the blocks that are never written, for guard.lua. Those of
---all families, if it is not known which one a board is of.
---@param list? table[] families
---@return table[] locks { address=, mask=, value=, why=, only=, start=, level= }
---@return table[] sealed { first=, last=, why= }
function M.locks(list)
  local locks, sealed = {}, {}
  for _, family in ipairs(list or families.all()) do
    local options = family.options
    if options then
      table.move(options.locks, 1, #options.locks, #locks + 1, locks)
      for _, block in ipairs(options) do
        if block.sealed then
          sealed[#sealed + 1] = block.sealed
        end
      end
    end
  end
  return locks, sealed
end

return M

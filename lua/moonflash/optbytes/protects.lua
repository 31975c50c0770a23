-- SPDX-License-Identifier: MIT
-- The parts of the flash that option bytes protect against writing. `protects` of a family:
--   bits       names of fields with a bit for each sector, or for each `size` bytes
--   protected  the value of a bit that protects
--   from       addresses at which the first bit of each field stands (default: one after the other)
--   rest       the last bit stands for all that follows
--   from_in    by mode: other addresses
--   modes      by mode: sectors for a bit, if it is more than one
--   areas      { first field, last field, from= }: pages of `size` bytes, protected if first <=
--   last
local memory = require "moonflash.memory"

local M = {}

local FLASH = 0x08000000

local function sector_ranges(segments, from, stop)
  local list = {}
  for sector in memory.sectors(segments, from) do
    if sector.address >= stop then break end
    list[#list + 1] = { first = sector.address, last = sector.address + sector.size - 1 }
    if #list == 64 then break end -- more than any family has bits
  end
  return list
end

local function add(list, first, last, why)
  local before = list[#list]
  if before and before.last + 1 == first and before.why == why then
    before.last = last
  else
    list[#list + 1] = { first = first, last = last, why = why }
  end
end

local function by_bits(options, values, segments, mode)
  local protects, list = options.protects, {}
  local per = mode and protects.modes and protects.modes[mode] or 1
  local starts = mode and protects.from_in and protects.from_in[mode] or protects.from
  local _, flash_end = memory.span(segments, segments[1].address)
  local at = FLASH
  for i, name in ipairs(protects.bits) do
    local field = options.fields[name]
    at = starts and starts[i] or at
    local sectors = protects.size == "sector"
      and sector_ranges(segments, at, starts and starts[i + 1] or math.huge)
    for bit = 0, field and values[name] and field.high - field.low or -1 do
      local first, last
      if sectors then
        local one, other = sectors[bit * per + 1], sectors[bit * per + per]
        first, last = one and one.first, (other or one or {}).last
      else
        first, last = at, at + protects.size - 1
        if protects.rest and i == #protects.bits and bit == field.high - field.low then
          last = math.max(last, flash_end)
        end
        at = at + protects.size
      end
      if first and values[name] >> bit & 1 == protects.protected then
        add(list, first, last, name)
      end
    end
  end
  return list
end

local function by_areas(options, values)
  local list = {}
  for _, area in ipairs(options.protects.areas) do
    local first, last = values[area[1]], values[area[2]]
    if first and last and first <= last then
      add(list, area.from + first * options.protects.size,
        area.from + (last + 1) * options.protects.size - 1, area[1])
    end
  end
  return list
end

---The values that remove all write protection, as arguments of `moonflash optbytes`.
---@param options table of a board
---@return string
function M.unlock(options)
  local list, unproven = {}, nil
  local function set(name, value)
    local field = options.fields[name]
    if field then
      local most = (1 << field.high - field.low + 1) - 1
      list[#list + 1] = ("%s=0x%X"):format(name, value and most or 0)
      unproven = unproven or field.mark
    end
  end
  local protects = options.protects
  for _, name in ipairs(protects.bits or {}) do set(name, protects.protected == 0) end
  for _, area in ipairs(protects.areas or {}) do
    set(area[1], true)
    set(area[2], false)
  end
  return table.concat(list, " ") .. (unproven and " --unproven" or "")
end

-- With these set, the bits mean protection against reading, too: everything counts as protected.
local OTHER_MEANINGS = { "SPRMOD", "WPRMOD" }

---The ranges that are protected against writing. In a mode the sizes of areas are not known, so
---none are named.
---@param options table of a board (option_bytes.lua)
---@param sound table<string, integer> values whose complements are right
---@param values table<string, integer> all values
---@param segments table[] of the flash, ascending
---@param mode? string the mode that the option bytes set (families' `modes`)
---@return table[] { first=, last=, why= }, why: a name of an option
function M.ranges(options, sound, values, segments, mode)
  local protects = options.protects
  if not protects or #segments == 0 then return {} end
  for _, name in ipairs(OTHER_MEANINGS) do
    if values[name] == 1 then
      local first, last = memory.span(segments, segments[1].address)
      return { { first = first, last = last, why = name } }
    end
  end
  if protects.areas then return mode and {} or by_areas(options, sound) end
  return by_bits(options, sound, segments, mode)
end

return M

-- SPDX-License-Identifier: MIT
-- A plan as text: a line a sector.
local bystanders = require "moonflash.flash.bystanders"
local sectors_of = require "moonflash.flash.sectors"
local text = require "moonflash.base.text"

local M = {}

local MOST_LINES = 16 -- lines; if there are more, equal adjacent sectors share one

local STATES = { same = "same", blank = "blank", differs = "differs", unread = "not read" }

-- The number of bytes that the runs write into a sector.
local function written_in(plan, sector)
  local total = 0
  for _, run in ipairs(plan.runs) do
    local from = math.max(run.address, sector.address)
    local to = math.min(run.address + #run.bytes - 1, sector.last)
    if from <= to then total = total + to - from + 1 end
  end
  return total
end

-- The rest of a sector that is erased, as text: kept or lost.
local function losses(sector)
  local kept = sectors_of.bytes_in(sector.kept or {})
  if sector.kept then return kept > 0 and ("; %s beside it kept"):format(text.size(kept)) or "" end
  local free = sectors_of.free(sector, sector.pieces)
  local words = {}
  for _, range in ipairs(free) do
    words[#words + 1] = range.first == sector.address and "before it"
      or range.last == sector.last and "after it" or "in its gaps"
  end
  if #words == 0 then return "" end
  local seen, list = {}, {}
  for _, word in ipairs(words) do
    if not seen[word] then
      seen[word] = true
      list[#list + 1] = word
    end
  end
  return ("; data %s in the sector is erased"):format(table.concat(list, " and "))
end

local function what_is_done(plan, sector)
  if sector.state == "same" then return "-" end
  local bytes = written_in(plan, sector)
  local blank = sectors_of.bytes_in(sector.spans) - bytes
  local write = bytes > 0 and "write " .. text.size(bytes)
  if blank > 0 and bytes > 0 then
    write = ("%s (and %s as erased)"):format(write, text.size(blank))
  end
  if not sector.erase then return write or "-" end
  local erase = plan.mass and "erase with all" or "erase"
  return erase .. (write and ", " .. write or "") .. losses(sector)
end

local function line(count, sector, state, done)
  local size = count == 1 and text.size(sector.size)
    or ("%d x %s"):format(count, text.size(sector.size))
  return ("  %s %9s   %-9s%s"):format(text.hex(sector.address), size, state, done)
end

local function sector_lines(plan)
  local lines, group = {}, nil
  for _, sector in ipairs(plan.sectors) do
    local state, done = STATES[sector.state], what_is_done(plan, sector)
    local key = table.concat({ sector.size, state, done }, "\0")
    if group and #plan.sectors > MOST_LINES and group.key == key
      and group.stop == sector.address then
      group.count = group.count + 1
    else
      group = { key = key, count = 1, sector = sector, state = state, done = done }
      lines[#lines + 1] = group
    end
    group.stop = sector.last + 1
  end
  for i, g in ipairs(lines) do
    lines[i] = line(g.count, g.sector, g.state, g.done .. (g.count > 1 and g.done ~= "-" and " each"
      or ""))
  end
  return lines
end

---The first line of a plan: "app.elf  212 KB in 2 pieces, starts at 0x08000000"
---@param image table
---@return string
function M.title(image)
  local pieces = #image.segments
  return ("%s  %s%s, %s"):format(image.name, text.size(image.size), pieces > 1
    and (" in %d pieces"):format(pieces) or "", image.start
    and ("starts at %s"):format(text.hex(image.start))
    or "from " .. text.hex(image.segments[1].address))
end

---The plan as text of several lines.
---@param plan table
---@return string
function M.plan(plan)
  local lines = sector_lines(plan)
  table.insert(lines, 1, M.title(plan.image))
  if plan.protected and #plan.protected > 0 then
    local names = {}
    for i, sector in ipairs(plan.protected) do names[i] = text.hex(sector.address) end
    lines[#lines + 1] = ("Write-protected by %s: %s."):format(table.concat(plan.protected_by, ", "),
      table.concat(names, ", "))
  end
  if plan.mass then lines[#lines + 1] = "One mass erase takes the place of erasing sectors." end
  lines[#lines + 1] = bystanders.describe(plan.bystanders)
  local differs = plan.seconds_full - plan.seconds >= 0.1
  lines[#lines + 1] = ("About %s%s."):format(text.seconds(plan.seconds), differs
    and (", instead of %s for everything"):format(text.seconds(plan.seconds_full)) or "")
  return table.concat(lines, "\n")
end

return M

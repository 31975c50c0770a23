-- SPDX-License-Identifier: MIT
-- A picture of a memory (SVG): its sectors to scale, their fates, and the image beside them.
local facts = require "moonflash.report.facts"
local html = require "moonflash.report.html"
local text = require "moonflash.base.text"

local M = {}

local el = html.element

-- Lengths in units of the picture: pixels, unless the page is narrower.
local WIDTH = 384
local TOP, BOTTOM = 22, 8
local MEMORY = { x = 78, width = 62 }
local CHECK = { x = 143, width = 5 }
local IMAGE = { x = 154, width = 22 }
local LABEL = 196
local LINE = 15         -- the least distance of two labels
local LEAST = 5         -- the height of the smallest sector
local OWN_LABEL = 13    -- sectors of this height or more have their own labels
local GAP = 16          -- the height of a gap in a memory
local MOST_LABELS = 60
local CUT = 44          -- the most height of untouched sectors, beside touched ones
local TOUCHED = 4       -- how much larger the others may be drawn then
local THIN = 2          -- sectors of less height are drawn as one

local function bytes_of(group)
  return group.last - group.address + 1
end

---"16 KB", "4 × 16 KB"
function M.size_of(group)
  local size = text.size(group.size)
  return group.count > 1 and ("%d × %s"):format(group.count, size) or size
end

---"0.25 s", "4.7 s", "<0.01 s"
function M.seconds(seconds)
  if seconds > 0 and seconds < 0.005 then return "<0.01 s" end
  return (seconds < 0.995 and "%.2f s" or "%.1f s"):format(seconds)
end

function M.fate_words(fate, dry)
  local words = facts.fates[fate]
  return dry and words[3] or words[2]
end

-- ---- layout ----

local function is_quiet(run) return run.fate == "untouched" or run.fate == "pending" end

-- Heights are to scale, but very small groups are drawn larger, and untouched ones are cut short.
-- Returns the groups, the total height, and the size below which the scale does not hold (or nil).
local function lay_out(memory, height)
  local total, touched = 0, 0
  for _, run in ipairs(memory.runs) do
    total = total + run.last - run.address + 1
    if not is_quiet(run) then touched = touched + run.last - run.address + 1 end
  end
  -- the part that something happened to gets at most TOUCHED of its own scale
  local scale = touched > 0 and math.min(height / touched, TOUCHED * height / total)
    or height / total
  local function small(run) return run.size * scale < OWN_LABEL or is_quiet(run) end
  local groups = facts.groups(memory.runs, small)
  local y, stop, untrue = TOP, nil, false
  for _, group in ipairs(groups) do
    if stop and stop ~= group.address then
      group.hole = y
      y = y + GAP
    end
    group.y, group.height = y, bytes_of(group) * scale
    if touched > 0 and is_quiet(group) and group.height > CUT then
      group.height, group.cut = CUT, true
    end
    if group.height < LEAST then group.height, untrue = LEAST, true end
    y, stop = y + group.height, group.last + 1
  end
  return groups, y - TOP, untrue and LEAST / scale or nil
end

-- The y coordinate of an address in a group.
local function y_of(group, address)
  return group.y + (address - group.address) / bytes_of(group) * group.height
end

-- Sets the y of each label: beside its group, and LINE from the other labels. If there are too many
-- groups, only the largest have a label. Returns the groups with labels.
local function place_labels(groups, height)
  local shown = table.move(groups, 1, #groups, 1, {})
  local most = math.min(MOST_LABELS, math.max(1, (height + TOP) // LINE))
  if #shown > most then
    table.sort(shown, function(a, b)
      if a.height ~= b.height then return a.height > b.height end
      return a.address < b.address
    end)
    for i = #shown, most + 1, -1 do shown[i] = nil end
    table.sort(shown, function(a, b) return a.address < b.address end)
  end
  local least = TOP
  for _, group in ipairs(shown) do
    group.label = math.max(group.y + group.height / 2, least + LINE / 2)
    least = group.label + LINE / 2
  end
  local limit = TOP + height + BOTTOM
  for i = #shown, 1, -1 do
    local group = shown[i]
    group.label = math.min(group.label, limit - LINE / 2)
    limit = group.label - LINE / 2
  end
  return shown
end

-- ---- drawing ----

local function tip(thing, count, dry)
  local words = { text.range(thing.address, thing.last),
    M.size_of { size = thing.size, count = count }, M.fate_words(thing.fate, dry) }
  for _, phase in ipairs { "compare", "erase", "write", "verify" } do
    local spent = thing.sector and facts.seconds(thing, phase)
    if spent then words[#words + 1] = ("%s %s"):format(phase, M.seconds(spent)) end
  end
  return el("title", nil, table.concat(words, ", "))
end

local function box(part, class, y, height, ...)
  return el("rect", { class = class, x = part.x, y = y, width = part.width, height = height }, ...)
end

-- Lines between the sectors of a group that is drawn as one rectangle.
local function dividers(group)
  local each = group.height / group.count
  if group.cut then return nil end
  if group.count < 2 or each < THIN * 1.5 then return nil end
  local path = {}
  for i = 1, group.count - 1 do
    path[i] = ("M%d %.2fh%d"):format(MEMORY.x, group.y + i * each, MEMORY.width)
  end
  return el("path", { class = "divider", d = table.concat(path) })
end

local function sectors_of(group, dry)
  local each = group.height / group.count
  if each < THIN or #group.runs == 1 then
    return { box(MEMORY, "sector " .. group.fate, group.y, group.height,
      tip(group.runs[2] and group or group.runs[1], group.count, dry)), dividers(group) }
  end
  local boxes = {}
  for _, run in ipairs(group.runs) do
    local y = y_of(group, run.address)
    boxes[#boxes + 1] = box(MEMORY, "sector " .. (each < LEAST and "fine " or "") .. run.fate, y,
      y_of(group, run.last + 1) - y, tip(run, run.count, dry))
  end
  return boxes
end

-- The mark of a group that is not drawn to scale: two slanted lines across it.
local function cut_mark(group)
  local y = group.y + group.height / 2
  return el("path", { class = "cut", d = ("M%d %.2fl%d -6m0 5l-%d 6"):format(MEMORY.x - 3, y + 3,
    MEMORY.width + 6, MEMORY.width + 6) })
end

-- Rectangles for the parts of a group that overlap ranges.
local function strips(group, ranges, part, class, wanted)
  local boxes = {}
  for _, range in ipairs(ranges) do
    local first, last = math.max(range.first, group.address), math.min(range.last, group.last)
    if first <= last and (not wanted or range.state == wanted) then
      local y = y_of(group, first)
      -- enlarged a little, so that no seam shows between two groups
      boxes[#boxes + 1] = box(part, class, y, math.max(y_of(group, last + 1) - y + 0.3, 1.5),
        el("title", nil, ("%s: %s, %s"):format(class, text.range(range.first, range.last),
          text.size(range.last - range.first + 1))))
    end
  end
  return boxes
end

local function label(group, dry)
  local y, middle = group.label, group.y + group.height / 2
  local size = M.size_of(group)
  if group.seconds then size = ("%s · %s"):format(size, M.seconds(group.seconds)) end
  return {
    el("path", { class = "leader", d = ("M%d %.2fh4L%d %.2fh3"):format(IMAGE.x + IMAGE.width + 3,
      middle, LABEL - 6, y) }),
    el("text", { x = LABEL, y = y + 4 },
      el("tspan", { class = group.fate == "doubt" and "alarm" }, M.fate_words(group.fate, dry)),
      el("tspan", { class = "quiet", dx = 6 }, size)),
  }
end

-- The address of each group, if there is room for it, and the end of the memory.
local function addresses(groups)
  local list, free = {}, 0
  local function add(address, y)
    if y < free then return end
    free = y + LINE - 2
    list[#list + 1] = el("text", { class = "address", x = MEMORY.x - 6, y = y + 4 },
      text.hex(address))
  end
  local last = groups[#groups]
  local bottom = last.y + last.height
  for _, group in ipairs(groups) do
    if group.y + LINE < bottom or group == groups[1] then add(group.address, group.y) end
  end
  add(last.last, bottom)
  return list
end

---The picture of a memory, and the size below which sectors are drawn larger than to scale (or
---nil).
---@param memory table from facts.memories
---@param height number
---@param dry boolean
---@return table markup
---@return number? bytes
function M.memory(memory, height, dry)
  local groups, tall, untrue = lay_out(memory, height)
  local parts = {
    el("text", { class = "head", x = MEMORY.x, y = 12 }, "memory"),
    #memory.pieces > 0 and el("text", { class = "head", x = IMAGE.x, y = 12 }, "image"),
  }
  for _, group in ipairs(groups) do
    if group.hole then
      parts[#parts + 1] = el("text", { class = "hole", x = MEMORY.x + MEMORY.width / 2,
        y = group.hole + GAP / 2 + 4 }, "⋯")
    end
    parts[#parts + 1] = sectors_of(group, dry)
    if group.cut then parts[#parts + 1] = cut_mark(group) end
    parts[#parts + 1] = strips(group, memory.claims, CHECK, "verified", "verified")
    parts[#parts + 1] = strips(group, memory.pieces, IMAGE, "image")
  end
  for _, group in ipairs(place_labels(groups, tall)) do parts[#parts + 1] = label(group, dry) end
  local whole = TOP + tall + BOTTOM
  return el("svg", { class = "memory", viewBox = ("0 0 %d %.0f"):format(WIDTH, whole),
    width = WIDTH, height = math.ceil(whole), role = "img",
    ["aria-label"] = memory.name .. ": what happened to each sector; the table lists the same" },
    parts, addresses(groups)), untrue
end

---A memory as a narrow strip, for the list of boards.
---@param memory table
---@return table markup
function M.strip(memory)
  local total, at, boxes = 0, 0.0, {}
  for _, run in ipairs(memory.runs) do total = total + run.last - run.address + 1 end
  for _, group in ipairs(facts.groups(memory.runs, function() return true end)) do
    local width = bytes_of(group) / total * 160
    boxes[#boxes + 1] = el("rect", { class = "sector " .. group.fate, x = at, y = 0.5,
      width = math.max(width, 1), height = 11 })
    at = at + width
  end
  return el("svg", { class = "strip", viewBox = "0 0 160 12", width = 160, height = 12,
    ["aria-hidden"] = "true" }, boxes)
end

return M

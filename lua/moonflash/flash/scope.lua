-- SPDX-License-Identifier: MIT
-- The part of an image that is to be written: --only and --skip-outside.
local class = require "moonflash.board.class"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local failure = require "moonflash.board.failure"
local memory = require "moonflash.memory"
local selectors = require "moonflash.board.selector"
local text = require "moonflash.base.text"

local M = {}

local MOST_NAMED = 4 -- pieces that a message names

-- The part of a segment within [first, last], or nil.
local function cut(segment, first, last)
  local from = math.max(segment.address, first)
  local to = math.min(segment.address + #segment.bytes - 1, last)
  if from > to then return nil end
  return { address = from, alt = segment.alt,
           bytes = segment.bytes:sub(from - segment.address + 1, to - segment.address + 1) }
end

---How a memory that can't be erased is written: "eeprom" (of an L0 or L1), "otp" (once), or nil if
---it is not.
---@param layout table
---@return string?
function M.without_erase(layout)
  if layout.name:find("^DATA Memory") then return "eeprom" end
  if layout.name:find("^OTP") then return "otp" end
end

-- Whether a sector of a memory can be written, after erasing or without it.
local function can_write(layout, s, otp)
  local kind = M.without_erase(layout)
  return s.writable and (s.erasable or kind == "eeprom" or kind == "otp" and otp)
end

-- The runs of memory that can be written, without gaps: { first=, last=, alt= }.
local function writable(alts, otp)
  local runs = {}
  for _, alt in ipairs(alts) do
    for _, s in ipairs(memory.is_option_bytes(alt.layout) and {} or alt.layout.segments) do
      local last = runs[#runs]
      local follows = last and last.alt == alt.number and last.last + 1 == s.address
      if can_write(alt.layout, s, otp) and follows then
        last.last = s.address + s.count * s.size - 1
      elseif can_write(alt.layout, s, otp) then
        runs[#runs + 1] = { first = s.address, last = s.address + s.count * s.size - 1,
                            alt = alt.number }
      end
    end
  end
  return runs
end

-- Splits segments into the parts inside the runs and the parts outside.
local function split(segments, runs)
  local inside, outside = {}, {}
  for _, segment in ipairs(segments) do
    local at, stop = segment.address, segment.address + #segment.bytes
    while at < stop do
      local found, next_start
      for _, run in ipairs(runs) do
        local fits = not segment.alt or segment.alt == run.alt
        if fits and at >= run.first and at <= run.last then found = found or run end
        if fits and run.first > at then next_start = math.min(next_start or stop, run.first) end
      end
      local last = found and math.min(found.last, stop - 1)
        or math.min((next_start or stop) - 1, stop - 1)
      table.insert(found and inside or outside, cut(segment, at, last))
      at = last + 1
    end
  end
  return inside, outside
end

---The pieces of an image without a writable memory, as text: "0x20000000 (1 KB)".
---@param board table
---@param image table
---@return string
function M.outside(board, image)
  local _, outside = split(image.segments, writable(board.alts))
  local names = {}
  for i, piece in ipairs(outside) do
    names[i] = i <= MOST_NAMED and ("%s (%s)"):format(text.hex(piece.address),
      text.size(#piece.bytes)) or nil
  end
  if #outside > MOST_NAMED then names[#names + 1] = ("%d more"):format(#outside - MOST_NAMED) end
  local last = #names > 1 and table.remove(names)
  return table.concat(names, ", ") .. (last and " and " .. last or "")
end

local function usage(board, format, ...)
  errors.raise { code = "usage", path = board.path,
    message = board.path .. ": " .. format:format(...),
    remedy = { "only-syntax" } }
end

-- Parses --only: first and last address, or nil, nil and an alternate setting.
local function parse_only(board, only)
  if math.type(only) == "integer" then only = tostring(only) end
  local from, to = tostring(only):match("^(.-)%.%.(.*)$")
  if from then
    local first, why = text.parse_integer(from, 0xFFFFFFFF)
    local last, why_last = text.parse_integer(to, 0xFFFFFFFF)
    if not first or not last then usage(board, "part %s: %s", only, why or why_last) end
    if last < first then usage(board, "part %s: the last address is below the first", only) end
    return first, last
  end
  local alt = only ~= "" and selectors.find_alt(board.alts, only)
  if not alt then usage(board, "part %s: the board has no such memory", only) end
  return nil, nil, alt
end

local function take_only(board, segments, only)
  local first, last, alt = parse_only(board, only)
  if alt then
    local runs = {}
    for _, s in ipairs(alt.layout.segments) do
      runs[#runs + 1] = { first = s.address, last = s.address + s.count * s.size - 1,
                          alt = alt.number }
    end
    return (split(segments, runs))
  end
  local list = {}
  for _, segment in ipairs(segments) do list[#list + 1] = cut(segment, first, last) end
  return list
end

local function tell_skipped(board, image, outside)
  for _, piece in ipairs(outside) do
    events.emit("remark", board, "skipped", { image = image.name, first = piece.address,
      last = piece.address + #piece.bytes - 1, bytes = #piece.bytes })
  end
end

local function start_in(image, segments)
  for _, segment in ipairs(segments) do
    local start = image.start
    if start and start >= segment.address and start < segment.address + #segment.bytes then
      return start
    end
  end
end

---The part of an image that the options select. Raises `usage` for a memory that the board does not
---have, `image` if no part is left.
---@param board table
---@param image table
---@param options table only=, skip_outside=
---@return table image
function M.apply(board, image, options)
  local only, skip = rawget(options, "only"), rawget(options, "skip_outside")
  if (only == nil or only == false) and not skip then return image end
  local segments = image.segments
  if only then segments = take_only(board, segments, only) end
  if skip then
    local outside
    segments, outside = split(segments, writable(board.alts, rawget(options, "otp")))
    tell_skipped(board, image, outside)
  end
  if #segments == 0 then
    errors.raise { code = "image", path = board.path,
      message = ("%s: %s has no data in the part that was chosen"):format(board.path,
        image.name),
      memory = failure.memory(class.state(board)) }
  end
  local part = setmetatable({}, getmetatable(image))
  for key, value in pairs(image) do part[key] = value end
  part.segments, part.size, part.start = segments, 0, start_in(image, segments)
  for _, segment in ipairs(segments) do part.size = part.size + #segment.bytes end
  return part
end

return M

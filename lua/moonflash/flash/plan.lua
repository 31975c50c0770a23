-- SPDX-License-Identifier: MIT
-- The plan: for each sector that an image touches whether it is the same, blank or different, and
-- so whether it is erased, what is written, kept and lost, and how long that should take. Making
-- one reads the board, and changes nothing.
local dfu = require "dfu"
local errors = require "moonflash.errors"
local memory = require "moonflash.memory"
local parts = require "moonflash.parts"
local progress = require "moonflash.progress"
local sectors_of = require "moonflash.flash.sectors"
local task = require "task"
local text = require "moonflash.text"

local M = {}

local bytes_in = sectors_of.bytes_in

---@param options? table
---@param name string
function M.option(options, name)
  return options and rawget(options, name) or false
end

local option = M.option

function M.misfit(board, image, what, hint)
  errors.raise { code = "image", path = board.path,
    message = ("%s: %s %s"):format(board.path, image.name, what),
    hint = hint or dfu.describe_memories(board)  }
end

-- ---- where it goes ----

-- A board that refuses the string with its layout can have any memory anywhere.
function M.check_layout(board, alt)
  if alt and #alt.layout.segments > 0 then return end
  errors.raise { code = "dfu.outside", path = board.path,
    message = ("%s: the board does not tell the layout of its memory%s; nothing was sent"):format(
      board.path, alt and (" (alternate setting %d, '%s')"):format(alt.number, alt.layout.name)
      or ""),
    hint = dfu.describe_memories(board) }
end

---The memory that holds all of [first, last].
---@param board table
---@param image table whose it is, for the message
---@param first integer
---@param last integer
---@param number? integer the alternate setting that it must be
---@return table alt
function M.memory_of(board, image, first, last, number)
  for _, alt in ipairs(board.alts) do
    local from, to = memory.span(alt.layout.segments, first)
    if from and (not number or number == alt.number) then
      if to < last then
        M.misfit(board, image, ("does not fit: it needs %s, and %s ends at %s"):format(
          text.range(first, last), alt.layout.name, text.hex(to)))
      end
      return alt
    end
  end
  M.check_layout(board, board.alts[1])
  M.misfit(board, image, ("would go to %s, where %s"):format(text.hex(first), number
    and ("alternate setting %d of this board has no memory"):format(number)
    or "this board has no memory"))
end

local function lay(board, image)
  local sectors, total = {}, 0
  for _, segment in ipairs(image.segments) do
    local last = segment.address + #segment.bytes - 1
    local alt = M.memory_of(board, image, segment.address, last, segment.alt)
    if parts.is_option_bytes(alt.layout) then
      M.misfit(board, image, ("would go to %s, which is option bytes"):format(
        text.hex(segment.address)), "'moonflash optbytes' shows them, and sets them by name.")
    end
    local before = #sectors
    sectors_of.add(sectors, alt.layout.segments, segment)
    for i = before + 1, #sectors do
      local sector = sectors[i]
      sector.alt = alt.number
      if not (sector.erasable and sector.writable) then
        M.misfit(board, image, ("would go to %s, which can't be erased and written"):format(
          text.hex(sector.address)))
      end
    end
    total = memory.number_of_sectors(alt.layout.segments)
  end
  return sectors, total
end

-- ---- what is there ----

local function is_blank(bytes, erased)
  return bytes == erased:rep(#bytes)
end

-- Reads one span of a sector, for as long as it could be the same or blank. The first requests are
-- short: sectors differ early, or not at all.
local function look_at_span(board, span, erased, seen)
  local size = board.transfer_size
  local at, blocks = 0, 1
  while at < #span.bytes and (seen.same or seen.blank) do
    local n = math.min(blocks * size, #span.bytes - at)
    local found = board:read(span.address + at, n)
    seen.same = seen.same and sectors_of.is_same(span, at, found)
    seen.blank = seen.blank and is_blank(found, erased)
    at = at + n
    seen.advance(n)
    blocks = math.min(blocks * 2, sectors_of.CHUNK)
  end
end

-- Whether all of a sector is blank that its spans leave out. An erase that was cut short can have
-- left old bytes there; and what is blank needs no erasing because all of it is.
local function is_rest_blank(board, sector, erased)
  for _, range in ipairs(sectors_of.free(sector, sector.spans)) do
    for at = range.first, range.last, sectors_of.CHUNK * board.transfer_size do
      local n = math.min(sectors_of.CHUNK * board.transfer_size, range.last - at + 1)
      if not is_blank(board:read(at, n), erased) then return false end
    end
  end
  return true
end

local function look(board, sectors, grain)
  local total = 0
  for _, sector in ipairs(sectors) do
    total = total + bytes_in(sector.spans)
  end
  local phase = progress.phase(board, "compare", total, "bytes")
  for _, sector in ipairs(sectors) do
    local began = task.now()
    local read = 0
    local seen = { same = true, blank = true, advance = function(n)
      read = read + n
      phase:advance(n)
    end }
    for _, span in ipairs(sector.spans) do look_at_span(board, span, grain.erased, seen) end
    phase:advance(bytes_in(sector.spans) - read)
    sector.state = seen.same and "same"
      or seen.blank and is_rest_blank(board, sector, grain.erased) and "blank" or "differs"
    sector.seconds = { compare = task.now() - began }
    progress.event { event = "sector", path = board.path, phase = "compare",
      address = sector.address, size = sector.size, seconds = sector.seconds.compare }
  end
  phase:finish()
end

-- ---- what is to be done ----

-- What stands before the image in a sector that has to be erased is a reason to stop, unless it is
-- blank, or the caller said what shall become of it.
local function check_before(board, image, sector, grain)
  local first = sector.pieces[1].address
  if first == sector.address then return end
  local before = text.range(sector.address, first - 1)
  if not dfu.fields(board).info.functional.attributes.can_upload then
    M.misfit(board, image, ("starts at %s, inside a sector: %s would be erased, and can't be read")
      :format(text.hex(first), before), "--lose lets them go.")
  end
  local found = board:read(sector.address, first - sector.address)
  if is_blank(found, grain.erased) then return end
  M.misfit(board, image, ("starts at %s, inside a sector: %s stand before it, are not blank, and"
    .. " would be erased"):format(text.hex(first), before),
    "--keep writes them back, --lose lets them go.")
end

local function by_address(a, b) return a.address < b.address end

-- What --keep reads of a sector that is to be erased, and has written back. Blank bytes need not.
local function keep_rest(board, sector, grain)
  local pieces = table.move(sector.pieces, 1, #sector.pieces, 1, {})
  sector.kept = {}
  for _, range in ipairs(sectors_of.free(sector, sector.pieces)) do
    local bytes = board:read(range.first, range.last - range.first + 1)
    if not is_blank(bytes, grain.erased) then
      local piece = { address = range.first, bytes = bytes }
      table.insert(sector.kept, piece)
      table.insert(pieces, piece)
    end
  end
  table.sort(pieces, by_address)
  sector.spans = sectors_of.spans(pieces, grain)
end

-- The spans of all that is written, joined where one sector ends and the next begins.
local function joined(sectors)
  local list = {}
  for _, sector in ipairs(sectors) do
    for _, span in ipairs(sector.state ~= "same" and sector.spans or {}) do
      local last = list[#list]
      if last and last.address + last.length == span.address then
        table.insert(last, span.bytes)
        last.length = last.length + #span.bytes
      else
        list[#list + 1] = { span.bytes, address = span.address, length = #span.bytes }
      end
    end
  end
  for i, parts_of in ipairs(list) do
    list[i] = { address = parts_of.address, bytes = table.concat(parts_of) }
  end
  return list
end

-- The runs of blocks that are not as erasing has left them.
local function append_runs(runs, span, size, erased)
  local from
  for at = 0, #span.bytes, size do
    local block = span.bytes:sub(at + 1, at + size)
    if is_blank(block, erased) then -- also the empty one at the end
      if from then
        runs[#runs + 1] = { address = span.address + from, bytes = span.bytes:sub(from + 1, at) }
      end
      from = nil
    else
      from = from or at
    end
  end
  if from then
    runs[#runs + 1] = { address = span.address + from, bytes = span.bytes:sub(from + 1) }
  end
end

-- The block with the vector table goes to the end: until it is written nothing starts.
local function start_last(runs, start, size)
  local ordered, last = {}, nil
  for _, run in ipairs(runs) do
    local at = start - run.address
    if at < 0 or at >= #run.bytes then
      ordered[#ordered + 1] = run
    else
      last = { address = start, bytes = run.bytes:sub(at + 1, at + size) }
      if at > 0 then
        ordered[#ordered + 1] = { address = run.address, bytes = run.bytes:sub(1, at) }
      end
      if at + size < #run.bytes then
        ordered[#ordered + 1] = { address = start + size, bytes = run.bytes:sub(at + size + 1) }
      end
    end
  end
  ordered[#ordered + 1] = last
  return ordered
end

-- Whether all that a mass erase would erase is to be erased anyway, and it is faster.
local function mass_erase_pays(board, sectors, part, kept)
  local main = board.alts[1]
  if not part.times.mass or kept then return false end
  local count, seconds = 0, 0
  for _, sector in ipairs(sectors) do
    if sector.erase and sector.alt == main.number then
      count, seconds = count + 1, seconds + parts.erase_seconds(part, sector.size)
    end
  end
  return count == memory.number_of_sectors(main.layout.segments) and part.times.mass < seconds
end

-- Board seconds, roughly: what the flash needs, and what the requests do.
local function expected_seconds(part, plan, size, full)
  local times = part.times
  local seconds = times.entry
  local mass = plan.mass and not full
  if mass then seconds = seconds + (times.mass or 0) end
  for _, sector in ipairs(plan.sectors) do
    local length = bytes_in(sector.spans)
    if not full and sector.state ~= "unread" then
      seconds = seconds + times.read * (sector.state == "differs" and size or length)
    end
    if (full or sector.erase) and not mass then
      seconds = seconds + parts.erase_seconds(part, sector.size)
    end
    if full or sector.state ~= "same" then seconds = seconds + times.read * length end
    if full then seconds = seconds + times.write * length end
  end
  if not full then seconds = seconds + times.write * plan.bytes_write end
  return seconds
end

---The plan for an image. Reads the board, unless options.full; raises `image` for what can't be.
---@param board table
---@param image table
---@param options? table full, keep, lose, erase_all, start_last: booleans
---@return table plan
function M.make(board, image, options)
  local part = dfu.fields(board).part
  local size = board.transfer_size
  local grain = { unit = part.unit, reach = size, erased = part.erased }
  local keep, erase_all = option(options, "keep"), option(options, "erase_all")
  if keep and erase_all then
    errors.raise { code = "usage", message = "--keep and --erase-all contradict each other" }
  end
  local sectors, total = lay(board, image)
  progress.note(("%s  %s at %s, %d of %s"):format(image.name, text.size(bytes_in(image.segments)),
    text.hex(image.segments[1].address), #sectors, text.count(total, "sector")))
  local can_read = dfu.fields(board).info.functional.attributes.can_upload
  local compares = can_read and not option(options, "full") and not erase_all
  for _, sector in ipairs(sectors) do
    sector.state, sector.spans = "unread", sectors_of.spans(sector.pieces, grain)
  end
  if compares then look(board, sectors, grain) end

  local differs = false
  for _, sector in ipairs(sectors) do differs = differs or sector.state ~= "same" end
  for _, sector in ipairs(sectors) do
    local start = image.start or -1
    if differs and option(options, "start_last") and start >= sector.address
      and start <= sector.last and sector.state ~= "blank" then
      sector.state = "differs" -- as long as the rest is half done it must not start
    end
    sector.erase = sector.state == "differs" or sector.state == "unread"
  end
  local any_kept = false
  for _, sector in ipairs(sectors) do
    if sector.erase and keep then
      keep_rest(board, sector, grain)
      any_kept = any_kept or #sector.kept > 0
    elseif sector.erase and not erase_all and not option(options, "lose") then
      check_before(board, image, sector, grain)
    end
  end

  local written, runs = joined(sectors), {}
  for _, span in ipairs(written) do append_runs(runs, span, size, grain.erased) end
  if option(options, "start_last") and image.start then
    runs = start_last(runs, image.start, size)
  end
  local plan = {
    image = image, sectors = sectors, runs = runs, written = written,
    bytes = bytes_in(image.segments), bytes_write = bytes_in(runs),
    mass = erase_all or mass_erase_pays(board, sectors, part, any_kept),
  }
  plan.bytes_blank = bytes_in(written) - plan.bytes_write
  plan.seconds = expected_seconds(part, plan, size, false)
  plan.seconds_full = expected_seconds(part, plan, size, true)
  return plan
end

return M

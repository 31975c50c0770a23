-- SPDX-License-Identifier: MIT
-- The plan: for each sector of an image, whether it is the same, blank or different, whether it is
-- erased, what is written, kept and lost, and the expected time. Making a plan reads the board and
-- changes nothing.
local bystanders = require "moonflash.flash.bystanders"
local class = require "moonflash.board.class"
local compare = require "moonflash.flash.compare"
local direct = require "moonflash.flash.direct"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local kept = require "moonflash.flash.kept"
local lay = require "moonflash.flash.lay"
local memory = require "moonflash.memory"
local part_of = require "moonflash.board.part"
local rules = require "moonflash.flash.rules"
local scope = require "moonflash.flash.scope"
local sectors_of = require "moonflash.flash.sectors"
local setting = require "moonflash.flash.setting"
local settings = require "moonflash.board.settings"
local text = require "moonflash.base.text"

local M = {}

local bytes_in = sectors_of.bytes_in

---@param options? table
---@param name string
---@return any false if it was not given
function M.option(options, name)
  return options and rawget(options, name) or false
end

local option = M.option

-- Whether bytes need no write after an erase. Only if the blank byte of this part is known.
local function is_skipped(part, bytes)
  return part.blank ~= nil and sectors_of.is_blank(bytes, part.blank)
end

-- ---- decisions ----

-- Raises `image` if a sector that has to be erased has data in front of the image. Blank bytes are
-- no reason. Called unless --keep, --lose or --erase-all was given.
local function check_before(board, image, sector, grain)
  local first = sector.pieces[1].address
  if first == sector.address then return end
  local before = text.range(sector.address, first - 1)
  if not class.state(board).info.functional.attributes.can_upload then
    lay.misfit(board, image, ("starts inside a sector: %s would be erased, and can't be read")
      :format(before), { "lose" })
  end
  local found = setting.read(board, sector.alt, sector.address, first - sector.address)
  if part_of.is_blank(grain.part, found) then return end
  lay.misfit(board, image, ("starts inside a sector: the data in %s would be erased"):format(
    before), { "keep", "lose" })
end

local function by_address(a, b) return a.address < b.address end

-- Reads bytes to be kept, twice: an undetected read error would be written back.
local function read_twice(board, alt, range)
  local length = range.last - range.first + 1
  local bytes = setting.read(board, alt, range.first, length)
  if setting.read(board, alt, range.first, length) ~= bytes then
    errors.raise { code = "usb.io", path = board.path, op = "read", address = range.first,
      remedy = { "cable", again = true },
      message = ("%s: two reads of %s differ, so it can't be kept; nothing was erased")
        :format(board.path, text.range(range.first, range.last)) }
  end
  return bytes
end

-- Adds to a sector the bytes that --keep reads and writes back. Blank bytes are left out.
local function keep_rest(board, sector, grain)
  local pieces = table.move(sector.pieces, 1, #sector.pieces, 1, {})
  sector.kept = sector.kept or {}
  for _, range in ipairs(sectors_of.free(sector, sector.pieces)) do
    local bytes = read_twice(board, sector.alt, range)
    if not is_skipped(grain.part, bytes) then
      local piece = { address = range.first, bytes = bytes,
                      alt = class.state(board).shared and sector.alt or nil }
      table.insert(sector.kept, piece)
      table.insert(pieces, piece)
    end
  end
  table.sort(pieces, by_address)
  sector.spans = sectors_of.spans(pieces, grain)
end

-- Joins adjacent pieces of a list.
local function joined(pieces)
  local list = {}
  for _, piece in ipairs(pieces) do
    local last = list[#list]
    if last and last.alt == piece.alt and last.address + last.length == piece.address then
      table.insert(last, piece.bytes)
      last.length = last.length + #piece.bytes
    else
      list[#list + 1] = { piece.bytes, address = piece.address, length = #piece.bytes,
                          alt = piece.alt }
    end
  end
  for i, parts_of in ipairs(list) do
    list[i] = { address = parts_of.address, bytes = table.concat(parts_of), alt = parts_of.alt }
  end
  return list
end

-- The parts that f returns for each sector, with the alternate setting, joined.
local function collected(sectors, f)
  local list = {}
  for _, sector in ipairs(sectors) do
    for _, part in ipairs(f(sector)) do
      list[#list + 1] = { address = part.address, bytes = part.bytes, alt = sector.alt }
    end
  end
  return joined(list)
end

-- The ranges to read back at the end. On a known ROM the sectors that were the same are left out.
-- On any other board an erase may have erased more than its sector.
local function to_check(sectors, written, trusted)
  local erases = false
  for _, sector in ipairs(sectors) do erases = erases or sector.erase end
  if trusted or not erases then return written end
  return collected(sectors, function(sector)
    return sector.state == "same" and sector.pieces or sector.spans
  end)
end

-- Appends the runs of blocks that are not blank.
local function append_runs(runs, span, size, part)
  local from
  for at = 0, #span.bytes, size do
    local block = span.bytes:sub(at + 1, at + size)
    if block == "" or is_skipped(part, block) then
      if from then
        runs[#runs + 1] = { address = span.address + from, bytes = span.bytes:sub(from + 1, at),
                            alt = span.alt }
      end
      from = nil
    else
      from = from or at
    end
  end
  if from then
    runs[#runs + 1] = { address = span.address + from, bytes = span.bytes:sub(from + 1),
                        alt = span.alt }
  end
end

---Moves the block with the vector table to the end: without that block no program starts.
---@param runs table[]
---@param start integer
---@param size integer bytes of a block
---@return table[]
function M.start_last(runs, start, size)
  local ordered, last = {}, {} -- several alternate settings can have this address
  for _, run in ipairs(runs) do
    local at = start - run.address
    if at < 0 or at >= #run.bytes then
      ordered[#ordered + 1] = run
    else
      last[#last + 1] = { address = start, bytes = run.bytes:sub(at + 1, at + size),
                          alt = run.alt }
      if at > 0 then
        ordered[#ordered + 1] = { address = run.address, bytes = run.bytes:sub(1, at),
                                  alt = run.alt }
      end
      if at + size < #run.bytes then
        ordered[#ordered + 1] = { address = start + size, bytes = run.bytes:sub(at + size + 1),
                                  alt = run.alt }
      end
    end
  end
  return table.move(last, 1, #last, #ordered + 1, ordered)
end

-- Whether a mass erase is faster, and erases nothing beyond the plan. Boot loaders that are not
-- ROMs may accept the command and do nothing.
local function mass_erase_pays(board, sectors, part, any_kept)
  local main = board.alts[1]
  if not part.times.mass or not part.rom or any_kept or rules.fault(board, "no-mass-erase") then
    return false
  end
  local count, seconds = 0, 0
  for _, sector in ipairs(sectors) do
    if sector.erase and sector.alt == main.number then
      count, seconds = count + 1, seconds + part_of.erase_seconds(part, sector.size)
    end
  end
  return count == memory.number_of_sectors(main.layout.segments) and part.times.mass < seconds
end

-- The expected seconds on the board: the flash's time, and that of the requests.
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
      seconds = seconds + part_of.erase_seconds(part, sector.size)
    end
    if full or sector.state ~= "same" then seconds = seconds + times.read * length end
    if full then seconds = seconds + times.write * length end
  end
  if not full then seconds = seconds + times.write * plan.bytes_write end
  return seconds
end

-- A mass erase that the ROM does not do is made of erasing all sectors.
local function add_all(board, sectors)
  local main, planned = board.alts[1].number, {}
  for _, sector in ipairs(sectors) do planned[sector.address] = sector.alt == main end
  for _, sector in ipairs(rules.all_sectors(board)) do
    if not planned[sector.address] then
      sector.pieces, sector.spans, sector.state = {}, {}, "unread"
      sectors[#sectors + 1] = sector
    end
  end
  table.sort(sectors, function(one, other)
    if one.alt ~= other.alt then return one.alt < other.alt end
    return one.address < other.address
  end)
end

-- The sectors that are erased one by one.
local function erased_in(sectors, mass, main)
  local list = {}
  for _, sector in ipairs(sectors) do
    if sector.erase and not (mass and sector.alt == main) then list[#list + 1] = sector end
  end
  return list
end

-- Decides what to do with each sector, by its state. Returns whether any bytes are kept.
local function decide(board, sectors, image, options, grain)
  local start = option(options, "start_last") and image.start or -1
  local differs, any_kept, kept_alt = false, false, nil
  for _, sector in ipairs(sectors) do differs = differs or sector.state ~= "same" end
  for _, sector in ipairs(direct.others(sectors)) do
    if differs and start >= sector.address and start <= sector.last and sector.state ~= "blank" then
      sector.state = "differs" -- nothing may start before the rest is written
    end
    sector.erase = sector.state == "differs" or sector.state == "unread"
    if sector.erase and option(options, "keep") then
      keep_rest(board, sector, grain)
      any_kept = any_kept or #sector.kept > 0
      for _, piece in ipairs(sector.kept) do
        if (kept_alt or piece.alt) ~= piece.alt then
          lay.misfit(board, image, "goes to two alternate settings with the same addresses, and "
            .. "bytes of only one can be kept", { "only" })
        end
        kept_alt = piece.alt
      end
    elseif sector.erase and not option(options, "erase_all") and not option(options, "lose") then
      check_before(board, image, sector, grain)
    end
  end
  return any_kept
end

local function check_options(board, image, options)
  if option(options, "keep") and option(options, "erase_all") then
    errors.raise { code = "usage",
      message = "the options keep and erase-all contradict each other" }
  end
  if option(options, "start_last") and not image.start then
    lay.misfit(board, image, "has no vector table that could be written last",
      { "leave-out", option = "start_last" })
  end
end

---Makes the plan for an image. Reads the board, unless options.full. Raises `image` for an image
---that can't be written.
---@param board table
---@param image table
---@param options? table full, keep, lose, erase_all, start_last, skip_outside, otp; only
---@return table plan
function M.make(board, image, options)
  local fields = class.state(board)
  local part, size = fields.part, board.transfer_size
  local grain = { unit = part.unit, reach = size, erased = part.erased, part = part }
  rules.settle(board)
  local keep, erase_all = option(options, "keep"), option(options, "erase_all")
  image = scope.apply(board, image, options or {})
  check_options(board, image, options)
  local sectors, total = lay.out(board, image, option(options, "otp"))
  events.emit("image", board, image, #sectors, total)
  local kept_file
  if keep then
    local pieces
    pieces, kept_file = kept.find(board, image)
    lay.add(sectors, pieces)
  end
  local can_read = fields.info.functional.attributes.can_upload
  for _, sector in ipairs(sectors) do
    sector.state, sector.spans = "unread", sectors_of.spans(sector.pieces, grain)
  end
  if can_read and not option(options, "full") and not erase_all then
    compare.look(board, direct.others(sectors), grain)
  end
  direct.look(board, image, sectors)
  local by_sectors = erase_all and rules.fault(board, "no-mass-erase") ~= nil
  if by_sectors then add_all(board, sectors) end

  local any_kept = decide(board, sectors, image, options, grain)
  local function spans_of(sector) return sector.state ~= "same" and sector.spans or {} end
  local written, runs = collected(sectors, spans_of), {}
  for _, span in ipairs(collected(direct.others(sectors), spans_of)) do
    append_runs(runs, span, size, part)
  end
  for _, sector in ipairs(sectors) do
    for _, run in ipairs(sector.runs or {}) do runs[#runs + 1] = run end
  end
  if option(options, "start_last") then runs = M.start_last(runs, image.start, size) end
  local plan = {
    image = image, sectors = sectors, runs = runs, written = written, kept_file = kept_file,
    start_last = option(options, "start_last"), erase_all = erase_all,
    bytes = bytes_in(image.segments), bytes_write = bytes_in(runs),
    mass = erase_all and not by_sectors or mass_erase_pays(board, sectors, part, any_kept),
  }
  plan.trusted = part.rom ~= nil and not settings.layout
  plan.check = to_check(sectors, written, plan.trusted)
  plan.erased = erased_in(sectors, plan.mass, board.alts[1].number)
  rules.look(board, plan, option(options, "full") and option(options, "no_verify")
    and option(options, "trust_erase"))
  plan.bystanders = can_read and not option(options, "trust_erase")
    and bystanders.choose(board, plan, plan.erased) or {}
  if not fields.shared then -- addresses alone are unambiguous
    for _, list in ipairs { plan.runs, plan.written, plan.check } do
      for _, run in ipairs(list) do run.alt = nil end
    end
  end
  plan.bytes_blank = bytes_in(written) - plan.bytes_write
  plan.seconds = expected_seconds(part, plan, size, false)
  plan.seconds_full = expected_seconds(part, plan, size, true)
  return plan
end

return M

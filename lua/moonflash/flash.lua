-- SPDX-License-Identifier: MIT
-- Flashing: from an image to a plan, and from the plan to a board that was read back and compared.
local dfu = require "dfu"
local difference = require "moonflash.difference"
local errors = require "moonflash.errors"
local files = require "moonflash.files"
local memory = require "moonflash.memory"
local progress = require "moonflash.progress"
local text = require "moonflash.text"

local M = {}

local CHUNK = 8        -- blocks between two signs of life
local SHOWN = 4        -- bytes of a difference that a message shows

-- What any recipe can have among its arguments: { "file", ... }, table.unpack(flash.options)
M.options = {
  { "--no-verify", "don't read back what was written", default = false },
  { "--keep", "write back what stands before the image in its first sector", default = false },
  { "--lose", "let go what stands before the image in its first sector", default = false },
}

local function option(options, name)
  return options and rawget(options, name)
end

local function misfit(board, image, what)
  errors.raise { code = "image", path = board.path,
    message = ("%s: %s %s"):format(board.path, image.name, what),
    hint = dfu.describe_memories(board)  }
end

-- A board that refuses the string with its layout can have any memory anywhere.
local function check_layout(board, alt)
  if alt and #alt.layout.segments > 0 then return end
  errors.raise { code = "dfu.outside", path = board.path,
    message = ("%s: the board does not tell the layout of its memory%s; nothing was sent"):format(
      board.path, alt and (" (alternate setting %d, '%s')"):format(alt.number, alt.layout.name)
      or ""),
    hint = dfu.describe_memories(board) }
end

-- The segments of the memory that holds all of [first, last].
local function memory_of(board, image, first, last)
  for _, alt in ipairs(board.alts) do
    local from, to = memory.span(alt.layout.segments, first)
    if from then
      if to < last then
        misfit(board, image, ("does not fit: it needs %s, and %s ends at %s"):format(
          text.range(first, last), alt.layout.name, text.hex(to)))
      end
      return alt.layout.segments
    end
  end
  check_layout(board, board.alts[1])
  misfit(board, image, ("would go to %s, where this board has no memory"):format(text.hex(first)))
end

---The plan: which sectors are erased, what is written. Touches nothing.
---@param board table
---@param image table
---@return table plan { sectors = { { address=, size= }, ... }, bytes=, total_sectors= }
function M.plan(board, image)
  local plan = { sectors = {}, bytes = 0, total_sectors = 0 }
  local taken = {}
  for _, segment in ipairs(image.segments) do
    local first, last = segment.address, segment.address + #segment.bytes - 1
    local segments = memory_of(board, image, first, last)
    for sector in memory.sectors(segments, first, last) do
      if not (sector.erasable and sector.writable) then
        misfit(board, image, ("would go to %s, which can't be erased and written"):format(
          text.hex(sector.address)))
      end
      if not taken[sector.address] then
        taken[sector.address] = true
        table.insert(plan.sectors, sector)
      end
    end
    plan.bytes = plan.bytes + #segment.bytes
    plan.total_sectors = memory.number_of_sectors(segments)
  end
  return plan
end

local function is_blank(bytes)
  return bytes == ("\255"):rep(#bytes)
end

-- What stands before the image in the first sector of each of its segments would be erased with
-- it: it is kept, let go, or a reason to stop. Returns the segments to write, and what they keep.
local function with_what_stands_before(board, image, plan, options)
  local segments, kept = {}, {}
  for i, segment in ipairs(image.segments) do
    segments[i] = segment
    local sector
    for _, s in ipairs(plan.sectors) do
      if segment.address >= s.address and segment.address < s.address + s.size then sector = s end
    end
    local before = image.segments[i - 1]
    local from = sector.address
    if before and before.address + #before.bytes > from then
      from = before.address + #before.bytes
    end
    if from < segment.address and not option(options, "lose") then
      local bytes = board:read(from, segment.address - from)
      if option(options, "keep") then
        segments[i] = { address = from, bytes = bytes .. segment.bytes }
        kept[#kept + 1] = { address = from, bytes = bytes }
      elseif not is_blank(bytes) then
        errors.raise { code = "image", path = board.path,
          message = ("%s: %s starts at %s, inside a sector: %s stand before it, are not blank, and"
            .. " would be erased"):format(board.path, image.name, text.hex(segment.address),
            text.range(from, segment.address - 1)),
          hint = "--keep writes them back, --lose lets them go." }
      end
    end
  end
  return segments, kept
end

-- If writing fails, what --keep has read is no longer on the board: it goes to files, and the error
-- says how it comes back.
local function rescue(kept)
  local function save(_, err)
    if err == nil then return end
    for _, piece in ipairs(kept) do
      local name = ("moonflash-kept-%08X.bin"):format(piece.address)
      local ok, why = pcall(files.write, name, piece.bytes)
      if errors.is(err) then
        err.hint = (err.hint and err.hint .. "\n" or "") .. (ok
          and ("What --keep had read at %s is in %s; first write that back:\n"
            .. "  moonflash flash %s@%s --lose"):format(text.hex(piece.address), name, name,
            text.hex(piece.address))
          or ("What --keep had read at %s is lost: %s"):format(text.hex(piece.address),
            tostring(why)))
      end
    end
  end
  return setmetatable({}, { __close = save })
end

---Erases the sectors of the list.
---@param board table
---@param sectors table[] { { address= }, ... }
function M.erase(board, sectors)
  local phase = progress.phase(board, "erase", #sectors, "sector")
  for _, sector in ipairs(sectors) do
    board:erase_page(sector.address)
    phase:advance(1)
  end
  phase:finish()
end

---The erasable sectors that touch [first, last].
---@param board table
---@param first integer
---@param last integer
---@return table[] sectors
function M.sectors(board, first, last)
  local sectors = {}
  local segments = memory_of(board, { name = "the range to erase" }, first, last)
  for sector in memory.sectors(segments, first, last) do sectors[#sectors + 1] = sector end
  return sectors
end

-- Pads to whole units of the flash: erased bytes, which the erased sector has there already.
local function padded(board, bytes)
  local unit = dfu.fields(board).part.unit
  return bytes .. ("\255"):rep(-#bytes % unit)
end

local function write_segments(board, segments, total)
  local phase = progress.phase(board, "write", total, "bytes")
  local size = CHUNK * board.transfer_size
  for _, segment in ipairs(segments) do
    for at = 1, #segment.bytes, size do
      local chunk = segment.bytes:sub(at, at + size - 1)
      board:write(segment.address + at - 1, padded(board, chunk))
      phase:advance(#chunk)
    end
  end
  phase:finish()
end

local function sector_start(board, address)
  for _, alt in ipairs(board.alts) do
    local _, start = memory.find(alt.layout.segments, address)
    if start then return start end
  end
  return address
end

-- Blocks are counted in the wTransferSize that the board announces. One that counts in another size
-- is wrong about reading as it was about writing, and reading back shows nothing: so one block, the
-- last that is not blank, is read by its own address too.
local function check_counting(board, address, bytes)
  local size = board.transfer_size
  for at = (#bytes - 1) // size * size, 1, -size do
    local block = bytes:sub(at + 1, at + size)
    if not is_blank(block) then
      board:set_address(address + at)
      return board:read(address + at, #block) == block, address + at
    end
  end
  return true
end

local function miscounted(board, address)
  local fields = dfu.fields(board)
  errors.raise { code = "verify", path = board.path, op = "verify", address = address,
    message = ("%s: %s holds something else when it is read alone: the board does not count in the "
      .. "%d bytes that it announces"):format(board.path, text.hex(address), board.transfer_size),
    flash = fields.journal:text(), ranges = fields.journal:claims(),
    hint = "Run the same command again. If it stays, please report this board: what was written to "
      .. "it may stand elsewhere, and what was read come from elsewhere." }
end

local function compare(board, segments, name, total)
  local phase = progress.phase(board, name, total, "bytes")
  local fields = dfu.fields(board)
  -- plain DFU reads from the start, so all at once
  local size = fields.dfuse and CHUNK * board.transfer_size or math.maxinteger
  local different, sectors, count = nil, {}, 0
  local seen, all = {}, 0
  for _, segment in ipairs(segments) do
    for at = 1, #segment.bytes, size do
      local address = segment.address + at - 1
      local expected = segment.bytes:sub(at, at + size - 1)
      local start = sector_start(board, address)
      if not seen[start] then seen[start], all = true, all + 1 end
      local found = board:read(address, #expected)
      if found ~= expected then
        if not sectors[start] then sectors[start], count = true, count + 1 end
        local i = difference(expected, found)
        if fields.stats.bytes_written > 0 then -- else it was so before
          fields.mark(board, "doubt", address, address + #expected - 1)
        end
        different = different or { address = address + i - 1,
          expected = expected:sub(i, i + SHOWN - 1), found = found:sub(i, i + SHOWN - 1) }
      else
        fields.mark(board, "verified", address, address + #expected - 1)
      end
      phase:advance(#expected)
    end
  end
  phase:finish()
  for _, segment in ipairs(fields.dfuse and not different and segments or {}) do
    local right, address = check_counting(board, segment.address, segment.bytes)
    if not right then
      fields.mark(board, "doubt", segment.address, segment.address + #segment.bytes - 1)
      miscounted(board, address)
    end
  end
  return different, count, all
end

---Reads back what the image has, and compares. Raises `verify` where it differs.
---@param board table
---@param image table
function M.verify(board, image)
  local segments = image.segments
  if not dfu.fields(board).dfuse then -- its one memory starts at 0, wherever the image was for
    segments = { { address = 0, bytes = segments[1].bytes } }
  end
  local stats = dfu.fields(board).stats
  local total = 0
  for _, segment in ipairs(segments) do total = total + #segment.bytes end
  local d, count, all = compare(board, segments, "verify", total)
  if not d then
    stats.verified = true
    return
  end
  local fields = dfu.fields(board)
  errors.raise { code = "verify", path = board.path, op = "verify", address = d.address,
    message = ("%s: verify failed at %s: expected %s, found %s"):format(board.path,
      text.hex(d.address), text.bytes(d.expected), text.bytes(d.found)),
    flash = fields.journal:text(), ranges = fields.journal:claims(),
    hint = ("%d of %s %s."):format(count, text.count(all, "sector"),
      count == 1 and "differs" or "differ") .. (fields.stats.bytes_written > 0 and
      " Run the same command again; if it stays, the sector may be write-protected." or "") }
end

local function show_plan(board, image, plan)
  progress.print(("%s: %s, %s; nothing was written"):format(board.path, image.name,
    text.size(plan.bytes)))
  for _, sector in ipairs(plan.sectors) do
    progress.print(("  %s  %6s  erase, write"):format(text.hex(sector.address),
      text.size(sector.size)))
  end
end

local function sum(segments)
  local total = 0
  for _, segment in ipairs(segments) do total = total + #segment.bytes end
  return total
end

-- Plain DFU has one memory, from 0, and starts what it got.
local function write_plain(board, image)
  if #image.segments ~= 1 then misfit(board, image, "has gaps, and plain DFU has no addresses") end
  local bytes = image.segments[1].bytes
  local phase = progress.phase(board, "write", #bytes, "bytes")
  board:write(0, bytes)
  phase:advance(#bytes)
  phase:finish()
  dfu.fields(board).stats.unverified = "plain DFU starts the program at once"
end

---Plans, erases, writes and verifies. All that can be refused is refused before the first erase.
---@param board table
---@param image table from image.load
---@param options? table no_verify, keep, lose: booleans
function M.write(board, image, options)
  if type(image) ~= "table" or not image.segments then
    error("flash.write(board, image, options): an image, from image.load", 2)
  end
  local fields = dfu.fields(board)
  if not fields.dfuse then
    return write_plain(board, image)
  end
  local plan = M.plan(board, image)
  local segments, kept = with_what_stands_before(board, image, plan, options)
  progress.note(("%s  %s at %s, %d of %s"):format(image.name, text.size(plan.bytes),
    text.hex(segments[1].address), #plan.sectors, text.count(plan.total_sectors, "sector")))
  progress.event { event = "plan", path = board.path, sectors_erase = #plan.sectors,
                   bytes_write = sum(segments) }
  if fields.dry then return show_plan(board, image, plan) end
  local _ <close> = rescue(kept)
  M.erase(board, plan.sectors)
  write_segments(board, segments, sum(segments))
  if option(options, "no_verify") then
    fields.stats.unverified = "--no-verify"
  else
    M.verify(board, { name = image.name, segments = segments })
  end
end

---Reads memory, with a bar.
---@param board table
---@param address integer
---@param length integer bytes
---@return string
function M.read(board, address, length)
  if not dfu.fields(board).dfuse then -- only from 0, and whole
    return board:read(address, length)
  end
  local phase = progress.phase(board, "read", length, "bytes")
  local size = CHUNK * board.transfer_size
  local chunks = {}
  for at = 0, length - 1, size do
    local n = math.min(size, length - at)
    chunks[#chunks + 1] = board:read(address + at, n)
    phase:advance(n)
  end
  phase:finish()
  local bytes = table.concat(chunks)
  local right, wrong_at = check_counting(board, address, bytes)
  if not right then miscounted(board, wrong_at) end
  return bytes
end

---The memory that a board starts its program from: the first and the last address. Nil for the last
---in plain DFU, which does not say how much there is.
---@param board table
---@return integer first
---@return integer? last
function M.main(board)
  if not dfu.fields(board).dfuse then return 0 end
  check_layout(board, board.alts[1])
  local segments = board.alts[1].layout.segments
  return memory.span(segments, segments[1].address)
end

return M

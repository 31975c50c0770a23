-- SPDX-License-Identifier: MIT
-- Flashing: from an image to a plan, and from the plan to a board that was read back and compared.
local check = require "moonflash.check"
local dfu = require "dfu"
local images = require "moonflash.image"
local kept = require "moonflash.flash.kept"
local memory = require "moonflash.memory"
local misuse = require "moonflash.misuse"
local plans = require "moonflash.flash.plan"
local progress = require "moonflash.progress"
local sectors_of = require "moonflash.flash.sectors"
local show = require "moonflash.flash.show"
local task = require "task"
local text = require "moonflash.text"
local verify = require "moonflash.flash.verify"

local M = {}

local option = plans.option

-- What any recipe can have among its arguments: { "file", ... }, table.unpack(flash.options)
M.options = {
  { "--full", "erase and write all of it, without comparing first", default = false },
  { "--keep", "write back what else is in the sectors that are erased", default = false },
  { "--lose", "let go what stands before the image in its first sector", default = false },
  { "--erase-all", "one mass erase, also of what the image spares", default = false },
  { "--start-last", "write the vector table last: half a program never starts", default = false },
  { "--no-verify", "don't read back what was written", default = false },
  { "--retry", "write sectors that differ afterwards so often again", default = 0,
    type = "integer" },
  { "--leave", "start it afterwards", default = false },
}

local function check_image(usage, image)
  if type(image) ~= "table" or type(image.segments) ~= "table" then
    misuse("%s: an image, from image.load", usage)
  end
end

---The plan: what is the same, erased, written, kept and lost, sector by sector. Reads the board,
---and changes nothing.
---@param board table
---@param image table
---@param options? table full, keep, lose, erase_all, start_last: booleans
---@return table plan
function M.plan(board, image, options)
  local usage = "flash.plan(board, image, options)"
  dfu.check(usage, board)
  check_image(usage, image)
  return plans.make(board, image, options)
end

---A plan as text, a line a sector.
---@param plan table
---@return string
M.describe = show.plan

-- ---- carrying it out ----

-- Takes the time of each sector, and tells of it when the next one's turn has come, or at the end:
-- it is called with an address and seconds, and closed, also where it all goes wrong.
local function stopwatch(board, plan, name)
  local by_address, current, seconds = {}, nil, 0
  for _, sector in ipairs(plan.sectors) do by_address[sector.address] = sector end
  local function flush()
    if current then
      current.seconds = current.seconds or {}
      current.seconds[name] = (current.seconds[name] or 0) + seconds
      progress.event { event = "sector", path = board.path, phase = name,
        address = current.address, size = current.size, seconds = seconds }
    end
    current, seconds = nil, 0
  end
  local function add(_, address, spent)
    local sector = by_address[verify.sector_at(board, address)]
    if sector ~= current then
      flush()
      current = sector
    end
    seconds = seconds + spent
  end
  return setmetatable({}, { __call = add, __close = flush })
end

local function erase_sectors(board, sectors, told)
  local phase = progress.phase(board, "erase", #sectors, "sector")
  for _, sector in ipairs(sectors) do
    local began = task.now()
    sector.begun = true
    board:erase_page(sector.address)
    if told then told(sector.address, task.now() - began) end
    phase:advance(1)
  end
  phase:finish()
end

local function erase_all(board, plan)
  local phase = progress.phase(board, "erase", 1, "whole chip")
  local began = task.now()
  board:mass_erase()
  plan.seconds_mass = task.now() - began
  progress.event { event = "mass_erase", path = board.path, seconds = plan.seconds_mass }
  phase:advance(1)
  phase:finish()
end

-- Boards that begin together go on in step, and those behind one hub then all want the bus at the
-- same moment, at every block. So they begin the time of a transfer apart, 5 ms for 2048 bytes and
-- GETSTATUS; and eight of them, after which a block of 33 ms is written (docs/protocol.md).
local APART, ABREAST = 0.005, 8
local writing = 0 -- boards

local function out_of_step()
  local before = writing % ABREAST
  writing = writing + 1
  if before > 0 then task.sleep(before * APART) end
end

-- Behind a gap the address is set anew, but for ROMs that are known to count: others might take a
-- block for the one that follows the last (docs/protocol.md).
local function write_runs(board, runs, told)
  if #runs == 0 then return end
  local _ <close> = setmetatable({}, { __close = function() writing = writing - 1 end })
  out_of_step()
  local phase = progress.phase(board, "write", sectors_of.bytes_in(runs), "bytes")
  local size = sectors_of.CHUNK * board.transfer_size
  for i, run in ipairs(runs) do
    if i > 1 and not dfu.fields(board).part.early then board:abort() end
    for at = 1, #run.bytes, size do
      local chunk = run.bytes:sub(at, at + size - 1)
      local began = task.now()
      board:write(run.address + at - 1, chunk)
      told(run.address + at - 1, task.now() - began)
      phase:advance(#chunk)
    end
  end
  phase:finish()
end

-- The part of a plan that has to be done again for sectors that came out wrong.
local function again(plan, bad)
  local sectors, runs, written = {}, {}, {}
  for _, sector in ipairs(plan.sectors) do
    if bad[sector.address] then
      sectors[#sectors + 1] = sector
      for _, span in ipairs(sector.spans) do
        runs[#runs + 1], written[#written + 1] = span, span
      end
    end
  end
  return { sectors = sectors, runs = runs, written = written }
end

local function to_erase(plan)
  local list = {}
  for _, sector in ipairs(plan.sectors) do
    if sector.erase then list[#list + 1] = sector end
  end
  return list
end

-- The sectors that a mass erase leaves alone: those of other memories than the first.
local function elsewhere(board, sectors)
  local list = {}
  for _, sector in ipairs(sectors) do
    if sector.alt ~= board.alts[1].number then list[#list + 1] = sector end
  end
  return list
end

local function carry_out(board, plan)
  local list = to_erase(plan)
  if plan.mass then
    erase_all(board, plan)
    list = elsewhere(board, list)
  end
  if #list > 0 then
    local told <close> = stopwatch(board, plan, "erase")
    erase_sectors(board, list, told)
  end
  local told <close> = stopwatch(board, plan, "write")
  write_runs(board, plan.runs, told)
end

local function read_back(board, plan, written)
  local told <close> = stopwatch(board, plan, "verify")
  return (verify.compare(board, written, told))
end

local function check_and_mend(board, plan, retries)
  if #plan.written == 0 then -- all was the same
    return verify.check_counting(board, plan.image.segments)
  end
  local result = read_back(board, plan, plan.written)
  for _ = 1, result.first and retries or 0 do
    progress.print(("%s: %s came out wrong: writing %s again"):format(board.path,
      text.count(result.bad_count, "sector"), result.bad_count == 1 and "it" or "them"))
    local part = again(plan, result.bad)
    for _, sector in ipairs(part.sectors) do sector.erase = true end
    carry_out(board, part)
    result = read_back(board, plan, part.written)
    if not result.first then break end
  end
  if result.first then verify.complain(board, result) end
end

-- What was the same already is as good as written and verified: it was read and compared.
local function count_same(board, plan)
  local fields = dfu.fields(board)
  local stats = fields.stats
  for _, sector in ipairs(plan.sectors) do
    if sector.state == "same" then
      stats.sectors_same = (stats.sectors_same or 0) + 1
      for _, piece in ipairs(sector.pieces) do
        stats.bytes_skipped = stats.bytes_skipped + #piece.bytes
        fields.mark(board, "verified", piece.address, piece.address + #piece.bytes - 1)
      end
    end
  end
  stats.bytes_skipped = stats.bytes_skipped + plan.bytes_blank
  if stats.sectors_same then stats.seconds_saved = plan.seconds_full - plan.seconds end
end

local function tell(board, plan)
  local sectors = {}
  for i, sector in ipairs(plan.sectors) do
    sectors[i] = { address = sector.address, size = sector.size, state = sector.state,
                   erase = sector.erase }
  end
  progress.event { event = "plan", path = board.path, image = plan.image.name, bytes = plan.bytes,
    sectors_erase = #to_erase(plan), bytes_write = plan.bytes_write, mass_erase = plan.mass,
    seconds = plan.seconds, seconds_full = plan.seconds_full, sectors = sectors }
end

-- Plain DFU has one memory, from 0, and starts what it got.
local function write_plain(board, image)
  if #image.segments ~= 1 then
    plans.misfit(board, image, "has gaps, and plain DFU has no addresses")
  end
  local bytes = image.segments[1].bytes
  local phase = progress.phase(board, "write", #bytes, "bytes")
  board:write(0, bytes)
  phase:advance(#bytes)
  phase:finish()
  dfu.fields(board).stats.unverified = "plain DFU starts the program at once"
end

local function perform(board, plan, options)
  local fields = dfu.fields(board)
  local _ <close> = kept.guard(board, plan)
  carry_out(board, plan)
  if #plan.written > 0 and option(options, "no_verify") then
    fields.stats.unverified = "--no-verify"
  elseif not fields.info.functional.attributes.can_upload then
    fields.stats.unverified = "the board can't be read"
  else
    check_and_mend(board, plan, option(options, "retry") or 0)
    fields.stats.verified = true
  end
  count_same(board, plan)
end

---Plans, erases, writes and verifies. All that can be refused is refused before the first erase.
---@param board table
---@param image table from image.load
---@param options? table as in flash.options, with _ for -
function M.write(board, image, options)
  local usage = "flash.write(board, image, options)"
  local fields = dfu.check(usage, board)
  check_image(usage, image)
  fields.image = image
  images.check_ids(image, board, option(options, "force"))
  if not fields.dfuse then
    return write_plain(board, image)
  end
  local plan = plans.make(board, image, options)
  fields.plan = plan
  tell(board, plan)
  if fields.dry then
    progress.print(show.plan(plan) .. " Nothing was written.")
  else
    perform(board, plan, options)
  end
  if option(options, "leave") then board:leave(image.start) end
end

---Reads back what the image has, and compares. Raises `verify` where it differs.
---@param board table
---@param image table
function M.verify(board, image)
  local usage = "flash.verify(board, image)"
  local fields = dfu.check(usage, board)
  check_image(usage, image)
  local segments = image.segments
  fields.image = image
  if not fields.dfuse then -- its one memory starts at 0, wherever the image was for
    segments = { { address = 0, bytes = segments[1].bytes } }
  end
  local result = verify.compare(board, segments)
  if result.first then verify.complain(board, result) end
  fields.stats.verified = true
end

---Erases the sectors of the list.
---@param board table
---@param sectors table[] { { address= }, ... }
function M.erase(board, sectors)
  local usage = "flash.erase(board, sectors)"
  dfu.check(usage, board)
  if type(sectors) ~= "table" then
    misuse("%s: sectors is a list, from flash.sectors", usage)
  end
  erase_sectors(board, sectors)
end

---The erasable sectors that touch [first, last].
---@param board table
---@param first integer
---@param last integer
---@return table[] sectors
function M.sectors(board, first, last)
  local usage = "flash.sectors(board, first, last)"
  dfu.check(usage, board)
  check.integer(usage, "first", first)
  check.integer(usage, "last", last)
  local sectors = {}
  local alt = plans.memory_of(board, { name = "the range to erase" }, first, last)
  for sector in memory.sectors(alt.layout.segments, first, last) do
    sectors[#sectors + 1] = sector
  end
  return sectors
end

---Reads memory, with a bar.
---@param board table
---@param address integer
---@param length integer bytes
---@return string
function M.read(board, address, length)
  local usage = "flash.read(board, address, length)"
  dfu.check(usage, board)
  check.integer(usage, "address", address)
  check.integer(usage, "length", length)
  if not dfu.fields(board).dfuse then -- only from 0, and whole
    return board:read(address, length)
  end
  local phase = progress.phase(board, "read", length, "bytes")
  local size = sectors_of.CHUNK * board.transfer_size
  local chunks = {}
  for at = 0, length - 1, size do
    local n = math.min(size, length - at)
    chunks[#chunks + 1] = board:read(address + at, n)
    phase:advance(n)
  end
  phase:finish()
  local bytes = table.concat(chunks)
  verify.check_counting(board, { { address = address, bytes = bytes } })
  return bytes
end

---The memory that a board starts its program from: the first and the last address. Nil for the last
---in plain DFU, which does not say how much there is.
---@param board table
---@return integer first
---@return integer? last
function M.main(board)
  dfu.check("flash.main(board)", board)
  if not dfu.fields(board).dfuse then return 0 end
  plans.check_layout(board, board.alts[1])
  local segments = board.alts[1].layout.segments
  return memory.span(segments, segments[1].address)
end

return M

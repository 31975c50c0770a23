-- SPDX-License-Identifier: MIT
-- Carries out a plan: erases, writes, reads back, rewrites sectors that differ, and compares the
-- bystanders.
local blank = require "moonflash.flash.blank"
local bystanders = require "moonflash.flash.bystanders"
local class = require "moonflash.board.class"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local kept = require "moonflash.flash.kept"
local lay = require "moonflash.flash.lay"
local link = require "moonflash.link"
local memory = require "moonflash.memory"
local part_of = require "moonflash.board.part"
local plans = require "moonflash.flash.plan"
local rules = require "moonflash.flash.rules"
local sectors_of = require "moonflash.flash.sectors"
local setting = require "moonflash.flash.setting"
local task = require "task"
local verify = require "moonflash.flash.verify"

local M = {}

local option = plans.option

local ERASE = 0x41 -- AN3156

-- ---- timing ----

-- Adds up the time of each sector, and emits `sector` when the next sector begins and at the end.
-- Called with an address and seconds. The caller closes it, also after an error.
local function stopwatch(board, plan, name)
  local by_address, current, seconds = {}, nil, 0
  for _, sector in ipairs(plan.sectors) do by_address[sector.address] = sector end
  local function flush()
    if current then
      current.seconds = current.seconds or {}
      current.seconds[name] = (current.seconds[name] or 0) + seconds
      events.emit("sector", board, current, name, seconds)
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

-- ---- erasing ----

---Erases sectors one by one, with progress events.
---@param board table
---@param sectors table[]
---@param told? fun(address: integer, seconds: number) called after each sector
function M.erase_sectors(board, sectors, told)
  local phase = events.phase(board, "erase", #sectors, "sector")
  for _, sector in ipairs(sectors) do
    local began = task.now()
    rules.erase(board, sector)
    if told then told(sector.address, task.now() - began) end
    phase:advance(1)
  end
  phase:finish()
end

-- Whether the first memory of a board can be read at present.
local function can_read(board)
  local alt = board.alts[1]
  for _, s in ipairs(alt and alt.layout.segments or {}) do
    if s.readable then
      local n = math.min(s.size, board.transfer_size)
      return (pcall(setting.read, board, alt.number, s.address, n))
    end
  end
  return false
end

---Refuses a mass erase if the result can't be checked: the board can't be read and is not a known
---ROM. Some boot loaders accept the command and do nothing.
---@param board table
function M.check_mass_erase(board)
  rules.check_command(board, ERASE, "mass erase")
  if not class.state(board).part.rom and not can_read(board) then
    errors.raise { code = "dfu.mass-erase", path = board.path, op = "mass erase",
      remedy = { "erase-sectors" },
      message = board.path .. ": a mass erase could not be checked here; nothing was erased" }
  end
end

---Begins the phase of an erase of the whole chip, which can't be counted.
---@param board table
---@return table phase
function M.whole_chip(board)
  return events.phase(board, "erase", 1, "whole chip",
    part_of.mass_seconds(class.state(board).part, board))
end

---Sends a mass erase, with progress events.
---@param board table
---@return number seconds the time that it took
function M.erase_all(board)
  M.check_mass_erase(board)
  local phase = M.whole_chip(board)
  local began = task.now()
  board:mass_erase()
  local seconds = task.now() - began
  events.emit("mass_erase", board, seconds)
  phase:advance(1)
  phase:finish()
  return seconds
end

-- The sectors to check after a mass erase: the first of the main memory, and those of the plan.
local function sectors_to_look_at(board, plan)
  local main, list = board.alts[1], {}
  local segment = main.layout.segments[1]
  local first = plan.sectors[1]
  if not (first and first.address == segment.address) then
    list[1] = { address = segment.address, size = segment.size, alt = main.number }
  end
  for _, sector in ipairs(plan.sectors) do
    if sector.alt == main.number then list[#list + 1] = sector end
  end
  return list
end

-- ---- writing ----

-- Boards that begin together stay in step, and all of those behind one hub want the bus at the same
-- moment, at every block. So each begins one transfer later than the one before: 5 ms for 2048
-- bytes and GETSTATUS. After eight of them the first block of 33 ms is written (docs/protocol.md).
local APART, ABREAST = 0.005, 8
local writing = 0 -- number of boards that are written at present

local function out_of_step()
  local before = writing % ABREAST
  writing = writing + 1
  if before > 0 then task.sleep(before * APART) end
end

-- After a gap the address is set anew, except for ROMs that are known to compute it from the block
-- number: other boot loaders might write the block right behind the last one (docs/protocol.md).
local function write_runs(board, runs, told)
  if #runs == 0 then return end
  local _ <close> = setmetatable({}, { __close = function() writing = writing - 1 end })
  out_of_step()
  local phase = events.phase(board, "write", sectors_of.bytes_in(runs), "bytes")
  local size = sectors_of.CHUNK * board.transfer_size
  for i, run in ipairs(runs) do
    if i > 1 and not class.state(board).part.early_poll then board:abort() end
    for at = 1, #run.bytes, size do
      local chunk = run.bytes:sub(at, at + size - 1)
      local began = task.now()
      setting.write(board, run.alt, run.address + at - 1, chunk)
      told(run.address + at - 1, task.now() - began)
      phase:advance(#chunk)
    end
  end
  phase:finish()
end

-- With --start-last the sector of the vector table is erased first, so that no half-written program
-- can start.
local function start_first(plan, sectors)
  local start = plan.start_last and plan.image.start
  if not start then return sectors end
  local ordered = {}
  for _, sector in ipairs(sectors) do
    local holds = start >= sector.address and start < sector.address + sector.size
    table.insert(ordered, holds and 1 or #ordered + 1, sector)
  end
  return ordered
end

local function carry_out(board, plan)
  if plan.mass then
    plan.seconds_mass = M.erase_all(board)
    if class.state(board).info.functional.attributes.can_upload and plan.erase_all then
      blank.check(board, sectors_to_look_at(board, plan))
    end
  end
  if #plan.erased > 0 then
    local told <close> = stopwatch(board, plan, "erase")
    M.erase_sectors(board, start_first(plan, plan.erased), told)
  end
  local told <close> = stopwatch(board, plan, "write")
  write_runs(board, plan.runs, told)
end

-- ---- reading back ----

-- The part of a plan to repeat for sectors that differ. With --start-last it includes the sector of
-- the vector table. A sector that compared the same is only read again: it was not meant to be
-- erased, and its other bytes were not read.
local function again(board, plan, result)
  local start = plan.start_last and plan.image.start
  local part = { sectors = {}, erased = {}, runs = {}, start_last = plan.start_last,
                 image = plan.image }
  for _, sector in ipairs(plan.sectors) do
    local holds = start and start >= sector.address and start < sector.address + sector.size
    local bad = sector.direct ~= "otp" and (holds or verify.is_bad(result, sector))
    if sector.state ~= "same" and bad then
      table.insert(part.sectors, sector)
      if not sector.direct then table.insert(part.erased, sector) end
      for _, span in ipairs(sector.spans) do
        table.insert(part.runs, { address = span.address, bytes = span.bytes, alt = sector.alt })
      end
    end
  end
  if start then part.runs = plans.start_last(part.runs, start, board.transfer_size) end
  return part
end

local function read_back(board, plan)
  local told <close> = stopwatch(board, plan, "verify")
  return verify.compare(board, plan.check, told)
end

-- After a retry everything is compared again: an erase may have erased more than its sector.
local function check_and_mend(board, plan, retries)
  if #plan.check == 0 then -- all sectors were the same
    return verify.check_counting(board, plan.image.segments)
  end
  local result = read_back(board, plan)
  for _ = 1, result.first and retries or 0 do
    local part = again(board, plan, result)
    events.emit("remark", board, "written-again", { sectors = result.bad_count,
                                                    writing = #part.sectors > 0 })
    carry_out(board, part)
    result = read_back(board, plan)
    if not result.first then break end
  end
  if result.first then verify.complain(board, result) end
end

-- Counts sectors that were the same. They were compared, so they are verified, unless the layout is
-- not trusted and something was erased since.
local function count_same(board, plan)
  local stands = plan.trusted or #plan.erased == 0
  local history, any = class.state(board).history, false
  for _, sector in ipairs(plan.sectors) do
    if sector.state == "same" then
      any = true
      history:same_sector()
      for _, piece in ipairs(sector.pieces) do
        history:skipped(#piece.bytes)
        local last = piece.address + #piece.bytes - 1
        if stands then history:mark("verified", piece.address, last, sector.alt) end
      end
    end
  end
  history:skipped(plan.bytes_blank)
  if any then history:saved(plan.seconds_full - plan.seconds) end
end

---Carries out a plan on its board.
---@param board table
---@param plan table
---@param options? table no_verify, retry
function M.plan(board, plan, options)
  local fields = class.state(board)
  local guard <close> = kept.guard(board, plan)
  bystanders.look(board, plan, plan.bystanders)
  for _, sector in ipairs(plan.sectors) do
    for _, piece in ipairs(sector.pieces) do
      fields.history:want(piece.address, piece.address + #piece.bytes - 1, sector.alt)
    end
  end
  carry_out(board, plan)
  if #plan.written > 0 and option(options, "no_verify") then
    fields.history:not_verified("--no-verify")
  elseif not fields.info.functional.attributes.can_upload then
    fields.history:not_verified("the board can't be read")
  else
    check_and_mend(board, plan, option(options, "retry") or 0)
    fields.history:verified()
    guard.verified()
  end
  count_same(board, plan)
  bystanders.check(board, plan.bystanders)
end

-- ---- plain DFU ----

-- The reason why a board can't be read back after writing; nil if it returns to dfuIDLE and
-- supports upload.
local function why_unread(board)
  local attributes = class.state(board).info.functional.attributes
  if not attributes.tolerant or not board.is_open then
    return "plain DFU starts the program at once"
  end
  return not attributes.can_upload and "the board can't be read" or nil
end

local TICK = 0.1 -- seconds between two events about a download by plain DFU

-- Plain DFU is written in one operation. While it goes on, its progress becomes events.
local function follow(board, phase)
  local job = task.spawn(function()
    while true do
      task.sleep(TICK)
      local done = link.progress(board)
      if done and done > phase.done then phase:advance(done - phase.done) end
    end
  end)
  return setmetatable({}, { __close = function() job:cancel() end })
end

---Writes an image by plain DFU, which has one memory, from 0. A board that is manifestation
---tolerant is read back; any other board starts the program at once.
---@param board table
---@param image table
---@param options? table no_verify
function M.plain(board, image, options)
  lay.check_plain(board, image)
  local history = class.state(board).history
  local bytes = lay.plain_bytes(image)
  local phase = events.phase(board, "write", #bytes, "bytes")
  history:want(0, #bytes - 1)
  do
    local _ <close> = follow(board, phase)
    board:write(0, bytes)
  end
  phase:advance(#bytes - phase.done)
  phase:finish()
  if board.dry then return end
  if option(options, "no_verify") then
    history:not_verified("--no-verify")
  elseif why_unread(board) then
    history:not_verified(why_unread(board))
  else
    local found, err = errors.catch("dfu", board.read, board, 0, #bytes)
    if err or #found < #bytes then
      return history:not_verified(err and "the board can't be read"
        or "the board returned too few bytes")
    end
    local result = verify.compare(board, { { address = 0, bytes = bytes, found = found } })
    if result.first then verify.complain(board, result) end
    history:verified()
  end
end

---The sectors of a memory that overlap a range. For flash.erase and flash.sectors.
---@param alt table one of board.alts
---@param first integer
---@param last integer
---@return table[]
function M.sectors(alt, first, last)
  local sectors = {}
  for sector in memory.sectors(alt.layout.segments, first, last) do
    sector.alt = alt.number
    sectors[#sectors + 1] = sector
  end
  return sectors
end

return M

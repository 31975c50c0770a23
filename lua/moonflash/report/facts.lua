-- SPDX-License-Identifier: MIT
-- The fate of each sector of a board, for a report: from the plan and from the journal. Where they
-- disagree, the journal is right.
--
-- A layout comes from a board and may announce 2^32 sectors, so they are never enumerated: sectors
-- with the same fate are one run, { address=, size=, count=, last=, fate=, sector=, image=,
-- verified= }.
local dfu = require "dfu"
local memory = require "moonflash.memory"

local M = {}

-- The words for each fate: in a legend, beside a sector, and in a dry run.
M.fates = {
  same = { "unchanged: equal to the image", "same" },
  written = { "written", "written", "would be written" },
  rewritten = { "erased and written", "erased, written", "would be erased, written" },
  erased = { "erased", "erased", "would be erased" },
  verified = { "verified", "verified" },
  doubt = { "in doubt: begun, and not known to have ended", "IN DOUBT" },
  pending = { "not reached: not touched", "not reached" },
  untouched = { "untouched", "untouched" },
}
M.order = { "same", "written", "rewritten", "erased", "verified", "doubt", "pending", "untouched" }

---The number of bytes of [first, last] in ranges with a state, or with any state.
---@param ranges table[] { first=, last=, state= }
function M.overlap(ranges, first, last, state)
  local total = 0
  for _, r in ipairs(ranges) do
    if not state or r.state == state then
      total = total + math.max(0, math.min(last, r.last) - math.max(first, r.first) + 1)
    end
  end
  return total
end

local function states_in(claims, first, last)
  local found = {}
  for _, claim in ipairs(claims) do
    if claim.first <= last and claim.last >= first then found[claim.state] = true end
  end
  return found
end

local function planned_fate(sector, found, dry)
  local changed = found.erased or found.written
  if sector.state == "same" and not changed then return "same" end
  if dry then return sector.erase and "rewritten" or "written" end
  if found.written or found.verified then return sector.erase and "rewritten" or "written" end
  return found.erased and "erased" or "pending"
end

local function fate_of(sector, found, dry)
  if found.doubt then return "doubt" end
  if sector then return planned_fate(sector, found, dry) end
  if found.written then return found.erased and "rewritten" or "written" end
  return found.erased and "erased" or found.verified and "verified" or "untouched"
end

-- The indices of a segment's sectors where the fate may change: around each sector of the plan, and
-- around the ends of the journal's ranges.
local function cuts_of(segment, sectors, claims)
  local cuts, seen = {}, {}
  local function cut(i)
    if i >= 0 and i <= segment.count and not seen[i] then
      seen[i] = true
      cuts[#cuts + 1] = i
    end
  end
  local last = segment.address + segment.count * segment.size - 1
  local function around(address)
    if address < segment.address or address > last then return end
    local i = (address - segment.address) // segment.size
    cut(i)
    cut(i + 1)
  end
  cut(0)
  cut(segment.count)
  for address in pairs(sectors) do around(address) end
  for _, claim in ipairs(claims) do
    around(claim.first)
    around(claim.last)
  end
  table.sort(cuts)
  return cuts
end

local function new_run(segment, from, to, about)
  local run = { address = segment.address + from * segment.size, size = segment.size,
                count = to - from }
  run.last = run.address + run.count * run.size - 1
  run.sector = about.sectors[run.address]
  -- all sectors of a run have the same states, so the first one decides
  local found = states_in(about.claims, run.address, run.address + run.size - 1)
  run.fate = fate_of(run.sector, found, about.dry)
  run.image = M.overlap(about.pieces, run.address, run.last)
  run.verified = run.image > 0 and 0 or nil
  for _, piece in ipairs(run.image > 0 and about.pieces or {}) do
    local first, last = math.max(piece.first, run.address), math.min(piece.last, run.last)
    if first <= last then
      run.verified = run.verified + M.overlap(about.claims, first, last, "verified")
    end
  end
  if run.fate == "same" then run.verified = run.image end -- it was compared
  return run
end

-- Joins equal runs that the image does not touch.
local function append(runs, run)
  local last = runs[#runs]
  if last and last.fate == run.fate and last.size == run.size and last.last + 1 == run.address
    and last.image == 0 and run.image == 0 then
    last.count, last.last = last.count + run.count, run.last
  else
    runs[#runs + 1] = run
  end
end

local function by_address(a, b) return a.address < b.address end

local function memory_of(alt, about)
  local segments = table.move(alt.layout.segments, 1, #alt.layout.segments, 1, {})
  table.sort(segments, by_address)
  local runs, concerns = {}, false
  for _, segment in ipairs(segments) do
    local cuts = cuts_of(segment, about.sectors, about.claims)
    for i = 2, #cuts do
      local run = new_run(segment, cuts[i - 1], cuts[i], about)
      concerns = concerns or run.fate ~= "untouched" or run.image > 0
      append(runs, run)
    end
  end
  if not concerns then return nil end
  return { name = alt.layout.name, number = alt.number, runs = runs, pieces = about.pieces,
           claims = about.claims }
end

---The memories that a run has changed or was meant to change.
---@param result table from run.on_board
---@param dry boolean a dry run
---@return table[] memories { name=, number=, runs=, pieces=, claims= }
function M.memories(result, dry)
  local fields = dfu.fields(result.board)
  local about = { sectors = {}, pieces = {}, claims = result.ranges or {}, dry = dry }
  local plan = fields.job.plan or { sectors = {} }
  for _, sector in ipairs(plan.sectors) do about.sectors[sector.address] = sector end
  for _, segment in ipairs(fields.job.image and fields.dfuse and fields.job.image.segments or {}) do
    table.insert(about.pieces, { first = segment.address,
                                 last = segment.address + #segment.bytes - 1 })
  end
  local memories = {}
  for _, alt in ipairs(fields.dfuse and fields.alts or {}) do
    if not memory.is_option_bytes(alt.layout) then -- these have a table of changes
      memories[#memories + 1] = memory_of(alt, about)
    end
  end
  return memories
end

---The time of all phases of a run of sectors; nil if none was timed.
---@param run table
---@param phase? string "compare", "erase", "write" or "verify"; default: the sum of all
---@return number?
function M.seconds(run, phase)
  local seconds = run.sector and run.sector.seconds
  if not seconds then return nil end
  if phase then return seconds[phase] end
  local total = 0
  for _, spent in pairs(seconds) do total = total + spent end
  return total
end

---Groups adjacent runs of equal size and fate, which may share a line: "4 x 16 KB".
---@param runs table[]
---@param alike fun(run: table): boolean whether a run may be joined to the group before it
---@return table[] groups { runs=, address=, last=, size=, count=, fate=, seconds= }
function M.groups(runs, alike)
  local groups = {}
  for _, run in ipairs(runs) do
    local group = groups[#groups]
    if group and group.fate == run.fate and group.size == run.size
      and group.last + 1 == run.address and alike(run) then
      group.count, group.last = group.count + run.count, run.last
      table.insert(group.runs, run)
    else
      group = { runs = { run }, address = run.address, last = run.last, size = run.size,
                count = run.count, fate = run.fate }
      groups[#groups + 1] = group
    end
    local spent = M.seconds(run)
    if spent then group.seconds = (group.seconds or 0) + spent end
  end
  return groups
end

return M

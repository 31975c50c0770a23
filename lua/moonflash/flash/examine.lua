-- SPDX-License-Identifier: MIT
-- Methods of Board that examine it: its status, its memories, differences to a file. Only fill
-- changes the board.
local check = require "moonflash.base.check"
local class = require "moonflash.board.class"
local difference = require "moonflash.base.difference"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local files = require "moonflash.base.files"
local flash = require "moonflash.flash"
local hexdump = require "moonflash.base.hexdump"
local image = require "moonflash.image"
local memories = require "moonflash.board.memories"
local memory = require "moonflash.memory"
local misuse = require "moonflash.base.misuse"
local shown = require "moonflash.base.shown"
local task = require "task"
local text = require "moonflash.base.text"

local M = {}

local DUMPED = 256          -- bytes, if no length is given
local CHUNK = 16 * 1024     -- bytes between two progress events
local SHOWN = 8             -- bytes of a difference that text shows
local MOST_SHOWN = 32       -- differences that text shows
local MOST_FOUND = 64       -- addresses that text shows
local JOINED = 4            -- equal bytes between two differences that are shown as one

---The board's status and state: `{ status=, state=, poll= }`. In dfuDNLOAD-SYNC only `{ state= }`:
---GETSTATUS would execute the stored command there.
---@param board table
---@return table
function M.status(board)
  class.check("board:status()", board)
  local state = board:get_state()
  if state == "dfuDNLOAD-SYNC" then return { state = state } end
  return board:get_status()
end

-- The length of a dump without a given length: 256 bytes, or up to the end of the memory.
local function usual_length(board, address)
  for _, alt in ipairs(class.state(board).alts) do
    local _, last = memory.span(alt.layout.segments, address)
    if last then return math.min(DUMPED, last - address + 1) end
  end
  return DUMPED
end

---Reads bytes, and returns them with their hex dump.
---@param board table
---@param address integer
---@param length? integer default 256, or up to the end of the memory
---@return table { address=, bytes= } that prints as a dump
function M.dump(board, address, length)
  local usage = "board:dump(address, length)"
  class.check(usage, board)
  check.address(usage, address)
  length = length or usual_length(board, address)
  check.range(usage, address, length)
  local bytes = length <= CHUNK and board:read(address, length) -- too short for a progress bar
    or flash.read(board, address, length)
  return shown.as({ address = address, bytes = bytes },
    function(dumped) return hexdump(dumped.bytes, dumped.address) end)
end

-- The runs of readable memory without gaps, each in one alternate setting.
local function readable(board)
  local runs = {}
  for _, alt in ipairs(board.alts) do
    local segments = table.move(alt.layout.segments, 1, #alt.layout.segments, 1, {})
    table.sort(segments, function(a, b) return a.address < b.address end)
    local run
    for _, s in ipairs(segments) do
      local stop = s.address + s.count * s.size
      if s.readable and run and run.stop == s.address then
        run.stop = stop
      elseif s.readable then
        run = { address = s.address, stop = stop }
        runs[#runs + 1] = run
      end
    end
  end
  return runs
end

-- Appends the addresses of `bytes` in a run of memory to `found`.
local function find_in(board, run, bytes, phase, found)
  local before = "" -- the end of the last chunk, where a match may begin
  for at = run.address, run.stop - 1, CHUNK do
    local n = math.min(CHUNK, run.stop - at)
    local window = before .. board:read(at, n)
    local start = at - #before
    local i = window:find(bytes, 1, true)
    while i do
      found[#found + 1] = start + i - 1
      i = window:find(bytes, i + 1, true)
    end
    before = #bytes > 1 and window:sub(-(#bytes - 1)) or ""
    phase:advance(n)
  end
end

local function addresses(found)
  if #found == 0 then return "Not found in the memories that can be read." end
  local lines = {}
  for i = 1, math.min(#found, MOST_FOUND) do lines[i] = text.hex(found[i]) end
  if #found > MOST_FOUND then lines[#lines + 1] = ("and %d more"):format(#found - MOST_FOUND) end
  return table.concat(lines, "\n")
end

---Finds bytes in all readable memories.
---@param board table
---@param bytes string
---@return integer[] addresses, ascending within each memory
function M.find(board, bytes)
  class.check("board:find(bytes)", board)
  if type(bytes) ~= "string" or bytes == "" then
    misuse("board:find(bytes): bytes is a string, not empty")
  end
  local runs, total = readable(board), 0
  if #runs == 0 then
    errors.raise { code = "dfu.outside", path = board.path,
      message = board.path .. ": the board reports no memory that can be read" }
  end
  for _, run in ipairs(runs) do total = total + run.stop - run.address end
  local phase, found = events.phase(board, "find", total, "bytes"), {}
  for _, run in ipairs(runs) do find_in(board, run, bytes, phase, found) end
  phase:finish()
  return shown.as(found, addresses)
end

-- The first position from `at` on at which two strings of one length differ. The compared length
-- grows with the distance, so that many differences close together take no longer than a few.
local function next_difference(a, b, at)
  local length = 32
  while at <= #a do
    local stop = math.min(at + length - 1, #a)
    local i = difference(a:sub(at, stop), b:sub(at, stop))
    if i then return at + i - 1 end
    at, length = stop + 1, math.min(2 * length, 1 << 16)
  end
end

local BREATH = 1024 -- differences after which other tasks get a turn

-- Appends the ranges in which two strings of one length differ.
local function compare(address, wanted, found, ranges)
  local at = 1
  while at <= #wanted do
    local first = next_difference(wanted, found, at)
    if not first then return end
    if #ranges % BREATH == BREATH - 1 then task.sleep(0) end
    local last, i = first, first + 1
    while i <= #wanted and i - last <= JOINED do
      if wanted:byte(i) ~= found:byte(i) then last = i end
      i = i + 1
    end
    ranges[#ranges + 1] = { first = address + first - 1, last = address + last - 1,
      expected = wanted:sub(first, last), found = found:sub(first, last) }
    at = last + 1
  end
end

local function excerpt(bytes)
  return text.bytes(bytes:sub(1, SHOWN)) .. (#bytes > SHOWN and " ..." or "")
end

local function differences(ranges)
  if #ranges == 0 then return "No differences." end
  local lines, total = {}, 0
  for i, range in ipairs(ranges) do
    total = total + #range.expected
    if i <= MOST_SHOWN then
      lines[i] = ("%s  expected %s, found %s"):format(text.range(range.first, range.last),
        excerpt(range.expected), excerpt(range.found))
    end
  end
  if #ranges > MOST_SHOWN then
    lines[#lines + 1] = ("and %d more"):format(#ranges - MOST_SHOWN)
  end
  lines[#lines + 1] = ("%s, in %s"):format(text.count(total, "byte"),
    text.count(#ranges, "place"))
  return table.concat(lines, "\n")
end

---The ranges in which the board differs from a file or an image.
---@param board table
---@param file string|table as for image.load, or an image
---@return table[] { { first=, last=, expected=, found= }, ... }
function M.diff(board, file)
  local usage = "board:diff(file)"
  class.check(usage, board)
  if type(file) ~= "string" and not (type(file) == "table" and file.segments) then
    misuse("%s: file is a name, or an image", usage)
  end
  local loaded = type(file) == "string" and image.load(file, { force = true }) or file
  local ranges = {}
  for _, segment in ipairs(loaded.segments) do
    local address = class.state(board).dfuse and segment.address or 0
    local found = flash.read(board, address, #segment.bytes)
    compare(address, segment.bytes, found .. ("\0"):rep(#segment.bytes - #found), ranges)
  end
  return shown.as(ranges, differences)
end

---Reads memory into a new file, in the format of its extension, or as raw bytes.
---@param board table
---@param file string
---@param address? integer default: the start of the flash
---@param length? integer default: up to the end of that memory
function M.save(board, file, address, length)
  local usage = "board:save(file, address, length)"
  class.check(usage, board)
  if type(file) ~= "string" or file == "" then misuse("%s: file is a name", usage) end
  local first, last = flash.span(board)
  address = address or first
  if not length and last and address >= first and address <= last then
    length = last - address + 1
  elseif not length then
    errors.raise { code = "usage",
      message = "give the length: the board does not report where this memory ends" }
  end
  check.range(usage, address, length)
  files.check_writable(file)
  local bytes = flash.read(board, address, length)
  local format = image.format_of(file)
  if format == "bin" then
    files.write(file, bytes)
  else -- a dump is data, whether or not it looks like firmware
    local ids = { vid = board.vid, pid = board.pid, version = board.version }
    image.new({ name = file:match("[^/]+$"), ids = format == "dfu" and ids or nil,
      segments = { { address = address, bytes = bytes } } }):save(file, format)
  end
  events.emit("remark", board, "saved", { file = file, bytes = #bytes, address = address })
end

---The board's memories.
---@param board table
---@return table[] a copy of board.alts, which prints as a line for each run of equal sectors
function M.regions(board)
  class.check("board:regions()", board)
  return shown.as(table.move(board.alts, 1, #board.alts, 1, {}), memories)
end

---Sets a range to one byte. Sectors are erased where necessary; flash.write writes the other bytes
---in them back, and verifies everything.
---@param board table
---@param address integer
---@param length integer
---@param byte? integer default 0xFF
function M.fill(board, address, length, byte)
  local usage = "board:fill(address, length, byte)"
  class.check(usage, board)
  byte = byte or 0xFF
  check.range(usage, address, length)
  check.integer(usage, "byte", byte, 0, 0xFF)
  if not class.state(board).dfuse then
    errors.raise { code = "dfu.not-dfuse", path = board.path,
      message = board.path .. ": plain DFU can't write a part of its memory; nothing was sent" }
  end
  flash.sectors(board, address, address + length - 1) -- raises if the range has no sectors
  local filling = image.new { name = ("%s of 0x%02X"):format(text.count(length, "byte"), byte),
    segments = { { address = address, bytes = string.char(byte):rep(length) } } }
  flash.write(board, filling, { keep = true })
end

return M

-- SPDX-License-Identifier: MIT
-- Measures each kind of simulated chip on the virtual clock: a full flash beside what its flash and
-- the wire allow, a run without changes beside reading once, and the same by dfu-util's requests.
--   build/moonflash --virtual-time tests/bench-kinds.lua
local families = require "moonflash.board.families"

local BASE = 0x08000000
local MOST = 128 * 1024 -- bytes of the image

local function random_bytes(n)
  math.randomseed(42)
  local words = {}
  for i = 1, n // 8 do words[i] = ("<i8"):pack(math.random(0)) end
  return table.concat(words)
end

local function timed(f, ...)
  local start = task.now()
  f(...)
  return task.now() - start
end

-- A board of a kind, with its Sim.
local function open(kind)
  local place = sim.new(kind)
  local board = dfu.open(place.path)
  return setmetatable({ board = board, place = place }, { __close = function()
    board:close()
    place:close()
  end })
end

-- ---- what flash and wire allow: the sum of single erases and blocks ----

local function limit(kind, length)
  local bed <close> = open(kind)
  local board, place = bed.board, bed.place
  flash.sectors(board, BASE, BASE) -- the sectors of the mode that is set
  local seconds, by_size, size = 0, {}, board.transfer_size
  for sector in memory.sectors(board.alts[1].layout.segments, BASE, BASE + length - 1) do
    by_size[sector.size] = by_size[sector.size] or timed(board.erase_page, board, sector.address)
    seconds = seconds + by_size[sector.size]
  end
  local bytes = random_bytes(size)
  place:poke(BASE, ("\255"):rep(2 * size))
  local first = timed(board.write, board, BASE, bytes)  -- with its address
  local block = timed(board.write, board, BASE + size, bytes)
  return seconds + first + block * (length // size - 1)
end

-- ---- dfu-util 0.11: an address before each block, and every poll time slept (src/dfuse.c) ----

local DNBUSY = 4

local function settle(board)
  repeat
    local ok, status = pcall(board.control, board, 0xA1, 3, 0, 0, 6)
    local poll, state = 0, DNBUSY
    if ok then poll, state = status:byte(2) | status:byte(3) << 8, status:byte(5) end
    if state == DNBUSY then task.sleep(math.max(poll, 1) / 1000) end
  until state ~= DNBUSY
end

local function command(board, bytes)
  board:control(0x21, 1, 0, 0, bytes)
  settle(board)
end

local function classic(board, bytes)
  board:abort()
  for sector in memory.sectors(board.alts[1].layout.segments, BASE, BASE + #bytes - 1) do
    command(board, "\x41" .. ("<I4"):pack(sector.address))
  end
  local size = board.transfer_size
  for at = 0, #bytes - 1, size do
    command(board, "\x21" .. ("<I4"):pack(BASE + at))
    board:control(0x21, 1, 2, 0, bytes:sub(at + 1, at + size))
    settle(board)
  end
  board:abort()
end

-- ---- one kind ----

local function image_of(bytes)
  return image.new { segments = { { address = BASE, bytes = bytes } } }
end

local ONLY_WRITE = { full = true, no_verify = true, trust_erase = true }

local function measure(kind)
  local bed <close> = open(kind)
  local board, place = bed.board, bed.place
  local length = math.min(MOST, memory.size(board.alts[1].layout.segments))
  local bytes = random_bytes(length)
  board:read(BASE, 4)
  local full = timed(flash.write, board, image_of(bytes), ONLY_WRITE)
  assert(place:peek(BASE, length) == bytes, kind)
  local read = timed(flash.read, board, BASE, length)
  local same = timed(flash.write, board, image_of(bytes))
  local other <close> = open(kind)
  other.board:read(BASE, 4)
  local old = timed(classic, other.board, bytes)
  assert(other.place:peek(BASE, length) == bytes, kind)
  return length, full, limit(kind, length), same, read, old
end

local kinds = {}
for _, family in ipairs(families.all()) do
  table.move(family.simulated, 1, #family.simulated, #kinds + 1, kinds)
end
table.sort(kinds)

print("kind           image     full    limit   ratio   same    read    ratio   dfu-util   wanted:")
print("                                         <1.05                   <1.10   >= full")
for _, kind in ipairs(kinds) do
  local length, full, least, same, read, old = measure(kind)
  local bad = full > 1.05 * least or same > 1.1 * read or old < full
  print(("%-12s %4d KB %7.2f s %6.2f s  %5.3f %6.3f s %6.3f s  %5.3f %8.2f s%s"):format(kind,
    length // 1024, full, least, full / least, same, read, same / read, old, bad and "  !" or ""))
end

-- SPDX-License-Identifier: MIT
-- Measures, on the simulated F407 and the virtual clock: board seconds beside what bus and flash
-- allow and what dfu-util's sequence of requests takes; processor time; requests; memory.
--   build/moonflash --virtual-time tests/bench.lua
-- docs/protocol.md has the model behind "limit" and "dfu-util", and its sources.
local ADDRESS = 0x08000000
local SIZES = { 16, 128, 512, 1024 } -- KB

-- The sectors of the F407: KB, and seconds to erase at x8 (DS8626 table 40).
local SECTORS = { { 4, 16, 0.4 }, { 1, 64, 1.2 }, { 7, 128, 2.0 } }

-- Seconds of a transfer in the measured class, of programming a block, and of poll times.
local DATA, SMALL, BLOCK, READ = 0.0045, 0.0004, 0.032768, 0.0034
local POLL_WRITE, POLL_ERASE, POLL_ADDRESS = 0.104, 0.1, 0.104

local function erase_seconds(kb, poll)
  local left, seconds = kb, 0
  for _, run in ipairs(SECTORS) do
    for _ = 1, run[1] do
      if left > 0 then
        seconds = seconds + 2 * SMALL + math.max(run[3], poll) + SMALL
        left = left - run[2]
      end
    end
  end
  return seconds
end

local function limit(kb)
  local blocks = kb // 2
  return 3 * SMALL + erase_seconds(kb, 0) + 3 * SMALL + blocks * (DATA + 2 * SMALL + BLOCK)
end

local function limit_with_verification(kb)
  return limit(kb) + 4 * SMALL + kb // 2 * READ
end

-- An address before each block, and every poll time slept (dfu-util 0.11, src/dfuse.c).
local function dfu_util(kb)
  local blocks = kb // 2
  local address = 3 * SMALL + POLL_ADDRESS
  return 3 * SMALL + erase_seconds(kb, POLL_ERASE)
    + blocks * (address + DATA + 2 * SMALL + math.max(BLOCK, POLL_WRITE))
end

local function random_bytes(n)
  math.randomseed(407)
  local words = {}
  for i = 1, n // 8 do words[i] = ("<i8"):pack(math.random(0)) end
  return table.concat(words)
end

local function sectors_of(board, length)
  return memory.sectors(board.alts[1].layout.segments, ADDRESS, ADDRESS + length - 1)
end

local function measure(bytes)
  local simulated <close> = sim.new("f407")
  simulated:poke(ADDRESS, ("\0"):rep(1 << 20))
  local board <close> = dfu.open(simulated.path)
  local clock, start = os.clock(), task.now()
  for sector in sectors_of(board, #bytes) do board:erase_page(sector.address) end
  local before = simulated.requests
  board:write(ADDRESS, bytes)
  local requests = simulated.requests - before
  local written = task.now() - start
  assert(board:read(ADDRESS, #bytes) == bytes, "what was written is not what is read")
  return written, task.now() - start, requests / (#bytes // board.transfer_size),
    os.clock() - clock
end

print("size     write   limit  dfu-util    +verify   limit    requests/block   processor")
for _, kb in ipairs(SIZES) do
  local bytes = random_bytes(kb * 1024)
  local written, verified, requests, clock = measure(bytes)
  print(("%4d KB %6.2f s %6.2f s %6.2f s  %6.2f s %6.2f s   %14.2f   %7.3f s"):format(kb, written,
    limit(kb), dfu_util(kb), verified, limit_with_verification(kb), requests, clock))
end

-- ---- flash.write: what a plan saves ----

local MB = 1 << 20

local function with_a_change(bytes, at)
  return bytes:sub(1, at) .. string.char(bytes:byte(at + 1) ~ 255) .. bytes:sub(at + 2)
end

-- Board seconds of flash.write, on a board that holds `before`.
local function flash_seconds(before, bytes, options)
  local simulated <close> = sim.new("f407")
  simulated:poke(ADDRESS, before)
  local board <close> = dfu.open(simulated.path)
  local start = task.now()
  flash.write(board, image.new { segments = { { address = ADDRESS, bytes = bytes } } }, options)
  local seconds = task.now() - start
  assert(simulated:peek(ADDRESS, #bytes) == bytes, "what was written is not there")
  return seconds
end

local full = random_bytes(MB)
local half = full:sub(1, MB // 2) .. ("\255"):rep(MB // 2)
local other = ("other bytes, all over"):rep(MB // 21 + 1):sub(1, MB)
local quiet = { no_verify = true }

-- limit: by the model of docs/protocol.md, with the mass erase that it allows where all is erased
local rows = {
  { "other bytes, not verified", 37.0, "36.3", "126.8", other, full, quiet },
  { "other bytes, verified", 38.8, "38.1", nil, other, full },
  { "half of it 0xFF, not verified", 27.2, "26.6", "126.8", other, half, quiet },
  { "the same again", 1.9, "1.75", "126.8", full, full },
  { "one byte in a 128 KB sector", 6.5, "6.2", "126.8", with_a_change(full, 0x90000), full },
  { "one byte in a 16 KB sector", 2.6, "2.5", "126.8", with_a_change(full, 0x5000), full },
  -- what looking at the bystanders costs: wanted, under 0.1 s
  { "  the same, --trust-erase", 2.6, "2.5", "126.8", with_a_change(full, 0x5000), full,
    { trust_erase = true } },
}
print("flash.write of 1 MB             takes    wanted   limit    dfu-util")
for _, row in ipairs(rows) do
  print(("%-30s %5.2f s  %5.1f s  %5s s  %s"):format(row[1], flash_seconds(row[5], row[6], row[7]),
    row[2], row[3], row[4] and row[4] .. " s" or "-"))
end

-- ---- tracing ----

local function output_of(command)
  local pipe <close> = assert(io.popen(command))
  return pipe:read("a")
end

-- Processor seconds of another moonflash that flashes it all, the least of three; and how long the
-- board takes. On the virtual clock, so that other load of this computer does not count.
local function processor_seconds(name, times, options)
  local command = ("build/moonflash --virtual-time -d sim:f407,usb=ideal,times=%s %s "
    .. "flash %s@0x08000000 --full"):format(times, options, name)
  local best = math.huge
  for _ = 1, 3 do
    local user, system = output_of(command .. " 2>/dev/null; times"):match(
      "\n0m([%d.]+)s 0m([%d.]+)s")
    best = math.min(best, user + system)
  end
  return best, tonumber(output_of(command .. " 2>&1"):match("verified %(([%d.]+) s"))
end

local image_file, capture = os.tmpname(), os.tmpname()
local file = assert(io.open(image_file, "wb"))
file:write(full)
file:close()
print("tracing 1 MB, usb=ideal: processor seconds more, and their share of the board's")
for _, times in ipairs { "typ", "zero" } do
  local without, board_seconds = processor_seconds(image_file, times, "")
  print(("  times=%-4s %5.1f s, %.3f s of the processor's"):format(times, board_seconds, without))
  for _, options in ipairs { "--trace", "--pcap " .. capture, "--trace-bytes" } do
    local more = processor_seconds(image_file, times, options) - without
    print(("    %-14s %+.3f s  %4.1f %%"):format(options:match("%S+"), more,
      100 * more / board_seconds))
  end
end
os.remove(image_file)
os.remove(capture)

-- ---- many boards ----

-- Board seconds and processor seconds of so many boards at once, on a bus of that name or each on
-- its own: 128 KB over other bytes.
local function at_once(count, bus, options)
  local bytes = random_bytes(128 * 1024)
  local it = image.new { segments = { { address = ADDRESS, bytes = bytes } } }
  local jobs, sims = {}, {}
  local start, clock = task.now(), os.clock()
  for i = 1, count do
    sims[i] = sim.new("f407" .. (bus and ",bus=" .. bus or ""))
    sims[i]:poke(ADDRESS, other)
    jobs[i] = task.spawn(function()
      local board <close> = dfu.open(sims[i].path)
      flash.write(board, it, options)
    end)
  end
  for _, job in ipairs(jobs) do job:join() end
  local seconds = task.now() - start
  for _, s in ipairs(sims) do s:close() end
  return seconds, os.clock() - clock
end

print("128 KB on many boards at once    not verified   verified   processor")
local one, one_verified = at_once(1, nil, quiet), at_once(1)
local crowds = { { "sixteen, each on its own bus", 16 }, { "seven on one full-speed bus", 7, "b" } }
for _, row in ipairs(crowds) do
  local seconds = at_once(row[2], row[3], quiet)
  local verified, clock = at_once(row[2], row[3])
  print(("%-32s %5.2f times  %5.2f times %8.3f s"):format(row[1], seconds / one,
    verified / one_verified, clock))
end
print(("memory: %.1f MB at the most, without the 16 MB of sixteen boards' flash"):format(
  sys.peak_memory() / 2 ^ 20 - 16))

-- ---- growth: what takes no more for each, however many there are ----

print("growth")

local function cpu_of_sleepers(count)
  local clock, jobs = os.clock(), {}
  for i = 1, count do
    jobs[i] = task.spawn(function()
      for round = 1, 3 do task.sleep(i * 7919 % count / count + round) end
    end)
  end
  for _, job in ipairs(jobs) do job:join() end
  return (os.clock() - clock) / count * 1e6
end

for _, count in ipairs { 1000, 30000 } do
  print(("  %5d tasks that sleep three times     %6.1f us of the processor's each"):format(count,
    cpu_of_sleepers(count)))
end

for _, count in ipairs { 16, 256 } do
  local _, clock = at_once(count)
  print(("  %5d boards at once, 128 KB            %6.1f ms of the processor's each"):format(count,
    clock / count * 1000))
end

do
  local place <close> = sim.new("f407")
  local function replug(times)
    for _ = 1, times do
      place:unplug()
      dfu.list()
      place:plug()
      dfu.list()
    end
    collectgarbage()
    return collectgarbage("count")
  end
  collectgarbage() -- the boards above
  local before = replug(1000)
  print(("  20000 replugs: %+.1f KB after the first 1000"):format(replug(19000) - before))
end

do
  local length = 512 * 1024
  local place <close> = sim.new("f407,times=zero")
  local board <close> = dfu.open(place.path)
  place:poke(ADDRESS, ("a"):rep(length))
  local it = image.new { segments = { { address = ADDRESS,
                                        bytes = (("a"):rep(15) .. "b"):rep(length // 16) } } }
  local clock = os.clock()
  local ranges = board:diff(it)
  print(("  diff: 512 KB, %d differences           %6.3f s of the processor's"):format(#ranges,
    os.clock() - clock))
end

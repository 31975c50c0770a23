-- SPDX-License-Identifier: MIT
-- What must hold for any bytes of a device:
--
--   * nothing is raised; what cannot be read is nil and a reason;
--   * strings are valid UTF-8 in one line, without anything that controls a terminal;
--   * a DFU interface has different alternate settings, and a transfer size that fits a request;
--   * the sectors of a layout lie apart and within 32 bits; there are 256 segments at most; find,
--     span and sectors agree; and the same layout, written plainly, is read as the same.
local descriptor = require "moonflash.board.descriptor"
local memory = require "moonflash.memory"
local text = require "moonflash.base.text"

local LIMIT = 1 << 32
local SECTORS = 300 -- that are looked at one by one

local function check(condition, what, ...)
  if not condition then error(what:format(...), 0) end
end

local function is_within(n, least, most)
  return math.type(n) == "integer" and n >= least and n <= most
end

-- ---- strings ----

local function check_text(s, what)
  check(utf8.len(s), "%s is not UTF-8", what)
  check(not s:find("[%c\x7F]"), "%s has control characters", what)
  check(text.clean(s) == s, "%s is not clean", what)
end

local function check_reason(value, reason)
  if value == nil then
    check(type(reason) == "string", "no reason")
    check_text(reason, "the reason")
  end
end

-- ---- descriptors ----

local function check_device(bytes)
  local device, reason = descriptor.device(bytes)
  check_reason(device, reason)
  for name, value in pairs(device or {}) do
    local is_string = name == "manufacturer" or name == "product" or name == "serial"
    check(is_within(value, 0, is_string and 0xFF or 0xFFFF), "device: %s", name)
  end
  return device
end

local function check_config(bytes)
  local config, reason = descriptor.config(bytes)
  check_reason(config, reason)
  if not config then return end
  check(#config.interfaces <= #bytes // 9, "more interfaces than there is room for")
  for _, interface in ipairs(config.interfaces) do
    check(is_within(interface.number, 0, 0xFF) and is_within(interface.alt, 0, 0xFF), "interface")
    check(not interface.functional or bytes:find(interface.functional, 1, true),
      "a functional descriptor that was not sent")
  end
end

local function check_dfu(bytes, device)
  local dfu, reason = descriptor.dfu(bytes, device)
  check_reason(dfu, reason)
  if not dfu then return end
  check(dfu.mode == "dfu" or dfu.mode == "runtime", "mode")
  check(#dfu.alts >= 1 and #dfu.alts <= 255, "%d alternate settings", #dfu.alts)
  local seen = {}
  for _, alt in ipairs(dfu.alts) do
    check(is_within(alt.number, 0, 0xFF) and not seen[alt.number], "alternate setting twice")
    seen[alt.number] = true
  end
  check(dfu.transfer_size == nil or is_within(dfu.transfer_size, 1, 0xFFFF), "transfer size")
  check(dfu.detach_timeout >= 0 and dfu.detach_timeout <= 65.535, "detach timeout")
end

-- ---- layouts ----

local function stop_of(segment) return segment.address + segment.count * segment.size end

local function check_segments(segments)
  check(#segments <= 256, "%d segments", #segments)
  for i, segment in ipairs(segments) do
    check(is_within(segment.address, 0, LIMIT - 1) and is_within(segment.count, 1, LIMIT)
      and is_within(segment.size, 1, LIMIT), "segment %d", i)
    check(stop_of(segment) <= LIMIT, "segment %d passes 4 GiB", i)
    check(segment.readable or segment.erasable or segment.writable, "segment %d allows nothing", i)
    for j = 1, i - 1 do
      check(stop_of(segments[j]) <= segment.address or stop_of(segment) <= segments[j].address,
        "segments %d and %d overlap", j, i)
    end
  end
end

local function check_sectors(segments)
  local stop, n, bytes = 0, 0, 0
  for sector in memory.sectors(segments) do
    check(sector.address >= stop, "sectors are not in order")
    stop, n, bytes = sector.address + sector.size, n + 1, bytes + sector.size
    local segment, start = memory.find(segments, stop - 1)
    check(segment and start == sector.address, "find does not know the sector at 0x%X", start or 0)
    local first, last = memory.span(segments, sector.address)
    check(first and first <= sector.address and last >= stop - 1, "span")
    if n == SECTORS then break end
  end
  check(n == math.min(SECTORS, memory.number_of_sectors(segments)), "number of sectors")
  check(n == SECTORS or bytes == memory.size(segments), "size")
end

-- A plain string for segments: "/0x08000000/4*16384Bg".
local function written(segments)
  local parts = { "@Memory " }
  for _, segment in ipairs(segments) do
    local kind = (segment.readable and 1 or 0) | (segment.erasable and 2 or 0)
      | (segment.writable and 4 or 0)
    parts[#parts + 1] = ("/0x%08X/%d*%dB%c"):format(segment.address, segment.count, segment.size,
      0x60 + kind)
  end
  return table.concat(parts)
end

local function check_layout(s)
  local layout = memory.parse(s)
  check_text(layout.name, "the name")
  if layout.dropped then check_text(layout.dropped, "what is said of what was dropped") end
  check_segments(layout.segments)
  check_sectors(layout.segments)
  local plain = written(layout.segments)
  if #plain > 4096 then return end
  local again = memory.parse(plain)
  check(not again.dropped, "%s: %s", plain, again.dropped)
  check(written(again.segments) == plain, "%s became another layout", plain)
end

return function(bytes)
  local device = check_device(bytes)
  check_config(bytes)
  check_dfu(bytes)
  check_dfu(bytes, device or descriptor.device(bytes:sub(1, 18)) or { vid = 0x1FC9, pid = 0x000C })
  local name, reason = descriptor.string(bytes)
  check_reason(name, reason)
  if name then
    check_text(name, "the string")
    check_layout(name)
  end
  local linux = descriptor.system_string(bytes)
  if linux then check_text(linux, "the string of Linux") end
  check_layout(bytes)
end

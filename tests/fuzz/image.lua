-- SPDX-License-Identifier: MIT
-- What must hold for a file of any bytes:
--
--   * image.load gives an image, or raises an error object of code `image`, whose message is one
--     printable line; never an error of Lua's own;
--   * the segments of an image are sorted, lie apart, have bytes, and end within 32 bits;
--   * read, crc, patch and pad agree with them;
--   * each format gives back what was written in it, or says that it can't hold the image.
local errors = require "moonflash.errors"
local image = require "moonflash.image"
local segments = require "moonflash.image.segments"
local text = require "moonflash.base.text"

local SPACE = 1 << 32
local PAD_MOST = 1024 -- bytes: what is filled at once

local name = ... -- of the file that holds the input

local function write(bytes)
  local file = assert(io.open(name, "wb"))
  assert(file:write(bytes))
  file:close()
end

local function check(condition, what, ...)
  if not condition then error(what:format(...), 0) end
end

-- What f returns; nil and the error object, where it raises one that a file may be the reason of.
local function try(f, ...)
  local ok, it = xpcall(f, function(raised)
    return errors.is(raised) and raised or debug.traceback("raised: " .. tostring(raised), 2)
  end, ...)
  if ok then return it end
  check(errors.is(it), "%s", it)
  check(errors.matches(it, "image"), "code %s: %s", it.code, it.message)
  check(text.clean(it.message) == it.message, "not one printable line: %q", it.message)
  return nil, it
end

-- ---- segments ----

local function check_segments(list)
  local alt, stop, size = -1, -1, 0
  for i, segment in ipairs(list) do
    local this = segment.alt or -1
    check(math.type(segment.address) == "integer" and segment.address >= 0,
      "segment %d: address", i)
    check(#segment.bytes > 0, "segment %d is empty", i)
    check(this > alt or this == alt and segment.address > stop, "segment %d is not in order", i)
    alt, stop, size = this, segment.address + #segment.bytes, size + #segment.bytes
    check(stop <= SPACE, "segment %d passes 4 GiB", i)
  end
  return size
end

local function same(a, b, with_alts)
  check(#a == #b, "%d segments became %d", #a, #b)
  for i, segment in ipairs(a) do
    check(segment.address == b[i].address and segment.bytes == b[i].bytes,
      "segment %d became another", i)
    check(not with_alts or (segment.alt or 0) == b[i].alt, "alternate setting of segment %d", i)
  end
end

local function has_alts(it)
  for _, segment in ipairs(it.segments) do
    if segment.alt then return true end
  end
  return false
end

-- ---- methods ----

local function check_methods(it)
  local first = it.segments[1]
  local last = first.address + #first.bytes - 1
  check(it:read(first.address, #first.bytes) == first.bytes, "read")
  check(it:crc(first.address, last, "crc32") <= 0xFFFFFFFF, "crc")
  local patched = it:patch(first.address, "!")
  check(#patched.segments == #it.segments and patched:read(first.address, 1) == "!", "patch")
  local stop = math.min(first.address + PAD_MOST, SPACE) - 1
  local padded = try(it.pad, it, first.address, stop)
  if padded then
    check_segments(padded.segments)
    check(#padded:read(first.address, stop - first.address + 1) == stop - first.address + 1, "pad")
  end
  check(text.clean(tostring(it)) == tostring(it), "not one line: %q", tostring(it))
end

-- ---- formats ----

local function check_format(it, format)
  local bytes = try(it.encode, it, format)
  if not bytes then return end
  write(bytes)
  local again, err = try(image.load, name)
  check(again, "%s can't be read back: %s", format, err and err.message)
  check(again.format == format, "%s is taken for %s", format, again.format)
  if format == "dfu" then -- whatever has no alternate setting belongs to 0 there
    same(segments.merge(again.segments, ""), again.segments)
    check(again.size == it.size, "%d bytes became %d", it.size, again.size)
    if has_alts(it) and it.segments[1].alt then same(it.segments, again.segments, true) end
  else
    same(segments.flat(it), again.segments)
    check(has_alts(it) or again.start == it.start, "another start")
  end
end

local function check_image(it)
  check(check_segments(it.segments) == it.size, "size")
  check_methods(it)
  for _, format in ipairs { "hex", "srec", "dfu" } do check_format(it, format) end
  local raw = try(it.encode, it, "bin")
  if raw then
    local flat = segments.flat(it)
    check(#flat == 1 and flat[1].bytes == raw, "bin")
  end
  if it.start then
    check(#segments.holding(it.segments, it.start) > 0, "the start lies outside")
  end
end

-- The image of a file; the same with options, which change where it goes and what is believed.
return function(bytes)
  write(bytes)
  image.recognise(bytes)
  local plain = try(image.load, name)
  local forced = try(image.load, name, { force = true })
  check(forced or not plain, "not with force")
  local moved = try(image.load, name .. "@0x20000000", { move = true })
  local twice = plain and try(image.load, { name, name })
  if moved then
    check_segments(moved.segments)
    local lowest = math.huge
    for _, segment in ipairs(moved.segments) do lowest = math.min(lowest, segment.address) end
    check(lowest == 0x20000000, "moved to 0x%X", lowest)
  end
  if twice then same(plain.segments, twice.segments) end
  check(twice or not plain, "not twice")
  if plain then check_image(plain) end
end

-- SPDX-License-Identifier: MIT
-- An image: segments of bytes with their addresses, and their origin. Images never change: methods
-- return new ones, so that tasks can share them.
local check = require "moonflash.base.check"
local crc = require "moonflash.image.crc"
local errors = require "moonflash.errors"
local files = require "moonflash.base.files"
local misuse = require "moonflash.base.misuse"
local prefixes = require "moonflash.image.prefix"
local segments = require "moonflash.image.segments"
local suffixes = require "moonflash.image.suffix"
local suggest = require "moonflash.base.suggest"
local text = require "moonflash.base.text"

local M = {}

local MOST = 64 * 1024 * 1024 -- bytes of a range for pad

local writers = {
  bin = require "moonflash.image.bin", hex = require "moonflash.image.hex",
  srec = require "moonflash.image.srec", dfu = require "moonflash.image.dfu",
}

-- Fields that an image may have.
local FIELDS = {}
for _, name in ipairs { "name", "format", "start", "segments", "ids", "files", "doubt", "machine",
                        "misplaced", "prefix", "targets", "size" } do
  FIELDS[name] = true
end

-- The formats of file extensions.
M.endings = {
  bin = "bin", hex = "hex", ihex = "hex", ihx = "hex", srec = "srec", s19 = "srec", s28 = "srec",
  s37 = "srec", mot = "srec", dfu = "dfu", elf = "elf", axf = "elf",
}

-- A name that is like that of a method is a mistake; other fields may be missing.
local Image = {}
setmetatable(Image, { __index = function(_, key)
  local guess = type(key) == "string" and not FIELDS[key]
    and suggest.guess(key, suggest.keys(Image))
  if guess then misuse("an image has no '%s' (did you mean '%s'?)", key, guess) end
end })
local meta = { __index = Image, __name = "image" }

---Makes an image of sorted, disjoint segments.
---@param fields table name, format, start, segments, ids, files
---@return table image
function M.make(fields)
  local size = 0
  for _, segment in ipairs(fields.segments) do size = size + #segment.bytes end
  if size == 0 then
    errors.raise { code = "image", message = fields.name .. ": there is no data in it" }
  end
  fields.size = size
  return setmetatable(fields, meta)
end

local function changed(image, list)
  return M.make { name = image.name, format = image.format, start = image.start, segments = list,
                  ids = image.ids, files = image.files, doubt = image.doubt,
                  machine = image.machine, misplaced = image.misplaced,
                  prefix = image.prefix }
end

function meta:__tostring()
  return ("%s (%s, %s)"):format(self.name, self.format, text.size(self.size))
end

-- ---- addresses ----

-- The segment that has all of [first, last], and its index.
local function holder(image, first, last)
  for i, segment in ipairs(image.segments) do
    if first >= segment.address and last < segment.address + #segment.bytes then
      return segment, i
    end
  end
  errors.raise { code = "image", message = ("%s does not have all of %s"):format(image.name,
    text.range(first, last)), remedy = { "pad-range" } }
end

local function slice(image, first, last)
  local segment = holder(image, first, last)
  return segment.bytes:sub(first - segment.address + 1, last - segment.address + 1)
end

---The bytes of a range. Raises `image` if the range has gaps.
---@param address integer
---@param length integer
---@return string
function Image:read(address, length)
  check.range("image:read(address, length)", address, length, 0)
  if length == 0 then return "" end
  return slice(self, address, address + length - 1)
end

---The CRC of a range. Raises `image` if the range has gaps.
---@param first integer
---@param last integer
---@param kind? string "crc32", "crc32/mpeg-2", "stm32"
---@return integer
function Image:crc(first, last, kind)
  check.span("image:crc(first, last)", first, last)
  kind = kind or "crc32"
  local f = crc.kinds[kind]
  if not f then
    misuse("image:crc: there is no kind '%s'%s", tostring(kind),
      suggest.hint(kind, suggest.keys(crc.kinds)))
  elseif kind == "stm32" and (last - first + 1) % 4 ~= 0 then
    misuse("image:crc: the CRC unit takes whole words")
  end
  return f(slice(self, first, last))
end

local function shown(mark)
  return mark:find("^[%g ]+$") and "'" .. mark .. "'" or text.bytes(mark)
end

-- The address of a mark, which must exist exactly once in all segments.
local function find_mark(image, mark)
  local found
  for _, segment in ipairs(image.segments) do
    local at = segment.bytes:find(mark, 1, true)
    while at do
      local address = segment.address + at - 1
      if found then
        errors.raise { code = "image",
          message = ("%s: the mark %s exists twice, at %s and %s"):format(image.name,
            shown(mark), text.hex(found), text.hex(address)) }
      end
      found = address
      at = segment.bytes:find(mark, at + 1, true)
    end
  end
  if not found then
    errors.raise { code = "image", message = ("%s: there is no mark %s in it"):format(image.name,
      shown(mark)) }
  end
  return found
end

---A new image with other bytes at an address or at a mark (from its first byte on). They replace
---the same number of bytes. Raises `image` for a gap there, or if the mark is missing or exists
---twice.
---@param where integer|string
---@param bytes string
---@return table image
function Image:patch(where, bytes)
  if type(bytes) ~= "string" or type(where) == "string" and where == "" then
    misuse("image:patch takes an address or a mark, and bytes")
  elseif type(where) == "string" then
    where = find_mark(self, where)
  else
    check.address("image:patch(where, bytes)", where)
  end
  if bytes == "" then return self end
  local segment, i = holder(self, where, where + #bytes - 1)
  local at = where - segment.address
  local list = table.move(self.segments, 1, #self.segments, 1, {})
  list[i] = { address = segment.address, alt = segment.alt,
              bytes = segment.bytes:sub(1, at) .. bytes .. segment.bytes:sub(at + #bytes + 1) }
  return changed(self, list)
end

---A new image with the gaps of a range filled. Raises `image` if alternate settings share the
---range.
---@param first integer
---@param last integer
---@param byte? integer default 0xFF, as in erased flash
---@return table image
function Image:pad(first, last, byte)
  check.span("image:pad(first, last, byte)", first, last)
  if last - first >= MOST then misuse("image:pad: 64 MB at the most") end
  byte = byte or 0xFF
  check.integer("image:pad(first, last, byte)", "byte", byte, 0, 0xFF)
  local list = table.move(self.segments, 1, #self.segments, 1, {})
  local at, alt = first, nil
  local function fill(stop)
    if stop > at then
      list[#list + 1] = { address = at, bytes = string.char(byte):rep(stop - at), alt = alt }
    end
  end
  for _, segment in ipairs(self.segments) do -- the first one in the range gives the setting
    local stop = segment.address + #segment.bytes
    if segment.address <= last and stop > at and (at == first or segment.alt == alt) then
      alt = segment.alt
      fill(segment.address)
      at = stop
    end
  end
  if at == first then alt = self.segments[1].alt end
  fill(last + 1)
  local merged, wrong_at = segments.merge(list, self.name)
  if not merged then
    errors.raise { code = "image",
      message = ("%s: several alternate settings share the range, at %s"):format(self.name,
        text.hex(wrong_at)) }
  end
  return changed(self, merged)
end

-- ---- files ----

-- Checks the options of encode and save. Returns the ids and the prefix.
local function check_extras(usage, image, format, options)
  check.options(usage, options, { "suffix", "prefix" })
  local suffix = options and rawget(options, "suffix") or nil
  local prefix = options and rawget(options, "prefix") or nil
  if suffix ~= nil and type(suffix) ~= "table" then
    misuse("%s: suffix is a table: vid, pid, version", usage)
  end
  for key, id in pairs(suffix or {}) do
    if key ~= "vid" and key ~= "pid" and key ~= "version" then
      misuse("%s: a suffix has no '%s'", usage, tostring(key))
    end
    check.integer(usage, key, id, 0, 0xFFFF)
  end
  if prefix ~= nil and prefix ~= "ti" and prefix ~= "lpc" then
    misuse("%s: prefix is \"ti\" or \"lpc\"", usage)
  elseif (prefix and format ~= "bin") or (suffix and format ~= "bin" and format ~= "dfu") then
    errors.raise { code = "image", message = ("%s: only raw binaries have a prefix, and only these "
      .. "and DfuSe files a suffix"):format(image.name) }
  elseif prefix == "ti" and not prefixes.can_hold(image.segments[1].address) then
    errors.raise { code = "image", message = ("%s: TI's prefix can't hold the address %s: a "
      .. "multiple of 1 KB, below 64 MB"):format(image.name, text.hex(image.segments[1].address)) }
  end
  return suffix, prefix
end

local function encoded(image, format, suffix, prefix)
  if format == "dfu" then return writers.dfu.write(image, suffix) end
  local bytes = writers[format].write(image)
  if prefix then bytes = prefixes.add(prefix, image.segments[1].address, bytes) end
  return suffix and suffixes.add(bytes, suffix, suffixes.DFU) or bytes
end

---The bytes of a file in a format. Raises `image` if the format can't express the image.
---@param format string "bin", "hex", "srec", "dfu"
---@param options? table for "bin" and "dfu": suffix = { vid=, pid=, version= }, a DFU suffix with
---  these ids; for "bin": prefix = "ti" or "lpc"
---@return string
function Image:encode(format, options)
  if not writers[format] then misuse("image:encode takes a format: bin, hex, srec or dfu") end
  return encoded(self, format,
    check_extras("image:encode(format, options)", self, format, options))
end

---Writes a whole file or nothing. Raises `image` if the format can't express the image, `usage` for
---an unknown extension, `file.write`.
---@param name string
---@param format? string "bin", "hex", "srec", "dfu"; default: by the extension of the name
---@param options? table as for encode
function Image:save(name, format, options)
  if type(name) ~= "string" then misuse("image:save takes the name of a file") end
  local ending = name:match("%.(%w+)$")
  format = format or ending and M.endings[ending:lower()]
  if not writers[format] then
    local there_are = suggest.keys(writers)
    errors.raise { code = "usage",
      message = format and ("%s: images are not written as '%s'%s"):format(name, format,
        suggest.hint(format, there_are)) or name .. ": its ending names no format",
      remedy = { "formats", names = there_are } }
  end
  files.write(name, encoded(self, format,
    check_extras("image:save(name, format, options)", self, format, options)))
end

return M

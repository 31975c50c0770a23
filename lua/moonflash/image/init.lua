-- SPDX-License-Identifier: MIT
-- Images: files -> values. What a format is like stands in a file of its own beside this one, what
-- an image can do in value.lua, and how pieces become segments in segments.lua.
local bin = require "moonflash.image.bin"
local dfu = require "moonflash.image.dfu"
local errors = require "moonflash.errors"
local files = require "moonflash.files"
local misuse = require "moonflash.misuse"
local segments = require "moonflash.image.segments"
local sys = require "sys"
local text = require "moonflash.text"
local value = require "moonflash.image.value"
local wrong = require "moonflash.image.wrong"

local M = {}

local MOST = 64 * 1024 * 1024 -- bytes of a file: no chip of ours has as much flash
local DEFAULT_ADDRESS = 0x08000000

-- ---- which format ----

local formats = {
  elf = require "moonflash.image.elf", dfu = dfu, hex = require "moonflash.image.hex",
  srec = require "moonflash.image.srec", bin = bin,
}
local ORDER = { "elf", "dfu", "hex", "srec" } -- all but bin, which anything could be

-- What is never meant to be written as it is, and not read either.
local strangers = {
  { "a UF2 file", "^UF2\n" }, { "a zip archive", "^PK\3\4" }, { "a gzip archive", "^\31\139\8" },
  { "an archive of object files", "^!<arch>\n" }, { "text in UTF-16", "^\255\254[:S]\0" },
}

-- The format, and what it is called; nil for anything that may be a raw binary.
local function recognise(bytes)
  local _, blank = bytes:find("^[ \t\r\n]*")
  for _, format in ipairs(ORDER) do
    if formats[format].recognise(bytes, blank + 1) then return format, formats[format].title end
  end
  for _, stranger in ipairs(strangers) do
    if bytes:find(stranger[2]) then return nil, stranger[1] end
  end
end

---What kind of firmware the bytes are: "Intel HEX", ...; nil for anything else.
---@param bytes string
---@return string?
function M.recognise(bytes)
  local _, title = recognise(bytes)
  return title
end

-- A raw binary is what has no other format; but not when it is something else that was damaged.
local function check_raw(name, content, title, suffix)
  local ending = (name:match("%.(%w+)$") or ""):lower()
  local called = value.endings[ending]
  if title then
    wrong.offset(name, 0, "it is %s: that is no format of firmware here", title)
  elseif called and called ~= "bin" and not (called == "dfu" and suffix) then
    wrong.offset(name, 0, "its name says .%s, and it does not begin like %s", ending,
      formats[called].title)
  elseif content == "" then
    wrong.offset(name, 0, "nothing stands before its DFU suffix")
  end
end

-- ---- one file ----

-- FILE@ADDRESS, unless there is a file of that very name.
local function split(spec)
  local name, at = spec:match("^(.*)@([^@/]*)$")
  if not name or sys.stat(spec) then return spec end
  local address, why = text.parse_integer(at, 0xFFFFFFFF)
  if not address then
    errors.raise { code = "usage", message = ("%s: %s"):format(spec, why),
                   hint = "FILE@ADDRESS says where a raw binary goes: app.bin@0x08010000" }
  end
  return name, address
end

-- The start of the segment that holds the address: of its vector table, if that is where it begins.
local function start_of(list, entry)
  local segment = entry and segments.holding(list, entry)[1]
  return segment and segment.address
end

local function load_one(spec, options)
  local path, address = split(spec)
  local bytes = files.read(path, MOST)
  local content, suffix = dfu.strip(path, bytes)
  local format, title = recognise(content)
  local list, entry
  if format then
    if address then
      wrong.file(spec, "%s is %s, and has addresses of its own", path, title)
    end
    list, entry = formats[format].parse(path, content, suffix)
  else
    check_raw(path, content, title, suffix)
    format = "bin"
    list, entry = bin.parse(path, content, address or rawget(options, "address")
      or DEFAULT_ADDRESS, rawget(options, "force"))
  end
  if suffix and format ~= "dfu" then dfu.check_plain(path, suffix) end
  local name = path:match("[^/]+$") or path
  return value.make { name = name, format = format, start = start_of(list, entry), segments = list,
    ids = suffix and { vid = suffix.vid, pid = suffix.pid, version = suffix.version },
    files = { { name = name, sha256 = sys.sha256(bytes), size = #bytes, format = format } } }
end

-- ---- ids ----

local function same(a, b)
  return a == b or a == dfu.ANY or b == dfu.ANY
end

local function shown(ids)
  local function id(n) return n == dfu.ANY and "any" or ("%04x"):format(n) end
  return id(ids.vid) .. ":" .. id(ids.pid)
end

---Raises `image` if a file says that it is for another board. bcdDevice is not compared: files have
---anything there.
---@param image table
---@param board table
---@param force? boolean let it be
function M.check_ids(image, board, force)
  local ids = image.ids
  if force or not ids or same(ids.vid, board.vid) and same(ids.pid, board.pid) then return end
  errors.raise { code = "image", path = board.path,
    message = ("%s: %s is for %s, and this board is %04x:%04x"):format(board.path, image.name,
      shown(ids), board.vid, board.pid),
    hint = "--force writes it all the same." }
end

-- What two files say together.
local function common_ids(one, other, force)
  local a, b = one.ids, other.ids
  if not (a and b) then return a or b end
  if not force and not (same(a.vid, b.vid) and same(a.pid, b.pid)) then
    errors.raise { code = "image",
      message = ("%s is for %s, and %s for %s"):format(one.name, shown(a), other.name, shown(b)),
      hint = "--force takes them together all the same." }
  end
  local ids = {}
  for _, key in ipairs { "vid", "pid", "version" } do
    ids[key] = a[key] ~= dfu.ANY and a[key] or b[key]
  end
  return ids
end

-- ---- several files ----

local function lowest(a, b)
  return a and b and math.min(a, b) or a or b
end

local function merge(images, options)
  if #images == 1 then return images[1] end
  local names, of = {}, {}
  for i, image in ipairs(images) do names[i] = image.name end
  local all = { name = table.concat(names, " + "), format = "several", files = of }
  local merger = segments.merger(all.name)
  for _, image in ipairs(images) do
    for _, segment in ipairs(image.segments) do
      merger:add(segment.address, segment.bytes, segment.alt)
    end
    all.ids = all.ids and common_ids(all, image, rawget(options, "force")) or image.ids
    all.start = lowest(all.start, image.start) -- that is where the chip begins
    of[#of + 1] = image.files[1]
  end
  local address
  all.segments, address = merger:finish()
  if not all.segments then
    local who = {}
    for _, image in ipairs(images) do
      if #segments.holding(image.segments, address) > 0 then who[#who + 1] = image.name end
    end
    errors.raise { code = "image", message = ("%s overlap at %s, and differ"):format(
      table.concat(who, " and "), text.hex(address)) }
  end
  return value.make(all)
end

-- The files and the options of a call.
local function arguments(...)
  local specs, options, n = {}, {}, select("#", ...)
  for i = 1, n do
    local v = (select(i, ...))
    if type(v) == "string" then
      specs[#specs + 1] = v
    elseif type(v) == "table" and #v > 0 then
      table.move(v, 1, #v, #specs + 1, specs)
    elseif type(v) == "table" and i == n then
      options = v
    elseif v ~= nil or i < n then
      misuse("image.load takes the name of a file, or several, and options")
    end
  end
  for _, spec in ipairs(specs) do
    if type(spec) ~= "string" then misuse("image.load takes names of files") end
  end
  if #specs == 0 then misuse("image.load takes the name of a file") end
  return specs, options
end

---Loads firmware: a file or several, which become one image.
---@param ... string|string[]|table FILE, FILE@ADDRESS, or lists of these; last, options: address,
---where raw binaries go; force: even if they are linked for elsewhere
---@return table image
function M.load(...)
  local specs, options = arguments(...)
  local address = rawget(options, "address")
  if address ~= nil and (math.type(address) ~= "integer" or address & ~0xFFFFFFFF ~= 0) then
    misuse("image.load: an address has 32 bits")
  end
  local images, raw = {}, false
  for i, spec in ipairs(specs) do
    images[i] = load_one(spec, options)
    raw = raw or images[i].format == "bin"
  end
  if address and not raw and address ~= DEFAULT_ADDRESS then
    wrong.file(specs[1], "it has addresses of its own; --address says where a raw binary goes")
  end
  return merge(images, options)
end

-- ---- made by a recipe ----

---Makes an image of bytes.
---@param fields table segments = { { address=, bytes=, alt= }, ... } in any order; name, start, ids
---@return table image
function M.new(fields)
  local list = type(fields) == "table" and rawget(fields, "segments")
  if type(list) ~= "table" then
    misuse("image.new takes { segments = { { address =, bytes = }, ... }, name = }")
  end
  local name = rawget(fields, "name") or "image"
  for i, segment in ipairs(list) do
    local address, bytes, alt = segment.address, segment.bytes, segment.alt
    if math.type(address) ~= "integer" or address < 0 or type(bytes) ~= "string"
      or address + #bytes > 1 << 32 then
      misuse("image.new: segment %d has no address of 32 bits, or no bytes", i)
    elseif alt ~= nil and (math.type(alt) ~= "integer" or alt < 0 or alt > 0xFF) then
      misuse("image.new: segment %d has an alternate setting that is none", i)
    end
  end
  local merged, address = segments.merge(list, name)
  if not merged then
    errors.raise { code = "image", message = ("%s: two segments overlap at %s, and differ"):format(
      name, text.hex(address)) }
  end
  return value.make { name = name, format = "new", segments = merged, files = {},
                      start = rawget(fields, "start"), ids = rawget(fields, "ids") }
end

return M

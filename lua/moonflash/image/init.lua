-- SPDX-License-Identifier: MIT
-- Module `image`: loads files. Each format has its own file in this folder; value.lua has the
-- methods of an image, segments.lua joins pieces to segments.
local bin = require "moonflash.image.bin"
local check = require "moonflash.base.check"
local dfu = require "moonflash.image.dfu"
local errors = require "moonflash.errors"
local files = require "moonflash.base.files"
local misuse = require "moonflash.base.misuse"
local records = require "moonflash.image.records"
local ids_of = require "moonflash.image.ids"
local prefixes = require "moonflash.image.prefix"
local segments = require "moonflash.image.segments"
local strangers = require "moonflash.image.strangers"
local suffixes = require "moonflash.image.suffix"
local sys = require "moonflash.system"
local text = require "moonflash.base.text"
local typed = require "moonflash.image.typed"
local value = require "moonflash.image.value"
local vectors = require "moonflash.image.vectors"
local wrong = require "moonflash.image.wrong"

local M = {}

local MOST = 64 * 1024 * 1024 -- bytes of a file; no supported chip has that much flash
local MOST_ELF = 1 << 30      -- debug information can be a thousand times as large as the program
local DEFAULT_ADDRESS = 0x08000000

-- ---- recognising the format ----

local formats = {
  elf = require "moonflash.image.elf", dfu = dfu, hex = require "moonflash.image.hex",
  srec = require "moonflash.image.srec", bin = bin,
}
local ORDER = { "elf", "dfu", "hex", "srec" } -- all but bin, which has no mark

-- The format and its title; nil for a file that may be a raw binary.
local function recognise(bytes)
  local first = records.head(bytes)
  for _, format in ipairs(ORDER) do
    if formats[format].recognise(bytes, first) then return format, formats[format].title end
  end
end

---The kind of firmware that the bytes are: "Intel HEX", ...; nil for any other file.
---@param bytes string
---@return string?
function M.recognise(bytes)
  local _, title = recognise(bytes)
  return title or strangers.binary(bytes)
end

-- Refuses a raw binary whose extension is that of another format: the file is damaged.
local function check_raw(name, content, suffix)
  local ending = (name:match("%.(%w+)$") or ""):lower()
  local called = value.endings[ending]
  if called and called ~= "bin" and not (called == "dfu" and suffix) then
    wrong.offset(name, 0, "its name ends in .%s, but it does not begin like %s", ending,
      formats[called].title)
  elseif content == "" then
    wrong.offset(name, 0, "there is no data in front of its DFU suffix")
  end
end

-- ---- files that are not firmware ----

---Raises `image.not-firmware`. Called when the address does not show that the user means the file.
---@param prefix string "", or the board's path and ": "
---@param name string of the file
---@param what string the kind of the file
function M.refuse(prefix, name, what)
  errors.raise { code = "image.not-firmware", remedy = { "address", "force" },
    message = ("%s%s is not firmware: it is %s"):format(prefix, name, what), file = name }
end

-- The reason to doubt that a raw binary is firmware; nil if it has a vector table.
local function doubt_of(what, list, start)
  if what then return { what = what, kind = true } end
  if not start then
    return { what = ("data for %s, without a vector table"):format(text.hex(list[1].address)) }
  end
end

-- ---- one file ----

-- Splits FILE@ADDRESS, unless a file of that full name exists.
local function split(spec)
  local name, at = spec:match("^(.*)@([^@/]*)$")
  if not name or sys.stat(spec) then return spec end
  local address, why = text.parse_integer(at, 0xFFFFFFFF)
  if not address then
    errors.raise { code = "usage", message = ("%s: %s"):format(spec, why),
                   remedy = { "file-address" } }
  end
  return name, address
end

-- The address of a raw binary, and whether the user typed it. A typed address is taken as intended.
local function address_of(address, options)
  if address then return address, true end
  address = rawget(options, "address")
  return address or DEFAULT_ADDRESS, address ~= nil and typed.has(address)
end

-- Moves the segments of a file with addresses of its own to another address. A program is refused,
-- because it would not run there.
local function moved(spec, path, title, list, start, address, any)
  if start and not any then
    wrong.file(spec, "%s is %s, and has addresses of its own", path, title)
  end
  local by = -math.huge
  for _, segment in ipairs(list) do by = math.max(by, address - segment.address) end
  local new = {}
  for i, segment in ipairs(list) do
    local first = segment.address + by
    if first + #segment.bytes > 1 << 32 then
      wrong.file(spec, "does not fit there: data past 4 GiB")
    end
    new[i] = { address = first, bytes = segment.bytes, alt = segment.alt }
  end
  return new, start and start + by
end

-- Reads a file. ELF files may be larger than any flash, because their debug information is not
-- loaded.
local function read(path)
  local file = io.open(path, "rb")
  local head = file and file:read(4)
  if file then file:close() end
  return files.read(path, head and formats.elf.recognise(head) and MOST_ELF or MOST)
end

-- The content of a raw binary, without a prefix: its segments, start, doubt, error for a wrong
-- place, and prefix.
local function parse_raw(path, content, address, options, suffix)
  local what, page = strangers.recognise(content)
  local program, prefix = prefixes.strip(content)
  local where, given = address_of(address, options)
  if prefix and prefix.address and not given then where = prefix.address end
  local force = rawget(options, "force")
  local meant = given or force or rawget(options, "data") or prefix ~= nil
  if page and not meant then M.refuse("", path, what) end -- no board accepts these
  check_raw(path, content, suffix)
  local list = bin.parse(path, program, where)
  local start = vectors.find(list)
  return list, start, not meant and doubt_of(what, list, start) or nil,
    not force and bin.misplaced(path, program, where) or nil, prefix
end

-- Makes an image of the bytes of a file. address: the one in FILE@ADDRESS.
local function parse_one(spec, path, bytes, address, options)
  local content, suffix = suffixes.strip(path, bytes)
  local format, title = recognise(content)
  local image = { name = path:match("[^/]+$") or path, format = format or "bin",
    ids = suffix and { vid = suffix.vid, pid = suffix.pid, version = suffix.version } }
  if format then
    local list, entry, machine = formats[format].parse(path, content, suffix)
    if format == "dfu" then image.targets, entry = entry, nil end
    image.start, image.machine = vectors.find(list, entry), machine
    if address then
      list, image.start = moved(spec, path, title, list, image.start, address,
        rawget(options, "move"))
    end
    image.segments = list
  else
    image.segments, image.start, image.doubt, image.misplaced, image.prefix =
      parse_raw(path, content, address, options, suffix)
  end
  if suffix and format ~= "dfu" then dfu.check_plain(path, suffix) end
  if image.doubt then image.doubt.name = image.name end
  image.files = { { name = image.name, sha256 = sys.sha256(bytes), size = #bytes,
                    format = image.format } }
  return value.make(image)
end

local loaded -- called with each image that was loaded

local function load_one(spec, options)
  local path, address = split(spec)
  return parse_one(spec, path, read(path), address, options)
end

-- ---- ids ----

---Raises `image` if a file's ids are those of another board. bcdDevice is not compared, because
---files have arbitrary values there.
---@param image table
---@param board table path=, vid=, pid=
---@param force? boolean skip the check
function M.check_ids(image, board, force)
  if force or not image.ids or ids_of.match(image.ids, board) then return end
  errors.raise { code = "image", path = board.path, remedy = { "force" },
    message = ("%s: %s is for %s, and this board is %04x:%04x"):format(board.path, image.name,
      ids_of.text(image.ids), board.vid, board.pid) }
end

-- The ids that match both files. Raises `image` if they have no board in common.
local function common_ids(one, other, force)
  local a, b = one.ids, other.ids
  if not (a and b) then return a or b end
  if not force and not ids_of.match(a, b) then
    errors.raise { code = "image", remedy = { "force" },
      message = ("%s is for %s, and %s for %s"):format(one.name, ids_of.text(a), other.name,
        ids_of.text(b)) }
  end
  local ids = {}
  for _, key in ipairs { "vid", "pid", "version" } do
    ids[key] = ids_of.is_any(a[key], key == "pid") and b[key] or a[key]
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
    all.start = lowest(all.start, image.start) -- the chip starts at the lowest
    all.doubt = all.doubt or image.doubt
    all.misplaced = all.misplaced or image.misplaced
    all.machine = all.machine or image.machine
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

-- Splits the arguments of a call into files and options.
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

local function check_options(usage, options)
  check.options(usage, options, { "address", "force", "data", "move" })
  local address = rawget(options, "address")
  if address ~= nil and (math.type(address) ~= "integer" or address & ~0xFFFFFFFF ~= 0) then
    misuse("%s: an address has 32 bits", usage)
  end
  return address
end

---Makes an image of the bytes of a file, as image.load does of the file.
---@param name string of the file
---@param bytes string
---@param options? table as for image.load
---@return table image
function M.parse(name, bytes, options)
  if type(name) ~= "string" or type(bytes) ~= "string" then
    misuse("image.parse takes the name of a file, and its bytes")
  end
  check_options("image.parse(name, bytes, options)", options or {})
  return parse_one(name, name, bytes, nil, options or {})
end

---Loads firmware: one file, or several that become one image.
---@param ... string|string[]|table FILE, FILE@ADDRESS, or lists of these; last, options:
---  address: for raw binaries; force: accept files for another address, or that are not firmware;
---  data: accept files that are not firmware; move: FILE@ADDRESS may move programs that have
---  addresses of their own
---@return table image
function M.load(...)
  local specs, options = arguments(...)
  local address = check_options("image.load(file, options)", options)
  local images, raw = {}, false
  for i, spec in ipairs(specs) do
    images[i] = load_one(spec, options)
    raw = raw or images[i].format == "bin"
  end
  if address and not raw and address ~= DEFAULT_ADDRESS then
    wrong.file(specs[1], "it has addresses of its own; --address is for raw binaries")
  end
  local image = merge(images, options)
  if loaded then loaded(image) end
  return image
end

---Sets the function that is called with each image that was loaded; it may raise.
---@param f? function
function M.on_load(f) loaded = f end

---The format for a file name: "hex", "srec", "dfu"; "bin" for any other extension.
---@param name string
---@return string
function M.format_of(name)
  local ending = (name:match("%.(%w+)$") or ""):lower()
  local format = value.endings[ending]
  return format ~= "elf" and format or "bin"
end

---Parses Intel HEX text.
---@param name string of the file
---@param content string
---@return table[] segments
function M.parse_hex(name, content)
  return (formats.hex.parse(name, content))
end

-- ---- images made by a recipe ----

---Makes an image from bytes.
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
                      start = rawget(fields, "start") or vectors.find(merged),
                      ids = rawget(fields, "ids") }
end

return M

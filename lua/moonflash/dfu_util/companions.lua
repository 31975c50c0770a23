-- SPDX-License-Identifier: MIT
-- Stands in for dfu-suffix and dfu-prefix of dfu-util 0.11, which change a file in its place.
local errors = require "moonflash.errors"
local firmware = require "moonflash.dfu_util.firmware"
local getopt = require "moonflash.dfu_util.getopt"
local lines = require "moonflash.dfu_util.lines"
local options = require "moonflash.dfu_util.options"
local prefixes = require "moonflash.image.prefix"
local statuses = require "moonflash.dfu_util.status"
local suffixes = require "moonflash.image.suffix"

local M = {}

local function usage(message, ...)
  statuses.fail(statuses.USAGE, message, ...)
end

local function hex(name, s)
  return options.hex16(s) or usage("the value of --%s is not a number of 16 bits: %s", name, s)
end

-- The file without suffix and prefix, and both of these.
local function load(name)
  local file = firmware.load(name)
  file.program, file.prefix = prefixes.strip(file.content)
  return file
end

-- Writes the program with the prefix and the suffix that are wanted.
local function store(file, prefix, suffix)
  local bytes = (prefix or "") .. file.program
  if suffix then bytes = suffixes.add(bytes, suffix, suffix.format) end
  if bytes == "" then
    statuses.fail(statuses.DATA, "%s: nothing would be left in the file", file.name)
  end
  -- in its place, as the originals do: the file may be linked, and keeps its mode
  local handle, why = io.open(file.name, "wb")
  local written = handle and handle:write(bytes)
  local closed = handle and handle:close()
  if not (written and closed) then
    statuses.fail(statuses.CANNOT_CREATE, "Could not open file %s for writing: %s", file.name,
      why and why:match("^.*: (.-)$") or "the disk may be full")
  end
end

-- The prefix of a file as bytes; nil if it has none.
local function prefix_bytes(file)
  return file.prefix and file.content:sub(1, file.prefix.size) or nil
end

local function show(file)
  local prefix, suffix = file.prefix, file.suffix
  if prefix and prefix.kind == "ti" then
    lines.out("The file %s contains a TI Stellaris DFU prefix with the following properties:",
      file.name)
    lines.out("Address:\t0x%08x", prefix.address)
  elseif prefix then
    lines.out("The file %s contains a NXP unencrypted LPC DFU prefix with the following "
      .. "properties:", file.name)
    lines.out("Size:\t%5d kiB", prefix.blocks // 2)
  end
  if not suffix then return end
  lines.out("The file %s contains a DFU suffix with the following properties:", file.name)
  lines.out("BCD device:\t0x%04X", suffix.version)
  lines.out("Product ID:\t0x%04X", suffix.pid)
  lines.out("Vendor ID:\t0x%04X", suffix.vid)
  lines.out("BCD DFU:\t0x%04X", suffix.format)
  lines.out("Length:\t\t%d", suffix.size)
  lines.out("CRC:\t\t0x%08X", suffix.crc)
end

-- ---- dfu-suffix ----

local suffix = {
  first = "dfu-suffix (dfu-util) 0.11",
  rows = {
    { letter = "h", long = "help" }, { letter = "V", long = "version" },
    { letter = "c", long = "check", takes = "value" },
    { letter = "a", long = "add", takes = "value" },
    { letter = "D", long = "delete", takes = "value" },
    { letter = "p", long = "pid", takes = "value" },
    { letter = "v", long = "vid", takes = "value" },
    { letter = "d", long = "did", takes = "value" },
    { letter = "S", long = "spec", takes = "value" },
  },
  help = [[
Usage: dfu-suffix OPTION ...
  -a, --add FILE     append a DFU suffix to FILE
  -D, --delete FILE  remove it
  -c, --check FILE   check it, and show what it says
  -v, --vid, -p, --pid, -d, --did NUMBER   ids of the board, in hexadecimal (default ffff: any)
  -S, --spec NUMBER  version of DFU: 0100 (default) or 011a
  -h, --help, -V, --version
]],
}

function suffix.run(given)
  local format = given.S and hex("spec", given.S) or suffixes.DFU
  if format ~= suffixes.DFU and format ~= suffixes.DFUSE then
    usage("Only DFU specification 0x0100 and 0x011a supported")
  end
  local ids = { vid = given.v and hex("vid", given.v), pid = given.p and hex("pid", given.p),
                version = given.d and hex("did", given.d), format = format }
  local file = load(given.file)
  if given.mode == "a" then
    if file.suffix then
      statuses.fail(statuses.DATA,
        "Please remove existing DFU suffix before adding a new one.")
    end
    store(file, prefix_bytes(file), ids)
    return lines.out("Suffix successfully added to file")
  end
  if not file.suffix then statuses.fail(statuses.DATA, "Valid DFU suffix needed") end
  if given.mode == "c" then return show(file) end
  store(file, prefix_bytes(file))
  lines.out("Suffix successfully removed from file")
end

-- ---- dfu-prefix ----

local prefix = {
  first = "dfu-prefix (dfu-util) 0.11",
  rows = {
    { letter = "h", long = "help" }, { letter = "V", long = "version" },
    { letter = "c", long = "check", takes = "value" },
    { letter = "a", long = "add", takes = "value" },
    { letter = "D", long = "delete", takes = "value" },
    { letter = "s", long = "stellaris-address", takes = "value" },
    { letter = "T", long = "stellaris" },
    { letter = "L", long = "LPC" },
  },
  help = [[
Usage: dfu-prefix OPTION ...
  -a, --add FILE     put a prefix in front of FILE
  -D, --delete FILE  remove it
  -c, --check FILE   show what it says
  -s, --stellaris-address ADDRESS  TI's prefix, for a program at ADDRESS
  -T, --stellaris    TI's prefix (with -D and -c)
  -L, --LPC          NXP's prefix
  -h, --help, -V, --version
]],
}

local function address_of(s)
  local address = options.c_number(s)
  if not address or address > 0xFFFFFFFF then usage("Invalid lmdfu address: %s", s) end
  if not prefixes.can_hold(address) then
    statuses.fail(statuses.DATA, "TI's prefix can't hold the address 0x%08x: a multiple of 1 KB, "
      .. "below 64 MB", address)
  end
  return address
end

function prefix.run(given)
  local kind = given.kind
  local file = load(given.file)
  if given.mode == "a" then
    if not kind then usage("Prefix type must be specified") end
    if file.prefix then
      statuses.fail(statuses.DATA, "A prefix already exists, please delete it first")
    end
    local whole = prefixes.add(kind, given.s and address_of(given.s) or 0, file.program)
    lines.out("Adding prefix to file")
    return store(file, whole:sub(1, #whole - #file.program), file.suffix)
  end
  if given.mode == "D" and not file.prefix then
    statuses.fail(statuses.DATA, "Valid DFU prefix needed")
  end
  if given.mode == "c" then show(file) end
  if kind and not (file.prefix and file.prefix.kind == kind) then
    statuses.fail(statuses.DATA, "No prefix of requested type")
  end
  if given.mode == "c" then return end
  lines.out("Removing prefix from file")
  store(file, nil, file.suffix)
end

-- ---- both ----

local KIND = { s = "ti", T = "ti", L = "lpc" }

-- The options as a table by letter, with mode= "a", "c" or "D", file= and kind=. The last one is
-- taken.
local function read(program, argv)
  local read_options, rest = getopt.read(program.rows, argv)
  if not read_options then usage("%s", rest) end
  local given = {}
  for _, option in ipairs(read_options) do
    local letter = option.letter
    given[letter] = option.value or true
    given.kind = KIND[letter] or given.kind
    if letter == "a" or letter == "c" or letter == "D" then
      given.mode, given.file = letter, option.value
    end
  end
  return given
end

local function carry_out(program, argv)
  lines.banner(program.first)
  local given = read(program, argv)
  if given.h then
    lines.say(program.help)
  elseif not given.V then
    if not given.file then usage("You need to specify a filename") end
    program.run(given)
  end
  return statuses.OK
end

local function run(name, program, argv)
  local ok, result = pcall(carry_out, program, argv)
  if ok then return result end
  if errors.matches(result, "exit") then error(result, 0) end
  lines.warn(name, errors.text(errors.of_memory(result)))
  local status = statuses.of(result)
  if status == statuses.USAGE then lines.say(program.help) end
  return status
end

---@param argv string[]
---@return integer status
function M.suffix(argv) return run("dfu-suffix", suffix, argv) end

---@param argv string[]
---@return integer status
function M.prefix(argv) return run("dfu-prefix", prefix, argv) end

return M

-- SPDX-License-Identifier: MIT
-- The command line of dfu-util 0.11: its options as a request, and our help for them.
local getopt = require "moonflash.dfu_util.getopt"
local statuses = require "moonflash.dfu_util.status"

local M = {}

local ROWS = {
  { letter = "h", long = "help" },
  { letter = "V", long = "version" },
  { letter = "v", long = "verbose" },
  { letter = "l", long = "list" },
  { letter = "e", long = "detach" },
  { letter = "E", long = "detach-delay", takes = "value" },
  { letter = "d", long = "device", takes = "value" },
  { letter = "p", long = "path", takes = "value" },
  { letter = "c", long = "configuration", takes = "value" },
  { letter = "c", long = "cfg", takes = "value" },
  { letter = "i", long = "interface", takes = "value" },
  { letter = "i", long = "intf", takes = "value" },
  { letter = "a", long = "altsetting", takes = "value" },
  { letter = "a", long = "alt", takes = "value" },
  { letter = "S", long = "serial", takes = "value" },
  { letter = "t", long = "transfer-size", takes = "value" },
  { letter = "U", long = "upload", takes = "value" },
  { letter = "Z", long = "upload-size", takes = "value" },
  { letter = "D", long = "download", takes = "value" },
  { letter = "R", long = "reset" },
  { letter = "Q" }, -- a fork of Arduino's: DETACH at the end
  { letter = "s", long = "dfuse-address", takes = "value" },
  { letter = "n", long = "devnum", takes = "value" },
  { letter = "w", long = "wait", takes = "maybe" },
}

M.rows = ROWS

M.HELP = [[
Usage: dfu-util OPTION ...

What to do:
  -l, --list               list the boards with a DFU interface
  -D, --download FILE      write FILE to the board, and verify it ("-": standard input)
  -U, --upload FILE        read the board's memory into a new FILE
  -e, --detach             send DETACH to the board, and end
  -V, --version, -h, --help

Which board:
  -d, --device VID:PID[,VID:PID]  ids of the running program, and of DFU mode
  -S, --serial SERIAL[,SERIAL]    the same, by serial number
  -p, --path BUS-PORT.PORT        its place on the bus
  -n, --devnum NUMBER             its number on the bus
  -c, --cfg NUMBER                its configuration
  -i, --intf NUMBER               its DFU interface
  -a, --alt NUMBER or NAME        the alternate setting: the memory
  -w, --wait                      wait until it is there

How:
  -s, --dfuse-address ADDRESS[:WORD ...]  the address in the memory, for DfuSe, and
        leave        start the program at ADDRESS afterwards
        mass-erase   erase the whole chip first (with force)
        unprotect    remove the read protection, which erases the chip (with force)
        will-reset   the board resets itself: option bytes
        force        write outside the memories that the board reports; confirm the above
        NUMBER       bytes to read
  -t, --transfer-size BYTES   bytes in a block, at most what the board announces
  -Z, --upload-size BYTES     bytes that are expected from an upload by plain DFU
  -E, --detach-delay SECONDS  wait for a detached board at least that long (default 5)
  -R, --reset                 reset the USB device at the end
  -v, --verbose               print more, and no progress

This is moonflash. It reads back what it wrote, and writes only what differs.
'moonflash help docs/dfu-util' tells what else is different.
]]

local function usage(message, ...)
  statuses.fail(statuses.USAGE, message, ...)
end

-- A number as C's strtoul takes it with base 0: "0x10", "16", "020".
local function c_number(s)
  local hex, octal = s:match("^0[xX]0*(%x+)$"), s:match("^0+([0-7]*)$")
  if hex then return #hex <= 15 and tonumber(hex, 16) or nil end
  if octal then return #octal <= 20 and tonumber("0" .. octal, 8) or nil end
  return s:find("^[1-9]%d*$") and #s <= 18 and tonumber(s) or nil
end
M.c_number = c_number

---A number of 16 bits in hexadecimal, with or without 0x; nil for any other text.
---@param s string
---@return integer?
function M.hex16(s)
  local digits = s:match("^0[xX]0*(%x+)$") or s:match("^0*(%x+)$")
  return digits and #digits <= 4 and tonumber(digits, 16) or nil
end

local function number_of(name, s, most)
  local n = c_number(s)
  if not n or n > most then usage("the value of --%s is no such number: %s", name, s) end
  return n
end

-- ---- ids ----

-- One id. Returns false for one that no board has ("-"), nil for any.
local function one_id(s, otherwise)
  if not s or s == "" then return otherwise end
  if s == "*" then return nil end
  if s == "-" then return false end
  return M.hex16(s) or usage("'%s' is not an id: it has four hexadecimal digits", s)
end

-- "VID:PID[,VID:PID]": the ids in run-time mode, and those in DFU mode. A third pair is ignored.
local function parse_ids(s)
  local runtime, dfu = s:match("^([^,]*),?([^,]*)")
  local ids, has_dfu = {}, s:find(",", 1, true) ~= nil
  if s:find("^,") then
    ids.runtime = { vid = false, pid = false }
  else
    local vid, pid = runtime:match("^([^:]*):?(.*)$")
    ids.runtime = { vid = one_id(vid), pid = one_id(pid) }
  end
  if has_dfu then
    local before = s:find("^,") and {} or ids.runtime
    local vid, pid = dfu:match("^([^:]*):?(.*)$")
    ids.dfu = { vid = one_id(vid, before.vid), pid = one_id(pid, before.pid) }
  end
  return ids
end

-- "SERIAL[,SERIAL]"; an empty part is any.
local function parse_serial(s)
  local runtime, dfu = s:match("^([^,]*),(.*)$")
  local function part(text) return text ~= "" and text or nil end
  return { runtime = part(runtime or s), dfu = part(dfu or s) }
end

-- ---- -s ----

-- "fast" is later dfu-util's: not to read back.
local WORDS = { leave = true, force = true, ["mass-erase"] = true, unprotect = true,
                ["will-reset"] = true, fast = true }

local function parse_dfuse(s)
  local dfuse = {}
  local address, words = s:match("^([^:]*)(.*)$")
  if address ~= "" then
    dfuse.address = c_number(address)
    if not dfuse.address or dfuse.address > 0xFFFFFFFF then
      usage("Invalid dfuse address: %s", address)
    end
  end
  for word in words:gmatch("[^:]+") do
    local length = c_number(word)
    if WORDS[word] then
      dfuse[word:gsub("-", "_")] = true
    elseif length and length <= 0xFFFFFFFF then
      dfuse.length = length > 0 and length or nil
    else
      usage("Invalid dfuse modifier: %s", word)
    end
  end
  return dfuse
end

-- ---- the request ----

local MOST = 0x7FFFFFFF

local take = {
  V = function(r) r.mode = "version" end,
  v = function(r) r.verbose = r.verbose + 1 end,
  l = function(r) r.mode = "list" end,
  e = function(r) r.mode = "detach" end,
  E = function(r, s) r.delay = number_of("detach-delay", s, 1000000) end,
  d = function(r, s) r.ids = parse_ids(s) end,
  p = function(r, s) r.path = s end,
  c = function(r, s) r.configuration = number_of("cfg", s, 255) end,
  i = function(r, s) r.interface = number_of("intf", s, 255) end,
  a = function(r, s) r.alt = c_number(s) or s end,
  S = function(r, s) r.serial = parse_serial(s) end,
  t = function(r, s) r.transfer_size = number_of("transfer-size", s, MOST) end,
  U = function(r, s) r.mode, r.file = "upload", s end,
  Z = function(r, s)
    local size = number_of("upload-size", s, MOST)
    r.upload_size = size > 0 and size or nil
  end,
  D = function(r, s) r.mode, r.file, r.has_download = "download", s, true end,
  R = function(r) r.reset = true end,
  Q = function(r) r.detach_last = true end,
  s = function(r, s) r.dfuse, r.dfuse_words = parse_dfuse(s), s end,
  n = function(r, s) r.devnum = number_of("devnum", s, 65535) end,
  w = function(r) r.wait = true end,
}

---Reads the command line. Raises an error with the status 64.
---@param argv string[]
---@return table request mode= "help", "version", "list", "detach", "upload", "download", "command"
---  (-s without a file); nil: none; and file=, ids=, serial=, path=, devnum=, configuration=,
---  interface=, alt=, dfuse=, transfer_size=, upload_size=, delay=, reset=, detach_last=, wait=,
---  verbose=
function M.read(argv)
  local options, rest, before = getopt.read(ROWS, argv)
  for _, option in ipairs(options or before) do
    if option.letter == "h" then return { mode = "help" } end
  end
  if not options then usage("%s", rest) end
  local request = { verbose = 0, delay = 5 }
  for _, option in ipairs(options) do
    take[option.letter](request, option.value)
  end
  if #rest > 0 then usage("Error: Unexpected argument: %s", rest[1]) end
  if request.mode == "detach" and request.has_download then
    usage("-e and -D exclude each other: -D detaches a board that runs its program")
  end
  if not request.mode and request.dfuse then request.mode = "command" end
  if request.mode == "upload" and request.dfuse
    and (request.dfuse.mass_erase or request.dfuse.unprotect) then
    usage("-U reads, and 'mass-erase' and 'unprotect' erase: call them one after the other")
  end
  if request.configuration == 0 then request.configuration = nil end
  request.dfuse = request.dfuse or {}
  return request
end

return M

-- SPDX-License-Identifier: MIT
-- What the cases need: running clients and parsing their output, boards and images, and the judge,
-- which compares what a run reports with the memory of the board.
local json = require "dkjson"

local M = {}

M.RELEASE = os.getenv("MOONFLASH_RELEASE") or "build/moonflash"
M.SANITIZED = os.getenv("MOONFLASH") or "build/asan/moonflash"

local folder = arg[0]:match("^(.*)/") or "."
M.HASTY = folder .. "/hasty.lua" -- a recipe: flash, with short timeouts

-- Limits of time are those of an idle machine; a busy one is half as fast. They stay below the five
-- seconds that a client waits for an answer by default, where that is what they are to tell.
M.SLOW = 2

local LONGEST = 40 -- seconds that a run may take before it counts as hung

-- ---- a place for files ----

local pipe = assert(io.popen("mktemp -d"))
M.place = pipe:read("l")
pipe:close()

function M.close()
  os.execute("rm -rf '" .. M.place .. "'")
end

function M.write_file(name, bytes)
  local path = M.place .. "/" .. name
  local file <close> = assert(io.open(path, "wb"))
  file:write(bytes)
  return path
end

function M.read_file(path)
  local file <close> = io.open(path, "rb")
  return file and file:read("a")
end

-- ---- cases ----

local current

function M.begin_case(name, share, of, verbose)
  current = { name = name, share = share, of = of, verbose = verbose, turn = 0, runs = 0,
              complaints = {}, dropped = 0 }
end

function M.end_case()
  if current.dropped > 0 then
    table.insert(current.complaints, ("and %d more"):format(current.dropped))
  end
  return current.runs, current.complaints
end

---Whether the next piece of work is this bed's.
function M.mine()
  current.turn = current.turn + 1
  return current.turn % current.of == current.share
end

local MOST_COMPLAINTS = 12

function M.complain(format, ...)
  if #current.complaints >= MOST_COMPLAINTS then
    current.dropped = current.dropped + 1
    return
  end
  table.insert(current.complaints, select("#", ...) > 0 and format:format(...) or format)
end

function M.skip(why)
  error({ skip = why }, 0)
end

function M.check(good, format, ...)
  if not good then M.complain(format, ...) end
  return good
end

function M.equal(got, wanted, what)
  return M.check(got == wanted, "%s: %s instead of %s", what, tostring(got), tostring(wanted))
end

function M.has(text, part, what)
  return M.check(text:find(part, 1, true), "%s: no \"%s\" in \"%s\"", what, part, text)
end

-- ---- clients ----

-- Control characters (but for newlines), bytes that are no UTF-8, and what turns a terminal's
-- writing around must never come out.
local function is_clean(text)
  return utf8.len(text) and not text:find("[\0-\9\11-\31\127]") and not text:find("\xC2[\x80-\x9F]")
    and not text:find("\xE2\x80[\xA8-\xAE]") and not text:find("\xE2\x81[\xA6-\xA9]")
end

-- The last result of a --json run, and what the exit status must be for its code.
local function result_of(out)
  local result
  for line in out:gmatch("[^\n]+") do
    local event = json.decode(line)
    if type(event) == "table" and event.event == "result" then result = event end
  end
  return result
end

local ENV = { XDG_CONFIG_HOME = M.place, UBSAN_OPTIONS = "halt_on_error=1",
              ASAN_OPTIONS = "verify_asan_link_order=0:detect_leaks=0" }

---Starts a client; words: its program and arguments.
function M.start(words)
  words.env = ENV
  current.runs = current.runs + 1
  return bed.start(words)
end

---What a client came to, with .result, the last of its JSON.
function M.finish(job)
  local r = job:wait(LONGEST)
  r.result = result_of(r.out)
  if current.verbose then
    print(("# %s: %s after %.3f s\n%s%s"):format(current.name, r.status or r.signal, r.seconds,
      r.out, r.err))
  end
  -- the bed's own: the board went between the client's open() and the preload's connection for it
  local went = r.err:find("libumockdev-preload: Failed to connect", 1, true)
  if went then error({ again = true }, 0) end
  if r.hung then M.complain("it hung: %s%s", r.out, r.err) end
  if r.signal and not r.hung then
    M.complain("it died of signal %d: %s%s", r.signal, r.out, r.err)
  end
  if r.err:find("Sanitizer") or r.err:find("runtime error:") or r.status == 70 then
    M.complain("%s", r.err)
  end
  return r
end

function M.run(words)
  return M.finish(M.start(words))
end

---moonflash ARGUMENTS..., the release build.
function M.moonflash(...)
  return M.run { M.RELEASE, ... }
end

---The same with sanitizers. Its output must be fit for a terminal.
function M.sanitized(...)
  local r = M.run { M.SANITIZED, ... }
  M.check(is_clean(r.out) and is_clean(r.err), "not fit for a terminal: %q", r.out .. r.err)
  return r
end

-- ---- boards and images ----

-- Noise that is the same each time.
local function noise(length, seed)
  local bytes = {}
  for i = 1, length do
    seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
    bytes[i] = string.char(seed >> 16 & 0xFF)
  end
  return table.concat(bytes)
end

M.FLASH = 0x08000000 -- where all our kinds have it

-- A kind of board, an image for it, and what the flash holds before and after: worked out here,
-- not by moonflash. The sector holds the image, or is a part of the erased sectors.
local function scene(kind, size, sector, length)
  local old = "old firmware; "
  local s = { kind = kind, size = size }
  s.bytes = ("<I4I4"):pack(M.FLASH + 0x18000000 + 0x4000, M.FLASH + 0x41) .. noise(length - 8, 1)
  s.image = M.write_file(kind .. ".bin", s.bytes)
  s.erased = (length + sector - 1) // sector * sector
  s.old = old:rep(size // #old + 1):sub(1, size)
  s.new = s.bytes .. ("\255"):rep(s.erased - length) .. s.old:sub(s.erased + 1)
  return s
end

M.F407 = scene("f407", 0x100000, 0x4000, 4200) -- a sector; three blocks
M.L452 = scene("l452", 0x80000, 0x800, 2600)   -- two pages; two blocks

---A board of a scene (default: F407), full of an old firmware, in dfuIDLE.
---@param options? table kind= and what bed.board takes
function M.board(options, of)
  of = of or M.F407
  options = options or {}
  options.kind, options.state, options.poll = of.kind, options.state or 2, options.poll or 1
  local board = bed.board(options)
  board:poke(M.FLASH, of.old)
  return board
end

---A board that speaks plain DFU 1.1.
function M.plain_board()
  return bed.board { kind = "dfu11", state = 2 }
end

-- ---- the judge ----

local truths = {
  untouched = function(found, old) return found == old end,
  erased = function(found) return found == ("\255"):rep(#found) end,
  written = function(found, _, new) return found == new end,
  verified = function(found, _, new) return found == new end,
  doubt = function() return true end,
}

-- Adds claims that what the ranges leave out is untouched.
local function with_untouched(ranges, size)
  local claims, at = {}, M.FLASH
  for _, r in ipairs(ranges or {}) do
    if r.first > at then
      claims[#claims + 1] = { state = "untouched", first = at, last = r.first - 1 }
    end
    claims[#claims + 1] = r
    at = r.last + 1
  end
  if at < M.FLASH + size then
    claims[#claims + 1] = { state = "untouched", first = at, last = M.FLASH + size - 1 }
  end
  return claims
end

-- The first false claim about the flash; nil where all are true.
local function false_claim(flash, ranges, before, wanted)
  for _, c in ipairs(with_untouched(ranges, #flash)) do
    local holds = truths[c.state]
    if not holds then return ("no state is called '%s'"):format(tostring(c.state)) end
    local from, to = c.first - M.FLASH + 1, c.last - M.FLASH + 1
    if not holds(flash:sub(from, to), before:sub(from, to), wanted:sub(from, to)) then
      return ("0x%08X..0x%08X is not %s"):format(c.first, c.last, c.state)
    end
  end
end

local EXIT = {
  ["image"] = 65, ["usb.no-device"] = 69, ["usb.gone"] = 74, ["usb.io"] = 74, ["usb.busy"] = 75,
  ["dfu"] = 76, ["usb.permission"] = 77, ["verify"] = 79, ["board.protected"] = 80,
  ["dfu.still-there"] = 74, ["timeout"] = 82, ["cancelled"] = 130,
}
local OUTCOME = {
  [0] = "PASS", [65] = "ERROR", [69] = "ERROR", [74] = "FAIL", [75] = "ERROR", [76] = "FAIL",
  [77] = "ERROR", [79] = "FAIL", [80] = "FAIL", [82] = "TIMEOUT", [130] = "ABORTED",
}

local function status_for(code)
  if EXIT[code] then return EXIT[code] end
  return code:find("^dfu%.") and 76 or code:find("^verify%.") and 79
end

---Why a --json run does not say the same in its exit status, code, outcome and message; nil where
---it does. A failure says in a line what and where, and then what to do next.
function M.inconsistent(r)
  local result = r.result
  if not result then
    return ("exit status %s, and no result: %s%s"):format(r.status, r.out, r.err)
  end
  local status = result.code and status_for(result.code) or 0
  if r.status ~= status then
    return ("exit status %s with code %s"):format(r.status, tostring(result.code))
  end
  local wanted = OUTCOME[status]
  if status == 69 and result.outcome == "FAIL" then wanted = "FAIL" end
  if result.outcome ~= wanted then
    return ("outcome %s with exit status %d"):format(result.outcome, status)
  end
  if status ~= 0 and not r.err:find("^moonflash: [^\n]+\n  %S") then
    return "a message without a next step: " .. r.err
  end
  if not (is_clean(r.err) and is_clean(r.out)) then return "not fit for a terminal: " .. r.err end
end

---Why a --json run broke a promise; nil where it kept them.
---@param r table the run
---@param flash string what the flash holds now
---@param before string what it held before
---@param wanted string what it holds after a run that passes
function M.broken(r, flash, before, wanted)
  local why = M.inconsistent(r)
  if why then return why end
  local planned = before == wanted and 0 or M.planned(wanted, before)
  if flash:sub(planned + 1) ~= before:sub(planned + 1) then
    return "something outside the plan has changed"
  end
  if r.status == 0 then return flash ~= wanted and "it passed, and the flash is wrong" or nil end
  -- what was there before is not "written but not verified", but it may be "verified"
  local claim = false_claim(flash, r.result.ranges, before, wanted)
  return claim and ("%s; it said: %s"):format(claim, r.result.flash or "nothing of the flash")
end

---How many bytes at the start of the flash a run that leads from one to the other may change.
function M.planned(wanted, before)
  for _, s in ipairs { M.F407, M.L452 } do
    if wanted == s.new and before == s.old then return s.erased end
  end
  return #wanted
end

return M

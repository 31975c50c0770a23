-- SPDX-License-Identifier: MIT
-- Makes the error object of a failed operation from C's facts: the cause, the board, the address,
-- the state of the flash, and the names of the remedies (their words: ui/remedies.lua).
local descriptor = require "moonflash.board.descriptor"
local errors = require "moonflash.errors"
local memory = require "moonflash.memory"
local part_of = require "moonflash.board.part"
local sim = require "sim"
local task = require "task"
local text = require "moonflash.base.text"

local M = {}

local doing = {
  ["erase"] = "erasing", ["write"] = "writing", ["read"] = "reading",
  ["set address"] = "setting the address", ["mass erase"] = "erasing everything",
  ["read unprotect"] = "removing the read protection", ["leave"] = "leaving DFU mode",
  ["download block"] = "downloading a block", ["upload block"] = "uploading a block",
  ["get status"] = "reporting its status", ["get state"] = "reporting its state",
  ["clear status"] = "clearing its status", ["abort"] = "aborting",
  ["get commands"] = "listing its commands", ["detach"] = "detaching",
  ["control"] = "handling a control request", ["idle"] = "going back to dfuIDLE",
}

-- ---- remedies ----

-- Whether a pin named BOOT0 selects DFU mode: only ST's ROMs are entered by such a pin.
local function boot0(state)
  return state.info ~= nil and part_of.may_be_rom(state.info)
end

-- The named remedies, in this order, for a board that may have to be reconnected.
local function remedies(state, ...)
  return { boot0 = boot0(state), again = true, ... }
end

---The first memory of a board, which is its flash. For errors about an address.
---@param state table
---@return table { name=, first=, last=, others= }; { plain = true }: plain DFU has no addresses;
---  { none = true }: no layout is known
function M.memory(state)
  local first = state.alts[1]
  local segments = first and first.layout.segments or {}
  if state.info and not state.dfuse then return { plain = true } end
  if #segments == 0 then return { none = true } end
  local from, to = memory.span(segments, segments[1].address)
  return { name = first.layout.name, first = from, last = to, others = #state.alts > 1 }
end

-- ---- one function for each code that C passes ----

-- Each returns the message, the remedies, and optionally more fields of the error object; a `code`
-- among these is more specific. what: "erase 0x08000000". where: " 0x08000000", or "".
local failures = {}

-- The board's own text of its error (iString); nil if it has none.
local function quoted(facts)
  local said = facts.string and descriptor.string(facts.string)
  return said and said ~= "" and said or nil
end

local function has_memory(state, address)
  for _, alt in ipairs(state.alts) do
    if address and memory.find(alt.layout.segments, address) then return true end
  end
  return false
end

-- dfuERROR: the code depends on bStatus.
failures["dfu"] = function(state, facts, what)
  local said, status = quoted(facts), facts.status
  if said then what = ("%s: the board reports \"%s\""):format(what, said) end
  if status == "OK" then
    return ("%s: the board is in dfuERROR and reports no reason"):format(what),
      remedies(state, "again-then-replug"), { code = "dfu.state" }
  elseif status == "errVENDOR" then
    -- F4, F7: while RDP is on, the ROM answers errVENDOR to every request (Betaflight's usbdfu.js;
    -- AN2662).
    if state.part and state.part.rom or (said or ""):lower():find("protect") then
      return ("%s: read protection is on (errVENDOR)"):format(what), { "unprotect", sure = true },
        { code = "board.protected" }
    end
    return ("%s: the board refused it (errVENDOR)"):format(what), { "unprotect" },
      { code = "dfu.errVENDOR" }
  elseif status == "errTARGET" then
    local reported = has_memory(state, facts.address)
    return ("%s: the board refuses this address (errTARGET)"):format(what), {},
      { code = "dfu.errTARGET", reported = reported, memory = not reported and M.memory(state)
        or nil }
  end
  return ("%s: the board refused it (%s)"):format(what, status),
    remedies(state, "again-then-replug"), { code = ("dfu.%s"):format(status) }
end

failures["dfu.state"] = function(state, facts, what)
  return ("%s: the board is in %s, which is not possible here"):format(what, facts.state),
    remedies(state, "replug")
end

failures["dfu.stall"] = function(state, facts, what)
  return ("%s: the board refused the request (STALL)%s"):format(what,
    facts.again and ", twice" or ""),
    facts.op == "control" and { "unsupported" } or remedies(state, "replug")
end

failures["usb.gone"] = function(state, facts, _, where)
  return ("the board went away while %s%s"):format(doing[facts.op], where),
    remedies(state, "replug")
end

-- Seconds that our own erase may still take; 0 if none can be the reason for the silence.
local function erasing_for(state)
  local erasing = state.erasing
  return erasing and math.ceil(math.max(erasing.by - task.now(), 0)) or 0
end

failures["timeout"] = function(state, facts, _, where)
  local difference = state.info and sim.difference(state.info.path)
  if difference then
    return ("%s%s: not what the capture has (%s)"):format(doing[facts.op], where, difference),
      { "replay" }
  end
  local remedy = remedies(state, "reset-or-replug")
  local seconds = erasing_for(state)
  if seconds > 0 then
    table.insert(remedy, 1, "wait")
    remedy.doing, remedy.seconds = state.erasing.what, seconds
  elseif facts.op == "get state" then -- ROMs delay this answer until they have finished
    table.insert(remedy, 1, "wait")
  end
  return ("no answer while %s%s"):format(doing[facts.op], where), remedy
end

failures["cancelled"] = function(state, facts, _, where)
  return ("closed while %s%s"):format(doing[facts.op], where), remedies(state, "replug")
end

failures["usb.io"] = function(state, facts, _, where)
  if facts.detail == "short" then
    return ("a short answer while %s%s"):format(doing[facts.op], where),
      { "cable", again = true }
  end
  local simulated = state.info and state.info.path:find("^sim:")
  return ("a USB error while %s%s"):format(doing[facts.op], where),
    { simulated and "backing-file" or "cable", again = true }
end

failures["dfu.runtime"] = function(_, _, what)
  return ("%s: the board runs its program, and is not in DFU mode"):format(what), { "detach" }
end

failures["dfu.reset"] = function(_, _, what)
  return ("%s: the board waits for a reset"):format(what), { "reset-or-replug" }
end

local able = { read = "readable", write = "writable", erase = "erasable" }

failures["dfu.outside"] = function(state, facts, what)
  if facts.detail == "forbidden" then
    return ("%s: the memory at this address is not %s; nothing was sent"):format(what,
      able[facts.op]), { "info" }
  end
  return ("%s: the board has no memory at this address; nothing was sent"):format(what), {},
    { memory = M.memory(state) }
end

failures["dfu.not-dfuse"] = function(_, facts)
  return facts.op .. ": the board speaks plain DFU 1.1, which has no addresses and no erase",
    { "plain" }
end

-- ---- the error object ----

---Adds to a cancellation the place where it came, if no operation of a board was under way.
---@param err any
---@param where string "while the boards were listed"
function M.interrupted(err, where)
  if not errors.matches(err, "cancelled") or err.path or err.remedy then return end
  err.message, err.remedy = ("%s %s"):format(err.message, where), { "again" }
end

-- All tasks that one cancellation ends share one error object. The first operation adds its place.
local function cancelled(facts, path, where)
  local err = facts.cancellation
  if not err.path then
    err.path, err.op, err.address = path, facts.op, facts.address
    err.message = ("%s: %s while %s%s"):format(path, err.message, doing[facts.op], where)
    err.remedy = { "again" }
  end
  return err
end

local ERASES = { ["erase"] = true, ["mass erase"] = true, ["read unprotect"] = true }

---The erase that may still be running on a board after a failed operation; the board does not
---answer until the erase ends. Nil if there is none.
---@param board table
---@param facts table
---@return table? { what=, by= } by: the time at which the erase is over
function M.left_erasing(board, facts)
  if not ERASES[facts.op] or not facts.in_doubt or facts.code == "usb.gone" then return nil end
  return { what = doing[facts.op] .. (facts.address and " " .. text.hex(facts.address) or ""),
           by = task.now() + facts.limit - board.timeout } -- less the request timeout, now over
end

---@param board table
---@param state table
---@param facts table from C: code, detail?, op, address?, status?, state?, in_doubt, again, limit,
---  string?, cancellation?
---@return table error object
function M.new(board, state, facts)
  local where = facts.address and " " .. text.hex(facts.address) or ""
  local err
  if facts.cancellation then
    err = cancelled(facts, board.path, where)
  else
    local message, remedy, more = failures[facts.code](state, facts, facts.op .. where, where)
    err = errors.new {
      code = facts.code, message = board.path .. ": " .. message, op = facts.op, path = board.path,
      address = facts.address, status = facts.status, state = facts.state, remedy = remedy,
      was_there = true,
    }
    for key, value in pairs(more or {}) do err[key] = value end
  end
  if state.journal then
    err.flash, err.ranges = state.journal:text(), state.journal:claims()
  end
  return err
end

return M

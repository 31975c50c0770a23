-- SPDX-License-Identifier: MIT
-- The words of an operation that failed: from the facts that C has, an error object that says
-- what happened, to which board, where, in which state the flash is, and what to do next.
local descriptor = require "moonflash.descriptor"
local errors = require "moonflash.errors"
local memory = require "moonflash.memory"
local roms = require "moonflash.roms"
local task = require "task"
local text = require "moonflash.text"

local M = {}

local doing = {
  ["erase"] = "erasing", ["write"] = "writing", ["read"] = "reading",
  ["set address"] = "setting the address", ["mass erase"] = "erasing everything",
  ["read unprotect"] = "removing the read protection", ["leave"] = "leaving DFU mode",
  ["download block"] = "downloading a block", ["upload block"] = "uploading a block",
  ["get status"] = "asking for its status", ["get state"] = "asking for its state",
  ["clear status"] = "clearing its status", ["abort"] = "aborting",
  ["get commands"] = "asking for its commands", ["detach"] = "detaching",
  ["control"] = "answering a control request", ["idle"] = "going back to dfuIDLE",
}

-- Only ST's ROMs are entered by a pin that is named BOOT0.
local function boot0(board)
  return board.info and roms.may_be(board.info) and " (BOOT0 high)" or ""
end

local function replug(board)
  return ("Plug it in again%s and run the same command."):format(boot0(board))
end

local function if_it_stays(board)
  return "The next operation clears the error; if it stays, " .. replug(board):gsub("^P", "p")
end

local AGAIN = "The same command, run again, does it all."

---A hint without what it says of running the same command again, where something else comes first.
---@param hint? string
---@return string?
function M.without_again(hint)
  hint = hint and hint:gsub(",? and run the same command%.", ".")
    :gsub("Run the same command again; if it stays, ", "If it stays so, ")
    :gsub("[^.?\n]*same command[^.]*%.", ""):gsub(" +%f[\n\0]", "")
  return hint ~= "" and hint or nil
end

local prompts = 0

---There is a prompt until what this returns is closed: what to do next is said in Lua then.
---@return table
function M.begin_prompt()
  prompts = prompts + 1
  return setmetatable({}, { __close = function() prompts = prompts - 1 end })
end

---@return boolean
function M.at_prompt()
  return prompts > 0
end

-- What stands where: the first memory, which is the flash, and how to see the others.
local function memories(fields)
  local first = fields.alts[1]
  local segments = first and first.layout.segments or {}
  if fields.info and not fields.dfuse then
    return "Plain DFU has one memory, and no addresses: it is written from its start."
  elseif #segments == 0 then
    return "The board does not tell where its memory begins and ends: plug it in again, and run "
      .. "the same command.\nIf it never tells, say it: "
      .. "--layout @Flash/0x08000000/04*016Kg,01*064Kg,07*128Kg is an STM32F407's."
  end
  local from, to = memory.span(segments, segments[1].address)
  return ("%s is %s%s"):format(first.layout.name, text.range(from, to),
    #fields.alts > 1 and "; 'moonflash info' shows the others." or ".")
end

-- For each code that C hands over: the error's code (that one, or a narrower one), message, hint.
local words = {}

-- What the board itself says of its error, where iString names a string.
local function quoted(facts)
  local said = facts.string and descriptor.string(facts.string)
  return said and said ~= "" and said or nil
end

-- dfuERROR: the status names the code.
words["dfu"] = function(board, facts, what)
  local said = quoted(facts)
  if said then what = ("%s: it says \"%s\""):format(what, said) end
  local known = board.part and board.part.rom
  if facts.status == "OK" then
    return "dfu.state", ("%s: the board is in dfuERROR, and gives no reason"):format(what),
      if_it_stays(board)
  elseif facts.status == "errVENDOR" and (known or (said or ""):lower():find("protect")) then
    -- F4, F7: the ROM answers so to anything while RDP is on (Betaflight's usbdfu.js; AN2662)
    return "board.protected", ("%s: read protection is on (errVENDOR)"):format(what),
      "'moonflash unprotect' removes the protection, and ERASES THE WHOLE CHIP."
  elseif facts.status == "errTARGET" then
    local there = false
    for _, alt in ipairs(board.alts) do
      there = there or facts.address and memory.find(alt.layout.segments, facts.address) ~= nil
    end
    return "dfu.errTARGET", ("%s: the board refuses this address (errTARGET)"):format(what),
      there and "The board announces this memory, and refuses it all the same." or memories(board)
  elseif facts.status == "errVENDOR" then
    return "dfu.errVENDOR", ("%s: the board refused it (errVENDOR)"):format(what),
      "ROMs of ST's answer so while the chip is read-protected, other boot loaders for reasons of "
        .. "their own.\n'moonflash unprotect' removes the protection, and ERASES THE WHOLE CHIP."
  end
  return "dfu." .. facts.status, ("%s: the board refused it (%s)"):format(what, facts.status),
    if_it_stays(board)
end

words["dfu.state"] = function(board, facts, what)
  return facts.code,
    ("%s: the board is in %s, which makes no sense here"):format(what, facts.state), replug(board)
end

words["dfu.stall"] = function(board, facts, what)
  return facts.code, ("%s: the board refused the request (STALL)%s"):format(what,
    facts.again and ", twice" or ""),
    facts.op == "control" and "It does not know that request, or does not take it in the state "
      .. "that it is in: board:get_state() tells." or replug(board)
end

words["usb.gone"] = function(board, facts, _, where)
  return facts.code, ("the board went away while %s%s"):format(doing[facts.op], where),
    replug(board)
end

local ERASES = { ["erase"] = true, ["mass erase"] = true, ["read unprotect"] = true }

-- An erase that was begun and not waited for: the board goes on with it, and answers nobody. Its
-- limit begins with the time of a request, which is over.
local function note_erase(board, fields, facts)
  if not ERASES[facts.op] or not facts.in_doubt or facts.code == "usb.gone" then return end
  fields.erasing = { what = doing[facts.op]
    .. (facts.address and " " .. text.hex(facts.address) or ""),
    by = task.now() + facts.limit - board.timeout }
end

-- Our own erase, if that can be why the board does not answer.
local function own_erase(fields)
  local erasing = fields.erasing
  local left = erasing and erasing.by - task.now() or 0
  return left > 0 and ("It is still %s, as it was told; that takes %d s more at the most. Wait, "
    .. "and try again.\nIf that does not help: "):format(erasing.what, math.ceil(left)) or nil
end

function words.timeout(board, facts, _, where)
  local hint = ("Reset the board%s, or plug it in again, and run the same command."):format(
    boot0(board))
  local reason = own_erase(board)
  if not reason and facts.op == "get state" then -- ROMs hold this until they have done their work
    reason = "It may still be erasing for another program, which takes up to half a minute: try "
      .. "again, with --wait 60 say.\nIf that does not help: "
  end
  hint = reason and reason .. hint:gsub("^R", "r") or hint
  return facts.code, ("no answer while %s%s"):format(doing[facts.op], where), hint
end

function words.cancelled(board, facts, _, where)
  return facts.code, ("closed while %s%s"):format(doing[facts.op], where),
    replug(board)
end

words["usb.io"] = function(board, facts, _, where)
  if facts.detail == "short" then
    return facts.code, ("a short answer while %s%s"):format(doing[facts.op], where),
      "Is the cable good? Run the same command again."
  end
  local simulated = board.info and board.info.path:find("^sim:")
  return facts.code, ("a USB error while %s%s"):format(doing[facts.op], where),
    (simulated and "Can the file of its flash be written? " or "Is the cable good? ")
    .. "Run the same command again."
end

words["dfu.runtime"] = function(_, facts, what)
  return facts.code, ("%s: the board runs its program, and is not in DFU mode"):format(what),
    (M.at_prompt() and "board:detach()" or "'moonflash detach'") .. " puts it into DFU mode."
end

words["dfu.reset"] = function(_, facts, what)
  return facts.code, ("%s: the board waits for a reset"):format(what),
    "Reset it, or plug it in again."
end

local able = { read = "readable", write = "writable", erase = "erasable" }

words["dfu.outside"] = function(board, facts)
  if facts.detail == "forbidden" then
    return facts.code, ("%s %s: the memory there is not %s; nothing was sent"):format(facts.op,
      text.hex(facts.address), able[facts.op]), "'moonflash info' shows what each memory allows."
  end
  return facts.code,
    ("%s %s: no memory of this board is there; nothing was sent"):format(facts.op,
      text.hex(facts.address)), memories(board)
end

words["dfu.not-dfuse"] = function(_, facts)
  return facts.code,
    facts.op .. ": the board speaks plain DFU 1.1, which has no addresses and no erase",
    "board:write(0, data) writes its memory, board:read(0, length) reads it."
end

---Says where a cancellation met something that is no operation of a board's, and what to do next.
---@param err any
---@param where string
function M.interrupted(err, where)
  if not errors.matches(err, "cancelled") or err.path or err.hint then return end
  err.message, err.hint = ("%s %s"):format(err.message, where), AGAIN
end

-- The cancellation is one error object for all that it ends: the first operation says where.
local function cancelled(facts, path, where)
  local err = facts.cancellation
  if not err.path then
    err.path, err.op, err.address = path, facts.op, facts.address
    err.message = ("%s: %s while %s%s"):format(path, err.message, doing[facts.op], where)
    err.hint = AGAIN
  end
  return err
end

---@param board table the Board
---@param fields table its fields
---@param facts table code, detail?, op, address?, status?, state?, in_doubt, again, limit, string?,
---  cancellation?
---@return table error object
function M.explain(board, fields, facts)
  local where = facts.address and " " .. text.hex(facts.address) or ""
  local err
  if facts.cancellation then
    err = cancelled(facts, board.path, where)
  else
    local say = words[facts.code]
    local code, message, hint = say(fields, facts, facts.op .. where, where)
    err = errors.new {
      code = code, message = board.path .. ": " .. message, op = facts.op, path = board.path,
      address = facts.address, status = facts.status, state = facts.state, hint = hint,
      was_there = true,
    }
  end
  note_erase(board, fields, facts)
  if fields.journal then
    err.flash, err.ranges = fields.journal:text(), fields.journal:claims()
  end
  return err
end

M.memories = memories

return M

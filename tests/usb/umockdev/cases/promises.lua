-- SPDX-License-Identifier: MIT
-- The promises of docs/design.md, at every single request of flash, verify, read and leave: faults
-- 2, 3, 5, 6, 7, 12 and 13 of the field, each kind a case.
local rig = require "rig"

local GETSTATUS, GETSTATE, DNLOAD, UPLOAD = 3, 5, 1, 2

local function is_class(entry) return entry.type & 0x60 == 0x20 end
local function is_in(entry) return entry.type & 0x80 ~= 0 end
local function has_state(entry)
  return is_class(entry) and is_in(entry)
    and (entry.request == GETSTATUS or entry.request == GETSTATE)
end
local function has_status(entry)
  return is_class(entry) and entry.request == GETSTATUS
end
local function is_block(entry)
  return is_class(entry) and (entry.request == DNLOAD or entry.request == UPLOAD)
end
local function any() return true end

-- The kinds of fault: what to call them, how to strike, which requests they make sense for, and
-- with what value; only=: the one operation where it is tried, as others would show nothing new;
-- heals: a single one does no harm, because the request is sent again, and that is said.
local KINDS = {
  { "2 unplug", "unplug", any },
  { "2 unplug, seen by the hub a little later", "yank", any },
  { "32 power loss", "power", any },
  { "5 stall", "stall", any },
  { "13 EPROTO", "eproto", any, heals = true },
  { "13 EILSEQ", "eilseq", any, only = "read", heals = true },
  { "13 EPROTO instead of the answer", "lost", any, heals = true },
  { "6 short answer", "short", is_in },
  { "6 empty answer", "empty", is_in },
  { "6 long answer", "long", is_in },
  { "7 unknown bState", "state", has_state, 0x4D },
  { "7 bState 255", "state", has_state, 0xFF, only = "flash" },
  { "7 state going backwards", "state", has_state, 2 },
  { "7 state appIDLE", "state", has_state, 0, only = "flash" },
  { "7 state dfuUPLOAD-IDLE", "state", has_state, 9, only = "flash" },
  { "7 unknown bStatus", "status", has_status, 0x42 },
  { "5 error status", "error", is_class },
  { "14 corrupted block", "corrupt", is_block },
}

-- ---- what is run ----

local F407, L452 = rig.F407, rig.L452
local READ = rig.place .. "/read.bin"

-- Each: what to run on a board of which scene, what the flash holds before and after a run that
-- passes, whether the board leaves, and which bytes are in the file that is read.
local OPERATIONS = {
  { name = "flash", scene = F407, words = { "--json", "flash", F407.image, "--leave" },
    before = F407.old, after = F407.new, leaves = true },
  { name = "flash of an L452", scene = L452, words = { "--json", "flash", L452.image },
    before = L452.old, after = L452.new },
  { name = "verify", scene = F407, words = { "--json", "verify", F407.image },
    before = F407.new, after = F407.new },
  { name = "read", scene = F407, words = { "--json", "read", READ, "--address", "0x08000F00",
    "--length", "5000" }, before = F407.new, after = F407.new,
    file = F407.new:sub(0xF01, 0xF00 + 5000) },
  { name = "leave", scene = F407, words = { "--json", "leave" }, before = F407.new,
    after = F407.new, leaves = true },
}

local function perform(operation)
  os.remove(READ)
  return rig.moonflash(table.unpack(operation.words))
end

-- comes_back: the fault makes the board leave, and come back in DFU mode.
local function judge(operation, r, board, comes_back)
  local flash = board:peek(rig.FLASH, operation.scene.size)
  local why = rig.broken(r, flash, operation.before, operation.after)
  if why then return why end
  local file = rig.read_file(READ)
  if file and r.status ~= 0 then return "it failed, and left a file" end
  if r.status == 0 and file ~= operation.file then return "it passed, and the file is wrong" end
  if r.status == 0 and operation.leaves and not comes_back and board:life() == "dfu" then
    return "it passed, and the board has not left"
  end
end

local function set_up(board, operation)
  board:unplug()
  board:plug()
  board:poke(rig.FLASH, operation.before)
  board:begin()
end

-- The requests of a run without faults.
local function clean_log(board, operation)
  set_up(board, operation)
  local r = perform(operation)
  local why = judge(operation, r, board) or r.status ~= 0 and "it failed: " .. r.err
  if why then error(operation.name .. " without faults: " .. why .. "\n" .. r.err, 0) end
  return board:log()
end

local function rerun(operation, board)
  board:unplug()
  board:plug()
  board:begin()
  local r = perform(operation)
  if r.status ~= 0 then return "run again, it failed: " .. r.err end
  local flash = board:peek(rig.FLASH, operation.scene.size)
  return flash ~= operation.after and "run again, it passed, and the flash is wrong"
end

-- The request that makes the board leave is sent once: its result cannot be known. The last ABORT
-- is that of closing the board, behind the result.
local function must_heal(kind, entry, is_last)
  local leaves = entry.request == DNLOAD and entry.length == 0
  return kind.heals and is_class(entry) and not leaves and not is_last
end

local function healed(r)
  if r.status ~= 0 then return "it gave up: " .. r.err end
  return not (r.result and r.result.retries) and "it does not say that it sent a request again"
end

local function strike_all(kind, operation, board)
  local name, fault, fits, value = table.unpack(kind, 1, 4)
  local log = clean_log(board, operation)
  for at, entry in ipairs(log) do
    if fits(entry) and rig.mine() then
      set_up(board, operation)
      board:strike(fault, at, value)
      local r = perform(operation)
      local why = judge(operation, r, board, fault == "power")
        or must_heal(kind, entry, at == #log) and healed(r) or rerun(operation, board)
      if why then
        rig.complain("%s at request %d of %s (%02x %02x %04x): %s", name, at, operation.name,
          entry.type, entry.request, entry.value, why)
      end
    end
  end
end

local function makes_sense(kind, operation)
  if kind[2] == "corrupt" and operation.name == "read" then
    return false -- who reads once believes what was read: only a verification finds out
  end
  return not kind.only or kind.only == operation.name
end

for _, kind in ipairs(KINDS) do
  for _, operation in ipairs(OPERATIONS) do
    if makes_sense(kind, operation) then
      rig.spread_case(kind[1] .. " at every request of " .. operation.name, function()
        local board <close> = rig.board({}, operation.scene)
        strike_all(kind, operation, board)
      end)
    end
  end
end

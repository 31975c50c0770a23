-- SPDX-License-Identifier: MIT
-- Checks of an open board: whether it answers, its state, and the commands that it knows.
local dfu = require "dfu"
local errors = require "moonflash.errors"
local finding = require "moonflash.doctor.finding"
local part_of = require "moonflash.board.part"
local task = require "task"

local M = {}

local ok, note, fail = finding.ok, finding.note, finding.fail

local PATIENCE = 1 -- seconds for a request; an idle ROM needs milliseconds
local BUSY = 2     -- seconds that a board may stay busy

local function pin(info) return part_of.may_be_rom(info) and " (BOOT0 high)" or "" end

---The advice for a board that is stuck.
---@param info table in the format of dfu.list()
---@return string
function M.restart(info) return ("Reset the board%s, or reconnect it."):format(pin(info)) end

---Opens a board that is in DFU mode. If that fails, patient.err is the error.
---@param patient moonflash.Patient
function M.open(patient)
  if patient.info.mode ~= "dfu" then return end
  local board = dfu.at { path = patient.path }
  board.timeout = PATIENCE
  local opened, err = pcall(board.open, board)
  if opened then
    patient.board = board
  elseif errors.is(err) and not errors.matches(err, "cancelled") then
    patient.err = err
  else
    error(err, 0)
  end
end

-- ---- the state ----

local function is_busy(state) return state == "dfuDNBUSY" or state == "dfuMANIFEST" end

-- Waits up to BUSY seconds, and returns the state. GETSTATUS executes the stored command in a SYNC
-- state, but changes nothing in a busy state or in dfuERROR.
local function wait_while_busy(board)
  local by = task.now() + BUSY
  local state = board.found_state
  while is_busy(state) and task.now() < by do
    local status = board:get_status()
    state = status.state
    if is_busy(state) then task.sleep(math.max(0.05, math.min(status.poll, 0.5))) end
  end
  return state
end

local function may_erase(info)
  return ("The board may be erasing for another program, which takes up to half a minute: wait, "
    .. "and run this again.\nIf that does not help, reset the board%s, or reconnect it."):format(
    pin(info))
end

local states = {
  dfuIDLE = function() return ok("dfuIDLE: ready") end,
  dfuERROR = function(board)
    local status, rom = board:get_status().status, dfu.fields(board).part.rom
    if status == "errFIRMWARE" and part_of.may_be_rom(dfu.fields(board).info) then
      return ok("dfuERROR (errFIRMWARE): ST's ROMs start in this state; any command clears it")
    elseif status == "errVENDOR" and rom then
      return note("dfuERROR (errVENDOR): read protection refused a command; the next one clears it")
    end
    return note(("dfuERROR (%s): a command failed; the next command clears it"):format(status))
  end,
  ["dfuMANIFEST-WAIT-RESET"] = function(board)
    return fail("dfu.reset",
      "dfuMANIFEST-WAIT-RESET: the board has new firmware and waits for a reset",
      M.restart(dfu.fields(board).info))
  end,
}

for _, state in ipairs { "dfuDNLOAD-SYNC", "dfuDNLOAD-IDLE", "dfuMANIFEST-SYNC",
                         "dfuUPLOAD-IDLE" } do
  states[state] = function()
    return note(state .. ": an earlier transfer was not finished; any command ends it")
  end
end

for _, state in ipairs { "dfuDNBUSY", "dfuMANIFEST" } do
  states[state] = function(board)
    return fail("timeout", ("%s: still busy after %d s"):format(state, BUSY),
      may_erase(dfu.fields(board).info))
  end
end

---@param patient moonflash.Patient
---@param all moonflash.Examination
---@return moonflash.Finding?
function M.answer(patient, all)
  if patient.info.mode == "runtime" or all.no_usb then return nil end
  local err = patient.err
  if err and (errors.matches(err, "usb.permission") or errors.matches(err, "usb.busy")) then
    return nil -- M.rights or M.others reports this error
  elseif errors.matches(err, "timeout") then
    return fail("timeout", ("no answer within %d s"):format(PATIENCE), may_erase(patient.info))
  elseif err then
    return finding.from_error(err, patient.path)
  end
  local state = wait_while_busy(patient.board)
  local said = (states[state] or function()
    return fail("dfu.state", ("%s: not a state of DFU mode"):format(
      state or "no state reported"), M.restart(patient.info))
  end)(patient.board)
  patient.silent = said.level == "fail"
  return said
end

-- ---- the commands ----

local COMMANDS = { [0x00] = "get commands", [0x21] = "set address", [0x41] = "erase",
                   [0x92] = "read unprotect" }

local MOST_COMMANDS = 16

-- The codes of the board's commands, or nil. Only known ROMs are certain to answer: MicroPython's
-- mboot never does.
local function ask(board)
  local good, codes = pcall(board.commands, board)
  if good then return codes end
  if errors.matches(codes, "dfu") then return nil end
  if dfu.fields(board).part.rom or not errors.matches(codes, "timeout") then error(codes, 0) end
  board:clear_status() -- raises if the board does not answer at all
  return nil
end

-- Whether the answer is a list of commands: some boot loaders return the contents of a buffer.
local function is_list(codes)
  local seen = {}
  for _, code in ipairs(codes) do
    if seen[code] then return false end
    seen[code] = true
  end
  return codes[1] == 0x00 and #codes <= MOST_COMMANDS
end

---@param patient moonflash.Patient
---@return moonflash.Finding?
function M.commands(patient)
  if not dfu.fields(patient.board).dfuse then return nil end
  local codes = ask(patient.board)
  if not codes then return note("does not report its commands") end
  if not is_list(codes) then return note("answers Get without a list of commands") end
  local names, erases = {}, false
  for i, code in ipairs(codes) do
    names[i] = COMMANDS[code] or ("0x%02X"):format(code)
    erases = erases or code == 0x41
  end
  local found = table.concat(names, ", ")
  if not erases then return note(found .. ": no erase command") end
  return ok("%s", found)
end

return M

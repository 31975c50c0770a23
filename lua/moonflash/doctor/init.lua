-- SPDX-License-Identifier: MIT
-- The checks that a person would make when flashing does not work: their list, how they are run,
-- and the verdict. A check (in doctor/) is a function that returns a Finding, or nil if it does not
-- apply. No check writes to or erases a board's memory.
local access = require "moonflash.doctor.access"
local answer = require "moonflash.doctor.answer"
local dfu = require "dfu"
local errors = require "moonflash.errors"
local finding = require "moonflash.doctor.finding"
local list = require "moonflash.ui.list"
local machines = require "moonflash.doctor.machine"
local memories = require "moonflash.doctor.memories"
local oddities = require "moonflash.doctor.oddities"
local presence = require "moonflash.doctor.presence"
local report = require "moonflash.doctor.text"
local task = require "task"

local M = {}

local LONGEST = 8 -- seconds for all checks of one board

---@class moonflash.Patient a board that is examined
---@field info table in the format of dfu.list()
---@field path string
---@field simulated boolean
---@field board? table if it could be opened
---@field err? table the reason why it could not be opened
---@field silent? boolean it does not answer: no more requests are sent
---@field protected? boolean its memory can't be read

---@class moonflash.Examination facts that all checks share
---@field machine table from moonflash.doctor.machine
---@field boards table[] in the format of dfu.list()
---@field unmet string[] selectors without a matching board
---@field simulated boolean all selectors name simulated boards
---@field real boolean a board is present that is not simulated
---@field in_dfu boolean a board is in DFU mode
---@field no_usb? boolean this process has no access to USB

-- ---- the checks ----

M.on_machine = {
  { name = "system", check = presence.system },
  { name = "usb", check = presence.usb },
  { name = "rule", check = access.rule },
  { name = "board", check = presence.board },
}

-- Wraps a check that needs an open board that answers.
local function talks(check)
  return function(patient, all)
    if not patient.board or patient.silent then return nil end
    return check(patient, all)
  end
end

M.on_board = {
  { name = "mode", check = presence.mode },
  { name = "rights", check = access.rights },
  { name = "others", check = access.others },
  { name = "answer", check = answer.answer },
  { name = "commands", check = talks(answer.commands) },
  { name = "layout", check = memories.layout },
  { name = "reading", check = talks(memories.reading) },
  { name = "writing", check = talks(memories.writing) },
  { name = "cable", check = oddities.cable },
  { name = "quirks", check = oddities.quirks },
}

-- ---- running them ----

-- Runs a check. An error object of the library becomes a finding; after it no more requests are
-- sent to this board.
local function run_check(row, subject, all)
  local fine, result = pcall(row.check, subject, all)
  if fine then return result end
  if not errors.is(result) or errors.matches(result, "cancelled") then error(result, 0) end
  subject.silent = true
  return finding.from_error(result, subject.path)
end

local function run_checks(rows, subject, all, results)
  for _, row in ipairs(rows) do
    local result = run_check(row, subject, all)
    if result then
      result.check, result.path = row.name, subject.path
      results[#results + 1] = result
    end
  end
end

local function examine_board(info, all, results)
  local patient = { info = info, path = info.path, simulated = info.path:find("^sim:") ~= nil }
  local function body()
    local _ <close> = setmetatable({}, { __close = function()
      if patient.board then patient.board:close() end
    end })
    answer.open(patient)
    run_checks(M.on_board, patient, all, results)
  end
  local _, err = errors.catch("timeout", task.deadline, LONGEST, body)
  if err then
    local result = finding.fail("timeout", ("not done within %d s"):format(LONGEST),
      answer.restart(info))
    result.check, result.path = "answer", info.path
    results[#results + 1] = result
  end
end

local function examine_boards(all)
  local jobs, findings = {}, {}
  for i, info in ipairs(all.boards) do
    findings[i] = {}
    jobs[i] = task.spawn(examine_board, info, all, findings[i])
  end
  for _, job in ipairs(jobs) do job:join() end
  return findings
end

-- Whether all selectors name simulated boards: then this computer's USB does not matter.
local function all_simulated()
  local selectors = dfu.defaults.selectors or {}
  for _, selector in ipairs(selectors) do
    if not selector:find("^sim:") then return false end
  end
  return #selectors > 0
end

---Runs all checks on the boards of --device, or on all boards.
---@param machine? table from moonflash.doctor.machine; for tests
---@return table report { checks = { moonflash.Finding, ... } }; it prints as text
function M.examine(machine)
  local boards, unmet = list.meant()
  local all = { machine = machine or machines.new(), boards = boards, unmet = unmet,
                simulated = all_simulated(), real = false, in_dfu = false }
  for _, info in ipairs(boards) do
    all.real = all.real or not info.path:find("^sim:")
    all.in_dfu = all.in_dfu or info.mode == "dfu"
  end
  local checks = {}
  run_checks(M.on_machine, all, all, checks)
  for _, found in ipairs(examine_boards(all)) do
    table.move(found, 1, #found, #checks + 1, checks)
  end
  return report.new(checks, boards)
end

-- ---- the verdict ----

---Returns the report if no check failed; otherwise raises the first failure, with the report.
---@param found table from examine
---@return table
function M.judge(found)
  local first, more = nil, 0
  for _, check in ipairs(found.checks) do
    if check.level == "fail" then
      more = first and more + 1 or 0
      first = first or check
    end
  end
  if not first then return found end
  errors.raise { code = first.code, path = first.path, data = found, hint = first.todo,
    message = ("%s%s%s"):format(first.path and first.path .. ": " or "", first.found,
      more > 0 and (" (and %d more)"):format(more) or "") }
end

return M

-- SPDX-License-Identifier: MIT
-- Checks for quirks of a working board: its cable, its serial number, its ROM.
local dfu = require "dfu"
local finding = require "moonflash.doctor.finding"
local part_of = require "moonflash.board.part"
local remarks = require "moonflash.board.remarks"
local text = require "moonflash.base.text"

local M = {}

local ok, note = finding.ok, finding.note

local SPEEDS = { ["1.5"] = "low speed, 1.5 Mbit/s", ["12"] = "full speed, 12 Mbit/s",
                 ["480"] = "high speed, 480 Mbit/s" }

---@param patient moonflash.Patient
---@param all moonflash.Examination
---@return moonflash.Finding?
function M.cable(patient, all)
  local retries = patient.board and not patient.silent and patient.board.retries or 0
  local words = {}
  if not patient.simulated then
    local speed = all.machine:attribute(patient.path, "speed")
    words[#words + 1] = speed and (SPEEDS[speed] or speed .. " Mbit/s")
    local _, hubs = patient.path:gsub("%.", "")
    words[#words + 1] = hubs == 0 and "no hub between" or "behind " .. text.count(hubs, "hub")
  end
  if retries > 0 then
    words[#words + 1] = text.count(retries, "request") .. " had to be sent again"
    return note(table.concat(words, "; "),
      "Check the cable: try a shorter one, on a port of the computer itself.")
  end
  return #words > 0 and ok("%s", table.concat(words, "; ")) or nil
end

-- The path of another board with the same serial number.
local function twin(patient, all)
  for _, info in ipairs(all.boards) do
    if info.path ~= patient.path and info.serial and info.serial == patient.info.serial then
      return info.path
    end
  end
end

---@param patient moonflash.Patient
---@param all moonflash.Examination
---@return moonflash.Finding?
function M.quirks(patient, all)
  local info = patient.board and dfu.fields(patient.board).info or patient.info
  local found, todo = {}, {}
  local other = twin(patient, all)
  if other then
    found[1], todo[1] = "has the serial number of " .. other, "Choose by path."
  end
  for _, remark in ipairs(remarks.of(info)) do
    found[#found + 1], todo[#todo + 1] = remark.found, remark.todo
  end
  if #found > 0 then
    return note(table.concat(found, "; "), #todo > 0 and table.concat(todo, "\n") or nil)
  end
  local part = part_of.of(info)
  if not part.family then return nil end
  return ok("no known quirks of the %s%s", part.family,
    part.early_poll and "; status is polled early (this ROM tolerates it)" or "")
end

return M

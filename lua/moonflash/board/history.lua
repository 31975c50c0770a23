-- SPDX-License-Identifier: MIT
-- A History: what was done to the flash at a Board's place. It has the journal (journal.lua), which
-- belongs to the device, and the counts for the run's result. It keeps the last words current: the
-- line about the flash that the process writes when a second signal ends it.
local journal = require "moonflash.board.journal"
local last_words = require "moonflash.base.last_words"

---@class moonflash.History
---@field journal table the ranges that were erased, written and verified
---@field stats table the counts of a result: sectors_erased, bytes_written, bytes_skipped,
---  bytes_verified, verified, unverified (the reason), left, sectors_same, seconds_saved,
---  steps, notes
---@field path string the place
---@field device moonflash.Device the device at this place
---@field last_dfu? table the info of the last device in DFU mode
---@field sent integer operations so far that may have changed the board
---@field kept_in? string the file with the bytes of --keep
local History = {}
History.__index = History

local M = {}

local journals = setmetatable({}, { __mode = "k" }) -- by the device's row in bus.lua

---@param path string
---@param device moonflash.Device
---@param job table its steps and measurements are part of the result
---@return moonflash.History
function M.new(path, device, job)
  return setmetatable({ path = path, device = device, journal = journal.new(),
    sent = 0,
    stats = { sectors_erased = 0, bytes_written = 0, bytes_skipped = 0, bytes_verified = 0,
              steps = job.steps, notes = job.notes } }, History)
end

-- Whether another board has taken the place: the journal of the former one does not apply to it.
local function is_another(before, info)
  return before ~= nil and info.mode == "dfu" and (before.vid ~= info.vid
    or before.pid ~= info.pid or before.serial ~= info.serial)
end

---Called when a device has been opened. The journal continues while the board is the same, and
---includes the entries of other Boards that had this device open.
---@param row table the device's row in bus.lua
---@param info table
function History:meet(row, info)
  if is_another(self.last_dfu, info) then self.journal = journal.new() end
  if info.mode == "dfu" then self.last_dfu = info end
  local others = journals[row]
  if others and others ~= self.journal then
    self.journal:append(others)
    others:adopt(self.journal)
    self.journal = others
  end
  journals[row] = self.journal
end

---@param device moonflash.Device the Board's device from now on
function History:follow(device)
  self.device = device
end

-- ---- the journal ----

---Updates the last words. The range of an operation under way counts as in doubt.
---@param first? integer
---@param last? integer
---@param alt? integer
function History:keep_last_words(first, last, alt)
  local now = self.journal
  if first then
    self.sent = self.sent + 1
    now = self.journal:copy()
    now:mark("doubt", first, last, self.device:setting_of(first, alt))
  end
  last_words.set(self.path, now:text() .. (self.kept_in
    and (" The kept bytes are in %s."):format(self.kept_in) or ""))
end

---@param what string "erased", "blank", "written", "verified" or "doubt"
---@param first integer
---@param last integer
---@param alt? integer
function History:mark(what, first, last, alt)
  self.journal:mark(what, first, last, self.device:setting_of(first, alt))
  self:keep_last_words()
  self.device:answered()
  if what ~= "verified" then self.sent = self.sent + 1 end
  local stats = self.stats
  if what == "erased" then
    stats.sectors_erased = stats.sectors_erased + self.device:sectors_in(first, last)
  elseif what == "written" then
    stats.bytes_written = stats.bytes_written + last - first + 1
  elseif what == "verified" then
    stats.bytes_verified = stats.bytes_verified + last - first + 1
  end
end

---Puts erased ranges into doubt, because bytes in their sector were found not to be blank.
---@param first integer
---@param last integer
---@param alt? integer
function History:doubt_erased(first, last, alt)
  self.journal:doubt_erased(first, last, self.device:setting_of(first, alt))
end

---Records that a range is meant to be on the board at the end of the run.
---@param first integer
---@param last integer
---@param alt? integer
function History:want(first, last, alt)
  self.journal:want(first, last, self.device:setting_of(first, alt))
end

---@param file? string the file with the bytes of --keep; nil: there is none
function History:keep_in(file)
  self.kept_in = file
end

-- ---- counts of the result ----

---Records that all wanted ranges have been compared.
function History:verified()
  self.stats.verified = true
end

---@param why string the reason, "--no-verify"
function History:not_verified(why)
  self.stats.unverified = why
end

---@param bytes integer bytes that need not be written
function History:skipped(bytes)
  self.stats.bytes_skipped = self.stats.bytes_skipped + bytes
end

---Counts a sector that needs no write.
function History:same_sector()
  self.stats.sectors_same = (self.stats.sectors_same or 0) + 1
end

---@param seconds number that the comparison before writing has saved
function History:saved(seconds)
  self.stats.seconds_saved = seconds
end

---Records the change of an option byte, for the report.
---@param change table name=, from=, to=, meaning=
function History:option_changed(change)
  self.stats.options = self.stats.options or {}
  table.insert(self.stats.options, change)
end

---Records that the device has left DFU mode.
---@param address? integer the start address that it was given
function History:left(address)
  self.stats.left = address or true
end

---Called at the end of a run. The run is verified only if the journal has every wanted byte as
---verified.
function History:settle()
  local stats, missing = self.stats, self.journal:unverified()
  if missing == 0 and stats.bytes_written > 0 and stats.verified then stats.unverified = nil end
  if missing == 0 then return end
  stats.verified = false
  stats.bytes_unverified = missing
  stats.uncompared = not stats.unverified -- true if no option asked for this
  stats.unverified = stats.unverified or "not read back"
end

return M

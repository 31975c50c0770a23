-- SPDX-License-Identifier: MIT
-- A History: what was done to the flash at a Board's place. It has the journal (journal.lua), which
-- belongs to the device, and the counts for the result of the run. It keeps the last words up to
-- date: what the process says of the flash when a second signal ends it.
local journal = require "moonflash.board.journal"
local last_words = require "moonflash.base.last_words"

---@class moonflash.History
---@field journal table what was erased, written and verified, as ranges
---@field stats table what a result says: sectors_erased, bytes_written, bytes_skipped,
---  bytes_verified, verified, unverified (why not), left, sectors_same, seconds_saved, steps, notes
---@field path string the place
---@field device moonflash.Device the one at the place
---@field last_dfu? table the info of the last one in DFU mode
---@field kept_in? string the file that has the bytes of --keep
local History = {}
History.__index = History

local M = {}

local journals = setmetatable({}, { __mode = "k" }) -- by the row that bus.lua has of a device

---@param path string
---@param device moonflash.Device
---@param job table its steps and notes are in the result, too
---@return moonflash.History
function M.new(path, device, job)
  return setmetatable({ path = path, device = device, journal = journal.new(),
    stats = { sectors_erased = 0, bytes_written = 0, bytes_skipped = 0, bytes_verified = 0,
              steps = job.steps, notes = job.notes } }, History)
end

-- Another board than the one that was here before: the claims about that one do not hold for it.
local function is_another(before, info)
  return before ~= nil and info.mode == "dfu" and (before.vid ~= info.vid
    or before.pid ~= info.pid or before.serial ~= info.serial)
end

---A device is opened. The journal goes on while it is the same board; what another Board did to the
---device before is in it, too.
---@param row table what bus.lua has of the device
---@param info table
function History:meet(row, info)
  if is_another(self.last_dfu, info) then self.journal = journal.new() end
  if info.mode == "dfu" then self.last_dfu = info end
  local others = journals[row]
  if others and others ~= self.journal then
    self.journal:append(others)
    others.ranges = self.journal.ranges
    self.journal = others
  end
  journals[row] = self.journal
end

---@param device moonflash.Device that is open now
function History:follow(device)
  self.device = device
end

-- ---- the journal ----

---What a second signal says from now on. An operation under way leaves its range in doubt.
---@param first? integer
---@param last? integer
---@param alt? integer
function History:keep_last_words(first, last, alt)
  local now = self.journal
  if first then
    now = journal.new()
    now.ranges = self.journal:claims()
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
  local stats = self.stats
  if what == "erased" then
    stats.sectors_erased = stats.sectors_erased + self.device:sectors_in(first, last)
  elseif what == "written" then
    stats.bytes_written = stats.bytes_written + last - first + 1
  elseif what == "verified" then
    stats.bytes_verified = stats.bytes_verified + last - first + 1
  end
end

---What is thought to be erased in a range is in doubt: something else was found in that sector.
---@param first integer
---@param last integer
---@param alt? integer
function History:doubt_erased(first, last, alt)
  self.journal:doubt_erased(first, last, self.device:setting_of(first, alt))
end

---The bytes of a range are to be on the board at the end of the run.
---@param first integer
---@param last integer
---@param alt? integer
function History:want(first, last, alt)
  self.journal:want(first, last, self.device:setting_of(first, alt))
end

---@param file? string that has the bytes of --keep; nil: none has
function History:keep_in(file)
  self.kept_in = file
end

-- ---- what a result says ----

---All that was wanted has been compared.
function History:verified()
  self.stats.verified = true
end

---@param why string "--no-verify"
function History:not_verified(why)
  self.stats.unverified = why
end

---@param bytes integer that need not be written
function History:skipped(bytes)
  self.stats.bytes_skipped = self.stats.bytes_skipped + bytes
end

---A sector is as it should be already.
function History:same_sector()
  self.stats.sectors_same = (self.stats.sectors_same or 0) + 1
end

---@param seconds number that comparing first has saved
function History:saved(seconds)
  self.stats.seconds_saved = seconds
end

---The device has left DFU mode.
---@param address? integer at which it was told to start
function History:left(address)
  self.stats.left = address or true
end

---At the end of a run: it is verified only if all that it wrote is, by the journal.
function History:settle()
  local stats, missing = self.stats, self.journal:unverified()
  if missing == 0 and stats.bytes_written > 0 and stats.verified then stats.unverified = nil end
  if missing == 0 then return end
  stats.verified = false
  stats.bytes_unverified = missing
  stats.uncompared = not stats.unverified -- and nothing said that this was meant
  stats.unverified = stats.unverified or "not read back"
end

return M

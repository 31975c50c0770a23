-- SPDX-License-Identifier: MIT
-- The sentences for the library's facts: results, remarks, dry runs.
local dfu = require "dfu"
local part_of = require "moonflash.board.part"
local text = require "moonflash.base.text"

local M = {}

-- Formats of files, for people. That of a raw binary is not said.
local FORMATS = { hex = "Intel HEX", srec = "S-records", elf = "ELF", dfu = "DfuSe" }

local function bytes_of(image)
  local size = 0
  for _, segment in ipairs(image.segments) do size = size + #segment.bytes end
  return size
end

---Text from a recipe or a board, made safe and put on one line.
---@param s string
---@return string
function M.one_line(s)
  return (text.plain(s):gsub("%s", " "))
end

-- ---- results ----

---Whether a part of the written bytes is verified, and another part is not.
---@param stats table
---@return boolean
function M.is_partly_verified(stats)
  return (stats.bytes_unverified or 0) > 0 and stats.bytes_unverified < stats.bytes_written
end

---The work on a board: "erased 1 sector, wrote 4.0 KB, verified"; "" if there was none.
---@param stats table
---@return string
function M.done(stats)
  local parts = {}
  if stats.sectors_erased > 0 then
    parts[#parts + 1] = "erased " .. text.count(stats.sectors_erased, "sector")
  end
  if M.is_partly_verified(stats) then
    parts[#parts + 1] = ("wrote %s; %s of it NOT VERIFIED (%s)"):format(
      text.size(stats.bytes_written), text.size(stats.bytes_unverified), stats.unverified)
  elseif stats.bytes_written > 0 then
    parts[#parts + 1] = "wrote " .. text.size(stats.bytes_written)
  end
  if stats.bytes_skipped > 0 then -- blank bytes and sectors that were the same
    parts[#parts + 1] = "skipped " .. text.size(stats.bytes_skipped) .. (stats.sectors_same
      and (" (%s the same)"):format(text.count(stats.sectors_same, "sector")) or "")
  end
  if stats.verified then parts[#parts + 1] = "verified" end
  if stats.unverified and not M.is_partly_verified(stats) then
    parts[#parts + 1] = "NOT VERIFIED (" .. stats.unverified .. ")"
  end
  if stats.left == true then
    parts[#parts + 1] = "left"
  elseif stats.left then
    parts[#parts + 1] = "started " .. text.hex(stats.left)
  end
  return table.concat(parts, ", ")
end

---The time that comparing first has saved; nil if it is less than a second.
---@param stats table
---@return string?
function M.saved(stats)
  local saved = stats.seconds_saved or 0
  return saved >= 1 and ("about %.0f s saved"):format(saved) or nil
end

---"about 8 s saved, 1 request sent again", or "".
---@param stats table
---@param retries integer
---@return string
function M.remarks(stats, retries)
  local parts = { M.saved(stats) }
  if retries > 0 then parts[#parts + 1] = text.count(retries, "request") .. " sent again" end
  return table.concat(parts, ", ")
end

---" (about 8 s saved)", or "".
---@param words string
---@return string
function M.aside(words)
  return words ~= "" and (" (%s)"):format(words) or ""
end

---The last sentence about a board that passed.
---@param board table
---@param stats table
---@return string
---@return string? what to do next
function M.last_sentence(board, stats)
  local checked = stats.verified and "Verified. "
    or M.is_partly_verified(stats) and ("%s of the written data is NOT VERIFIED (%s). "):format(
      text.size(stats.bytes_unverified), stats.unverified)
    or stats.unverified and "NOT VERIFIED: " .. stats.unverified .. ". " or ""
  if stats.left == true then
    return checked .. "The board left DFU mode and runs its program."
  elseif stats.left then
    return checked .. ("Started the program at %s."):format(
      text.hex(stats.left))
  elseif stats.bytes_written > 0 or stats.sectors_same then
    return (stats.bytes_written == 0 and "Already on the board. " or checked)
      .. "The board is in DFU mode.", "To start it: 'moonflash leave'"
      .. (part_of.may_be_rom(board) and ", or reset with BOOT0 low." or ".")
  end
  local image = dfu.fields(board).image
  if stats.verified and image then
    return ("The board holds %s (%s)."):format(image.name, text.size(bytes_of(image)))
  end
  return checked .. "Done."
end

---A board: "STM32  BOOTLOADER (simulated)  0483:df11  sim:f407".
---@param board table
---@return string
function M.board(board)
  return ("%s%s  %04x:%04x  %s"):format(board.product or "a board without a name",
    board.path:find("^sim:") and " (simulated)" or "", board.vid, board.pid, board.path)
end

---An image: "app.bin  57.5 KB at 0x08000000, 4 of 12 sectors".
---@param image table
---@param sectors integer number of sectors that it overlaps
---@param total integer
---@return string
function M.image(image, sectors, total)
  local format = FORMATS[image.format]
  return ("%s  %s%s at %s, %d of %s"):format(image.name, format and format .. ", " or "",
    text.size(bytes_of(image)),
    text.hex(image.segments[1].address), sectors, text.count(total, "sector"))
end

-- ---- dry runs ----

local HAS_ADDRESS = { erase = true, write = true, leave = true, verify = true }
local WOULD = { ["read unprotect"] = "remove the read protection (erases the whole chip)",
                leave = "start", ["mass erase"] = "erase the whole chip" }

---A request of a dry run: "would erase 0x08000000".
---@param what string
---@param address? integer
---@param length? integer bytes
---@return string
function M.would(what, address, length)
  if what == "leave" and not address then return "would start the program" end -- plain DFU
  local where = HAS_ADDRESS[what] and " " .. text.hex(address) or ""
  local size = what == "write" and ", " .. text.size(length) or ""
  return "would " .. (WOULD[what] or what) .. where .. size
end

-- ---- remarks ----

local remarks = {}

function remarks.skipped(facts)
  return ("%s: skipped %s (%s): this board has no writable memory there"):format(facts.image,
    text.range(facts.first, facts.last), text.size(facts.bytes))
end

remarks["kept-taken"] = function(facts)
  return ("Kept bytes of %s are taken from %s"):format(text.range(facts.first, facts.last),
    facts.file)
end

remarks["kept-stays"] = function(facts)
  return ("The kept bytes were not verified, so %s stays.\n"
    .. "Remove the file when the board is known to be right."):format(facts.file)
end

remarks["blank-up-to"] = function(facts)
  return ("The flash is blank up to %s; the board can't be read from there on."):format(
    text.hex(facts.address))
end

remarks["written-again"] = function(facts)
  return ("%s failed verification; %s again"):format(text.count(facts.sectors, "sector"),
    facts.writing and "writing" or "reading")
end

remarks["bystander-unread"] = function(facts)
  return ("%s can't be read, so changes there will not be noticed"):format(
    text.range(facts.first, facts.last))
end

remarks["would-compare"] = function(facts) return facts.text end

remarks["program-unread"] = function(facts)
  return ("could not look for a program at %s; leaving DFU mode anyway"):format(
    text.hex(facts.address))
end

-- mode: of the flash, which the option bytes set.
function remarks.mode(facts)
  return ("The option bytes set %s%s: the sectors are not those that the board reports."):format(
    facts.mode, facts.mark ~= "seen" and (" (%s)"):format(facts.mark) or "")
end

function remarks.fault(facts) return ("To mind: %s (%s)."):format(facts.text, facts.source) end

remarks["not-protected"] = function() return "There is no read protection to remove." end

remarks["option-bytes-same"] = function() return "The option bytes have these values already." end

remarks["option-bytes-power"] = function()
  return "The chip did not reset itself. Switch its power off and on, so that it loads them."
end

remarks["option-bytes"] = function(facts) return facts.text end

function remarks.entering(facts)
  return ("%s: %s; waiting up to %g s for it to come back in DFU mode"):format(facts.path,
    facts.done, facts.seconds)
end

function remarks.saved(facts)
  return ("%s: %d bytes from %s"):format(facts.file, facts.bytes, text.hex(facts.address))
end

---The sentence of a remark.
---@param name string
---@param facts table
---@return string
function M.remark(name, facts)
  return remarks[name] and remarks[name](facts) or name
end

return M

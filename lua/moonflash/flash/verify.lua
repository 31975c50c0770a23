-- SPDX-License-Identifier: MIT
-- Reading back, and comparing with what should be there.
local dfu = require "dfu"
local difference = require "moonflash.difference"
local errors = require "moonflash.errors"
local memory = require "moonflash.memory"
local optbytes = require "moonflash.optbytes"
local progress = require "moonflash.progress"
local sectors_of = require "moonflash.flash.sectors"
local task = require "task"
local text = require "moonflash.text"

local M = {}

local SHOWN = 4 -- bytes of a difference that a message shows

---Where the sector that holds an address starts, and how long it is.
---@param board table
---@param address integer
---@return integer
---@return integer bytes
function M.sector_at(board, address)
  for _, alt in ipairs(board.alts) do
    local segment, start = memory.find(alt.layout.segments, address)
    if segment then return start, segment.size end
  end
  return address, 1
end

local function miscounted(board, segments, address)
  local fields = dfu.fields(board)
  for _, s in ipairs(segments) do
    fields.mark(board, "doubt", s.address, s.address + #s.bytes - 1)
  end
  errors.raise { code = "verify", path = board.path, op = "verify", address = address,
    message = ("%s: %s holds something else when it is read alone: the board does not count in the "
      .. "%d bytes that it announces"):format(board.path, text.hex(address), board.transfer_size),
    flash = fields.journal:text(), ranges = fields.journal:claims(),
    hint = "Run the same command again. If it stays, please report this board: what was written to "
      .. "it may stand elsewhere, and what was read come from elsewhere." }
end

---Raises `verify` where a board does not count in the size of blocks that it announces. It is wrong
---about reading then as it was about writing, and reading back shows nothing: so one block, the
---last that is not blank, is read by its own address too.
---@param board table
---@param segments table[] { { address=, bytes= }, ... } as they were read
function M.check_counting(board, segments)
  local size = board.transfer_size
  for i = #segments, 1, -1 do
    local address, bytes = segments[i].address, segments[i].bytes
    for at = (#bytes - 1) // size * size, 1, -size do
      local block = bytes:sub(at + 1, at + size)
      if block ~= ("\255"):rep(#block) then
        board:set_address(address + at)
        if board:read(address + at, #block) ~= block then
          miscounted(board, segments, address + at)
        end
        return
      end
    end
  end
end

---Reads segments back and compares them. Marks in the journal what it saw.
---@param board table
---@param segments table[] { { address=, bytes= }, ... }
---@param told? fun(address: integer, seconds: number) hears of each piece that was read
---@return table found bad={ sector start = true, ... }, bad_count=, sectors=, first={ address=,
---  expected=, found= } or nil
function M.compare(board, segments, told)
  local phase = progress.phase(board, "verify", sectors_of.bytes_in(segments), "bytes")
  local fields = dfu.fields(board)
  -- plain DFU reads from the start, so all at once
  local size = fields.dfuse and sectors_of.CHUNK * board.transfer_size or math.maxinteger
  local result = { bad = {}, bad_count = 0, sectors = 0 }
  local seen = {}
  for _, segment in ipairs(segments) do
    for at = 1, #segment.bytes, size do
      local address = segment.address + at - 1
      local expected = segment.bytes:sub(at, at + size - 1)
      local start, length = M.sector_at(board, address)
      if not seen[start] then seen[start], result.sectors = true, result.sectors + 1 end
      local began = task.now()
      local found = board:read(address, #expected)
      if told then told(address, task.now() - began) end
      if found == expected then
        fields.mark(board, "verified", address, address + #expected - 1)
      else
        if not result.bad[start] then
          result.bad[start], result.bad_count = true, result.bad_count + 1
        end
        local i = difference(expected, found)
        if fields.stats.bytes_written > 0 then -- else it was so before
          fields.mark(board, "doubt", address, address + #expected - 1)
          -- a protected sector says that it was erased, and was not
          fields.journal:doubt_erased(start, start + length - 1)
        end
        result.first = result.first or { address = address + i - 1,
          expected = expected:sub(i, i + SHOWN - 1), found = found:sub(i, i + SHOWN - 1) }
      end
      phase:advance(#expected)
    end
  end
  phase:finish()
  if fields.dfuse and not result.first then M.check_counting(board, segments) end
  return result
end

---Raises `verify` for what a comparison has found.
---@param board table
---@param result table
function M.complain(board, result)
  local fields, first = dfu.fields(board), result.first
  errors.raise { code = "verify", path = board.path, op = "verify", address = first.address,
    message = ("%s: verify failed at %s: expected %s, found %s"):format(board.path,
      text.hex(first.address), text.bytes(first.expected), text.bytes(first.found)),
    flash = fields.journal:text(), ranges = fields.journal:claims(),
    hint = ("%d of %s %s."):format(result.bad_count, text.count(result.sectors, "sector"),
      result.bad_count == 1 and "differs" or "differ") .. (fields.stats.bytes_written > 0 and
      " Run the same command again; if it stays, the sector may be write-protected"
      .. (optbytes.family(board) and ": 'moonflash optbytes' shows it." or ".") or "") }
end

return M

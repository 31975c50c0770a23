-- SPDX-License-Identifier: MIT
-- Removes the read protection, which erases the whole chip. Only a board that is not known to be
-- readable gets the command, only after confirmation, and the result is checked: some boot loaders
-- accept the command and do nothing.
local class = require "moonflash.board.class"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local part_of = require "moonflash.board.part"
local perform = require "moonflash.flash.perform"
local place = require "moonflash.board.place"
local rules = require "moonflash.flash.rules"
local setting = require "moonflash.flash.setting"
local sys = require "sys"

local M = {}

local READ_UNPROTECT = 0x92 -- AN3156
local BACK = 40   -- seconds within which a board erases itself and comes back
local SETTLE = 1  -- seconds within which a board that resets itself has left the bus

-- The first block of memory that the layout declares readable.
local function first_block(board)
  local alt = board.alts[1]
  for _, s in ipairs(alt and alt.layout.segments or {}) do
    if s.readable then return alt, s.address, math.min(s.size, board.transfer_size) end
  end
end

---Whether a board is read-protected: true, false, or nil if it is unknown.
---@param board table
---@return boolean? protected
---@return string? bytes of its first block, if it is readable
function M.state(board)
  local alt, address, length = first_block(board)
  if not alt or not class.state(board).info.functional.attributes.can_upload then return nil end
  local ok, found = pcall(setting.read, board, alt.number, address, length)
  if ok then return false, found end
  if errors.matches(found, "board.protected") then return true end
  if errors.matches(found, "dfu") then return nil end
  error(found, 0)
end

-- Asks for confirmation on a terminal; without one { yes = true } or --yes is required.
local function confirm(board, yes)
  if yes or board.dry then return end
  local warning = "Removing the read protection ERASES THE WHOLE CHIP."
  if sys.is_terminal(0) and sys.is_terminal(2) then
    if sys.ask(warning .. " Type yes to go on:") == "yes" then return end
    errors.raise { code = "usage", path = board.path, remedy = { "yes" },
      message = board.path .. ": not confirmed; the read protection stays, nothing was sent" }
  end
  errors.raise { code = "usage", path = board.path, remedy = { "yes" },
    message = ("%s: not confirmed; nothing was sent. %s"):format(board.path, warning) }
end

-- Opens the board again after its reset. A board that stays on the bus has not reset itself.
local function reopen(board, seconds)
  local task = require "task"
  if board.is_open then
    local by = task.now() + SETTLE
    while place.whereabouts(board) == "there" and task.now() < by do task.sleep(0.05) end
    if place.whereabouts(board) == "there" then return end
  end
  board:open { wait = seconds }
end

local function fail(board, code, message, remedy)
  local fields = class.state(board)
  errors.raise { code = code, path = board.path, op = "read unprotect", remedy = remedy,
    message = board.path .. ": " .. message, flash = fields.journal:text(),
    ranges = fields.journal:claims() }
end

local function judge(board)
  local fields = class.state(board)
  local protected, bytes = M.state(board)
  if protected == false and part_of.is_blank(fields.part, bytes) then
    local alt, address, length = first_block(board)
    fields.history:mark("blank", address, address + length - 1, alt.number)
    return
  end
  if protected == false then
    fail(board, "verify.not-blank", "the flash is readable, but not blank: it was not erased",
      { "other-boot-loader" })
  end
  for _, s in ipairs(board.alts[1] and board.alts[1].layout.segments or {}) do
    fields.history:doubt_erased(s.address, s.address + s.count * s.size - 1, board.alts[1].number)
  end
  if rules.fault(board, "unprotect-at-power-up") then
    fail(board, "board.power-cycle", "this ROM removes the read protection at the next power-up",
      { "power-cycle", info = true })
  end
  fail(board, protected and "board.protected" or "dfu.unknown",
    protected and "the board accepted read unprotect, but is still read-protected"
    or "read unprotect was sent; the board can't be read, so the result is unknown",
    { "power-cycle" })
end

---Removes the read protection, if it is on. Raises `usage` if this was not confirmed, and
---`board.protected`, `board.power-cycle` or `verify.not-blank` if it was not removed.
---@param board table
---@param options? table yes, seconds
---@return boolean removed false: the board was readable, and nothing was sent
function M.run(board, options)
  local protected = M.state(board)
  if protected == false then
    events.emit("remark", board, "not-protected")
    return false
  end
  rules.check_command(board, READ_UNPROTECT, "read unprotect")
  confirm(board, options and rawget(options, "yes"))
  if board.dry then
    board:read_unprotect()
    return true
  end
  local phase = perform.whole_chip(board)
  board:read_unprotect()
  reopen(board, options and rawget(options, "seconds") or BACK)
  phase:advance(1)
  phase:finish()
  judge(board)
  return true
end

return M

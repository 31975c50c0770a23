-- SPDX-License-Identifier: MIT
-- Tables of boards for people and programs: the output of `list` and `info`.
local columns = require "moonflash.base.columns"
local dfu = require "dfu"
local errors = require "moonflash.errors"
local memories = require "moonflash.board.memories"
local optbytes = require "moonflash.optbytes"
local part_of = require "moonflash.board.part"
local remarks = require "moonflash.board.remarks"
local shown = require "moonflash.base.shown"
local sim = require "sim"
local slots = require "moonflash.board.slots"
local text = require "moonflash.base.text"

local M = { memories = memories }

local WIDTH = 74 -- columns of a remark

-- What people read when there are no boards; a program reads one line.
local NO_BOARDS = "\n"
  .. "  STM32: connect BOOT0 to VDD (on an F4 also PB2 to GND), press reset, and look\n"
  .. "  again. 'moonflash doctor' looks closer. -d sim:f407 is a simulated board."

local function describe(info)
  local name = info.product or "a board without a name"
  if info.mode == "runtime" then
    return name .. " (running; 'moonflash detach' puts it into DFU mode)"
  end
  local size = part_of.flash_size(info)
  return name .. (size and ", " .. text.size(size) .. " flash" or "")
    .. (info.path:find("^sim:") and " (simulated)" or "")
end

local function share_a_serial(boards)
  local seen = {}
  for _, info in ipairs(boards) do
    if info.serial and seen[info.serial] then return true end
    seen[info.serial or false] = true
  end
  return false
end

local function alts_of(info)
  local alts = {}
  for i, alt in ipairs(info.alts) do
    alts[i] = { number = alt.number, name = alt.name, layout = alt.layout }
  end
  return alts
end

---The boards of --device, or all boards; and the selectors without a matching board.
---@return table[] boards in the format of dfu.list()
---@return string[] unmet
function M.meant()
  local selectors = dfu.defaults.selectors
  local boards, seen, unmet = {}, {}, {}
  for _, selector in ipairs(selectors or { false }) do
    local found = dfu.list(selector or nil)
    if selector and #found == 0 then unmet[#unmet + 1] = selector end
    for _, info in ipairs(found) do
      if not seen[info.path] then
        seen[info.path] = true
        boards[#boards + 1] = info
      end
    end
  end
  return boards, unmet
end

---The table of boards, one line each.
---@param boards table[] in the format of dfu.list()
---@return string
function M.lines(boards)
  local rows = { { "PATH", "ID", "SERIAL", "BOARD" } }
  for _, info in ipairs(boards) do
    rows[#rows + 1] = { info.path, ("%04x:%04x"):format(info.vid, info.pid), info.serial or "-",
                        describe(info) }
  end
  return shown.columns(rows)
end

---The boards that are connected.
---@return table { { path=, vid=, pid=, ... }, ... } that prints as a table
function M.boards()
  local boards = M.meant()
  local data = {}
  for i, info in ipairs(boards) do
    data[i] = { path = info.path, vid = info.vid, pid = info.pid, serial = info.serial,
                product = info.product, mode = info.mode, version = info.version,
                alts = alts_of(info) }
  end
  return shown.as(data, function()
    if #boards == 0 then return "No boards found." .. (columns(1) and NO_BOARDS or "") end
    return M.lines(boards)
      .. (share_a_serial(boards) and "\nTwo boards share a serial number: choose by path." or "")
  end)
end

-- The option bytes as hex, if the board has few and allows to read them; otherwise the reason. An
-- error here must not hide the other facts about the board.
local function option_bytes(board)
  local good, found = pcall(optbytes.raw, board)
  if good then return found and text.bytes(found) end
  if errors.matches(found, "board.protected") then return "read protection is on" end
  if not (errors.matches(found, "dfu") or errors.matches(found, "timeout")) then error(found, 0) end
  return ("can't be read (%s)"):format(found.code)
end

local function chip_line(part)
  local polls = part.early_poll and "status is polled early (this ROM tolerates it)"
    or "the full poll times are waited for"
  if not part.family then return "unknown family: " .. polls end
  return ("%s %s; %s"):format(part.row and part.row.seen and "chip:" or part.exact and "may be"
    or "of the kind of", part.family, polls)
end

-- What a person has to mind, a line each.
local function to_mind(board)
  local fields, lines = dfu.fields(board), {}
  for _, remark in ipairs(remarks.of(fields.info)) do
    lines[#lines + 1] = remark.found .. (remark.todo and ". " .. remark.todo or "")
  end
  for _, fault in ipairs(remarks.faults(fields.part)) do
    lines[#lines + 1] = ("%s%s (%s%s)"):format(#fields.part.families > #fault.families
      and table.concat(fault.families, ", ") .. ": " or "", fault.text,
      fault.mark ~= "seen" and fault.mark .. ", " or "", fault.source)
  end
  return lines
end

---The facts about an open board.
---@param board table
---@param with_chip? boolean reads what the chip says of itself
---@return table that prints as text
function M.details(board, with_chip)
  local info = dfu.fields(board).info
  local part = dfu.fields(board).part
  local data = { path = board.path, vid = board.vid, pid = board.pid, serial = board.serial,
    product = board.product, manufacturer = board.manufacturer, version = board.version,
    found_state = board.found_state, transfer_size = board.transfer_size, alts = alts_of(info),
    chip = with_chip and board:chip() or nil,
    family = part.family, mind = to_mind(board), early_poll = part.early_poll,
    flash_size = part_of.flash_size(info),
    option_bytes = board.mode == "dfu" and option_bytes(board) or nil }
  return shown.as(data, function()
    local lines = {
      ("%s  %04x:%04x  version %x.%02x  serial %s  at %s"):format(board.product or "no name",
        board.vid, board.pid, board.version >> 8, board.version & 0xFF, board.serial or "none",
        board.path),
      ("found in %s; transfers of %d bytes; DFU %s%s"):format(board.found_state or "run-time mode",
        board.transfer_size, text.dfu_version(info.functional.dfu_version),
        dfu.fields(board).dfuse and " (DfuSe)" or ""),
      chip_line(part),
      memories(board.alts),
      data.option_bytes and "option bytes: " .. data.option_bytes or nil,
    }
    for _, remark in ipairs(data.mind) do
      for i, line in ipairs(text.wrap(remark, WIDTH)) do
        lines[#lines + 1] = (i == 1 and "mind: " or "      ") .. line
      end
    end
    local replay = sim.replays(board.path)
    if replay then
      lines[#lines + 1] = ("answers from %s; %s"):format(replay.file, #replay.lacking > 0
        and ("%s from kind %s"):format(table.concat(replay.lacking, ", "), replay.kind)
        or "nothing is missing in it")
    end
    if data.chip then lines[#lines + 1] = tostring(data.chip) end
    return table.concat(lines, "\n")
  end)
end

-- ---- slots ----

local function in_slot(row)
  if row.wrong then return "ENTRY IS WRONG: " .. row.wrong end
  if row.mode == nil then return "nothing in it" end
  return (row.product or "no name") .. (row.mode == "runtime" and " (running)" or "")
end

local function slots_text(data)
  local rows = { { "SLOT", "PATH", "BOARD" } }
  for _, row in ipairs(data) do
    rows[#rows + 1] = { row.slot or "-", row.path, in_slot(row) }
  end
  return shown.columns(rows)
end

---The slots with the boards in them, and the boards that are in no slot.
---@return table[] { { slot=?, path=, mode=?, product=?, serial=?, wrong=? }, ... }
function M.slots()
  local all, data, here, boards = slots.load(), {}, {}, dfu.list()
  for _, info in ipairs(boards) do here[info.path] = info end
  local function add(slot, path)
    local info, wrong = here[path], nil
    if not info and path:find("^sim:") then
      local ok, found = pcall(dfu.list, path)
      if ok then info = found[1] else wrong = text.without_path(errors.said(found), path) end
    end
    info = info or {}
    data[#data + 1] = { slot = slot, path = path, mode = info.mode, product = info.product,
                        serial = info.serial, wrong = wrong }
  end
  for _, name in ipairs(all.names) do add(name, all.by_name[name]) end
  for _, info in ipairs(boards) do
    if not all.by_path[info.path] then add(nil, info.path) end
  end
  if #data == 0 then
    return shown.as(data, function() return "No slots are named, and no boards found." end)
  end
  return shown.as(data, slots_text)
end

return M

-- SPDX-License-Identifier: MIT
-- Boards as tables for people and for programs: what `list` and `info` show.
local dfu = require "dfu"
local errors = require "moonflash.errors"
local optbytes = require "moonflash.optbytes"
local parts = require "moonflash.parts"
local slots = require "moonflash.slots"
local text = require "moonflash.text"

local M = {}

---Data that prints as text, and is data in JSON.
---@param data table
---@param render fun(data: table): string
---@return table data
function M.shown(data, render)
  return setmetatable(data, { __tostring = render })
end

local shown = M.shown

local function columns(rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 0, #cell) end
  end
  local lines = {}
  for _, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do
      cells[i] = i < #row and cell .. (" "):rep(widths[i] - #cell) or cell
    end
    lines[#lines + 1] = (table.concat(cells, "  "):gsub("%s+$", ""))
  end
  return table.concat(lines, "\n")
end

local function describe(info)
  local name = info.product or "a board without a name"
  if info.mode == "runtime" then
    return name .. " (running; 'moonflash detach' puts it into DFU mode)"
  end
  local size = parts.flash_size(info)
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

---The boards that --device means, or all; and those of its selectors that none of them matches.
---@return table[] boards as dfu.list() has them
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

---A line for each board.
---@param boards table[] as dfu.list() has them
---@return string
function M.lines(boards)
  local rows = { { "PATH", "ID", "SERIAL", "BOARD" } }
  for _, info in ipairs(boards) do
    rows[#rows + 1] = { info.path, ("%04x:%04x"):format(info.vid, info.pid), info.serial or "-",
                        describe(info) }
  end
  return columns(rows)
end

---The boards that are there.
---@return table { { path=, vid=, pid=, ... }, ... } that prints as a table
function M.boards()
  local boards = M.meant()
  local data = {}
  for i, info in ipairs(boards) do
    data[i] = { path = info.path, vid = info.vid, pid = info.pid, serial = info.serial,
                product = info.product, mode = info.mode, version = info.version,
                alts = alts_of(info) }
  end
  return shown(data, function()
    if #boards == 0 then return "No board is there." end
    return M.lines(boards)
      .. (share_a_serial(boards) and "\nTwo boards share a serial number: choose by path." or "")
  end)
end

local function access(s)
  return (s.readable and "read " or "") .. (s.erasable and "erase " or "")
    .. (s.writable and "write" or "")
end

---What is where: a line for each run of equal sectors.
---@param alts table[] { { number=, layout= }, ... }
---@return string
function M.memories(alts)
  local rows = {}
  for _, alt in ipairs(alts) do
    if #alt.layout.segments == 0 then
      rows[#rows + 1] = { ("%d %s"):format(alt.number, alt.layout.name), "no layout" }
    end
    for i, s in ipairs(alt.layout.segments) do
      rows[#rows + 1] = { i == 1 and ("%d %s"):format(alt.number, alt.layout.name) or "",
        text.range(s.address, s.address + s.count * s.size - 1),
        ("%d x %s"):format(s.count, text.size(s.size)), access(s) }
    end
    if alt.layout.dropped then
      rows[#rows + 1] = { "", "the layout makes no sense: " .. alt.layout.dropped }
    end
  end
  return "  " .. columns(rows):gsub("\n", "\n  ")
end

-- The option bytes, where the board has some and lets them be read: a few bytes, as hex; else why
-- not. All else that the board says is told all the same.
local function option_bytes(board)
  local good, found = pcall(optbytes.raw, board)
  if good then return found and text.bytes(found) end
  if errors.matches(found, "board.protected") then return "read protection is on" end
  if not (errors.matches(found, "dfu") or errors.matches(found, "timeout")) then error(found, 0) end
  return ("can't be read (%s)"):format(found.code)
end

---What an open board says of itself.
---@param board table
---@return table that prints as text
function M.details(board)
  local info = dfu.fields(board).info
  local part = dfu.fields(board).part
  local data = { path = board.path, vid = board.vid, pid = board.pid, serial = board.serial,
    product = board.product, manufacturer = board.manufacturer, version = board.version,
    found = board.found, transfer_size = board.transfer_size, alts = alts_of(info),
    family = part.family, early_poll = part.early_poll,
    flash_size = parts.flash_size(info),
    option_bytes = board.mode == "dfu" and option_bytes(board) or nil }
  return shown(data, function()
    local lines = {
      ("%s  %04x:%04x  version %x.%02x  serial %s  at %s"):format(board.product or "no name",
        board.vid, board.pid, board.version >> 8, board.version & 0xFF, board.serial or "none",
        board.path),
      ("found in %s; transfers of %d bytes; DFU %s%s"):format(board.found or "run-time mode",
        board.transfer_size, text.dfu_version(info.functional.dfu_version),
        dfu.fields(board).dfuse and " (DfuSe)" or ""),
      part.family and ("looks like %s; asked %s"):format(part.family,
        part.early_poll and "before its poll time is over, as its ROM allows"
        or "when its poll time is over") or "of no known family: its poll times are obeyed",
      M.memories(board.alts),
      data.option_bytes and "option bytes: " .. data.option_bytes or nil,
    }
    return table.concat(lines, "\n")
  end)
end

-- ---- slots ----

local function slots_text(data)
  local rows = { { "SLOT", "PATH", "BOARD" } }
  for _, row in ipairs(data) do
    rows[#rows + 1] = { row.slot or "-", row.path, row.mode == nil and "nothing in it"
      or (row.product or "no name") .. (row.mode == "runtime" and " (running)" or "") }
  end
  return columns(rows)
end

---What is in the slots, and which boards are in none.
---@return table[] { { slot=?, path=, mode=?, product=?, serial=? }, ... }
function M.slots()
  local all, data, here = slots.load(), {}, {}
  for _, info in ipairs(dfu.list()) do here[info.path] = info end
  local function add(slot, path)
    local info = here[path] or {}
    data[#data + 1] = { slot = slot, path = path, mode = info.mode, product = info.product,
                        serial = info.serial }
  end
  for _, name in ipairs(all.names) do add(name, all.by_name[name]) end
  for _, info in ipairs(dfu.list()) do
    if not all.by_path[info.path] then add(nil, info.path) end
  end
  if #data == 0 then
    return shown(data, function() return "There are no slots yet, and no boards." end)
  end
  return shown(data, slots_text)
end

return M

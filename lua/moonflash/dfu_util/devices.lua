-- SPDX-License-Identifier: MIT
-- The boards that a request means: dfu-util's rules for ids, serial numbers and alternate settings,
-- and its lines for the list.
local dfu = require "dfu"
local ids_of = require "moonflash.board.ids"
local lines = require "moonflash.dfu_util.lines"
local memory = require "moonflash.memory"
local statuses = require "moonflash.dfu_util.status"
local task = require "task"

local M = {}

local PATIENCE = 1 -- seconds that -w waits for the ids of -d before it takes another board
local LOOK = 0.02  -- seconds between two looks for a board that is awaited

-- ---- matching ----

local function has_ids(info, pair)
  return (pair.vid == nil or pair.vid == info.vid) and (pair.pid == nil or pair.pid == info.pid)
end

local function of_mode(info, both)
  return info.mode == "runtime" and both.runtime or info.mode == "dfu" and both.dfu or nil
end

-- Whether a board is meant, apart from its ids.
local function fits(info, request)
  local serial = request.serial and of_mode(info, request.serial)
  return (not request.path or info.path == request.path)
    and (not request.devnum or info.devnum == request.devnum)
    and (not request.configuration or info.configuration == request.configuration)
    and (not request.interface or info.interface == request.interface)
    and (not serial or info.serial == serial)
end

-- Whether a board has the ids of -d. Ids without a comma are those of either mode.
local function is_named(info, request)
  local ids = request.ids
  return not ids or has_ids(info, of_mode(info, ids) or ids.runtime)
end

-- The boards that there are. MOONFLASH_DEVICE and moonflash's --device name those to look at.
local function present()
  local named = dfu.defaults.selectors
  if not named then return dfu.list() end
  local infos, seen = {}, {}
  for _, selector in ipairs(named) do
    for _, info in ipairs(dfu.list(selector)) do
      if not seen[info.path] then
        seen[info.path] = true
        infos[#infos + 1] = info
      end
    end
  end
  return infos
end

local complained = {} -- by path: that it can't be opened was said

-- A board whose strings can't be read for want of permission is said to be there, and left out.
local function may_open(info)
  if not info.forbidden then return true end
  if not complained[info.path] then
    lines.warn("dfu-util", ("Cannot open DFU device %04x:%04x found on devnum %d "
      .. "(LIBUSB_ERROR_ACCESS)"):format(info.vid, info.pid, info.devnum))
  end
  complained[info.path] = true
  return false
end

-- Whether ids are those of a boot loader, which no program has.
local function is_boot_loader(pair)
  return pair.vid and pair.pid and ids_of.has_rule(pair.vid, pair.pid)
end

-- dfu-util takes any board in DFU mode for one whose program has the ids of -d. Here only the one
-- board that is in DFU mode is taken, and not where that can't be right.
local function only_loosely(infos, request)
  local ids = request.ids
  if not ids or ids.dfu or is_boot_loader(ids.runtime) then return {} end
  local found = {}
  for _, info in ipairs(infos) do
    if info.mode == "dfu" then found[#found + 1] = info end
  end
  if #found ~= 1 or found[1].vid == 0x0483 and found[1].pid == 0xDF11 then return {} end
  lines.warn("dfu-util", ("Warning: no board has the ids of -d; taking the only one in DFU mode, "
    .. "%04x:%04x"):format(found[1].vid, found[1].pid))
  return found
end

---The boards that a request means.
---@param request table
---@param loosely? boolean a board in DFU mode may have other ids than those of -d
---@return table[] infos in the format of dfu.list()
function M.find(request, loosely)
  local able, named = {}, {}
  for _, info in ipairs(present()) do
    local is_near = is_named(info, request) or loosely and info.mode == "dfu"
    if is_near and fits(info, request) and may_open(info) then
      able[#able + 1] = info
      if is_named(info, request) then named[#named + 1] = info end
    end
  end
  if #named == 0 and loosely then return only_loosely(able, request) end
  return named
end

-- ---- one board ----

local function none()
  statuses.fail(statuses.IO, "No DFU capable USB device available")
end

local function several()
  statuses.fail(statuses.IO, "More than one DFU capable USB device found! Try `--list' and specify "
    .. "the serial number or disconnect all but one device")
end

-- Of several boards, those with the ids of the file's suffix.
local function narrowed(infos, file_ids)
  if #infos < 2 or not file_ids then return infos end
  local list = {}
  for _, info in ipairs(infos) do
    if file_ids(info) then list[#list + 1] = info end
  end
  return #list > 0 and list or infos
end

---The board that a request means. Waits for it with -w. Raises an error with the status 74 if there
---is none, or more than one.
---@param request table
---@param file_ids? fun(info: table): boolean whether the file is for a board
---@return table info
function M.one(request, file_ids)
  local began = task.now()
  while true do
    -- with -w the right board may come a little later than another one
    local loosely = not request.wait or task.now() - began >= PATIENCE
    local found = narrowed(M.find(request, loosely), file_ids)
    if #found > 1 then several() end
    if #found == 1 then return found[1] end
    if not request.wait then none() end
    task.sleep(LOOK)
  end
end

local function alternates(alts)
  local names = {}
  for i, alt in ipairs(alts) do names[i] = ("%d (%s)"):format(alt.number, M.name_of(alt)) end
  return table.concat(names, ", ")
end

-- The alternate setting with that number or whole name, or the only one whose name begins so.
local function find_alt(alts, wanted)
  for _, alt in ipairs(alts) do
    if wanted == (type(wanted) == "string" and alt.name or alt.number) then return alt end
  end
  local found
  for _, alt in ipairs(type(wanted) == "string" and wanted ~= "" and alts or {}) do
    local is_it = alt.name:find(wanted, 1, true) == 1 or alt.layout.name:find(wanted, 1, true) == 1
    if is_it and found then return nil end
    found = is_it and alt or found
  end
  return found
end

---The alternate setting that a request means. Without -a it is the only one, or that with the
---address, or the first where none matters.
---@param request table
---@param info table
---@param all? boolean the file says which alternate settings it is for
---@return table? alt nil: several are meant
function M.alt(request, info, all)
  local alts = info.alts
  if request.alt then
    return find_alt(alts, request.alt) or statuses.fail(statuses.IO,
      "No DFU capable USB device available\n  %s has the alternate settings %s", info.path,
      alternates(alts))
  end
  if all then return nil end
  local address, has_layout = request.dfuse.address, false
  for _, alt in ipairs(alts) do
    has_layout = has_layout or #alt.layout.segments > 0
    if address and memory.find(alt.layout.segments, address) then return alt end
  end
  if #alts == 1 or has_layout and (address or request.mode == "command") then return alts[1] end
  statuses.fail(statuses.IO, "More than one DFU capable USB device found! Try `--list' and specify "
    .. "the alternate setting with -a\n  %s has %s", info.path, alternates(alts))
end

-- ---- the list ----

---The string of an alternate setting, as dfu-util prints it.
---@param alt table
---@return string
function M.name_of(alt)
  return not alt.unread and alt.index ~= 0 and alt.name ~= "" and alt.name or "UNKNOWN"
end

-- Other characters than those of Latin-1 become "?", and so does what would end the string.
local function latin(s)
  return (s:gsub("[%z\1-\31\127]", "?"):gsub(utf8.charpattern, function(c)
    local ok, code = pcall(utf8.codepoint, c)
    return ok and code > 0xFF and "?" or nil
  end))
end

---Prints a line for each alternate setting of each board.
---@param infos table[]
function M.list(infos)
  for i = #infos, 1, -1 do
    local info = infos[i]
    local alts = table.move(info.alts, 1, #info.alts, 1, {})
    table.sort(alts, function(a, b) return a.number > b.number end)
    for _, alt in ipairs(alts) do
      lines.out('Found %s: [%04x:%04x] ver=%04x, devnum=%u, cfg=%u, intf=%u, path="%s", alt=%u, '
        .. 'name="%s", serial="%s"', info.mode == "dfu" and "DFU" or "Runtime", info.vid, info.pid,
        info.version, info.devnum, info.configuration, info.interface, info.path, alt.number,
        latin(M.name_of(alt)), latin(info.serial or "UNKNOWN"))
    end
  end
end

return M

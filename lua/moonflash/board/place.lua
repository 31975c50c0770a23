-- SPDX-License-Identifier: MIT
-- A Board is a place: a path on the bus. These functions find the Board of a place, and open it on
-- the device that is there.
local bus = require "moonflash.board.bus"
local check = require "moonflash.base.check"
local class = require "moonflash.board.class"
local devices = require "moonflash.board.device"
local errors = require "moonflash.errors"
local link = require "moonflash.link"
local misuse = require "moonflash.base.misuse"
local refusal = require "moonflash.board.refusal"
local selectors = require "moonflash.board.selector"
local settings = require "moonflash.board.settings"
local slots = require "moonflash.board.slots"
local task = require "task"

local M = {}

-- ---- finding ----

---A Board for a place, whether or not a device is there.
---@param selector string|table
---@return table Board
function M.at(selector)
  local wanted = selectors.parse(selector)
  local path = wanted.path
  if path then
    bus.ensure_simulated(wanted)
  else
    local found = bus.find(wanted)
    if #found == 0 then refusal.no_device(wanted) end
    if #found > 1 then refusal.several(found) end
    path = found[1].path
  end
  return class.new(path, slots.name_of(path), wanted.alt)
end

---The devices that match, in DFU mode unless the selector names another mode. Waits until there is
---at least one. Raises `usb.no-device` if none comes.
---@param wanted table a selector
---@param seconds? number
---@return table[] infos
function M.wait_for(wanted, seconds)
  local deadline = task.now() + (seconds or 0)
  local in_mode = setmetatable({ mode = wanted.mode or "dfu" }, { __index = wanted })
  while true do
    local found = bus.find(in_mode)
    if #found > 0 then return found end
    if task.now() >= deadline then
      refusal.no_device(wanted, wanted.path, false, (seconds or 0) > 0)
    end
    task.sleep(bus.RESCAN)
  end
end

---The state of the device that a Board was opened on: "there", "gone", or "back": another device
---has taken its place. Lists the bus; sends no request to a device.
---@param board table
---@return string
function M.whereabouts(board)
  local info = class.state(board).info
  local answer = "gone"
  for _, row in ipairs(link.devices(board.path)) do
    answer = info and row.generation == info.generation and row.generation ~= link.stale(board)
      and "there" or "back"
  end
  return answer
end

-- ---- opening ----

-- Attaches the Board to a device, and sets its Device. Returns nil and the reason if it can't be
-- opened.
local function attach(board, info)
  if bus.is_known(info) then devices.is_dfuse(info) end -- raises where --layout does not fit
  local ok, why = link.attach(board, info.generation, info.configuration, info.interface)
  if not ok then return nil, why end
  local _ <close> = setmetatable({}, { __close = function(_, err)
    if err then board:close() end
  end })
  local state = class.state(board)
  -- The DFU state comes first: a busy board does not answer any other request, and its state shows
  -- why.
  local found_state = info.mode == "dfu"
    and errors.catch("dfu.stall", board.get_state, board) or nil
  bus.complete(info, board)
  local device = devices.new(info, found_state)
  state.history:meet(bus.opened(info, device), info)
  class.set_device(board, device)
  link.configure(board, device:configuration())
  if state.wanted_alt then board:select(state.wanted_alt) end
  if info.mode == "dfu" then state.history:keep_last_words() end
  return true
end

-- The device to open at a board's place, never the one that has left. Second result: a device that
-- is there, but does not match.
local function candidate(board, wanted)
  local stale, other = link.stale(board), nil
  for _, info in ipairs(bus.find { path = board.path }) do
    if info.generation ~= stale and info.mode == (wanted.mode or "dfu") then
      if selectors.matches(info, wanted) then return info end
      other = info
    end
  end
  return nil, other
end

-- Tries to attach to the device. Returns "open" or the reason: "gone", "busy", "permission", ...
-- Raises all other errors; a timeout only after the deadline.
local function try(board, info, deadline)
  local returned, outcome, why = pcall(attach, board, info)
  if returned then return outcome and "open" or why end
  -- The board may be busy with another program's request, or may have just been unplugged.
  local passes = errors.matches(outcome, "timeout") or errors.matches(outcome, "usb.gone")
  if not passes or task.now() >= deadline then error(outcome, 0) end
  return "gone"
end

-- EBUSY may come from an unreachable Board of ours: collects it. Returns whether there was one.
local function collect(board)
  collectgarbage()
  return link.is_closing(board.path)
end

local function check_openable(board)
  if settings.loading then misuse("a recipe can't open a board while it is loaded") end
  if not board.is_open then return end
  if M.whereabouts(board) == "there" then misuse("%s is open already", board.path) end
  board:close() -- it was unplugged, and no operation has noticed yet
end

---Opens a Board on the device at its place. Tries until the time is over, but at least once.
---@param board table
---@param seconds? number
---@param wanted table a selector that the device must match
---@return table board
function M.open(board, seconds, wanted)
  local deadline, collected = task.now() + (seconds or 0), false
  settings.opened = settings.opened + 1
  check_openable(board)
  local function have_time() deadline = math.max(deadline, task.now() + bus.RESCAN) end
  while true do
    local why, other = "gone", nil
    if link.is_closing(board.path) then
      have_time()
    else
      local info
      info, other = candidate(board, wanted)
      if info then why = try(board, info, deadline) end
      if why == "open" then return board end
      if why == "busy" and not collected then
        collected = true
        if collect(board) then
          why = "gone"
          have_time()
        end
      elseif why == "permission" and bus.is_settling(info) then
        why = "gone"
        have_time()
      end
    end
    local is_late = task.now() >= deadline
    if why ~= "gone" and (why ~= "busy" or is_late) then refusal.refuse(board.path, why) end
    if is_late and other then refusal.another(other, wanted) end
    if is_late then
      local state = class.state(board)
      refusal.no_device({ path = board.path, mode = wanted.mode }, board.path, state.info ~= nil,
        state.job.brought)
    end
    task.sleep(bus.RESCAN)
  end
end

---Opens a board in DFU mode: by the selector, else by --device, else the only one on the bus.
---@param selector? string|table
---@param options? table wait: seconds to wait for it
---@return table Board
function M.open_any(selector, options)
  if selector == nil and settings.selectors then
    if #settings.selectors > 1 then
      misuse("dfu.open: --device names several boards; name one of them")
    end
    selector = settings.selectors[1]
  end
  if settings.loading then misuse("a recipe can't open a board while it is loaded") end
  local seconds = check.wait("dfu.open(selector, { wait = seconds })", options, { "wait" })
  local wanted = selectors.parse(selector)
  local by = task.now() + (seconds or 0)
  local found = M.wait_for(wanted, seconds)
  if #found > 1 then refusal.several(found) end
  local board = M.at { path = found[1].path, alt = wanted.alt }
  return M.open(board, math.max(0, by - task.now()), { mode = wanted.mode })
end

---Board:open. Opens the next device in DFU mode at this place.
---@param board table
---@param options? table wait: seconds to wait for it; selector: the device must match it, instead
---  of the recipe's selector
---@return table board
function M.open_again(board, options)
  local usage = "board:open { wait = seconds, selector = selector }"
  local seconds = check.wait(usage, options, { "wait", "selector" })
  local job = class.state(board).job
  local wanted = selectors.parse(options and options.selector or job.meant)
  if settings.dry and board.is_open then return board end -- on a dry run the board has not left
  M.open(board, seconds, wanted)
  if job.task then job:announce(board) end
  return board
end

---An iterator over Boards that are not open, one for each device that is present or arrives.
---@param selector? string|table
---@return fun(): table
function M.arrivals(selector)
  local wanted = selectors.parse(selector)
  local seen = {}
  return function()
    while true do
      local here = {}
      for _, info in ipairs(bus.find(wanted)) do
        local key = bus.key_of(info)
        here[key] = true
        if info.mode == (wanted.mode or "dfu") and not seen[key] then
          seen[key] = true
          return M.at { path = info.path, alt = wanted.alt }
        end
      end
      for key in pairs(seen) do
        if not here[key] then seen[key] = nil end
      end
      task.sleep(bus.RESCAN)
    end
  end
end

return M

-- SPDX-License-Identifier: MIT
-- Class Board in Lua: a Board's state, which is three records, and the callbacks for C. The
-- primitives are in src/lua/lboard.c; dfu.lua lists all methods.
local devices = require "moonflash.board.device"
local events = require "moonflash.base.events"
local failure = require "moonflash.board.failure"
local guard = require "moonflash.board.guard"
local histories = require "moonflash.board.history"
local jobs = require "moonflash.board.job"
local link = require "moonflash.link"
local misuse = require "moonflash.base.misuse"
local selectors = require "moonflash.board.selector"
local settings = require "moonflash.board.settings"
local suggest = require "moonflash.base.suggest"

local M = {}

-- ---- the state ----

-- Each of the three records is written by one file only: device.lua, history.lua, job.lua. The
-- State forwards reads: state.part is state.device.part.
---@class moonflash.State
---@field device moonflash.Device
---@field history moonflash.History
---@field job moonflash.Job
---@field slot? string the name of the board's slot
---@field wanted_alt? string|integer the alternate setting to select at each opening
local RECORD_OF = {
  info = "device", part = "device", alts = "device", shared = "device", dfuse = "device",
  transfer_size = "device", dry = "device", found_state = "device", erasing = "device",
  journal = "history", stats = "history",
  image = "job", plan = "job",
}

-- Fields of a Board that come from its device's descriptors.
local FROM_INFO = { vid = true, pid = true, serial = true, product = true, manufacturer = true,
                    version = true, mode = true }

local State = {}

function State.__index(state, key)
  local record = RECORD_OF[key]
  if record then
    record = rawget(state, record)
    return record and record[key]
  end
  if not FROM_INFO[key] then return nil end
  local info = rawget(state, "device").info
  return info and info[key]
end

function State.__newindex(_, key)
  error(("a Board's state has no field '%s' to be set"):format(tostring(key)), 2)
end

---Creates a Board, not open.
---@param path string
---@param slot? string
---@param wanted_alt? string|integer
---@return table Board
function M.new(path, slot, wanted_alt)
  local job, device = jobs.new(), devices.unknown()
  local state = { job = job, device = device, history = histories.new(path, device, job),
                  slot = slot or false, wanted_alt = wanted_alt or false }
  return link.new(path, setmetatable(state, State))
end

---Creates a Board that only reads strings. It has no history and no job.
---@param path string
---@return table Board
function M.bare(path)
  return link.new(path, setmetatable({ device = devices.unknown() }, State))
end

---The state of a Board.
---@type fun(board: table): moonflash.State
M.state = link.fields

---Returns the state of a Board; any other value is misuse of the function in `usage`.
---@param usage string "flash.write(board, image, options)"
---@param board any
---@return moonflash.State
function M.check(usage, board)
  local meta = debug.getmetatable(board)
  if type(board) ~= "userdata" or not meta or meta.__name ~= "dfu.Board" then
    misuse("%s: a Board, from dfu.open, and not a %s", usage, type(board))
  end
  return link.fields(board)
end

---Sets the device of a Board that has been opened.
---@param board table
---@param device moonflash.Device
function M.set_device(board, device)
  local state = link.fields(board)
  rawset(state, "device", device)
  state.history:follow(device)
end

-- ---- names ----

-- Fields of a Board that Lua has. true: it is in the state, and may be nil.
local FIELDS = { slot = true, alts = true, found_state = true, early_poll = false, dry = false }
for name in pairs(FROM_INFO) do FIELDS[name] = true end

---The names of a Board's fields and methods, sorted. For completion and suggestions.
---@return string[]
function M.names()
  local names = suggest.keys(link.methods)
  for name in pairs(FIELDS) do names[#names + 1] = name end
  for _, name in ipairs(link.field_names) do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- ---- callbacks for C ----

-- src/lua/lboard_run.h describes the arguments, and when each one is called.
link.callbacks {
  explain = function(board, state, facts)
    local err = failure.new(board, state, facts)
    state.device:left_erasing(failure.left_erasing(board, facts))
    return err
  end,

  mark = function(_, state, ...) state.history:mark(...) end,

  begin = function(_, state, ...) state.history:keep_last_words(...) end,

  begin_block = function(_, state, block, bytes)
    guard.each_changed(state, block, bytes, function(first, last, alt)
      state.history:mark("doubt", first, last, alt)
    end)
  end,

  would = function(board, state, what, address, length)
    if not state.dfuse then address = nil end -- plain DFU has none
    events.emit("would", board, what, address, length)
  end,

  guard = function(board, state, address, bytes, irreversible)
    if not irreversible then guard.write(state, board, address, bytes) end
  end,

  guard_block = function(board, state, where, bytes, irreversible)
    if not irreversible then guard.block(state, board, where, bytes) end
  end,

  find_alt = function(board, state, wanted)
    local alt = selectors.find_alt(state.alts, wanted)
    if alt then return alt.number end
    local list = {}
    for i, a in ipairs(state.alts) do list[i] = ("%d (%s)"):format(a.number, a.layout.name) end
    misuse("%s has no alternate setting '%s'; it has %s", board.path, tostring(wanted),
      table.concat(list, ", "))
  end,

  unknown = function(board, state, key)
    if key == "early_poll" then return link.early_poll(board) end
    if key == "dry" then return state.dry or settings.dry end
    if FIELDS[key] then return state[key] or nil end
    misuse("a Board has no '%s'%s", key, suggest.hint(key, M.names()))
  end,

  assign = function(board, state, key, value)
    if key == "transfer_size" then
      return link.transfer_size(board, state.device:use_transfer_size(value))
    elseif key ~= "early_poll" then
      misuse("a Board's '%s' can't be set; timeout, transfer_size and early_poll can", key)
    end
    if type(value) ~= "boolean" then misuse("board.early_poll: true or false") end
    link.early_poll(board, value)
  end,
}

return M

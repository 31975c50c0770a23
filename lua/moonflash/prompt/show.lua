-- SPDX-License-Identifier: MIT
-- The text of any value or error at the prompt. The public functions never raise.
local errors = require "moonflash.errors"
local hexdump = require "moonflash.base.hexdump"
local inspect = require "moonflash.base.inspect"
local list = require "moonflash.ui.list"
local memory = require "moonflash.memory"
local text = require "moonflash.base.text"
local values = require "moonflash.prompt.values"

local M = {}

local MOST_DUMPED = 1024 -- bytes

local function is_address(board, n)
  for _, alt in ipairs(board and board.alts or {}) do
    if n ~= 0 and memory.find(alt.layout.segments, n) then return true end
  end
  return false
end

local function show_board(board)
  if not board.vid then return tostring(board) end
  return ("%s  %04x:%04x  serial %s  at %s%s\n%s"):format(board.product or "no name", board.vid,
    board.pid, board.serial or "none", board.path,
    board.is_open and ", found in " .. (board.found_state or "run-time mode") or ", not open",
    list.memories(board.alts))
end

local function show_image(image)
  local start = image.start and ", starts at " .. text.hex(image.start) or ""
  local lines = { tostring(image) .. start }
  for _, segment in ipairs(image.segments) do
    lines[#lines + 1] = ("  %s  %s"):format(
      text.range(segment.address, segment.address + #segment.bytes - 1), text.size(#segment.bytes))
  end
  return table.concat(lines, "\n")
end

local function show_string(session, s, typed)
  local at = not typed and session.reads:address(s)
  if not at and not inspect.is_binary(s) then return inspect.inspect(s) end
  local shown = hexdump(s:sub(1, MOST_DUMPED), at or nil)
  return #s <= MOST_DUMPED and shown
    or ("%s\n... %d of %d bytes"):format(shown, MOST_DUMPED, #s)
end

-- ---- tables of the library without a metatable ----

local function is_layout(t)
  local segments = type(t) == "table" and rawget(t, "segments")
  local first = type(segments) == "table" and rawget(segments, 1)
  return type(first) == "table" and rawget(first, "count") ~= nil
end

local function is_alt(t)
  local layout = type(t) == "table" and rawget(t, "layout")
  return type(layout) == "table" and type(rawget(layout, "segments")) == "table"
end

-- An element of dfu.list().
local function is_found(t)
  return type(t) == "table" and rawget(t, "path") ~= nil and rawget(t, "functional") ~= nil
end

local function show_table(t)
  local first = rawget(t, 1)
  if is_layout(t) then return list.memories { { number = 0, layout = t } } end
  if is_alt(t) then return list.memories { t } end
  if is_alt(first) then return list.memories(t) end
  if is_found(t) then return list.lines { t } end
  if is_found(first) then return list.lines(t) end
end

-- The text of values of known kinds; nil for others. Raises for a value that only looks like one.
local function show_known(session, value, typed)
  if type(value) == "string" then return show_string(session, value, typed) end
  if values.is_board(value) then return show_board(value) end
  local meta = debug.getmetatable(value) or {}
  if meta.__name == "image" then return show_image(value) end
  if type(value) == "table" and not meta.__tostring then return show_table(value) end
end

---@param session table env, scope, reads
---@param value any
---@param typed? boolean the value was typed as a literal
---@return string
function M.value(session, value, typed)
  local ok, shown = pcall(show_known, session, value, typed)
  if ok and type(shown) == "string" then return shown end
  local board = values.board_of(session)
  ok, shown = pcall(inspect.inspect, value, {
    is_address = function(n) return is_address(board, n) end,
  })
  return ok and shown or ("<%s>"):format(type(value))
end

---The lines to show for an error. A value that is not an error object is shown as a value.
---@param session table
---@param err any
---@return string
function M.error(session, err)
  if type(err) == "string" and not values.board_of(session) then
    return (err:gsub("attempt to index a nil value %(global 'board'%)",
      "there is no board: board = dfu.open() opens one"))
  elseif type(err) == "string" then
    return err
  end
  if not errors.is(err) then return M.value(session, err) end
  local ok, shown = pcall(errors.text, err)
  return ok and shown or err.message
end

return M

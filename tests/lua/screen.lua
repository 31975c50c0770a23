-- SPDX-License-Identifier: MIT
-- A terminal in a test: standard error is recorded, and what would stand on the screen can be read.
local sys = require "sys"

local Screen = {}
Screen.__index = Screen

local M = {}

---A terminal in the place of standard error, until it is closed.
---@param columns integer
---@param height integer lines
---@return table screen size={columns, height}, written={ string, ... }
function M.new(columns, height)
  local self = setmetatable({ size = { columns, height }, written = {} }, Screen)
  self.stderr, self.terminal_size, self.is_terminal = io.stderr, sys.terminal_size, sys.is_terminal
  self.getenv = os.getenv
  io.stderr = { -- luacheck: ignore 122
    write = function(_, text) table.insert(self.written, text) end }
  sys.terminal_size = function() return table.unpack(self.size) end
  sys.is_terminal = function() return true end
  os.getenv = function(name) -- luacheck: ignore 122
    if name == "TERM" then return "xterm" end
    return self.getenv(name)
  end
  return self
end

function Screen:close()
  io.stderr, os.getenv = self.stderr, self.getenv -- luacheck: ignore 122
  sys.terminal_size, sys.is_terminal = self.terminal_size, self.is_terminal
end
Screen.__close = Screen.close

---What stands on the terminal at last, the scrollback's lines before the screen's: it wraps, it
---scrolls, and it goes up no further than its top. Returns the lines, how many scrolled away, and
---the number of colours set.
function Screen:read()
  local columns, height = table.unpack(self.size)
  local colored = 0
  local lines, at, column, top = { {} }, 1, 1, 1
  local kept
  local function go_to(line)
    at = math.max(line, top)
    lines[at] = lines[at] or {}
    top = math.max(top, at - height + 1)
  end
  local function put(character)
    local width = character:byte() >= 0xE4 and 2 or 1 -- of what is written here
    if column + width > columns + 1 then
      go_to(at + 1)
      column = 1
    end
    lines[at][column] = character
    for i = 1, width - 1 do lines[at][column + i] = "" end
    column = column + width
  end
  local stream = table.concat(self.written)
  while stream ~= "" do
    local up, wiped = stream:match("^\27%[(%d+)A"), stream:match("^\27%[K")
    local inserted, control = stream:match("^\27%[(%d+)L"), stream:match("^\27([78D])")
    local color = stream:match("^\27%[[%d;]*m")
    local taken = (up or inserted) and #(up or inserted) + 3 or wiped and 3 or control and 2
      or color and #color or utf8.offset(stream, 2) - 1
    local character = stream:sub(1, taken)
    if color then
      colored = colored + 1
    elseif control == "7" then
      kept = { at, column }
    elseif control == "8" then
      at, column = table.unpack(kept)
    elseif control == "D" then
      go_to(at + 1)
    elseif inserted then
      for _ = 1, tonumber(inserted) do
        table.insert(lines, at, {})
        lines[top + height] = nil
      end
    elseif up then
      go_to(at - tonumber(up))
    elseif wiped then
      for i = #lines[at], column, -1 do lines[at][i] = nil end
    elseif character == "\n" then -- the terminal makes it \r\n
      go_to(at + 1)
      column = 1
    elseif character == "\r" then
      column = 1
    else
      put(character)
    end
    stream = stream:sub(taken + 1)
  end
  local text = {}
  for i, line in ipairs(lines) do text[i] = table.concat(line) end
  while text[#text] == "" do table.remove(text) end
  return text, top - 1, colored
end

return M

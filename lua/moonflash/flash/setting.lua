-- SPDX-License-Identifier: MIT
-- Reading, writing and erasing in a given alternate setting. If two alternate settings of a board
-- have the same addresses, an address alone is ambiguous.
local class = require "moonflash.board.class"
local link = require "moonflash.link"

local M = {}

-- Selects an alternate setting until the returned value is closed. Sends no request.
local function choose(board, alt)
  local fields = class.state(board)
  if not fields.shared or not alt then return nil end
  local before = link.selected(board)
  board:select(alt)
  return setmetatable({}, { __close = function()
    if board.is_open then board:select(before) end
  end })
end

---@param board table
---@param alt? integer
---@param address integer
---@param length integer
---@return string
function M.read(board, alt, address, length)
  local _ <close> = choose(board, alt)
  return board:read(address, length)
end

---@param board table
---@param alt? integer
---@param address integer
---@param bytes string
function M.write(board, alt, address, bytes)
  local _ <close> = choose(board, alt)
  board:write(address, bytes)
end

---@param board table
---@param alt? integer
---@param address integer
---@param seconds? number the longest time
function M.erase(board, alt, address, seconds)
  local _ <close> = choose(board, alt)
  board:erase_page(address, seconds)
end

return M

-- SPDX-License-Identifier: MIT
-- Where bytes were read: the last that board:read() gave, of any board, with their addresses.
local values = require "moonflash.prompt.values"

local M = {}
M.__index = M

local KEPT = 8 -- reads

---Watches board:read() until it is closed.
---@return table reads
function M.watch()
  local methods = values.methods_of("dfu.Board")
  local reads = setmetatable({ methods = methods, read = methods.read }, M)
  methods.read = function(board, address, length)
    local ok, bytes = pcall(reads.read, board, address, length)
    if not ok then error(bytes, 0) end
    table.insert(reads, 1, { bytes = bytes, address = address })
    reads[KEPT + 1] = nil
    return bytes
  end
  return reads
end

---The address that bytes were read from, the newest where several reads gave the same. Of long
---strings it is the very one that was read, of short ones any that is equal: Lua keeps those once.
---@param bytes string
---@return integer?
function M:address(bytes)
  for _, read in ipairs(self) do
    if ("%p"):format(read.bytes) == ("%p"):format(bytes) then return read.address end
  end
end

function M:__close()
  self.methods.read = self.read
end

return M

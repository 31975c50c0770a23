-- SPDX-License-Identifier: MIT
-- The last results of board:read(), of any board, with their addresses.
local values = require "moonflash.prompt.values"

local M = {}
M.__index = M

local KEPT = 8 -- reads

---Records the results of board:read() until the returned value is closed.
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

---The address that bytes were read from; for several reads, the latest. A long string must be the
---very one that was read; a short one may be any equal string, because Lua stores those once.
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

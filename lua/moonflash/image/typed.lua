-- SPDX-License-Identifier: MIT
-- The addresses that a person typed as an argument. A file that is loaded at one of these needs no
-- vector table; a file at a default address does.
local M = {}

local addresses = {}

---@param address integer
function M.add(address) addresses[address] = true end

---@param address integer
---@return boolean
function M.has(address) return addresses[address] or false end

return M

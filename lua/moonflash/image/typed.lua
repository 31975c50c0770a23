-- SPDX-License-Identifier: MIT
-- The addresses that a user typed as arguments. A file that is loaded at a typed address needs no
-- vector table; a file at the default address does.
local M = {}

local addresses = {}

---@param address integer
function M.add(address) addresses[address] = true end

---@param address integer
---@return boolean
function M.has(address) return addresses[address] or false end

return M

-- SPDX-License-Identifier: MIT
-- The memory as a dry run would have left it: what it would have written and erased lies over what
-- the board has. So a recipe that writes, reads and verifies goes through to its end.
local memory = require "moonflash.memory"

local M = {}

---@class moonflash.Pretended
---@field blank? table[] the runs of sectors that a whole erase would have erased
---@field pieces table[] { { address=, bytes= }, ... } in the order of writing; later ones count
local Pretended = {}
Pretended.__index = Pretended

---@return moonflash.Pretended
function M.new()
  return setmetatable({ pieces = {} }, Pretended)
end

---@param address integer
---@param bytes string
function Pretended:write(address, bytes)
  if bytes ~= "" then self.pieces[#self.pieces + 1] = { address = address, bytes = bytes } end
end

---@param address integer
---@param length integer
---@param erased string the byte that erased memory reads
function Pretended:erase(address, length, erased)
  self:write(address, erased:rep(length))
end

---All memories that are erased together; not the option bytes.
---@param alts table[] the board's memories
function Pretended:erase_all(alts)
  self.blank, self.pieces = {}, {}
  for _, alt in ipairs(alts) do
    for _, s in ipairs(alt.layout.segments) do
      if s.erasable then self.blank[#self.blank + 1] = s end
    end
  end
end

-- Whether a range would have been erased with the whole chip.
local function is_blank(self, address, length)
  if not self.blank then return false end
  local at = address
  while at < address + length do
    local s = memory.find(self.blank, at)
    if not s then return false end
    at = s.address + s.count * s.size
  end
  return true
end

---The bytes that would be at an address.
---@param address integer
---@param length integer
---@param erased string
---@param read fun(): string reads what the board has
---@return string
function Pretended:read(address, length, erased, read)
  local bytes = is_blank(self, address, length) and erased:rep(length) or nil
  for _, piece in ipairs(self.pieces) do
    local from = math.max(piece.address, address)
    local stop = math.min(piece.address + #piece.bytes, address + length)
    if from < stop then
      local part = piece.bytes:sub(from - piece.address + 1, stop - piece.address)
      if #part < length then bytes = bytes or read() end
      bytes = #part == length and part
        or bytes:sub(1, from - address) .. part .. bytes:sub(stop - address + 1)
    end
  end
  return bytes or read()
end

return M

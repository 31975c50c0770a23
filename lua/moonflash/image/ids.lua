-- SPDX-License-Identifier: MIT
-- The ids in a file's DFU suffix, which name the boards that the file is for.
local M = {
  ANY = 0xFFFF, -- an id that matches any
}

-- A product id that matches any, too: in ST's own files in CubeF4 and CubeWB.
local ANY_PRODUCT = 0x0000

---Whether an id matches any.
---@param id integer
---@param is_product? boolean
---@return boolean
function M.is_any(id, is_product)
  return id == M.ANY or is_product and id == ANY_PRODUCT or false
end

local function same(a, b, is_product)
  return a == b or M.is_any(a, is_product) or M.is_any(b, is_product)
end

---Whether a board exists that matches both pairs of ids.
---@param a table vid=, pid=
---@param b table vid=, pid=
---@return boolean
function M.match(a, b)
  return same(a.vid, b.vid) and same(a.pid, b.pid, true)
end

---Ids as text: "0483:df11", "0483:any".
---@param ids table vid=, pid=
---@return string
function M.text(ids)
  local function id(n, is_product)
    return M.is_any(n, is_product) and "any" or ("%04x"):format(n)
  end
  return id(ids.vid) .. ":" .. id(ids.pid, true)
end

return M

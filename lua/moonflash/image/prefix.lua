-- SPDX-License-Identifier: MIT
-- Prefixes that two makers' boot loaders want in front of a raw program. Plain DFU has no
-- addresses, so TI's (Stellaris, Tiva) has the address; NXP's (LPC) has the length. As dfu-prefix
-- of dfu-util 0.11 writes them (seen).
local M = {}

local TI = "<BBI2I4"           -- 1, 0, address / 1024, bytes of the program
local LPC = "<BBI2c8I4"        -- 0x1A, 0x3F, blocks of 512 bytes, zeros, ones
local TI_PAGE, LPC_BLOCK = 1024, 512

-- kinds[name].parse(bytes) --> the prefix without size, or nil; kinds[name].make(address, program).
-- No vector table begins like either: a stack pointer is a multiple of 4.
local kinds = {
  ti = {
    size = TI:packsize(),
    parse = function(bytes)
      local kind, reserved, page, length = TI:unpack(bytes)
      if kind == 1 and reserved == 0 and length == #bytes - TI:packsize() then
        return { address = page * TI_PAGE }
      end
    end,
    make = function(address, program)
      return TI:pack(1, 0, address // TI_PAGE & 0xFFFF, #program)
    end,
  },
  lpc = {
    size = LPC:packsize(),
    parse = function(bytes)
      local first, second, blocks, zeros, ones = LPC:unpack(bytes)
      if first & 0x3F == 0x1A and second & 0x3F == 0x3F and zeros == ("\0"):rep(8)
        and ones == 0xFFFFFFFF then
        return { blocks = blocks }
      end
    end,
    make = function(_, program)
      return LPC:pack(0x1A, 0x3F, (#program + LPC_BLOCK - 1) // LPC_BLOCK & 0xFFFF, ("\0"):rep(8),
        0xFFFFFFFF)
    end,
  },
}

M.names = { "ti", "lpc" }

---Removes the prefix of a raw file, if there is one.
---@param bytes string without the DFU suffix
---@return string program
---@return table? prefix { kind = "ti" or "lpc", size= bytes, address= (ti), blocks= of 512 bytes
---  (lpc) }
function M.strip(bytes)
  for _, name in ipairs(M.names) do
    local kind = kinds[name]
    local found = #bytes > kind.size and kind.parse(bytes)
    if found then
      found.kind, found.size = name, kind.size
      return bytes:sub(kind.size + 1), found
    end
  end
  return bytes
end

---Puts a prefix in front of a program.
---@param kind string "ti" or "lpc"
---@param address integer of the program, for "ti": a multiple of 1024, below 64 MB
---@param program string
---@return string
function M.add(kind, address, program)
  return kinds[kind].make(address, program) .. program
end

---Whether "ti" has room for an address.
---@param address integer
---@return boolean
function M.can_hold(address)
  return address % TI_PAGE == 0 and address // TI_PAGE <= 0xFFFF
end

return M

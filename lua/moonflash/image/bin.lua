-- SPDX-License-Identifier: MIT
-- Raw binaries: bytes, which say nothing of themselves, but by their vector table.
local errors = require "moonflash.errors"
local segments = require "moonflash.image.segments"
local text = require "moonflash.text"
local wrong = require "moonflash.image.wrong"

local M = { title = "a raw binary" }

-- A Cortex-M vector table: the stack pointer in some RAM, and handlers that are odd (Thumb) and in
-- the flash (ARMv7-M reference manual B1.5.3; addresses are ST's).
local VECTORS = 16

local function is_ram(sp)
  return sp % 4 == 0 and (sp > 0x20000000 and sp <= 0x20100000 or sp > 0x10000000
    and sp <= 0x10010000 or sp > 0x24000000 and sp <= 0x24100000)
end

local function is_code(handler)
  return handler % 2 == 1 and handler > 0x08000000 and handler < 0x08200000
end

-- Where the program was linked for: the lowest of its first handlers, which stand close behind
-- the table, rounded down.
local function linked_for(bytes)
  local lowest = 0xFFFFFFFF
  for i = 1, math.min(VECTORS, #bytes // 4) - 1 do
    local handler = ("<I4"):unpack(bytes, i * 4 + 1)
    if is_code(handler) and handler < lowest then lowest = handler end
  end
  return lowest & ~0xFFF
end

-- Refuses a program that was clearly linked for elsewhere.
local function check_vectors(name, bytes, address)
  if #bytes < 8 then return end
  local sp, reset = ("<I4I4"):unpack(bytes)
  if not is_ram(sp) or not is_code(reset) then return end -- data, without a vector table
  local last = address + #bytes - 1
  if reset >= address and reset <= last then return end
  local there = linked_for(bytes)
  errors.raise { code = "image",
    message = ("%s: its reset vector is %s, outside %s, where it would go"):format(name,
      text.hex(reset), text.range(address, last)),
    hint = ("moonflash flash %s@%s    puts it where it was linked for\n"):format(name,
        text.hex(there)) .. "--force writes it all the same." }
end

---@param name string of the file
---@param bytes string
---@param address integer
---@param force? boolean also if it was linked for elsewhere
---@return table[] segments
---@return integer entry
function M.parse(name, bytes, address, force)
  if address + #bytes > 1 << 32 then
    wrong.file(name, "does not fit behind %s: data past 4 GiB", text.hex(address))
  end
  if not force then check_vectors(name, bytes, address) end
  return { { address = address, bytes = bytes } }, address
end

---@param image table
---@return string
function M.write(image)
  local list = segments.flat(image)
  if #list > 1 then
    errors.raise { code = "image",
      message = ("%s has gaps, behind %s first: a raw binary has no addresses"):format(image.name,
        text.hex(list[1].address + #list[1].bytes - 1)),
      hint = "Write it as hex, srec or dfu; or image:pad(first, last) fills gaps." }
  end
  return list[1].bytes
end

return M

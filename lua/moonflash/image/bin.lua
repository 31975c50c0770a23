-- SPDX-License-Identifier: MIT
-- Raw binaries: bytes without addresses. Only the vector table shows where they belong.
local errors = require "moonflash.errors"
local segments = require "moonflash.image.segments"
local text = require "moonflash.base.text"
local vectors = require "moonflash.image.vectors"
local wrong = require "moonflash.image.wrong"

local M = { title = "a raw binary" }

-- Like vectors.linked, but also for a program behind an MCUboot header. The header begins with a
-- magic number, the load address and its own length (MCUboot's docs/design.md).
local MCUBOOT, HEAD = 0x96F3B83D, 10
local function linked(bytes, address)
  local skip = 0
  if #bytes >= HEAD then
    local magic, _, length = ("<I4I4I2"):unpack(bytes)
    if magic == MCUBOOT and length < #bytes then skip = length end
  end
  local elsewhere, reset, base = vectors.linked(bytes:sub(skip + 1), address + skip)
  return elsewhere, reset, base and base - skip
end

---Returns an error for a program that was clearly linked for another address; nil otherwise.
---@param name string of the file
---@param bytes string
---@param address integer the address where it is to be written
---@return table? err `image.address`
function M.misplaced(name, bytes, address)
  local elsewhere, reset, base = linked(bytes, address)
  if not elsewhere then return nil end
  local last = address + #bytes - 1
  local why
  if reset < address or reset > last then
    why = ("reset vector %s is outside the target range %s"):format(text.hex(reset),
      text.range(address, last))
  else
    why = ("it is linked for %s, not for %s"):format(
      base and text.hex(base) or "another address", text.hex(address))
  end
  return errors.new { code = "image.address", message = ("%s: %s"):format(name, why),
    file = name, address = base, remedy = { "address", given = address, "force" } }
end

---@param name string of the file
---@param bytes string
---@param address integer
---@return table[] segments
function M.parse(name, bytes, address)
  if address + #bytes > 1 << 32 then
    wrong.file(name, "does not fit behind %s: data past 4 GiB", text.hex(address))
  end
  return { { address = address, bytes = bytes } }
end

---@param image table
---@return string
function M.write(image)
  local list = segments.flat(image)
  if #list > 1 then
    errors.raise { code = "image",
      message = ("%s has gaps, behind %s first: a raw binary has no addresses"):format(image.name,
        text.hex(list[1].address + #list[1].bytes - 1)),
      remedy = { "pad" } }
  end
  return list[1].bytes
end

return M

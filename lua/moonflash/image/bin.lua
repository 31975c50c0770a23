-- SPDX-License-Identifier: MIT
-- Raw binaries: bytes, which say nothing of themselves but by their vector table.
local errors = require "moonflash.errors"
local remedies = require "moonflash.remedies"
local segments = require "moonflash.image.segments"
local text = require "moonflash.text"
local vectors = require "moonflash.image.vectors"
local wrong = require "moonflash.image.wrong"

local M = { title = "a raw binary" }

-- Refuses a program that was clearly linked for elsewhere.
local function check_address(name, bytes, address)
  local elsewhere, reset, base = vectors.linked(bytes, address)
  if not elsewhere then return end
  local last = address + #bytes - 1
  local why
  if reset < address or reset > last then
    why = ("its reset vector is %s, outside %s, where it would go"):format(text.hex(reset),
      text.range(address, last))
  else
    why = ("it is linked for another address%s than %s, where it would go"):format(
      base and (", %s,"):format(text.hex(base)) or "", text.hex(address))
  end
  errors.raise { code = "image.address", message = ("%s: %s"):format(name, why),
    address = base, remedy = { base and "address" or nil, "force" },
    hint = remedies.lines {
      base and ("%s@%s puts it where it was linked for."):format(name, text.hex(base)) or false,
      remedies.hint { "force" } or false,
    } }
end

---@param name string of the file
---@param bytes string
---@param address integer
---@param force? boolean also if it was linked for elsewhere
---@return table[] segments
function M.parse(name, bytes, address, force)
  if address + #bytes > 1 << 32 then
    wrong.file(name, "does not fit behind %s: data past 4 GiB", text.hex(address))
  end
  if not force then check_address(name, bytes, address) end
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
      remedy = { "pad" },
      hint = "Write it as hex, srec or dfu; or fill the gaps:\n"
        .. "'moonflash convert --pad', in Lua image:pad(first, last)." }
  end
  return list[1].bytes
end

return M

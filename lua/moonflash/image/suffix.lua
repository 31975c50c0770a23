-- SPDX-License-Identifier: MIT
-- The suffix of DFU files: the ids of the board, and a checksum (DFU 1.1, appendix B). A file of
-- any format can have one.
local crc = require "moonflash.image.crc"
local ids_of = require "moonflash.image.ids"
local wrong = require "moonflash.image.wrong"

local M = {}

local SUFFIX = "<I2I2I2I2c3BI4" -- bcdDevice, idProduct, idVendor, bcdDFU, "UFD", bLength, dwCRC
local SIZE = SUFFIX:packsize()

M.DFU = 0x0100   -- bcdDFU of a suffix, DFU 1.1
M.DFUSE = 0x011A -- and of DfuSe files

---Checks the suffix, if there is one, and removes it.
---@param name string of the file
---@param bytes string
---@return string content
---@return table? suffix { vid=, pid=, version=, format=, size= bytes, crc= }
function M.strip(name, bytes)
  local at = #bytes - SIZE
  if at < 0 or bytes:sub(-8, -6) ~= "UFD" then return bytes end
  local version, pid, vid, format, _, length, sum = SUFFIX:unpack(bytes, at + 1)
  if length < SIZE or length > #bytes then
    wrong.offset(name, at + 11, "the DFU suffix claims to have %d bytes: %d or more, and no more"
      .. " than the file", length, SIZE)
  end
  local right = crc.dfu(bytes:sub(1, -5))
  if sum ~= right then
    wrong.offset(name, at + 12, "the CRC in the DFU suffix is %08X, the file adds up to %08X", sum,
      right)
  end
  return bytes:sub(1, -length - 1), { vid = vid, pid = pid, version = version, format = format,
                                    size = length, crc = sum }
end

---Appends a suffix.
---@param content string
---@param ids? table vid, pid, version: integers; nil: any
---@param format integer bcdDFU
---@return string
function M.add(content, ids, format)
  ids = ids or {}
  local bytes = content .. SUFFIX:sub(1, -3):pack(ids.version or ids_of.ANY, ids.pid or ids_of.ANY,
    ids.vid or ids_of.ANY, format, "UFD", SIZE)
  return bytes .. ("<I4"):pack(crc.dfu(bytes))
end

return M

-- SPDX-License-Identifier: MIT
-- The file of -D: its suffix, its kind, and the image that is made of it for a memory.
local errors = require "moonflash.errors"
local files = require "moonflash.base.files"
local ids_of = require "moonflash.image.ids"
local image = require "moonflash.image"
local prefixes = require "moonflash.image.prefix"
local statuses = require "moonflash.dfu_util.status"
local strangers = require "moonflash.image.strangers"
local suffixes = require "moonflash.image.suffix"

local M = {}

local MOST = 256 * 1024 * 1024 -- bytes: Linux systems are written by plain DFU, too

local function cannot_read(name, why)
  statuses.fail(statuses.NO_INPUT, "Could not open file %s for reading: %s", name, why)
end

local function read_standard_input()
  local bytes, why = io.stdin:read(MOST + 1)
  if not bytes and why then cannot_read("-", why) end
  if bytes and #bytes > MOST then cannot_read("-", "it is too large") end
  return bytes or ""
end

local function read(name)
  if name == "-" then return read_standard_input() end
  local bytes, err = errors.catch("file", files.read, name, MOST, true)
  return bytes or cannot_read(name, err.message:match("^.*: (.-)$") or err.message)
end

---Reads the file. Raises errors with the status 66 if it can't be read, and 65 for a wrong suffix.
---@param name string "-": standard input
---@return table file name=, bytes=, content= without suffix, suffix=, dfuse= boolean
function M.load(name)
  local bytes = read(name)
  local content, suffix = suffixes.strip(name, bytes)
  return { name = name, bytes = bytes, content = content, suffix = suffix,
           dfuse = suffix ~= nil and suffix.format == suffixes.DFUSE }
end

---Whether the file's ids are those of a pair; a file without ids is for any board.
---@param file table
---@param pair table vid=, pid=: nil for any, false for none
---@return boolean
function M.is_for(file, pair)
  if not file.suffix then return true end
  if pair.vid == false or pair.pid == false then return false end
  return ids_of.match(file.suffix, { vid = pair.vid or ids_of.ANY, pid = pair.pid or ids_of.ANY })
end

---Raises the error for an empty file.
---@param file table
function M.check_not_empty(file)
  if #file.content == 0 then
    statuses.fail(statuses.USAGE, "the file %s is empty", file.name)
  end
end

-- The address that a file has, for a message.
local function own_address(file)
  if file.content:sub(1, 4) == "UF2\n" then
    return #file.content >= 16 and (("<I4"):unpack(file.content, 13)) or nil
  end
  local loaded = errors.catch("image", image.parse, file.name, file.content, { force = true })
  return loaded and loaded.segments[1].address
end

---Raises the error for a file that is not raw: it has addresses of its own.
---@param file table
function M.check_raw(file)
  local kind = image.recognise(file.content)
  local has_addresses = kind and (kind == "a UF2 file" or not strangers.binary(file.content))
  local what, page = strangers.recognise(file.content)
  if has_addresses then
    local address = own_address(file)
    statuses.fail(statuses.DATA, "%s is %s, with addresses of its own%s, and not raw\n  %s",
      file.name, kind, address and (" (from 0x%08x)"):format(address) or "",
      kind == "a UF2 file" and "Convert it to a raw binary first."
      or "'moonflash flash' writes it.")
  elseif page then -- a download that failed
    statuses.fail(statuses.DATA, "%s is not firmware: it is %s", file.name, what)
  end
end

---The image of a raw file for DfuSe. A prefix of TI or NXP is left out.
---@param file table
---@param address integer
---@param alt integer
---@return table image
function M.raw(file, address, alt)
  local bytes = prefixes.strip(file.content)
  if address + #bytes > 1 << 32 then
    statuses.fail(statuses.USAGE, "Last page at 0x%x is not writeable", address + #bytes - 1)
  end
  return image.new { name = file.name,
                     segments = { { address = address, bytes = bytes, alt = alt } } }
end

---The image of any file for plain DFU, which gets all of it but the suffix.
---@param file table
---@return table image
function M.plain(file)
  return image.new { name = file.name, segments = { { address = 0, bytes = file.content } } }
end

---The image of a DfuSe file. Raises `image`.
---@param file table
---@return table image
function M.dfuse(file)
  return image.parse(file.name, file.bytes)
end

return M

-- SPDX-License-Identifier: MIT
-- DfuSe files (ST's UM0391): a prefix, then one target for each alternate setting, with elements
-- and their addresses in it, and a DFU suffix.
local segments = require "moonflash.image.segments"
local suffixes = require "moonflash.image.suffix"
local wrong = require "moonflash.image.wrong"

local M = { title = "a DfuSe file" }

local PREFIX = "<c5BI4B"          -- "DfuSe", bVersion, DFUImageSize, bTargets
local TARGET = "<c6BI4c255I4I4"   -- "Target", bAlternateSetting, bTargetNamed, szTargetName,
                                  -- dwTargetSize, dwNbElements
local ELEMENT = "<I4I4"           -- dwElementAddress, dwElementSize
local PREFIX_SIZE, TARGET_SIZE, ELEMENT_SIZE = PREFIX:packsize(), TARGET:packsize(),
  ELEMENT:packsize()

---Whether the bytes begin like a DfuSe file.
---@param bytes string
---@return boolean
function M.recognise(bytes)
  return bytes:sub(1, 5) == "DfuSe"
end

---Raises `image` if a file that is not DfuSe has a DfuSe suffix.
---@param name string of the file
---@param suffix table
function M.check_plain(name, suffix)
  if suffix.format == suffixes.DFUSE then
    wrong.offset(name, 0, "its DFU suffix is DfuSe's (%04X), but there is no DfuSe prefix",
      suffixes.DFUSE)
  end
end

-- Calls f for the elements in [at, stop), both counted from 0. They must fill it exactly.
local function elements(name, content, at, stop, number, alt, f)
  for i = 1, number do
    if at + ELEMENT_SIZE > stop then
      wrong.offset(name, at, "element %d of %d begins past the end of its target", i, number)
    end
    local address, size = ELEMENT:unpack(content, at + 1)
    if at + ELEMENT_SIZE + size > stop then
      wrong.offset(name, at + 4, "element %d has %d bytes, and its target only %d more", i, size,
        stop - at - ELEMENT_SIZE)
    elseif address + size > 1 << 32 then
      wrong.offset(name, at, "element %d at 0x%08X has %d bytes: data past 4 GiB", i, address, size)
    end
    f(address, content:sub(at + ELEMENT_SIZE + 1, at + ELEMENT_SIZE + size), alt, at)
    at = at + ELEMENT_SIZE + size
  end
  if at ~= stop then
    wrong.offset(name, at, "%d bytes of the target belong to none of its %d elements", stop - at,
      number)
  end
end

-- Calls begin(alt, name, bytes) for each target, and f(address, bytes, alt, offset) for each
-- element. Some tools include the suffix in DFUImageSize, and some leave it 0.
local function each(name, content, suffix_size, f, begin)
  local _, version, size, number = PREFIX:unpack(content)
  if version ~= 1 then
    wrong.offset(name, 5, "version %d of DfuSe files; there is only 1", version)
  elseif size ~= #content and size ~= #content + suffix_size and size ~= 0 then
    wrong.offset(name, 6, "the prefix declares %d bytes; without the suffix the file has %d", size,
      #content)
  end
  local at = PREFIX_SIZE
  for i = 1, number do
    if at + TARGET_SIZE > #content then
      wrong.offset(name, at, "target %d of %d begins past the end", i, number)
    end
    local mark, alt, named, title, length, count = TARGET:unpack(content, at + 1)
    if mark ~= "Target" then
      wrong.offset(name, at, "target %d of %d does not begin with 'Target'", i, number)
    elseif at + TARGET_SIZE + length > #content then
      wrong.offset(name, at + TARGET_SIZE - 8, "target %d has %d bytes, and the file only %d more",
        i, length, #content - at - TARGET_SIZE)
    end
    at = at + TARGET_SIZE
    if begin then begin(alt, named ~= 0 and title:match("^%Z*") or nil, length) end
    elements(name, content, at, at + length, count, alt, f)
    at = at + length
  end
  if at ~= #content then
    wrong.offset(name, at, "%d bytes belong to none of the %d targets", #content - at, number)
  end
end

---@param name string of the file
---@param content string without its suffix
---@param suffix? table
---@return table[] segments
---@return table[] targets { { alt=, name=, size= bytes, elements = { { address=, size= }, ... } },
---  ... } in the order of the file
function M.parse(name, content, suffix)
  if #content < PREFIX_SIZE then
    wrong.offset(name, #content, "the file is cut off within the DfuSe prefix")
  elseif not suffix then
    wrong.offset(name, #content, "no DFU suffix at the end: the file is cut off")
  elseif suffix.format ~= suffixes.DFUSE then
    wrong.offset(name, #content + 6, "the suffix has version %04X; a DfuSe file has %04X",
      suffix.format, suffixes.DFUSE)
  end
  local merger, targets = segments.merger(name), {}
  each(name, content, suffix.size, function(first, bytes, alt)
    merger:add(first, bytes, alt)
    table.insert(targets[#targets].elements, { address = first, size = #bytes })
  end, function(alt, title, size)
    targets[#targets + 1] = { alt = alt, name = title, size = size, elements = {} }
  end)
  local list, address = merger:finish()
  if not list then -- a second pass finds the offset for the error
    local before = {}
    each(name, content, suffix.size, function(first, bytes, alt, offset)
      if address < first or address >= first + #bytes then return end
      local value, earlier = bytes:byte(address - first + 1), before[alt]
      if earlier and value ~= earlier.value then
        wrong.offset(name, offset, "this element and that at offset 0x%X differ at 0x%08X",
          earlier.offset, address)
      end
      before[alt] = earlier or { value = value, offset = offset }
    end)
  end
  return list, targets
end

---@param image table
---@param ids? table for the suffix; default: those of the image
---@return string
function M.write(image, ids)
  local merger = segments.merger(image.name)
  for _, segment in ipairs(image.segments) do
    merger:add(segment.address, segment.bytes, segment.alt or 0)
  end
  local list, address = merger:finish()
  if not list then
    wrong.file(image.name, "alternate setting 0 and none have other bytes at 0x%08X", address)
  end
  local bodies, number = {}, 0
  for i, segment in ipairs(list) do
    local before = list[i - 1]
    if not before or before.alt ~= segment.alt then
      number = number + 1
      bodies[number] = { alt = segment.alt }
    end
    table.insert(bodies[number], ELEMENT:pack(segment.address, #segment.bytes) .. segment.bytes)
  end
  local parts, size = {}, PREFIX_SIZE
  for i, body in ipairs(bodies) do
    local bytes = table.concat(body)
    parts[i] = TARGET:pack("Target", body.alt, 0, "", #bytes, #body) .. bytes
    size = size + #parts[i]
  end
  return suffixes.add(PREFIX:pack("DfuSe", 1, size, number) .. table.concat(parts),
    ids or image.ids, suffixes.DFUSE)
end

return M

-- SPDX-License-Identifier: MIT
-- What -U does: memory into a new file, which is whole or not there.
local dfu = require "dfu"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local files = require "moonflash.base.files"
local flash = require "moonflash.flash"
local lines = require "moonflash.dfu_util.lines"
local memory = require "moonflash.memory"
local statuses = require "moonflash.dfu_util.status"

local M = {}

local MOST = 2 << 30   -- bytes of an upload by plain DFU
local DEFAULT = 0x4000 -- bytes that are read without a length or an end

-- Raises the error for a file that exists or can't be created.
local function check_file(name)
  local _, err = errors.catch("file.write", files.check_writable, name)
  if err then
    statuses.fail(statuses.CANNOT_CREATE, "Cannot open file %s for writing: %s", name,
      err.message:find("exists already$") and "File exists" or err.message)
  end
end

-- The first address and the length of what is read.
local function range_of(request, alt)
  local address, length = request.dfuse.address, request.dfuse.length
  if not address then
    local segments = alt.layout.segments
    if #segments == 0 then
      statuses.fail(statuses.USAGE, "Failed to parse memory layout")
    end
    if not length then
      lines.warn("dfu-util", "Unbound upload not supported on DfuSe devices")
      length = math.min(DEFAULT, memory.size(segments))
    end
    lines.out("Limiting default upload to %d bytes", length)
    return segments[1].address, length
  end
  local segment = memory.find(alt.layout.segments, address)
  if not request.dfuse.force and not (segment and segment.readable) then
    statuses.fail(statuses.USAGE, "Page at 0x%08x is not readable", address)
  end
  if not length and segment then
    length = segment.address + segment.count * segment.size - address
    lines.out("Limiting upload to end of memory segment, %d bytes", length)
  elseif not length then
    length = DEFAULT
    lines.out("Limiting upload to %d bytes", length)
  end
  return address, length
end

local function read_dfuse(board, request, alt)
  if request.upload_size then
    lines.warn("dfu-util", "-Z has no effect on a DfuSe board; give the length with -s")
  end
  local address, length = range_of(request, alt)
  if address + length > 1 << 32 then
    statuses.fail(statuses.USAGE, "Page at 0x%08x is not readable", 0xFFFFFFFF)
  end
  local function advance(_, phase)
    if phase.name == "read" and request.verbose == 0 then
      lines.bar("Upload", phase.done, phase.total)
    end
  end
  local _ <close> = events.on { phase = advance, advance = advance }
  return flash.read(board, address, length)
end

-- The size is not known: -Z says it, or the last block.
local function read_plain(board, request)
  lines.out("Copying data from DFU device to PC")
  local size, parts, done = board.transfer_size, {}, 0
  repeat -- a short block is the last one; the number of a block has 16 bits
    local bytes = board:upload_block(#parts & 0xFFFF, size)
    parts[#parts + 1], done = bytes, done + #bytes
    if done > MOST then
      statuses.fail(statuses.IO, "the device sends more than %d bytes, and does not end", MOST)
    end
    if request.verbose == 0 and #bytes == size then
      lines.bar("Upload", done, math.max(request.upload_size or 0, done + 1))
    end
  until #bytes < size
  if request.verbose == 0 then lines.bar("Upload", done, done) end
  local bytes = table.concat(parts)
  lines.out("Received a total of %d bytes", #bytes)
  if request.upload_size and request.upload_size ~= #bytes then
    lines.warn("dfu-util", "Unexpected number of bytes uploaded from device")
  end
  return bytes
end

---Carries out -U.
---@param board table open, in dfuIDLE
---@param request table
---@param alt table of board.alts
function M.run(board, request, alt)
  check_file(request.file)
  local is_dfuse = dfu.fields(board).dfuse
  local bytes = is_dfuse and read_dfuse(board, request, alt) or read_plain(board, request)
  files.write(request.file, bytes)
  if is_dfuse and request.dfuse.leave then
    lines.out("Submitting leave request...")
    board:leave(request.dfuse.address or alt.layout.segments[1].address)
    lines.out("Transitioning to dfuMANIFEST state")
  elseif board.is_open and board:status().state ~= "dfuIDLE" then
    board:abort()
  end
end

return M

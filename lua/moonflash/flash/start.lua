-- SPDX-License-Identifier: MIT
-- The address at which a board starts its program, and whether a program is there.
local class = require "moonflash.board.class"
local errors = require "moonflash.errors"
local memory = require "moonflash.memory"
local setting = require "moonflash.flash.setting"
local text = require "moonflash.base.text"
local vectors = require "moonflash.image.vectors"

local M = {}

-- The addresses to examine: the image's start; or the first sector of the first memory, and the
-- first erasable one, because a boot loader may be below the program.
local function places(board, fields)
  local start = fields.job.image and fields.job.image.start
  if start then return { start } end
  local list, alt = {}, board.alts[1]
  local segments = alt and alt.layout.segments or {}
  list[1] = segments[1] and segments[1].address
  for _, s in ipairs(segments) do
    if s.erasable then
      if s.address ~= list[1] then list[#list + 1] = s.address end
      break
    end
  end
  return list
end

local function holds(board)
  return function(address)
    for _, alt in ipairs(board.alts) do
      if memory.find(alt.layout.segments, address) then return true end
    end
    return false
  end
end

-- The 8 bytes that a plan leaves at an address; nil if the plan does not change them.
local function will_stand(fields, plan, address)
  for _, sector in ipairs(plan.sectors) do
    if address >= sector.address and address <= sector.last then
      for _, piece in ipairs(sector.pieces) do
        local at = address - piece.address
        if at >= 0 and at + 8 <= #piece.bytes then return piece.bytes:sub(at + 1, at + 8) end
      end
      local goes = plan.mass or sector.erase and not sector.kept
      return goes and fields.part.erased:rep(8) or nil
    end
  end
  return plan.mass and fields.part.erased:rep(8) or nil
end

---The start address of a board, if a plausible vector table is there. Raises `image.no-program` if
---there is none.
---@param board table
---@param plan? table the plan to be carried out; on a dry run the last one
---@return integer? address nil: the board reports no memory
---@return boolean? unread the address could not be read, so it may or may not have a program
function M.find(board, plan)
  local fields = class.state(board)
  plan = plan or board.dry and fields.job.plan or nil
  local list = places(board, fields)
  if #list == 0 or fields.part.riscv then return list[1], true end
  if not fields.info.functional.attributes.can_upload then return list[1], true end
  for _, address in ipairs(list) do
    local bytes = plan and will_stand(fields, plan, address)
    if not bytes then
      local segment = M.segment(board, address)
      local n = math.min(segment and segment.size or 8, board.transfer_size)
      local ok, found = pcall(setting.read, board, nil, address, n)
      if not ok and (errors.matches(found, "usb.gone") or errors.matches(found, "cancelled")) then
        error(found, 0)
      elseif not ok then
        board:clear_status() -- raises if the board does not answer any more
        board:abort()
        return address, true
      end
      bytes = found
    end
    if vectors.is_table(bytes, holds(board)) then return address, false end
  end
  local names = {}
  for i, address in ipairs(list) do names[i] = text.hex(address) end
  errors.raise { code = "image.no-program", path = board.path, op = "leave", address = list[1],
    remedy = plan and { "no-leave" } or { "address", leave = true },
    message = ("%s: no vector table at %s; the board stays in DFU mode")
      :format(board.path, table.concat(names, " or ")) }
end

---The run of sectors that has an address.
---@param board table
---@param address integer
---@return table?
function M.segment(board, address)
  for _, alt in ipairs(board.alts) do
    local segment = memory.find(alt.layout.segments, address)
    if segment then return segment end
  end
end

return M

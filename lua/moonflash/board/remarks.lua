-- SPDX-License-Identifier: MIT
-- What a person has to mind about a board: the faults of its ROM, and what its strings hide.
local part_of = require "moonflash.board.part"

local M = {}

local function main_segment(info)
  local main = info.alts[1] and info.alts[1].layout
  return main and main.segments[1]
end

local function share_a_name(info)
  local seen = {}
  for _, alt in ipairs(info.alts) do
    if seen[alt.name] and alt.name:find("^@") then return true end
    seen[alt.name] = true
  end
  return false
end

-- when: the condition; found: the remark; todo: the remedy, if there is one.
local remarks = {
  { -- dfu-util 529fa51, f2b7d4b: rev A announces 2 KB and has 1 KB
    when = function(info, part)
      local s = main_segment(info)
      return info.vid == 0x28E9 and info.pid == 0x0189 and s and s.size == 2048
        and not (part.row and part.row.real)
    end,
    found = "a GD32 that reports 2 KB pages may have 1 KB pages: every other page stays unerased",
    todo = "If verifying fails: --layout @Flash/0x08000000/128*001Kg",
  },
  { -- MicroPython's mboot, and others with ST's ids
    when = function(info, part)
      return info.vid == 0x0483 and info.pid == 0xDF11 and info.mode == "dfu" and info.product
        and part.family and not part_of.may_be_rom(info)
    end,
    found = "has the USB ids of ST's ROM, but is another boot loader: the full poll times are "
      .. "waited for",
  },
  { -- G0B1: field reports
    when = share_a_name,
    found = "several memories have the same name",
    todo = "Choose by number: -d alt=0 is the first.",
  },
  {
    when = function(info) return info.serial and part_of.is_shared_serial(info.serial) end,
    found = "other boards have the same serial number",
    todo = "Choose by path.",
  },
  {
    when = function(info)
      return info.mode == "dfu" and not info.functional.transfer_size
    end,
    found = "reports no transfer size: 64 bytes are used, each block with its own address",
  },
  {
    when = function(_, part) return part.family and part.erased == "\0" end,
    found = "erasing leaves 0x00, not 0xFF",
  },
}

---The remarks that apply to a board.
---@param info table in the format of dfu.list()
---@return table[] { { found=, todo= }, ... }
function M.of(info)
  local part, list = part_of.of(info), {}
  for _, remark in ipairs(remarks) do
    if remark.when(info, part) then list[#list + 1] = { found = remark.found,
      todo = remark.todo } end
  end
  if part.row and (part.row.real or part.row.drops) then
    list[#list + 1] = { found = "the layout that it reports is wrong, and was corrected" }
  end
  return list
end

-- Faults that several families share are named once.
---The faults that the ROM of a board is known to have, as text with source and mark.
---@param part moonflash.Part
---@return table[] { text=, source=, mark=, families= }
function M.faults(part)
  local list, by_text = {}, {}
  for _, fault in ipairs(part.faults) do
    local known = by_text[fault.text]
    if known then
      known.families[#known.families + 1] = fault.family
    else
      known = { text = fault.text, source = fault.source, mark = fault.mark,
                families = { fault.family } }
      by_text[fault.text], list[#list + 1] = known, known
    end
  end
  return list
end

return M

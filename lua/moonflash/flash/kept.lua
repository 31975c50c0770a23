-- SPDX-License-Identifier: MIT
-- What --keep has read of sectors that are erased stands nowhere else until it is written again. If
-- that goes wrong, it goes to a file, and the error says how it comes back.
local dfu = require "dfu"
local errors = require "moonflash.errors"
local explain = require "moonflash.explain"
local files = require "moonflash.files"
local image = require "moonflash.image"

local M = {}

-- What is verified in [first, last], as the journal has it: all of it?
local function is_verified(claims, first, last)
  local at = first
  for _, claim in ipairs(claims) do
    if claim.state == "verified" and claim.first <= at and claim.last >= at then
      at = claim.last + 1
    end
  end
  return at > last
end

-- Whether the journal has something of [first, last].
local function is_touched(claims, first, last)
  for _, claim in ipairs(claims) do
    if claim.first <= last and claim.last >= first then return true end
  end
  return false
end

-- The pieces that may not be on the board any more: of sectors that were to be erased, and were
-- not left alone, and that have not been read back since.
local function lost(board, plan)
  local claims, pieces = dfu.fields(board).journal:claims(), {}
  for _, sector in ipairs(plan.sectors) do
    for _, piece in ipairs(sector.begun and sector.kept or {}) do
      local last = piece.address + #piece.bytes - 1
      if is_touched(claims, piece.address, last)
        and not is_verified(claims, piece.address, last) then
        pieces[#pieces + 1] = piece
      end
    end
  end
  return pieces
end

local function how_to_restore(board, name)
  if explain.at_prompt() then
    return ("  flash.write(board, image.load(%q), { lose = true })"):format(name)
  end
  return ("  moonflash -d '%s' flash %s --lose"):format(board.path, name)
end

---To be closed when a plan was carried out, or failed.
---@param board table
---@param plan table its sectors with `begun` where they may have been erased
function M.guard(board, plan)
  local function save(_, err)
    local pieces = err ~= nil and lost(board, plan) or {}
    if #pieces == 0 then return end
    -- with addresses, and so in no danger to be taken for something else than it is; and a file of
    -- an earlier failure may be all that is left of what it holds
    local name = files.unused(("moonflash-kept-%08X"):format(pieces[1].address), ".hex")
    local kept = image.new { segments = pieces, name = name }
    local ok, why = pcall(kept.save, kept, name)
    if not errors.is(err) then return end
    local hint = explain.without_again(err.hint)
    err.hint = (hint and hint .. "\n" or "") .. (ok
      and ("What --keep had read is in %s, and not all on the board. First write it back:\n%s\n"
        .. "After that, the same command, run again, does it all."):format(name,
        how_to_restore(board, name))
      or "What --keep had read is lost: " .. tostring(why))
  end
  return setmetatable({}, { __close = save })
end

return M

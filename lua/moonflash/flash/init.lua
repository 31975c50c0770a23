-- SPDX-License-Identifier: MIT
-- Module `flash`: writes, verifies and erases. An image becomes a plan, the plan is carried out,
-- and the board is read back and compared.
local blank = require "moonflash.flash.blank"
local bystanders = require "moonflash.flash.bystanders"
local check = require "moonflash.base.check"
local class = require "moonflash.board.class"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local fits = require "moonflash.flash.fits"
local guard = require "moonflash.board.guard"
local kept = require "moonflash.flash.kept"
local lay = require "moonflash.flash.lay"
local memory = require "moonflash.memory"
local misuse = require "moonflash.base.misuse"
local perform = require "moonflash.flash.perform"
local plans = require "moonflash.flash.plan"
local rules = require "moonflash.flash.rules"
local scope = require "moonflash.flash.scope"
local sectors_of = require "moonflash.flash.sectors"
local show = require "moonflash.flash.show"
local start = require "moonflash.flash.start"
local unprotect = require "moonflash.flash.unprotect"
local verify = require "moonflash.flash.verify"

local M = {}

local option = plans.option

-- Options that a recipe can add to its arguments: { "file", ... }, table.unpack(flash.options)
M.options = {
  { "--full", "erase and write the whole image, without comparing first", default = false },
  { "--keep", "write back the other data in the sectors that are erased", default = false },
  { "--lose", "discard existing data in front of the image in its first sector", default = false },
  { "--erase-all", "erase the whole chip first, including what the image does not cover",
    default = false },
  { "--start-last", "write the vector table last: half a program never starts", default = false },
  { "--no-verify", "don't read back what was written", default = false },
  { "--trust-erase", "don't check whether the erase changed other sectors", default = false },
  { "--otp", "allow to write OTP memory, which can never be erased", default = false },
  { "--retry", "rewrite sectors that fail verification, up to N times", default = 0,
    type = "integer" },
  { "--only", "write only this part: FIRST..LAST, or a memory (number or name)", type = "string" },
  { "--skip-outside", "skip parts of the image for which the board has no memory",
    default = false },
  { "--force", "write even if the file is not firmware, or is for another address or board",
    default = false },
  { "--unprotect", "remove read protection first: ERASES THE WHOLE CHIP", default = false },
  { "--yes", "confirm --unprotect without being asked", default = false },
  { "--leave", "leave DFU mode and start the program afterwards", default = false },
}

-- The options' names in Lua.
local names = {}
for i, definition in ipairs(M.options) do names[i] = definition[1]:sub(3):gsub("-", "_") end

local function check_image(usage, image)
  if type(image) == "table" and type(rawget(image, "segments")) == "table" then return end
  if type(image) == "string" then
    misuse("%s: an image, not a string: image.load(%q)", usage, image)
  elseif check.is_recipe_options(image) then
    misuse("%s: an image, not the recipe's options; a recipe's run has (board, opt, value)", usage)
  end
  misuse("%s: an image, from image.load", usage)
end

---The plan for an image: for each sector, what is the same, erased, written, kept and lost. Reads
---the board and changes nothing.
---@param board table
---@param image table
---@param options? table full, keep, lose, erase_all, start_last, skip_outside, otp; only
---@return table plan
function M.plan(board, image, options)
  local usage = "flash.plan(board, image, options)"
  class.check(usage, board)
  check_image(usage, image)
  check.options(usage, options, names)
  return plans.make(board, image, options)
end

---A plan as text, one line a sector.
---@param plan table
---@return string
M.describe = show.plan

-- ---- writing ----

-- Refuses bytes that would close the chip for ever, before the first erase.
local function check_irreversible(board, plan)
  local fields = class.state(board)
  for _, run in ipairs(plan.runs) do guard.write(fields, board, run.address, run.bytes) end
end

-- Records what a plan would have done, for the rest of a dry run.
local function pretend(device, plan)
  local pretended = device:pretend()
  if plan.mass then pretended:erase_all(device.alts) end
  for _, sector in ipairs(plan.erased) do
    pretended:erase(sector.address, sector.size, device.part.erased)
  end
  for _, run in ipairs(plan.runs) do pretended:write(run.address, run.bytes) end
end

local function write_dfuse(board, image, options)
  local fields = class.state(board)
  if option(options, "unprotect") and unprotect.state(board) ~= false then
    unprotect.run(board, options)
  end
  local plan = plans.make(board, image, options)
  fields.job:take(plan.image, plan)
  plan.restored = kept.check(board, plan.image, plan.sectors, plan.kept_file)
  if plan.mass then perform.check_mass_erase(board) end
  check_irreversible(board, plan)
  if option(options, "leave") then start.find(board, plan) end
  events.emit("plan", board, plan, board.dry)
  rules.check(board, plan)
  if board.dry then
    pretend(fields.device, plan)
  else
    perform.plan(board, plan, options)
  end
end

-- Refuses options that need addresses or commands, which plain DFU does not have.
local function check_plain(board, options)
  for _, name in ipairs { "keep", "erase_all", "start_last", "unprotect" } do
    if option(options, name) then
      errors.raise { code = "usage", path = board.path,
        message = ("%s: the option %s needs DfuSe, and this board speaks plain DFU; nothing was "
          .. "sent"):format(board.path, (name:gsub("_", "-"))) }
    end
  end
end

---Plans, erases, writes and verifies. Every refusal comes before the first erase.
---@param board table
---@param image table from image.load
---@param options? table the names in flash.options, with _ for -
function M.write(board, image, options)
  local usage = "flash.write(board, image, options)"
  local fields = class.check(usage, board)
  check_image(usage, image)
  check.options(usage, options, names)
  fields.job:take(image)
  if not option(options, "force") then fits.check(board, image) end
  if fields.dfuse then
    write_dfuse(board, image, options)
  else
    check_plain(board, options)
    perform.plain(board, scope.apply(board, image, options or {}), options)
  end
  if option(options, "leave") then board:leave(fields.dfuse and fields.job.image.start or nil) end
end

-- Refuses to read a board whose descriptor excludes upload.
local function check_readable(board, op)
  if class.state(board).info.functional.attributes.can_upload then return end
  errors.raise { code = "dfu.unreadable", path = board.path, op = op,
    message = board.path .. ": the board does not support reading; nothing was sent" }
end

---Reads the board and compares it with an image. Raises `verify` if they differ.
---@param board table
---@param image table
---@param options? table only, skip_outside
function M.verify(board, image, options)
  local usage = "flash.verify(board, image, options)"
  local fields = class.check(usage, board)
  check_image(usage, image)
  check.options(usage, options, names)
  if not option(options, "force") then fits.address(board, image) end
  check_readable(board, "verify")
  image = scope.apply(board, image, options or {})
  local segments = image.segments
  fields.job:take(image)
  if not fields.dfuse then -- its one memory starts at 0, whatever the image's address
    lay.check_plain(board, image)
    segments = { { address = 0, bytes = lay.plain_bytes(image) } }
  end
  for _, s in ipairs(segments) do
    if s.alt then lay.memory_of(board, image, s.address, s.address + #s.bytes - 1, s.alt) end
  end
  if fields.device.pretended then -- it would compare with what it would have written
    return events.emit("would", board, "verify", segments[1].address)
  end
  local result = verify.compare(board, segments)
  if result.first then verify.complain(board, result) end
  fields.history:verified()
end

-- ---- erasing ----

---Erases sectors, and checks that they are blank and their neighbours unchanged.
---@param board table
---@param sectors table[] { { address= }, ... }
---@param options? table trust_erase
function M.erase(board, sectors, options)
  local usage = "flash.erase(board, sectors, options)"
  local fields = class.check(usage, board)
  if type(sectors) ~= "table" then
    misuse("%s: sectors is a list, from flash.sectors", usage)
  end
  local erased = {}
  for i, sector in ipairs(sectors) do
    local address, size = verify.sector_at(board, sector.address, sector.alt)
    erased[i] = { address = address, size = size, alt = sector.alt or M.memory_at(board, address),
                  state = "differs", pieces = {}, last = address + size - 1 }
  end
  rules.check_erase(board, erased)
  local plan = { sectors = erased }
  local can_read = fields.info.functional.attributes.can_upload
  local places = can_read and not option(options, "trust_erase")
    and bystanders.choose(board, plan, erased) or {}
  if not board.dry then bystanders.look(board, plan, places) end
  perform.erase_sectors(board, erased)
  if board.dry then
    local words = bystanders.describe(places)
    if words and #erased > 0 then
      events.emit("remark", board, "would-compare", { text = words })
    end
    return
  end
  if can_read then
    blank.check(board, erased)
    bystanders.check(board, places)
  else
    fields.history:not_verified("the board can't be read")
  end
end

---The number of the alternate setting whose memory has an address.
---@param board table
---@param address integer
---@return integer?
function M.memory_at(board, address)
  for _, alt in ipairs(board.alts) do
    if memory.find(alt.layout.segments, address) then return alt.number end
  end
end

---Erases all memories with one command, and checks that the first memory is blank, up to the first
---address that the board refuses.
---@param board table
function M.erase_all(board)
  local fields = class.check("flash.erase_all(board)", board)
  rules.settle(board)
  if rules.fault(board, "no-mass-erase") then
    return M.erase(board, rules.all_sectors(board), { trust_erase = true })
  end
  if board.dry then
    perform.check_mass_erase(board)
    return board:mass_erase()
  end
  perform.erase_all(board)
  if not fields.info.functional.attributes.can_upload then
    fields.history:not_verified("the board can't be read")
    return
  end
  local refused = blank.check_memory(board, board.alts[1])
  if refused then
    events.emit("remark", board, "blank-up-to", { address = refused })
  end
end

---Removes the read protection, which erases the whole chip, and checks the result. Does nothing if
---the board is not protected.
---@param board table
---@param options? table yes: confirmed; seconds: longest time until the board is back
---@return boolean removed
function M.unprotect(board, options)
  class.check("flash.unprotect(board, options)", board)
  return unprotect.run(board, options)
end

---The erasable sectors that overlap [first, last].
---@param board table
---@param first integer
---@param last integer
---@return table[] sectors
function M.sectors(board, first, last)
  local usage = "flash.sectors(board, first, last)"
  class.check(usage, board)
  check.span(usage, first, last)
  rules.settle(board)
  local alt = lay.memory_of(board, { name = "the range to erase" }, first, last)
  return perform.sectors(alt, first, last)
end

---Reads memory, with progress events.
---@param board table
---@param address integer
---@param length integer bytes
---@return string
function M.read(board, address, length)
  local usage = "flash.read(board, address, length)"
  class.check(usage, board)
  check.range(usage, address, length, 0)
  check_readable(board, "read")
  if not class.state(board).dfuse then -- plain DFU reads from 0 only
    return board:read(address, length)
  end
  local phase = events.phase(board, "read", length, "bytes")
  local size = sectors_of.CHUNK * board.transfer_size
  local chunks = {}
  for at = 0, length - 1, size do
    local n = math.min(size, length - at)
    chunks[#chunks + 1] = board:read(address + at, n)
    phase:advance(n)
  end
  phase:finish()
  local bytes = table.concat(chunks)
  verify.check_counting(board, { { address = address, bytes = bytes } })
  return bytes
end

---The first and last address of the memory that a board starts its program from. In plain DFU the
---size is unknown, and the last address is nil.
---@param board table
---@return integer first
---@return integer? last
function M.span(board)
  class.check("flash.span(board)", board)
  if not class.state(board).dfuse then return 0 end
  lay.check_layout(board, board.alts[1])
  local segments = board.alts[1].layout.segments
  return memory.span(segments, segments[1].address)
end

return M

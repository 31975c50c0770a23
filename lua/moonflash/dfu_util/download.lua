-- SPDX-License-Identifier: MIT
-- What -D and -s do: writing by the library, which compares first and reads back, with the steps
-- that dfu-util prints.
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local firmware = require "moonflash.dfu_util.firmware"
local flash = require "moonflash.flash"
local images = require "moonflash.image"
local lines = require "moonflash.dfu_util.lines"
local memory = require "moonflash.memory"
local dfu = require "dfu"
local scope = require "moonflash.flash.scope"
local session = require "moonflash.dfu_util.session"
local statuses = require "moonflash.dfu_util.status"
local task = require "task"

local M = {}

local FIRST_BLOCK = 2
local COMPARED = 16 -- bytes that are compared together
local BACK = 10 -- seconds in which a board is back after a reset of its own

local function may_verify()
  if os.getenv("MOONFLASH_DFU_UTIL") ~= "noverify" then return true end
  lines.warn("dfu-util", "MOONFLASH_DFU_UTIL=noverify: what is written is not read back")
  return false
end

local function usage(format, ...)
  statuses.fail(statuses.USAGE, format, ...)
end

-- ---- where the bytes go ----

-- The sector run that has an address, in one memory or in all.
local function segment_of(board, address, number)
  for _, alt in ipairs(board.alts) do
    local segment = (not number or alt.number == number)
      and memory.find(alt.layout.segments, address)
    if segment then return segment, alt end
  end
end

-- Refuses pieces for which the board has no memory that can be written. dfu-util looks at the last
-- byte first.
local function check_place(board, image, raw)
  for _, piece in ipairs(image.segments) do
    local last = piece.address + #piece.bytes - 1
    for _, at in ipairs { last, piece.address } do
      local segment, alt = segment_of(board, at, piece.alt)
      if segment and memory.is_option_bytes(alt.layout) and not raw then
        usage("0x%08x is in the option bytes; they are written with -s 0x%08x:will-reset", at,
          piece.address)
      elseif not segment or not segment.writable then
        usage("%sage at 0x%08x is not writeable", at == last and "Last p" or "P", at)
      elseif not segment.erasable and scope.without_erase(alt.layout) == "otp" then
        usage("0x%08x is OTP memory, which can be written only once; 'moonflash flash --otp' "
          .. "writes it", at)
      end
    end
  end
end

-- Whether pieces begin inside a sector: what stands in front of them is kept.
local function begins_inside(board, image)
  for _, piece in ipairs(image.segments) do
    local segment = segment_of(board, piece.address, piece.alt)
    if segment and (piece.address - segment.address) % segment.size ~= 0 then return true end
  end
  return false
end

local function is_option_bytes(board, image)
  local piece = image.segments[1]
  local _, alt = segment_of(board, piece.address, piece.alt)
  return alt ~= nil and memory.is_option_bytes(alt.layout)
end

-- ---- the ends ----

-- The state lines that end a download, for LAVA.
local function tell_end(state, status)
  session.tell_state(state, status)
  lines.out("Done!")
end

-- Tells whether what was written was read back.
local function tell_verified(board)
  local history = dfu.fields(board).history
  history:settle()
  local stats = history.stats
  if stats.verified then
    lines.out("Verified")
  elseif stats.unverified then
    if stats.unverified ~= "--no-verify" then -- that was said
      lines.warn("dfu-util", "the board was written, and not verified: " .. stats.unverified)
    end
  end
end

local function back_to_idle(board)
  local now = board:status()
  if now.state ~= "dfuIDLE" then board:abort() end
  now = board:status()
  tell_end(now.state, now.status)
end

local function leave(board, address)
  lines.out("Submitting leave request...")
  board:leave(address)
  lines.out("Transitioning to dfuMANIFEST state")
  tell_end("dfuMANIFEST")
end

-- Ends a DfuSe session. A board that resets itself may be away.
local function finish(board, request, start)
  if not board.is_open then -- option bytes have reset it
    if request.dfuse.leave then
      lines.warn("dfu-util", "the board has reset itself, so it was not told to leave")
    end
    return
  end
  if request.dfuse.leave then return leave(board, start) end
  if not request.dfuse.will_reset then return back_to_idle(board) end
  if board.is_open then errors.catch("usb.gone", back_to_idle, board) end
end

-- ---- commands of -s ----

local function unprotect(board, request, file)
  if not request.dfuse.force then
    usage("The read unprotect command erases the flash memory; it needs the word 'force'")
  end
  board:read_unprotect()
  lines.out("Device disconnects, erases flash and resets now")
  if file then
    lines.warn("dfu-util", ("%s was not written: 'unprotect' is all that was done. Run the command "
      .. "again without it."):format(file.name))
  end
end

local function check_mass_erase(request)
  if request.dfuse.mass_erase and not request.dfuse.force then
    usage("The mass erase command can only be used with force")
  end
end

-- ---- writing ----

-- Erases everything, where it is not a part of the write.
local function mass_erase(board, request)
  if not request.dfuse.mass_erase then return end
  lines.out("Performing mass erase, this can take a moment")
  flash.erase_all(board)
end

-- Writes by the library, and shows it.
local function write(board, request, image, erase_all)
  local shown = lines.download(image.size, request.verbose > 0)
  local _ <close> = events.on(shown)
  if erase_all then lines.out("Performing mass erase, this can take a moment") end
  flash.write(board, image, { force = true, no_verify = not may_verify(), erase_all = erase_all,
    keep = not erase_all and begins_inside(board, image) })
  shown.finish()
  tell_verified(board)
end

-- Writes a piece where the board reports no memory, or none that can be written ("force"): nothing
-- is erased there. It is read back, if the board lets it.
local function force(board, request, piece)
  local shown = lines.download(#piece.bytes, request.verbose > 0, true)
  local size = board.transfer_size
  local history = dfu.fields(board).history
  for at = 0, #piece.bytes - 1, size do
    board:set_address(piece.address + at)
    board:download_block(FIRST_BLOCK, piece.bytes:sub(at + 1, at + size))
    shown.advance(nil, { name = "write", done = at, total = #piece.bytes })
  end
  shown.finish()
  if not may_verify() then return end
  for at = 0, #piece.bytes - 1, size do
    board:set_address(piece.address + at)
    board:abort()
    local expected = piece.bytes:sub(at + 1, at + size)
    local found = errors.catch("dfu", board.upload_block, board, FIRST_BLOCK, #expected)
    if not found then
      history:not_verified("it can't be read back")
      return tell_verified(board)
    elseif found ~= expected then
      statuses.fail(statuses.VERIFY, "verify failed: 0x%08x does not hold what was written",
        piece.address + at)
    end
  end
  lines.out("Verified")
end

-- Splits a piece into the parts in memories that can be erased and written, and the others.
local function split(board, piece)
  local good, others = {}, {}
  local at, stop = piece.address, piece.address + #piece.bytes
  while at < stop do
    local segment = segment_of(board, at, piece.alt)
    local is_good = segment ~= nil and segment.writable and segment.erasable
    local last = at + 1
    while last < stop do -- to the next border of a run of sectors
      local next_segment = segment_of(board, last, piece.alt)
      local next_good = next_segment ~= nil and next_segment.writable and next_segment.erasable
      if next_good ~= is_good then break end
      last = next_segment and next_segment.address + next_segment.count * next_segment.size
        or math.min(last + board.transfer_size, stop)
    end
    last = math.min(last, stop)
    local list = is_good and good or others
    list[#list + 1] = { address = at, alt = is_good and piece.alt or nil,
                        bytes = piece.bytes:sub(at - piece.address + 1, last - piece.address) }
    at = last
  end
  return good, others
end

-- Writes where the board has memories that can be erased, and by force everywhere else.
local function write_forced(board, request, image)
  local good, others = split(board, image.segments[1])
  if #good > 0 then
    write(board, request, images.new { name = image.name, segments = good })
  end
  for _, piece in ipairs(others) do force(board, request, piece) end
end

-- Option bytes: the ROM erases them itself, and resets the chip. They are read back afterwards.
local function write_option_bytes(board, request, image)
  local piece = image.segments[1]
  local shown = lines.download(#piece.bytes, request.verbose > 0)
  local before = board:read(piece.address, #piece.bytes)
  if before ~= piece.bytes then board:write(piece.address, piece.bytes) end
  shown.finish()
  local by = task.now() + 1
  while board.is_open and dfu.whereabouts(board) == "there" and task.now() < by do
    task.sleep(0.05)
  end
  if board.is_open and dfu.whereabouts(board) ~= "there" then board:close() end
  if not may_verify() then return end
  local history = dfu.fields(board).history
  local opened, why = true, nil
  if not board.is_open then
    opened, why = errors.catch("usb", board.open, board, { wait = BACK })
  end
  local found = opened and errors.catch("dfu", board.read, board, piece.address, #piece.bytes)
  if not found then
    history:not_verified(why and "the board did not come back in DFU mode" or "it can't be read")
    return tell_verified(board)
  elseif found ~= piece.bytes then
    statuses.fail(statuses.VERIFY, "verify failed: the option bytes at 0x%08x are not those that "
      .. "were written", piece.address)
  end
  lines.out("Verified")
end

local function write_raw(board, request, file, alt)
  firmware.check_not_empty(file)
  if file.dfuse then usage("This is a DfuSe file, not meant for raw download") end
  firmware.check_raw(file)
  local image = firmware.raw(file, request.dfuse.address, alt.number)
  local forced = request.dfuse.force and not is_option_bytes(board, image)
  if not forced then check_place(board, image, true) end
  lines.out("Downloading element to address = 0x%08x, size = %d", request.dfuse.address, image.size)
  if is_option_bytes(board, image) then
    mass_erase(board, request)
    write_option_bytes(board, request, image)
  elseif forced then
    mass_erase(board, request)
    write_forced(board, request, image)
  else
    write(board, request, image, request.dfuse.mass_erase)
  end
  lines.out("File downloaded successfully")
  finish(board, request, request.dfuse.address)
end

-- ---- DfuSe files ----

-- The part of a DfuSe file for the chosen alternate setting; all of it if none was chosen.
local function part_for(image, file, alt, board)
  local has, segments = {}, {}
  for _, own in ipairs(board.alts) do has[own.number] = true end
  for i, target in ipairs(image.targets) do
    lines.out("Parsing DFU image %d", i)
    lines.out(target.name and "Target name: %s" or "No target name",
      target.name)
    lines.out("Image for alternate setting %d, (%d elements, total size = %d)", target.alt,
      #target.elements, target.size)
    local skipped = alt and alt.number ~= target.alt
    if skipped then
      lines.warn("dfu-util", ("No alternate setting %d (skipping elements)"):format(target.alt))
    elseif not has[target.alt] then
      statuses.fail(statuses.DATA, "%s has data for alternate setting %d, which this board does "
        .. "not have", file.name, target.alt)
    else
      lines.out("Setting Alternate Interface #%d ...", target.alt)
    end
    for j, element in ipairs(target.elements) do
      lines.out("Parsing element %d, address = 0x%08x, size = %d", j, element.address, element.size)
    end
  end
  for _, piece in ipairs(image.segments) do
    if not alt or piece.alt == alt.number then segments[#segments + 1] = piece end
  end
  if #segments == 0 then
    statuses.fail(statuses.DATA, "%s has nothing for alternate setting %d", file.name, alt.number)
  end
  return images.new { name = image.name, segments = segments }
end

local function write_dfuse(board, request, file, alt)
  local whole = firmware.dfuse(file)
  lines.out("File contains %d DFU images", #whole.targets)
  local image = part_for(whole, file, alt, board)
  check_place(board, image)
  write(board, request, image, request.dfuse.mass_erase)
  lines.out("Done parsing DfuSe file")
  lines.out("File downloaded successfully")
  finish(board, request, image.start or image.segments[1].address)
end

-- ---- plain DFU ----

-- A device that takes scripts or settings may give other bytes than it got.
local function verify_plain(board)
  local history = dfu.fields(board).history
  if history.stats.verified or history.stats.unverified then return tell_verified(board) end
end

-- Whether most of what was sent is read back: then the device has a memory, and it is wrong.
local function is_mostly_there(board, bytes)
  local found = errors.catch("dfu", board.read, board, 0, #bytes)
  if not found or #found ~= #bytes then return false end
  local same, all = 0, 0
  for at = 1, #bytes, COMPARED do
    all = all + 1
    if bytes:sub(at, at + COMPARED - 1) == found:sub(at, at + COMPARED - 1) then same = same + 1 end
  end
  return same * 2 >= all
end

local function write_plain(board, request, file)
  if file.dfuse then
    usage("%s is a DfuSe file, and this device speaks plain DFU", file.name)
  end
  firmware.check_not_empty(file)
  lines.out("Copying data from PC to DFU device")
  local image = firmware.plain(file)
  local shown = lines.download(image.size, request.verbose > 0, true)
  local _ <close> = events.on(shown)
  local _, differs = errors.catch("verify", flash.write, board, image,
    { force = true, no_verify = not may_verify() })
  shown.finish()
  if differs and is_mostly_there(board, file.content) then error(differs, 0) end
  if differs then
    lines.warn("dfu-util", "the device took the file, and reads back other bytes: "
      .. differs.message)
  else
    verify_plain(board)
  end
  if board.is_open then return back_to_idle(board) end
  tell_end("dfuMANIFEST")
end

-- ---- the whole ----

---Carries out -D, or -s without a file.
---@param board table open, in dfuIDLE
---@param request table
---@param file? table
---@param alt? table of board.alts
function M.run(board, request, file, alt)
  if not dfu.fields(board).dfuse then
    if not file then usage("the device speaks plain DFU, which has no commands") end
    return write_plain(board, request, file)
  end
  if request.dfuse.unprotect then return unprotect(board, request, file) end
  check_mass_erase(request)
  if file and request.dfuse.address then
    write_raw(board, request, file, alt)
  elseif file and file.dfuse then
    write_dfuse(board, request, file, alt)
  elseif file then
    lines.warn("dfu-util", "Only DfuSe file version 1.1a is supported")
    usage("(for raw binary download, use the --dfuse-address option)")
  else
    mass_erase(board, request)
    lines.out("DfuSe command mode")
    local first = board.alts[1].layout.segments[1]
    finish(board, request, request.dfuse.address or first and first.address)
  end
end

return M

-- SPDX-License-Identifier: MIT
-- convert.lua: converts firmware from one format to another, or joins several files.
local errors = require "moonflash.errors"
local files = require "moonflash.base.files"
local text = require "moonflash.base.text"

-- Refuses an archive or a text, unless --force is given.
local function check_kind(firmware)
  errors.raise { code = "image.not-firmware", remedy = { "force" },
    message = ("%s is not firmware: it is %s"):format(firmware.doubt.name, firmware.doubt.what),
    hint = "--force converts it anyway." }
end

-- The ids of --suffix: "0483:df11", "0483:df11:0200"; "ffff" is any.
local function suffix_of(words)
  local vid, pid, version = words:match("^(%x%x?%x?%x?):(%x%x?%x?%x?):?(%x?%x?%x?%x?)$")
  if not vid then
    errors.raise { code = "usage", hint = "For example: --suffix 0483:df11",
      message = ("--suffix '%s' is not VID:PID or VID:PID:VERSION"):format(words) }
  end
  return { vid = tonumber(vid, 16), pid = tonumber(pid, 16), version = tonumber(version, 16) }
end

local function check_prefix(kind)
  if kind == "ti" or kind == "lpc" then return end
  errors.raise { code = "usage", message = ("--prefix '%s' is not ti or lpc"):format(kind) }
end

local function span(firmware)
  local first, last = math.huge, 0
  for _, segment in ipairs(firmware.segments) do
    first = math.min(first, segment.address)
    last = math.max(last, segment.address + #segment.bytes - 1)
  end
  return first, last
end

return {
  api     = 1,
  summary = "Convert firmware to bin, hex, srec or dfu",
  args    = {
    { "files", "the firmware (FILE@ADDRESS moves it), and last the file to write",
      type = "words" },
    { "--format", "bin, hex, srec or dfu (default: by the ending of the last file)",
      type = "string" },
    { "--address", "load address of raw binaries", default = 0x08000000, type = "address" },
    { "--pad", "fill the gaps between segments", default = false },
    { "--pad-byte", "the byte in the gaps (default: 0xFF)", type = "integer", min = 0, max = 0xFF },
    { "--suffix", "DFU suffix for a raw binary or a .dfu: VID:PID or VID:PID:VERSION",
      type = "string" },
    { "--prefix", "put a prefix in front of a raw binary: ti or lpc", type = "string" },
    { "--force", "convert what is not firmware, or is for another address; replace the output",
      default = false },
  },

  setup = function(opt)
    local names = table.move(opt.files, 1, #opt.files, 1, {})
    local out = table.remove(names)
    if #names == 0 then
      errors.raise { code = "usage",
                     message = "convert needs the files to read, and then the file to write",
                     hint = "moonflash convert app.elf app.hex" }
    end
    local suffix = opt.suffix and suffix_of(opt.suffix) or nil
    if opt.prefix then check_prefix(opt.prefix) end
    if not opt.force then files.check_writable(out) end
    local firmware = image.load(names, { address = opt.address, force = opt.force, move = true })
    if firmware.misplaced and not opt.force then error(firmware.misplaced, 0) end
    if firmware.doubt and firmware.doubt.kind then check_kind(firmware) end
    local first, last = span(firmware)
    if opt.pad or opt.pad_byte then firmware = firmware:pad(first, last, opt.pad_byte or 0xFF) end
    firmware:save(out, opt.format, { suffix = suffix, prefix = opt.prefix })
    return ("%s: %s in %s, %s"):format(out, text.size(firmware.size),
      text.count(#firmware.segments, "segment"), text.range(first, last))
  end,
}

-- SPDX-License-Identifier: MIT
-- convert.lua: firmware from one format to another, or several files into one.
local errors = require "moonflash.errors"
local files = require "moonflash.files"
local text = require "moonflash.text"

return {
  api     = 1,
  summary = "Convert firmware to bin, hex, srec or dfu",
  args    = {
    { "files", "the firmware, as for flash, and last the file to write", type = "words" },
    { "--format", "bin, hex, srec or dfu (default: by the ending of the last file)",
      type = "string" },
    { "--address", "where raw binaries go", default = 0x08000000, type = "address" },
    { "--force", "even if it was linked elsewhere; and replace the last file", default = false },
  },

  setup = function(opt)
    local names = table.move(opt.files, 1, #opt.files, 1, {})
    local out = table.remove(names)
    if #names == 0 then
      errors.raise { code = "usage", message = "convert takes what to read, and what to write",
                     hint = "moonflash convert app.elf app.hex" }
    end
    if not opt.force then files.check_writable(out) end
    local firmware = image.load(names, { address = opt.address, force = opt.force })
    firmware:save(out, opt.format)
    local first, last = math.huge, 0
    for _, segment in ipairs(firmware.segments) do
      first = math.min(first, segment.address)
      last = math.max(last, segment.address + #segment.bytes - 1)
    end
    return ("%s: %s in %s, %s"):format(out, text.size(firmware.size),
      text.count(#firmware.segments, "piece"), text.range(first, last))
  end,
}

-- SPDX-License-Identifier: MIT
-- flash.lua: writes firmware to a board, reads it back, and compares.
local enter = require "moonflash.run.enter"

-- Options of flash.write, and those of run/enter.lua.
local options = table.move(flash.options, 1, #flash.options, 1, {})
table.move(enter.options, 1, #enter.options, #options + 1, options)

return {
  api     = 1,
  summary = "Write firmware to a board, and verify it",
  example = "moonflash flash firmware.bin --leave",
  args    = {
    { "file", "the firmware; FILE@ADDRESS gives the address of a raw binary", type = "words" },
    { "--address", "load address of raw binaries", default = 0x08000000, type = "address" },
    table.unpack(options),
  },

  setup = function(opt)
    local firmware = image.load(opt.file, { address = opt.address, force = opt.force })
    enter.dfu_mode(opt)
    return firmware
  end,

  run = function(board, opt, firmware)
    flash.write(board, firmware, opt)
  end,
}

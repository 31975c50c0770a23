-- SPDX-License-Identifier: MIT
-- flash.lua: writes firmware to a board, reads it back, and compares.
return {
  api     = 1,
  summary = "Write firmware to a board, and verify it",
  args    = {
    { "file", "the firmware; FILE@ADDRESS gives the address of a raw binary", type = "words" },
    { "--address", "load address of raw binaries", default = 0x08000000, type = "address" },
    table.unpack(flash.options),
  },

  setup = function(opt)
    return image.load(opt.file, { address = opt.address, force = opt.force })
  end,

  run = function(board, opt, firmware)
    flash.write(board, firmware, opt)
  end,
}

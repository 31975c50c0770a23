-- SPDX-License-Identifier: MIT
-- verify.lua: compares firmware with the contents of a board. Changes nothing.
return {
  api     = 1,
  example = "moonflash verify firmware.bin",
  summary = "Compare firmware with the contents of a board",
  args    = {
    { "file", "the firmware; FILE@ADDRESS gives the address of a raw binary", type = "words" },
    { "--address", "load address of raw binaries", default = 0x08000000, type = "address" },
    { "--force", "even if it is not firmware, or is for another address", default = false },
    { "--only", "a part of the image: FIRST..LAST, or a memory by number or name",
      type = "string" },
    { "--skip-outside", "leave out pieces where the board has no memory to write",
      default = false },
  },

  setup = function(opt)
    return image.load(opt.file, { address = opt.address, force = opt.force })
  end,

  run = function(board, opt, firmware)
    flash.verify(board, firmware, opt)
  end,
}

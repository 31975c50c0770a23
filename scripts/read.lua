-- SPDX-License-Identifier: MIT
-- read.lua: reads a board's memory into a file.
local files = require "moonflash.base.files"

return {
  api     = 1,
  example = "moonflash read back.hex --address 0x08000000 --length 65536",
  summary = "Read a board's memory into a file",
  args    = {
    { "file", "the file to create: raw, or .hex, .srec, .dfu by its name", type = "file" },
    { "--address", "first address to read (default: the start of the flash)", type = "address" },
    { "--length", "number of bytes (default: all of that memory)", type = "integer" },
  },

  setup = function(opt)
    files.check_writable(opt.file)
  end,

  run = function(board, opt)
    board:save(opt.file, opt.address, opt.length)
  end,
}

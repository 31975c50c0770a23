-- SPDX-License-Identifier: MIT
-- read.lua: reads a board's memory into a file.
local errors = require "moonflash.errors"
local files = require "moonflash.files"

return {
  api     = 1,
  summary = "Read a board's memory into a file",
  args    = {
    { "file", "where to; it must not be there yet", type = "file" },
    { "--address", "from here (default: the start of the flash)", type = "address" },
    { "--length", "so many bytes (default: all of that memory)", type = "integer" },
  },

  setup = function(opt)
    files.check_writable(opt.file)
  end,

  run = function(board, opt)
    local first, last = flash.main(board)
    local address = opt.address or first
    local length = opt.length
    if not length and last and address >= first and address <= last then
      length = last - address + 1
    elseif not length then
      errors.raise { code = "usage",
        message = "--length is needed here: it is not known where this memory ends" }
    end
    local bytes = flash.read(board, address, length)
    files.write(opt.file, bytes)
    print(("%s: %d bytes from 0x%08X"):format(opt.file, #bytes, address))
  end,
}

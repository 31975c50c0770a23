-- SPDX-License-Identifier: MIT
-- info.lua: shows everything a board reports about itself. Changes nothing on it.
local list = require "moonflash.ui.list"

return {
  api     = 1,
  summary = "Show everything a board reports about itself",

  args    = {
    { "--chip", "read the unique id, the size of the flash and the boot loader's version",
      default = false },
  },

  run = function(board, opt)
    return list.details(board, opt.chip)
  end,
}

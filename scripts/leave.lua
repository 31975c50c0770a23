-- SPDX-License-Identifier: MIT
-- leave.lua: leaves DFU mode and starts the program.
return {
  api     = 1,
  summary = "Leave DFU mode and start the program",
  args    = {
    { "--address", "of the vector table (default: where the flash has one)", type = "address" },
  },

  run = function(board, opt)
    board:leave(opt.address)
  end,
}

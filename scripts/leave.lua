-- SPDX-License-Identifier: MIT
-- leave.lua: leaves DFU mode and starts the program.
return {
  api     = 1,
  summary = "Leave DFU mode and start the program",
  args    = {
    { "--address", "address of the vector table (default: found in the flash)", type = "address" },
  },

  run = function(board, opt)
    board:leave(opt.address)
  end,
}

-- SPDX-License-Identifier: MIT
-- detach.lua: puts a board that runs its program into DFU mode.
return {
  api     = 1,
  summary = "Put a board that runs its program into DFU mode",
  mode    = "runtime",
  args    = {
    { "--wait-for-it", "wait up to SECONDS for the board to come back",
      default = 10, type = "seconds" },
  },

  run = function(board, opt)
    board:detach(opt.wait_for_it)
    if board.mode == "dfu" then print("The board is in DFU mode.") end
  end,
}

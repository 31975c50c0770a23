-- SPDX-License-Identifier: MIT
-- unprotect.lua: removes the read protection, which erases the whole chip.
return {
  api         = 1,
  summary     = "Remove the read protection; ERASES THE WHOLE CHIP",
  description = "The chip erases itself, resets, and should come back in DFU mode (BOOT0 high).\n"
    .. "Some stay away until they are plugged in again.",
  args        = {
    { "--wait-for-it", "how long it may take to come back", default = 40, type = "seconds" },
  },

  run = function(board, opt)
    board:read_unprotect()
    if board.is_open then return end -- it was only to say so
    board:open(opt.wait_for_it)
    print("The read protection is off, the flash is erased, and the board is back in DFU mode.")
  end,
}

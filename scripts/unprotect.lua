-- SPDX-License-Identifier: MIT
-- unprotect.lua: removes the read protection, which erases the whole chip.
return {
  api         = 1,
  summary     = "Remove the read protection; ERASES THE WHOLE CHIP",
  description = "A board that is not protected is left alone. The chip erases itself, resets, and\n"
    .. "should come back in DFU mode (BOOT0 high). Some boards have to be reconnected.",
  args        = {
    { "--yes", "erase the chip without being asked", default = false },
    { "--wait-for-it", "wait up to SECONDS for the board to come back",
      default = 40, type = "seconds" },
  },

  run = function(board, opt)
    local removed = flash.unprotect(board, { yes = opt.yes, seconds = opt.wait_for_it })
    if not removed or board.dry then return end
    print("The read protection is off, the flash is erased, and the board is back in DFU mode.")
  end,
}

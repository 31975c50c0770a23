-- SPDX-License-Identifier: MIT
-- first.lua: writes firmware to a board, and starts it.
return {
  api     = 1,
  summary = "Write firmware to a board, and start it",
  args    = { { "file", "the firmware", type = "file" } },

  setup = function(opt)                    -- once, before any board is touched
    return image.load(opt.file)
  end,

  run = function(board, opt, firmware)     -- for each board
    board:step("flash")
    flash.write(board, firmware, opt)      -- plans, erases, writes, verifies
    board:step("start")
    board:leave(firmware.start)
  end,
}

-- SPDX-License-Identifier: MIT
-- detach.lua: puts a board that runs its program into DFU mode.
local enter = require "moonflash.run.enter"

return {
  api     = 1,
  summary = "Put a board that runs its program into DFU mode",
  mode    = "runtime",
  args    = {
    { "--wait-for-it", "wait up to SECONDS for the board to come back",
      default = 10, type = "seconds" },
    table.unpack(enter.options, 2),
  },

  setup = function(opt)
    enter.dfu_mode({ touch = opt.touch, say = opt.say }, opt.wait_for_it)
  end,

  run = function(board, opt)
    if board.mode == "runtime" then board:detach(opt.wait_for_it) end
    if board.mode == "dfu" then print("The board is in DFU mode.") end
  end,
}

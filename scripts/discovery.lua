-- SPDX-License-Identifier: MIT
-- discovery.lua: flashes ch.bin on an STM32F4 Discovery, and starts it.
return {
  api     = 1,
  summary = "Flash ch.bin on an STM32F4 Discovery and start it",
  board   = "0483:df11",                     -- what it is for; --device says which one
  seconds = 90,                              -- a board's deadline
  args    = {
    { "file", "the firmware", default = "build/ch.bin" },
    { "--address", "where a raw binary goes", default = 0x08000000, type = "address" },
  },

  setup = function(opt)                      -- once, before any board is touched
    return image.load(opt.file, { address = opt.address })
  end,

  run = function(board, opt, firmware)       -- once a board, as a task
    flash.write(board, firmware, opt)        -- plans, erases, writes, verifies
    board:leave(firmware.start)              -- the vector table, not the entry point
  end,
}

-- SPDX-License-Identifier: MIT
-- hasty.lua: `flash --leave`, of a host that waits a tenth of a second where moonflash waits five:
-- for boards that do not answer.
return {
  api     = 1,
  summary = "Flash, and have no patience",
  args    = {
    { "file", "the firmware", type = "file" },
    { "--leave", "start it afterwards", default = false },
  },

  setup = function(opt) return image.load(opt.file) end,

  run = function(board, opt, firmware)
    board.timeout = 0.1
    flash.write(board, firmware)
    if opt.leave then board:leave(firmware.start) end
  end,
}

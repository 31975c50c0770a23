-- SPDX-License-Identifier: MIT
-- erase.lua: erases a range of sectors, or everything, and reads it back.
local errors = require "moonflash.errors"

return {
  api     = 1,
  summary = "Erase sectors, or everything",
  args    = {
    { "--address", "an address in the first sector to erase", type = "address" },
    { "--length", "erase N bytes from there, rounded up to whole sectors", default = 1 },
    { "--all", "the whole chip (mass erase)", default = false },
    { "--trust-erase", "don't check whether the erase changed other sectors", default = false },
  },

  setup = function(opt)
    if not opt.all and not opt.address then
      errors.raise { code = "usage",
                     message = "nothing to erase was given; use --address ADDRESS or --all" }
    elseif opt.all and opt.address then
      errors.raise { code = "usage", message = "--all and --address exclude each other" }
    elseif opt.length < 1 then
      errors.raise { code = "usage", message = "--length is 1 or more" }
    end
  end,

  run = function(board, opt)
    if opt.all then
      flash.erase_all(board)
    else
      flash.erase(board, flash.sectors(board, opt.address, opt.address + opt.length - 1), opt)
    end
  end,
}

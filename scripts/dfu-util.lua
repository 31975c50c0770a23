-- SPDX-License-Identifier: MIT
-- dfu-util.lua: does what dfu-util does, for programs and people that call it.
return {
  api     = 1,
  summary = "Stand in for dfu-util 0.11: its options, and verification",
  words   = true,

  setup = function(opt)
    os.exit(require "moonflash.dfu_util"(opt.words))
  end,
}

-- SPDX-License-Identifier: MIT
-- dfu-suffix.lua: does what dfu-suffix does, for builds that call it.
return {
  api     = 1,
  summary = "Stand in for dfu-suffix 0.11",
  words   = true,

  setup = function(opt)
    os.exit(require("moonflash.dfu_util.companions").suffix(opt.words))
  end,
}

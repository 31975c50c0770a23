-- SPDX-License-Identifier: MIT
-- dfu-prefix.lua: does what dfu-prefix does, for builds that call it.
return {
  api     = 1,
  summary = "Stand in for dfu-prefix 0.11",
  words   = true,

  setup = function(opt)
    os.exit(require("moonflash.dfu_util.companions").prefix(opt.words))
  end,
}

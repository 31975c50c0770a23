-- SPDX-License-Identifier: MIT
-- STM32C562. Its ROM has no setting for option bytes, and refuses CLRSTATUS outside of dfuERROR
-- (betaflight-configurator). The flash times are not known.
return {
  base = "g474", summary = "STM32C562: 512 KB, pages of 8 KB; no option bytes",
  version = 0x0300, product = "DFU in FS Mode", serial = "562A28A0B956", transfer_size = 1024,
  align = 16,
  memories = {
    { name = "@Internal Flash /0x08000000/64*08Kg", erase = 0.02, unit = 16, write = 81.7e-6 },
    { name = "@System/0x0BF885FE/01*002Ba", role = "system", hidden = true },
  },
  habits = { "clear-stalls" },
}

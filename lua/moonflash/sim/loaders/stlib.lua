-- SPDX-License-Identifier: MIT
-- ST's own example boot loader (stm32-mw-usb-device, with the media of CubeF4's STM32446E_EVAL), as
-- its code behaves: it takes commands that it does not know for done, and a refused UPLOAD leaves a
-- state that is none.
return {
  base = "f407", version = 0x0200, manufacturer = "STMicroelectronics",
  product = "DFU in FS Mode", transfer_size = 1024, starts_idle = true,
  poll_erase = 50, poll_write = 50, poll_address = 50,
  memories = {
    { name = "@Internal Flash   /0x08000000/02*016Ka,02*016Kg,01*064Kg,03*128Kg" },
  },
  habits = { "executes-in-status", "ignores-commands", "ignores-mass-erase", "ignores-unprotect",
             "vendor-errors", "odd-state", "keeps-pointer" },
}

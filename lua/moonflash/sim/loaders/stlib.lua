-- SPDX-License-Identifier: MIT
-- ST's example boot loader (stm32-mw-usb-device, with the media of CubeF4's STM32446E_EVAL), from
-- its source. It reports success for unknown commands, and a refused UPLOAD leaves an invalid
-- state.
return {
  base = "f407", summary = "ST's example boot loader for the F446",
  version = 0x0200, manufacturer = "STMicroelectronics",
  product = "DFU in FS Mode", transfer_size = 1024, starts_idle = true,
  poll_erase = 50, poll_write = 50, poll_address = 50,
  memories = {
    { name = "@Internal Flash   /0x08000000/02*016Ka,02*016Kg,01*064Kg,03*128Kg" },
  },
  habits = { "executes-in-status", "ignores-commands", "ignores-mass-erase", "ignores-unprotect",
             "vendor-errors", "odd-state", "keeps-pointer" },
}

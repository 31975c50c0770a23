-- SPDX-License-Identifier: MIT
-- STM32F042. Poll times and states as in the capture of a ROM (sigrok stm32_dfu_install); the time
-- of a half word is that of the STM32F103.
return {
  base = "f407", summary = "STM32F042: 32 KB, pages of 1 KB",
  version = 0x2200, product = "STM32  BOOTLOADER", serial = "FFFFFFFEFFFF", transfer_size = 2048,
  poll_erase = 40, poll_write = 72, poll_address = 72, align = 4, rdp_at = 0,
  memories = {
    { name = "@Internal Flash  /0x08000000/032*0001Kg", erase = 0.02, unit = 2, write = 52.5e-6 },
    { name = "@Option Bytes  /0x1FFFF800/01*016 e", role = "options",
      initial = "\xAA\x55\xFF\0" .. ("\xFF\0"):rep(6) },
    { name = "@System/0x1FFFF6A6/01*002Ba", role = "system", hidden = true,
      initial = "\xA2\xFF" },
  },
  habits = { "repeats-poll" },
}

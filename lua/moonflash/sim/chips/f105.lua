-- SPDX-License-Identifier: MIT
-- STM32F105, ROM V2.2. It starts in dfuIDLE; read protection is open with 0xA5.
return {
  base = "f407", summary = "STM32F105: 256 KB, pages of 2 KB",
  version = 0x2200, product = "STM32  BOOTLOADER", serial = "STM32", transfer_size = 2048,
  starts_idle = true, align = 4, rdp_at = 0, rdp_open = 0xA5,
  memories = {
    { name = "@Internal Flash  /0x08000000/128*002Kg", erase = 0.02, unit = 2, write = 52.5e-6 },
    { name = "@Option Bytes  /0x1FFFF800/01*016 e", role = "options",
      initial = "\xA5\x5A\xFF\0" .. ("\xFF\0"):rep(6) },
  },
  habits = { "options-stay" },
}

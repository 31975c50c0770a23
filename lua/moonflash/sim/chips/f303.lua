-- SPDX-License-Identifier: MIT
-- STM32F303xC. Its poll times are not known: those of the F042.
return {
  base = "f407", summary = "STM32F303xC: 256 KB, pages of 2 KB",
  version = 0x2200, product = "STM32  BOOTLOADER", serial = "303A28A0B956", transfer_size = 2048,
  poll_erase = 40, poll_write = 72, poll_address = 72, align = 4, rdp_at = 0,
  memories = {
    { name = "@Internal Flash  /0x08000000/128*0002Kg", erase = 0.02, unit = 2, write = 52.5e-6 },
    { name = "@Option Bytes  /0x1FFFF800/01*016 e", role = "options",
      initial = "\xAA\x55\xFF\0" .. ("\xFF\0"):rep(6) },
    { name = "@System/0x1FFFF796/01*002Ba", role = "system", hidden = true,
      initial = "\x41\xFF" },
  },
}

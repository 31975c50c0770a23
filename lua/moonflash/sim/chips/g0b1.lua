-- SPDX-License-Identifier: MIT
-- STM32G0B1. The ROM gives three settings the string of the flash; what stands behind the second
-- and third is inferred.
return {
  base = "g474", summary = "STM32G0B1: 128 KB, three settings with one name",
  version = 0x0200, product = "DFU in FS Mode", serial = "20B0A28A0B95", transfer_size = 1024,
  rdp_at = 0, align = 4,
  memories = {
    { name = "@Internal Flash   /0x08000000/64*02Kg", erase = 0.02, unit = 8, write = 81.7e-6 },
    { name = "@Internal Flash   /0x08000000/64*02Kg", role = "options",
      real = "@Option Bytes/0x1FFF7800/01*128 e",
      initial = "\xAA\xF8\xEF\xDF\x55\x07\x10\x20" },
    { name = "@Internal Flash   /0x08000000/64*02Kg", role = "otp",
      real = "@OTP Memory/0x1FFF7000/01*1024 e" },
    { name = "@System/0x1FFF9FFE/01*002Ba", role = "system", hidden = true,
      initial = "\x92\xFF" },
  },
  habits = { "options-stay" },
}

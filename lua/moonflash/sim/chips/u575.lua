-- SPDX-License-Identifier: MIT
-- STM32U575 with 2 MB. Its flash times are not known: those of the G4.
return {
  base = "g474", summary = "STM32U575: 2 MB, pages of 8 KB",
  version = 0x0200, product = "DFU in FS Mode", serial = "575A28A0B956", transfer_size = 1024,
  rdp_at = 0, align = 16,
  memories = {
    { name = "@Internal Flash   /0x08000000/256*08Kg", erase = 0.037, unit = 16, write = 81.7e-6 },
    { name = "@Option Bytes   /0x40022040/01*64 e", role = "options",
      initial = "\xAA\xF8\xEF\x1F" .. ("\0"):rep(12) .. ("\xFF\0\0\0"):rep(8) .. ("\0"):rep(16) },
    { name = "@OTP Memory   /0x0BFA0000/01*512 e", role = "otp" },
    { name = "@System/0x0BF99EFE/01*002Ba", role = "system", hidden = true,
      initial = "\x93\xFF" },
  },
  habits = { "options-stay" },
}

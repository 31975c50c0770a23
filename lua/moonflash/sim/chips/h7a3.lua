-- SPDX-License-Identifier: MIT
-- STM32H7A3 with 2 MB. The time of a page is not known: 50 ms.
return {
  base = "g474", summary = "STM32H7A3: 2 MB, pages of 8 KB",
  version = 0x0200, product = "DFU in FS Mode", serial = "7A3A28A0B956", transfer_size = 1024,
  rdp_at = 1, align = 8,
  memories = {
    { name = "@Internal Flash   /0x08000000/256*08Kg", erase = 0.05, unit = 16, write = 290e-6 },
    { name = "@Option Bytes   /0x5200201C/01*297 e", role = "options",
      initial = ("\xF0\xAA\xC6\x1B"):rep(2) .. ("\0"):rep(4)
        .. ("\xFF\0\0\0"):rep(4) .. ("\xFF"):rep(8) .. ("\0\x08\xF0\x1F"):rep(2) },
    { name = "@OTP Memory   /0x08FFF000/01*1024 e", role = "otp" },
    { name = "@System/0x1FF13FFE/01*002Ba", role = "system", hidden = true,
      initial = "\x92\xFF" },
  },
  habits = { "options-stay" },
}

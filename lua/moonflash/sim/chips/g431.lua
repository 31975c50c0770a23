-- SPDX-License-Identifier: MIT
-- STM32G431.
return {
  base = "g474", summary = "STM32G431: 128 KB, pages of 2 KB",
  version = 0x0200, product = "DFU in FS Mode", serial = "208A31574253", transfer_size = 1024,
  rdp_at = 0, align = 8,
  memories = {
    { name = "@Internal Flash   /0x08000000/64*02Kg", erase = 0.037 },
    { name = "@Option Bytes   /0x1FFF7800/01*40Be", role = "options",
      initial = "\xAA\xF8\xEF\xFF\x55\x07\x10\0"
        .. "\xFF\x7F\xFF\xFF\0\x80\0\0\0\0\0\0\xFF\xFF\xFF\xFF"
        .. ("\xFF\xFF\0\xFF\0\0\xFF\0"):rep(2) },
    { name = "@OTP Memory   /0x1FFF7000/01*01Ke", role = "otp" },
    { name = "@System/0x1FFF6FFE/01*002Ba", role = "system", hidden = true,
      initial = "\xD4\xFF" },
  },
  habits = { "options-stay" },
}

-- SPDX-License-Identifier: MIT
-- STM32G474 in single-bank mode (DBANK = 0): the string does not change, the pages have 4 KB
-- (inferred).
return {
  base = "g474", summary = "STM32G474: 512 KB, single-bank mode: pages of 4 KB, and announces 2 KB",
  version = 0x0200, product = "DFU in FS Mode", serial = "20474A0B1C2E", transfer_size = 1024,
  rdp_at = 0, align = 8,
  memories = {
    { name = "@Internal Flash   /0x08000000/256*02Kg", erase = 0.037,
      real = "@Internal Flash/0x08000000/128*4Kg" },
    { name = "@Option Bytes   /0x1FFF7800/01*048 e/0x1FFFF800/01*048 e", role = "options",
      initial = "\xAA\xF8\xAF\xFF\x55\x07\x50\0"
        .. "\xFF\x7F\xFF\xFF\0\x80\0\0\0\0\0\0\xFF\xFF\xFF\xFF"
        .. ("\xFF\xFF\0\xFF\0\0\xFF\0"):rep(2)
        .. "\0\0\0\0\xFF\xFF\xFF\xFF" },
    { name = "@OTP Memory   /0x1FFF7000/01*1024 e", role = "otp" },
    { name = "@System/0x1FFF6FFE/01*002Ba", role = "system", hidden = true,
      initial = "\xD5\xFF" },
  },
  habits = { "options-stay" },
}

-- SPDX-License-Identifier: MIT
-- STM32F767 in dual-bank mode: the string does not change, the sectors do, and in the second bank
-- the ROM erases the fourth sector after the one that it is told to (AN2606 table 104).
return {
  base = "f407", summary = "STM32F767: 2 MB, dual-bank mode; its ROM erases wrong sectors",
  version = 0x2200, product = "STM32  BOOTLOADER", serial = "767A28A0B957", align = 8, rdp_at = 1,
  memories = {
    { name = "@Internal Flash  /0x08000000/04*032Kg,01*128Kg,07*256Kg",
      real = "@Internal Flash/0x08000000/4*16Kg,1*64Kg,7*128Kg,4*16Kg,1*64Kg,7*128Kg",
      erase = { [0x4000] = 0.4, [0x8000] = 0.35, [0x10000] = 1.2, [0x20000] = 2.2,
        [0x40000] = 4 } },
    { name = "@Option Bytes  /0x1FFF0000/01*032 e", role = "options",
      initial = "\xFF\xAA\0\x55" .. ("\xFF"):rep(4)
        .. "\xFF\xDF\0\x20" .. ("\xFF"):rep(4)
        .. "\x80\0\x7F\xFF" .. ("\xFF"):rep(4) .. "\x40\0\xBF\xFF" .. ("\xFF"):rep(4) },
    { name = "@OTP Memory /0x1FF0F000/01*1024 e,01*016 e", role = "otp" },
    { name = "@Device Feature/0xFFFF0000/01*004 e", role = "feature" },
    { name = "@System/0x1FF0EDBE/01*002Ba", role = "system", hidden = true,
      initial = "\x93\xFF" },
  },
  habits = { "erases-fourth" },
}

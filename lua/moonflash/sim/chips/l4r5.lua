-- SPDX-License-Identifier: MIT
-- STM32L4R5 with 2 MB, dual-bank mode.
return {
  base = "l452", summary = "STM32L4R5: 2 MB, pages of 4 KB",
  version = 0x2200, product = "STM32  BOOTLOADER", serial = "204E5A0B1C2D", align = 8, rdp_at = 0,
  mass_erase = 0.0443,
  memories = {
    { name = "@Internal Flash  /0x08000000/512*0004Kg" },
    { name = "@Option Bytes  /0x1FF00000/01*040 e/0x1FF01000/01*040 e", role = "options",
      initial = "\xAA\xF8\xEF\xFF\x55\x07\x10\0"
        .. "\xFF\x7F\xFF\xFF\0\x80\0\0\0\0\0\0\xFF\xFF\xFF\xFF"
        .. ("\xFF\xFF\0\xFF\0\0\xFF\0"):rep(2) },
    { name = "@OTP Memory /0x1FFF7000/01*0001Ke", role = "otp" },
    { name = "@System/0x1FFF6FFE/01*002Ba", role = "system", hidden = true,
      initial = "\x95\xFF" },
  },
  habits = { "options-stay" },
}

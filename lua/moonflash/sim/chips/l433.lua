-- SPDX-License-Identifier: MIT
-- STM32L433 with 256 KB. Its strings are inferred from those of the L45x; it refuses requests
-- while it is busy (dfu-util ticket 40).
return {
  base = "l452", summary = "STM32L433: 256 KB, refuses requests while it is busy",
  version = 0x2200, product = "STM32  BOOTLOADER", serial = "20433A0B1C2D", align = 8, rdp_at = 0,
  memories = {
    { name = "@Internal Flash  /0x08000000/0128*0002Kg" },
    { name = "@Option Bytes  /0x1FFF7800/01*040 e", role = "options",
      initial = "\xAA\xF8\xEF\xFF\x55\x07\x10\0"
        .. "\xFF\x7F\xFF\xFF\0\x80\0\0\0\0\0\0\xFF\xFF\xFF\xFF"
        .. ("\xFF\xFF\0\xFF\0\0\xFF\0"):rep(2) },
    { name = "@OTP Memory /0x1FFF7000/01*0001Ke", role = "otp" },
    { name = "@Device Feature/0xFFFF0000/01*004 e", role = "feature" },
    { name = "@System/0x1FFF6FFE/01*002Ba", role = "system", hidden = true,
      initial = "\x91\xFF" },
  },
}

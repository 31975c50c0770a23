-- SPDX-License-Identifier: MIT
-- STM32F746. The strings of the option bytes and OTP are inferred (stlink config/chips, CMSIS).
return {
  base = "f407", summary = "STM32F746: 1 MB in sectors of 32 to 256 KB",
  version = 0x2200, product = "STM32  BOOTLOADER", serial = "746A28A0B956", align = 8, rdp_at = 1,
  memories = {
    { name = "@Internal Flash  /0x08000000/04*032Kg,01*128Kg,03*256Kg",
      erase = { [0x4000] = 0.4, [0x8000] = 0.35, [0x10000] = 1.2, [0x20000] = 2.2,
        [0x40000] = 4 } },
    { name = "@Option Bytes  /0x1FFF0000/01*032 e", role = "options",
      initial = "\xFF\xAA\0\x55" .. ("\xFF"):rep(4)
        .. "\xFF\xC0\0\x3F" .. ("\xFF"):rep(4)
        .. "\x80\0\x7F\xFF" .. ("\xFF"):rep(4) .. "\x40\0\xBF\xFF" .. ("\xFF"):rep(4) },
    { name = "@OTP Memory /0x1FF0F000/01*1024 e,01*016 e", role = "otp" },
    { name = "@Device Feature/0xFFFF0000/01*004 e", role = "feature" },
    { name = "@System/0x1FF0EDBE/01*002Ba", role = "system", hidden = true,
      initial = "\x90\xFF" },
  },
}

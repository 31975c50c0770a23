-- SPDX-License-Identifier: MIT
-- STM32F722. Times of erasing: fwupd 2696 for 128 KB, the rest as the F405 (inferred).
return {
  base = "f407", summary = "STM32F722: 512 KB",
  version = 0x2200, product = "STM32  BOOTLOADER", serial = "STM32FxSTM32", align = 8, rdp_at = 1,
  memories = {
    { name = "@Internal Flash  /0x08000000/04*016Kg,01*64Kg,03*128Kg",
      erase = { [0x4000] = 0.4, [0x8000] = 0.35, [0x10000] = 1.2, [0x20000] = 2.2,
        [0x40000] = 4 } },
    { name = "@Option Bytes  /0x1FFF0000/01*048 e", role = "options",
      initial = "\xFF\xAA\0\x55" .. ("\xFF"):rep(4)
        .. "\xFF\xC0\0\x3F" .. ("\xFF"):rep(4)
        .. "\x80\0\x7F\xFF" .. ("\xFF"):rep(4) .. "\x40\0\xBF\xFF" .. ("\xFF"):rep(4)
        .. "\xFF\0\0\xFF" .. ("\xFF"):rep(4) .. "\0\x80\xFF\x7F" .. ("\xFF"):rep(4) },
    { name = "@OTP Memory /0x1FF07800/01*528e", role = "otp" },
    { name = "@Device Feature/0xFFFF0000/01*004 e", role = "feature" },
    { name = "@System/0x1FF0EDBE/01*002Ba", role = "system", hidden = true,
      initial = "\x90\xFF" },
  },
}

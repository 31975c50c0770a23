-- SPDX-License-Identifier: MIT
-- STM32F429 with 2 MB. Its ROM does not erase sectors in the second bank (AN2606 tables 90, 92).
return {
  base = "f407", summary = "STM32F429: 2 MB in two banks; its ROM does not erase the second",
  version = 0x2200, product = "STM32  BOOTLOADER", serial = "3234A0B95631", align = 4,
  mass_erase = 32,
  memories = {
    { name = "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg,04*016Kg,01*064Kg,"
      .. "07*128Kg" },
    { name = "@Option Bytes  /0x1FFFC000/01*016 e/0x1FFEC000/01*016 e", role = "options" },
    { name = "@OTP Memory /0x1FFF7800/01*512 e,01*016 e", role = "otp" },
    { name = "@Device Feature/0xFFFF0000/01*004 e", role = "feature" },
    { name = "@System/0x1FFF76DE/01*002Ba", role = "system", hidden = true,
      initial = "\x91\xFF" },
  },
  habits = { "erases-one-bank" },
}

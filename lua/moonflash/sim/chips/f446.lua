-- SPDX-License-Identifier: MIT
-- STM32F446.
return {
  base = "f407", summary = "STM32F446: 512 KB",
  version = 0x2200, product = "STM32  BOOTLOADER", serial = "STM32FxSTM32", align = 4,
  memories = {
    { name = "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,03*128Kg" },
    { name = "@Option Bytes  /0x1FFFC000/01*016 e", role = "options" },
    { name = "@OTP Memory /0x1FFF7800/01*512 e,01*016 e", role = "otp" },
    { name = "@Device Feature/0xFFFF0000/01*004 e", role = "feature" },
    { name = "@System/0x1FFF76DE/01*002Ba", role = "system", hidden = true,
      initial = "\x90\xFF" },
  },
}

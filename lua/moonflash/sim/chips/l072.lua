-- SPDX-License-Identifier: MIT
-- STM32L072 with 192 KB. Erased flash and EEPROM are 0x00; half a page takes the time of a word.
return {
  base = "f407", summary = "STM32L072: 192 KB, pages of 128 bytes, EEPROM",
  version = 0x2200, product = "STM32  BOOTLOADER", serial = "7FB4A4356231", align = 8, rdp_at = 0,
  memories = {
    { name = "@Internal Flash  /0x08000000/1536*128g", erase = 0.0032, unit = 64,
      write = 0.0032 },
    { name = "@Option Bytes  /0x1FF80000/01*032 e", role = "options",
      initial = "\xAA\0\x55\xFF\x70\x80\x8F\x7F" .. ("\0\0\xFF\xFF"):rep(6) },
    { name = "@DATA Memory /0x08080000/2*3Ke", role = "data", unit = 4, write = 0.0032 },
    { name = "@System/0x1FF01FFE/01*002Ba", role = "system", hidden = true,
      initial = "\x41\xFF" },
  },
  habits = { "erases-to-zero", "options-stay" },
}

-- SPDX-License-Identifier: MIT
-- STM32L152xC. Erased flash and EEPROM are 0x00; half a page takes the time of a word.
return {
  base = "f407", summary = "STM32L152xC: 256 KB, pages of 256 bytes, EEPROM",
  version = 0x2200, product = "STM32  BOOTLOADER", serial = "152A28A0B956", align = 8, rdp_at = 0,
  memories = {
    { name = "@Internal Flash  /0x08000000/1024*256 g", erase = 0.0032, unit = 128,
      write = 0.0032 },
    { name = "@Option Bytes  /0x1FF80000/01*032 e", role = "options",
      initial = "\xAA\0\x55\xFF\x70\x80\x8F\x7F" .. ("\0\0\xFF\xFF"):rep(6) },
    { name = "@DATA Memory /0x08080000/02*004Ke", role = "data", unit = 4, write = 0.0032 },
    { name = "@System/0x1FF01FFE/01*002Ba", role = "system", hidden = true,
      initial = "\x40\xFF" },
  },
  habits = { "erases-to-zero", "options-stay" },
}

-- SPDX-License-Identifier: MIT
-- STM32C071. The string of the option bytes, the product and the flash times are inferred. The
-- ENGI bytes hold the unique id and the size of the flash (CMSIS).
return {
  base = "g474", summary = "STM32C071: 128 KB; its unique id can be read",
  version = 0x0220, product = "DFU in FS Mode", serial = "325E35643334", transfer_size = 1024,
  rdp_at = 0, align = 8,
  memories = {
    { name = "@Internal Flash    /0x08000000/64*02Kg", erase = 0.02, unit = 8, write = 81.7e-6 },
    { name = "@Option Bytes      /0x1FFF7800/01*128 e", role = "options",
      initial = "\xAA\xFE\xFF\x3F\x55\x01\0\xC0" },
    { name = "@ENGI Bytes        /0x1FFF7500/01*768 e", role = "otp",
      initial = ("\xFF"):rep(0x50) .. "\x31\0\x2D\0\x0B\x51\x34\x33\x33\x35\x31\x32"
        .. ("\xFF"):rep(0x44) .. "\x80\0" },
    { name = "@System/0x1FFF67FE/01*002Ba", role = "system", hidden = true,
      initial = "\xD1\xFF" },
  },
  habits = { "options-stay" },
}

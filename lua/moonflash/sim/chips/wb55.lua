-- SPDX-License-Identifier: MIT
-- STM32WB55 with 1 MB. The strings of the option bytes and OTP are inferred. It has no mass erase,
-- the top belongs to the radio, and read protection is removed at the next power-up.
return {
  base = "g474", summary = "STM32WB55: 1 MB, of which the radio has the top",
  version = 0x0200, product = "DFU in FS Mode", serial = "20555A0B1C2D", transfer_size = 1024,
  rdp_at = 0, align = 8,
  memories = {
    { name = "@Internal Flash   /0x08000000/256*04Kg", erase = 0.0245, unit = 8, write = 81.69e-6 },
    { name = "@Option Bytes   /0x1FFF8000/01*128 e", role = "options",
      initial = "\xAA\xF1\xFF\x3D\x55\x0E\0\xC2"
        .. "\xFF\xFF\xFF\xFF\0\0\0\0\0\xFE\xFF\xFF\xFF\x01\0\0"
        .. ("\xFF\0\0\xFF\0\xFF\xFF\0"):rep(2) .. ("\xFF"):rep(72)
        .. "\xCD\xEF\xFF\xFF\x32\x10\0\0" },
    { name = "@OTP Memory   /0x1FFF7000/01*1024 e", role = "otp" },
    { name = "@System/0x1FFF6FFE/01*002Ba", role = "system", hidden = true,
      initial = "\xD5\xFF" },
  },
  habits = { "options-stay", "refuses-mass-erase", "unprotects-at-power" },
}

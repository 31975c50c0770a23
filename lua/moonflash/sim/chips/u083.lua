-- SPDX-License-Identifier: MIT
-- STM32U083. Its product string and flash times are not known: those of the U5 and the G4. The
-- ENGI bytes hold the unique id and the size of the flash (CMSIS).
return {
  base = "g474", summary = "STM32U083: 256 KB; its unique id can be read",
  version = 0x0220, product = "DFU in FS Mode", serial = "325E35633334", transfer_size = 1024,
  rdp_at = 0, align = 8,
  memories = {
    { name = "@Internal Flash    /0x08000000/128*02Kg", erase = 0.037 },
    { name = "@OB Bytes          /0x40022020/01*136 e", role = "options",
      initial = "\xAA\xE0\xFF\x3F" .. ("\0"):rep(8) .. ("\x7F\0\0\0"):rep(2) .. ("\0"):rep(116) },
    { name = "@OTP Memory        /0x1FFF6800/01*1024 e", role = "otp" },
    { name = "@ENGI Bytes        /0x1FFF6C00/01*1024.e", role = "otp",
      initial = ("\xFF"):rep(0x250) .. "\x30\0\x2D\0\x0B\x51\x34\x33\x33\x35\x31\x32"
        .. ("\xFF"):rep(0x44) .. "\0\x01" },
    { name = "@System/0x1FFF67FE/01*002Ba", role = "system", hidden = true,
      initial = "\xD0\xFF" },
  },
  habits = { "options-stay" },
}

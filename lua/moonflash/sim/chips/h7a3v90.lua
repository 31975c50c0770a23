-- SPDX-License-Identifier: MIT
-- STM32H7A3, ROM V9.0: its strings are wrong (AN2606 table 138; community.st.com 9234).
return {
  base = "g474", summary = "STM32H7A3 with ROM V9.0: announces pages of 2 KB, has 8 KB",
  version = 0x0200, product = "DFU in FS Mode", serial = "FFFFFFFEFFFF", transfer_size = 1024,
  rdp_at = 1, align = 8,
  memories = {
    { name = "@Internal Flash  /0x08000000/256*02Kg", erase = 0.05, unit = 16, write = 290e-6,
      real = "@Internal Flash/0x08000000/256*8Kg" },
    { name = "@Option Bytes  /0x1FF8000/01*128 e", role = "options",
      real = "@Option Bytes/0x5200201C/01*128 e",
      initial = ("\xF0\xAA\xC6\x1B"):rep(2) .. ("\0"):rep(4)
        .. ("\xFF\0\0\0"):rep(4) .. ("\xFF"):rep(8) .. ("\0\x08\xF0\x1F"):rep(2) },
    { name = "@OTP Memory  /0x1FF7000/01*1024 e", role = "system",
      real = "@Nothing/0x60000000/01*1024 a" },
  },
  habits = { "options-stay" },
}

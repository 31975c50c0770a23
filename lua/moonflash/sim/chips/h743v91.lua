-- SPDX-License-Identifier: MIT
-- STM32H743, ROM V9.1: it answers before an erase in the second bank is done (AN2606 table 136).
return {
  base = "g474", summary = "STM32H743 with ROM V9.1: answers before an erase is done",
  version = 0x0200, product = "DFU in FS Mode", serial = "200364500000", transfer_size = 1024,
  rdp_at = 1, align = 8,
  memories = {
    { name = "@Internal Flash   /0x08000000/16*128Kg", erase = 2, unit = 32, write = 290e-6 },
    { name = "@Option Bytes   /0x5200201C/01*128 e", role = "options",
      initial = ("\xF0\xAA\xC6\x1B"):rep(2) .. ("\0"):rep(4)
        .. ("\xFF\0\0\0"):rep(4) .. ("\xFF\0\0\0"):rep(2) .. ("\0\x08\xF0\x1F"):rep(2) },
    { name = "@System/0x1FF1E7FE/01*002Ba", role = "system", hidden = true,
      initial = "\x91\xFF" },
  },
  habits = { "options-stay", "answers-early" },
}

-- SPDX-License-Identifier: MIT
-- AT32F415. Its product string and flash times are not known.
return {
  base = "g474", summary = "AT32F415: 128 KB, pages of 1 KB",
  vid = 0x2E3C, pid = 0xDF11, version = 0x0200, manufacturer = "Artery-Tech",
  product = "DFU in FS Mode", serial = "AT32", transfer_size = 2048, rdp_at = 0, rdp_open = 0xA5,
  memories = {
    { name = "@Internal Flash  /0x08000000/ 128*1Kg", erase = 0.04, unit = 4, write = 52.5e-6 },
    { name = "@Option Byte   /0x1FFFF800/02*016 e", role = "options",
      initial = "\xA5\x5A\xFF\0" .. ("\xFF\0"):rep(14) },
  },
  habits = { "options-stay" },
}

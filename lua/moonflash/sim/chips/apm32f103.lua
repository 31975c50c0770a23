-- SPDX-License-Identifier: MIT
-- APM32F103 with 128 KB. Its flash times are those of the STM32F103 (recalled).
return {
  base = "g474", summary = "APM32F103: 128 KB, pages of 2 KB",
  vid = 0x314B, pid = 0x0106, version = 0x0010, manufacturer = "Geehy",
  product = "APM32 DFU", serial = "0448", transfer_size = 2048, rdp_at = 0, rdp_open = 0xA5,
  memories = {
    { name = "@Internal Flash  /0x8000000/06*002Kg,058*002Kg", erase = 0.02, unit = 2,
      write = 52.5e-6 },
    { name = "@Option Bytes  /0x1FFFF800/01*016 e", role = "options",
      initial = "\xA5\x5A\xFF\0" .. ("\xFF\0"):rep(6) },
  },
  habits = { "options-stay" },
}

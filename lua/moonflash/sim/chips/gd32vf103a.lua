-- SPDX-License-Identifier: MIT
-- GD32VF103 rev. A: it announces 512 pages of 2 KB, and has 128 of 1 KB (dfu-util 529fa51).
return {
  base = "g474", summary = "GD32VF103 rev. A: announces pages of 2 KB, has 1 KB",
  vid = 0x28E9, pid = 0x0189, version = 0x1000, manufacturer = "GigaDevice",
  product = "GD32 Device in DFU Mode", serial = "3CBJ", transfer_size = 2048,
  poll_erase = 100, poll_write = 104, poll_address = 104, rdp_at = 0, rdp_open = 0xA5,
  memories = {
    { name = "@Internal Flash  /0x08000000/512*002Kg", erase = 0.02, unit = 4, write = 52.5e-6,
      real = "@Internal Flash/0x08000000/128*1Kg" },
    { name = "@Option Bytes  /0x1FFFF800/01*016 g", role = "options",
      initial = "\xA5\x5A\xFF\0" .. ("\xFF\0"):rep(6) },
  },
  habits = { "refuses-mass-erase", "options-stay" },
}

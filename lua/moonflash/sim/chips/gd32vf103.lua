-- SPDX-License-Identifier: MIT
-- GD32VF103 rev. B. Mass erase fails (field reports). Read protection is open with 0xA5.
return {
  base = "g474", summary = "GD32VF103: 128 KB, pages of 1 KB; RISC-V",
  vid = 0x28E9, pid = 0x0189, version = 0x0100, manufacturer = "GigaDevice",
  product = "GD32 Device in DFU Mode", serial = "3CBJ", transfer_size = 2048,
  poll_erase = 100, poll_write = 104, poll_address = 104, rdp_at = 0, rdp_open = 0xA5,
  memories = {
    { name = "@Internal Flash  /0x08000000/128*001Kg", erase = 0.02, unit = 4, write = 52.5e-6 },
    { name = "@Option Bytes  /0x1FFFF800/01*016Be", role = "options",
      initial = "\xA5\x5A\xFF\0" .. ("\xFF\0"):rep(6) },
  },
  habits = { "refuses-mass-erase", "options-stay" },
}

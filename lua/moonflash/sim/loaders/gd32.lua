-- SPDX-License-Identifier: MIT
-- GigaDevice's DFU example for the GD32VF103. The example reports no layout; the layout here is
-- that of the chip, with pages of 1 KB.
return {
  base = "l452", summary = "GigaDevice's DFU example",
  vid = 0x28E9, pid = 0x0189, version = 0x0100, manufacturer = "GigaDevice",
  product = "GD32 USB DFU in FS Mode", serial = "GD32", transfer_size = 2048, starts_idle = true,
  poll_erase = 60, poll_write = 0, poll_address = 80,
  memories = { { name = "@Internal Flash   /0x08000000/16*001Ka,112*001Kg", erase = 0.02 } },
  habits = { "executes-in-status", "ignores-commands", "ignores-mass-erase", "ignores-unprotect",
             "odd-state" },
}

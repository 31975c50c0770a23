-- SPDX-License-Identifier: MIT
-- CherryUSB's DFU example. It executes a block within the DNLOAD request, refuses ABORT until
-- GETSTATUS was sent, answers only CLRSTATUS in dfuERROR, and leaves DFU mode one GETSTATUS late.
return {
  base = "f407", summary = "CherryUSB, DFU example",
  version = 0x0200, manufacturer = "CherryUSB", product = "CherryUSB DFU DEMO",
  serial = "2022123456", transfer_size = 2048, dfu_version = 0x0110, starts_idle = true,
  poll_erase = 0, poll_write = 0, poll_address = 0,
  memories = { { name = "@Internal Flash   /0x08000000/8*128Kg" } },
  habits = { "executes-in-download", "abort-stalls-in-sync", "deaf-in-error", "clear-stalls",
             "waits-for-status", "keeps-pointer" },
}

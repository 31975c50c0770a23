-- SPDX-License-Identifier: MIT
-- CherryUSB's DFU example: it executes a block in the DNLOAD that brings it, refuses ABORT until
-- GETSTATUS was asked, answers nothing but CLRSTATUS in dfuERROR, and leaves one GETSTATUS late.
return {
  base = "f407", version = 0x0200, manufacturer = "CherryUSB", product = "CherryUSB DFU DEMO",
  serial = "2022123456", transfer_size = 2048, dfu_version = 0x0110, starts_idle = true,
  poll_erase = 0, poll_write = 0, poll_address = 0,
  memories = { { name = "@Internal Flash   /0x08000000/8*128Kg" } },
  habits = { "executes-in-download", "abort-stalls-in-sync", "deaf-in-error", "clear-stalls",
             "waits-for-status", "keeps-pointer" },
}

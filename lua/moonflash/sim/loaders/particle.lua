-- SPDX-License-Identifier: MIT
-- Particle's boot loader for the RTL872x. It has a list of five commands, and reports errors for
-- most requests in a wrong state.
return {
  base = "f407", summary = "Particle's boot loader for the RTL872x",
  vid = 0x2B04, pid = 0xD020, version = 0x0100, manufacturer = "Particle",
  product = "P2 DFU Mode", serial = "0A10ACED", transfer_size = 4096, starts_idle = true,
  poll_erase = 0, poll_write = 0, poll_address = 0,
  memories = { { name = "@Internal Flash   /0x08000000/256*004Kg", erase = 0.03 } },
  habits = { "clear-stalls", "address-errors", "ignores-unprotect", "keeps-pointer" },
}

-- SPDX-License-Identifier: MIT
-- MicroPython's mboot on a PYBV10. Its poll timeouts are 0, it never answers Get, and it gives the
-- reason for a refused address in a string.
return {
  base = "f407", summary = "MicroPython's mboot on a PYBV10",
  version = 0x0300, manufacturer = "MicroPython", product = "Pyboard DFU",
  starts_idle = true, poll_erase = 0, poll_write = 0, poll_address = 0,
  memories = { { name = "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg" } },
  habits = { "executes-in-status", "no-answer-to-get", "uploads-anywhere", "clear-idles",
             "address-errors", "ignores-unprotect", "keeps-pointer" },
}

-- SPDX-License-Identifier: MIT
-- The boot loader of a Black Magic Probe. It is below the program, in pages that can't be erased,
-- reports some errors without dfuERROR, and answers Get with stale bytes of its buffer.
return {
  base = "l452", summary = "the boot loader of a Black Magic Probe",
  vid = 0x1D50, pid = 0x6017, version = 0x0100, manufacturer = "Black Magic Debug",
  product = "Black Magic Probe DFU", serial = "7BB14A9F", transfer_size = 1024, starts_idle = true,
  poll_erase = 20, poll_write = 27, poll_address = 27,
  memories = { { name = "@Internal Flash   /0x08000000/8*001Ka,120*001Kg", erase = 0.02 } },
  habits = { "ignores-commands", "ignores-mass-erase", "ignores-unprotect", "stale-get",
             "uploads-anywhere", "clear-idles", "error-without-state", "keeps-pointer" },
}

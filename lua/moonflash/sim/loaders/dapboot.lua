-- SPDX-License-Identifier: MIT
-- dapboot: plain DFU. It ignores block numbers, and drops the last byte of an odd length.
return {
  base = "dfu11", summary = "dapboot, plain DFU",
  vid = 0x1209, pid = 0xDB42, version = 0x0111, manufacturer = "Devanarchy",
  product = "DAPBoot DFU Bootloader", serial = "7BB14A9F", transfer_size = 1024,
  attributes = 0x0B, starts_idle = true, poll_write = 100,
  habits = { "counts-itself", "drops-odd-byte", "detaches", "clear-idles" },
}

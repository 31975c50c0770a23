-- SPDX-License-Identifier: MIT
-- U-Boot's DFU gadget. Blocks must be consecutive, even after an ABORT; UPLOAD returns a whole
-- transfer, whatever length was requested; manifestation ends in dfuIDLE.
return {
  base = "dfu11", summary = "U-Boot's DFU gadget, plain DFU",
  vid = 0x0525, pid = 0xA4A5, version = 0x0223, manufacturer = "U-Boot",
  product = "USB download gadget", serial = "0", transfer_size = 4096, attributes = 0x0F,
  starts_idle = true, poll_write = 0,
  habits = { "tolerant", "executes-in-download", "wants-order", "uploads-whole-blocks",
             "abort-errs-in-sync", "detaches" },
}

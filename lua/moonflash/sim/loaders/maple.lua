-- SPDX-License-Identifier: MIT
-- The boot loader of the Leaflabs Maple. After a GETSTATUS the next block goes to the start again.
return {
  base = "dfu11", summary = "the boot loader of the Leaflabs Maple, plain DFU",
  vid = 0x1EAF, pid = 0x0003, version = 0x0201, manufacturer = "LeafLabs",
  product = "Maple 003", serial = "LLM 003", transfer_size = 1024, attributes = 0x03,
  starts_idle = true, poll_write = 0,
  habits = { "executes-in-status", "counts-itself", "status-idles", "abort-errs-in-sync" },
}

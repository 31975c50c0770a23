-- SPDX-License-Identifier: MIT
-- TinyUSB's DFU example with its default buffer of 64 bytes. Six bytes of each block are corrupted,
-- and every status is OK.
return {
  base = "dfu11", summary = "TinyUSB's DFU example, which corrupts blocks; plain DFU",
  vid = 0xCAFE, pid = 0x400B, version = 0x0100, manufacturer = "TinyUSB",
  product = "TinyUSB Device", serial = "123456", transfer_size = 64, attributes = 0x07,
  starts_idle = true, poll_write = 1,
  habits = { "tolerant", "corrupts-blocks", "clear-idles", "detaches" },
}

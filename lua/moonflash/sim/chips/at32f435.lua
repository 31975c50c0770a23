-- SPDX-License-Identifier: MIT
-- AT32F435 with 1 MB. The string of the option bytes is from betaflight-configurator; its flash
-- times are not known.
return {
  base = "g474", summary = "AT32F435: 1 MB, pages of 2 KB",
  vid = 0x2E3C, pid = 0xDF11, version = 0x0200, manufacturer = "Artery-Tech",
  product = "DFU in FS Mode", serial = "AT32", transfer_size = 2048, rdp_at = 0, rdp_open = 0xA5,
  memories = {
    { name = "@Internal Flash   /0x08000000/512*002Kg", erase = 0.04, unit = 4, write = 52.5e-6 },
    { name = "@Option byte   /0x1FFFC000/01*512 g", role = "options",
      initial = "\xA5\x5A\xFF\0" .. ("\xFF\0"):rep(254) },
  },
  habits = { "options-stay" },
}

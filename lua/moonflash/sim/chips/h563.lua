-- SPDX-License-Identifier: MIT
-- STM32H563 with 2 MB. Only the string of its flash was seen. It has no Read Unprotect (AN3156
-- 4.2); the time of a unit is not known: that of the G4.
return {
  base = "g474", summary = "STM32H563: 2 MB, pages of 8 KB; no Read Unprotect",
  version = 0x0300, product = "DFU in FS Mode", serial = "563A28A0B956", transfer_size = 1024,
  align = 16,
  memories = {
    { name = "@Internal Flash   /0x08000000/256*08Kg", erase = 0.002, unit = 16, write = 81.7e-6 },
    { name = "@System/0x0BF9FAFE/01*002Ba", role = "system", hidden = true,
      initial = "\xE5\xFF" },
  },
  habits = { "refuses-unprotect" },
}

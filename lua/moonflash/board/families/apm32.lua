-- SPDX-License-Identifier: MIT
-- Geehy APM32.
local KB = 1024

return {
  {
    name = "APM32F103", covers = "APM32F103",
    simulated = { "apm32f103" },
    ids = { { { 0x314B, 0x0106 } }, "log 52207190004" },
    versions = { { 0x0010 }, "log 52207190004" },
    roms = { { version = 0x0010, "@Internal Flash  /0x8000000/06*002Kg,058*002Kg",
               "@Option Bytes  /0x1FFFF800/01*016 e", seen = "log 52207190004" } },
    flash = { { "64*2Kg" }, "layout string" }, unit = { 2, "as the STM32F1", "recalled" },
    erased = { 0xFF, "as the STM32F1", "recalled" },
    shared_serials = { { "0448" }, "log 52207190004" },
    enter = { "BOOT0 high and BOOT1 low, then reset", "as the STM32F1", "recalled" },
    faults = { { "ships-locked", "it is sold with read protection on", "field reports" } },
    options = {
      source = "as the STM32F1; length from dfu-util -l", form = "byte", resets = false,
      mark = "recalled",
      { address = 0x1FFFF800, length = 16, words = {
        [0x00] = "RDP[7:0] WDG_SW[16] nRST_STOP[17] nRST_STDBY[18]",
        [0x04] = "DATA0[7:0] DATA1[23:16]", [0x08] = "WRP0[7:0] WRP1[23:16]",
        [0x0C] = "WRP2[7:0] WRP3[23:16]" } },
      open = { "RDP", 0xA5 }, forever = {},
      protects = { bits = { "WRP0", "WRP1", "WRP2", "WRP3" }, protected = 0, size = 4 * KB,
                   rest = true, mark = "recalled" },
    },
  },
}

-- SPDX-License-Identifier: MIT
-- STM32L1. Chips of the categories 1 and 2 (xB and smaller) have no USB DFU in their ROM (AN2606
-- table 3). Erased flash is 0x00 (RM0038 3.3.4).
local KB = 1024

local function family(it)
  it.versions = { { 0x2200 }, "log 21148145445" }
  it.unit, it.align = { 4, "stm32-data" }, { 8, "AN2606 table 7" }
  it.erased = { 0x00, "RM0038 3.3.4; stm32-data" }
  it.erase_ms = { 3.2, "data sheet" }
  it.write_us = { 3200, "data sheet: a word or half a page" }
  it.write_unit = { 128, "data sheet: half a page in the time of a word" }
  it.connect_ms = { 849, "AN2606 table 229" }
  it.loader_id = { 0x1FF01FFE, "AN2606" }
  it.uid, it.size_at = { { 0x1FF800D0, 4, 0x14 }, "CMSIS" }, { 0x1FF800CC, "CMSIS" }
  it.enter = { "BOOT0 high and BOOT1 low, then reset. The ROM takes its USB clock from a crystal.",
               "AN2606" }
  it.faults = { { "host-controllers", "data transfers fail on some high-speed host controllers; a "
    .. "hub between board and computer helps", "AN2606 tables 158 to 161" },
    { "rtc", "V4.1 resets the RTC", "AN2606" } }
  it.options = {
    source = "CMSIS; length from dfu-util -l", form = "half", resets = false,
    { address = 0x1FF80000, length = 32, words = {
      [0x00] = "RDP[7:0]", [0x04] = "BOR_LEV[3:0] IWDG_SW[4] nRST_STOP[5] nRST_STDBY[6]"
        .. (it.nbfb2 and " nBFB2[7]" or ""),
      [0x08] = "WRP0[15:0]", [0x0C] = "WRP1[15:0]", [0x10] = "WRP2[15:0]", [0x14] = "WRP3[15:0]",
      [0x18] = "WRP4[15:0]", [0x1C] = "WRP5[15:0]" } },
    open = { "RDP", 0xAA }, forever = { RDP = { [0xCC] = "read protection level 2" } },
    protects = { bits = { "WRP0", "WRP1", "WRP2", "WRP3", "WRP4", "WRP5" }, protected = 1,
                 size = 4 * KB, mark = "recalled" },
  }
  it.nbfb2 = nil
  return it
end

return {
  family {
    name = "STM32L1xxC", covers = "STM32L151xC, L152xC, L162xC",
    simulated = { "l152" },
    chip_id = { 0x427, "AN2606 table 226" },
    roms = { { version = 0x2200, product = "STM32  BOOTLOADER",
               "@Internal Flash  /0x08000000/1024*256 g", "@Option Bytes  /0x1FF80000/01*032 e",
               "@DATA Memory /0x08080000/02*004Ke", seen = "log 21148145445" } },
    flash = { { "1024*256g" }, "stm32-data" }, loaders = { 0x40 },
    eeprom = { { 0x08080000, 8 * KB }, "AN2606 table 5: written without erasing, in words" },
  },
  family {
    name = "STM32L1xxD", covers = "STM32L151xD, L152xD, L162xD",
    chip_id = { 0x436, "AN2606 table 226" }, two_banks = { true, "stm32-data" },
    flash = { { "1536*256g" }, "stm32-data" }, loaders = { 0x45 }, nbfb2 = true,
    eeprom = { { 0x08080000, 12 * KB }, "AN2606 table 5: written without erasing, in words" },
  },
  family {
    name = "STM32L1xxE", covers = "STM32L151xE, L152xE, L162xE",
    chip_id = { 0x437, "AN2606 table 226" }, two_banks = { true, "stm32-data" },
    flash = { { "2048*256g" }, "stm32-data" }, loaders = { 0x40 }, nbfb2 = true,
    eeprom = { { 0x08080000, 16 * KB }, "AN2606 table 5: written without erasing, in words" },
  },
}

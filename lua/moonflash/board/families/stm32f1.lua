-- SPDX-License-Identifier: MIT
-- STM32F105 and F107. Other F1 have no USB DFU in their ROM (AN2606 table 3).
local KB = 1024
local FLASH = "@Internal Flash  /0x08000000/128*002Kg"
local OLD_OPTIONS = "@Option Bytes  /0x1FFFF800/01*016 g"

return {
  {
    name = "STM32F105/107", covers = "STM32F105, F107",
    simulated = { "f105" },
    chip_id = { 0x418, "AN2606 table 226" },
    versions = { { 0x2000, 0x2100, 0x2200 }, "logs of dfu-util -l" },
    roms = {
      { version = 0x2000, product = "STM32 0x418 DFU Bootloader", FLASH, OLD_OPTIONS,
        seen = "logs of dfu-util -l" },
      { version = 0x2100, product = "STM32  BOOTLOADER", FLASH, OLD_OPTIONS,
        seen = "logs of dfu-util -l" },
      { version = 0x2200, product = "STM32  BOOTLOADER", FLASH,
        "@Option Bytes  /0x1FFFF800/01*016 e", seen = "dfu-util stm32f107.lsusb" },
    },
    flash = { { "128*2Kg", "64*2Kg", "32*2Kg" }, "stm32-data" }, unit = { 2, "stm32-data" },
    align = { 4, "AN2606 table 7" }, erased = { 0xFF, "probe-rs" },
    erase_ms = { 20, "data sheet" }, erase_max_ms = { 40, "data sheet" },
    uid = { { 0x1FFFF7E8, 4, 8 }, "CMSIS" }, size_at = { 0x1FFFF7E0, "CMSIS" },
    shared_serials = { { "STM32" }, "logs of dfu-util -l" },
    enter = { "BOOT0 high and BOOT1 low, then reset. With a crystal of 25 MHz the board appears "
      .. "after 0.5 s, with 8 MHz after 14 s.", "AN2606 table 229" },
    faults = {
      { "unusable", "chips with a date code before 937 have a ROM that can't be used on 64 pins",
        "AN2606 table 48" },
      { "poll-times", "the ROM V2.0 announces wrong poll times, and draws more than 25 mA through "
        .. "PA9 with USB", "AN2606 table 48", version = 0x2000 },
      { "poll-times", "the ROM V2.1 announces wrong poll times", "AN2606 table 48",
        version = 0x2100 },
    },
    options = {
      source = "CMSIS OB_TypeDef; length from dfu-util -l", form = "byte", resets = false,
      { address = 0x1FFFF800, length = 16, words = {
        [0x00] = "RDP[7:0] WDG_SW[16] nRST_STOP[17] nRST_STDBY[18]",
        [0x04] = "DATA0[7:0] DATA1[23:16]", [0x08] = "WRP0[7:0] WRP1[23:16]",
        [0x0C] = "WRP2[7:0] WRP3[23:16]" } },
      -- RDP has two levels: 0xA5, and any other value. There is no level 2.
      open = { "RDP", 0xA5 }, forever = {},
      protects = { bits = { "WRP0", "WRP1", "WRP2", "WRP3" }, protected = 0, size = 4 * KB,
                   rest = true, mark = "recalled" },
    },
  },
}

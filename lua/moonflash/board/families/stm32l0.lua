-- SPDX-License-Identifier: MIT
-- STM32L0. Of this line, only the L072, L073, L082 and L083 have USB DFU in their ROM (AN2606 table
-- 3). Erased flash is 0x00 (RM0367 3.3.4).
local KB = 1024

return {
  {
    name = "STM32L07x/08x", covers = "STM32L072, L073, L082, L083",
    simulated = { "l072" },
    chip_id = { 0x447, "AN2606 table 226" }, versions = { { 0x2200 }, "log 33167352407" },
    roms = { { version = 0x2200, product = "STM32  BOOTLOADER",
               "@Internal Flash  /0x08000000/1536*128g", "@Option Bytes  /0x1FF80000/01*032 e",
               "@DATA Memory /0x08080000/2*3Ke", seen = "log 33167352407" } },
    flash = { { "1536*128g", "1024*128g", "512*128g" }, "stm32-data" },
    two_banks = { true, "stm32-data" },
    unit = { 4, "stm32-data" }, align = { 8, "AN2606 table 7" },
    erased = { 0x00, "RM0367 3.3.4; stm32-data" },
    erase_ms = { 3.2, "data sheet" }, write_us = { 3200, "data sheet: a word or half a page" },
    write_unit = { 64, "data sheet: half a page in the time of a word" },
    connect_ms = { 140, "AN2606 table 229" },
    loader_id = { 0x1FF01FFE, "AN2606" }, loaders = { 0x41 },
    uid = { { 0x1FF80050, 4, 0x14 }, "CMSIS" }, size_at = { 0x1FF8007C, "CMSIS" },
    eeprom = { { 0x08080000, 6 * KB }, "AN2606 table 5: written without erasing, in words" },
    enter = { "BOOT0 high, then reset", "AN2606" },
    faults = { { "host-controllers", "data transfers fail on some high-speed host controllers; a "
      .. "hub between board and computer helps", "AN2606 tables 149, 157" } },
    options = {
      source = "CMSIS; length from dfu-util -l", form = "half", resets = false,
      { address = 0x1FF80000, length = 32, words = {
        [0x00] = "RDP[7:0] WPRMOD[8]",
        [0x04] = "BOR_LEV[3:0] IWDG_SW[4] nRST_STOP[5] nRST_STDBY[6] BFB2[7] BOOT1[15]",
        [0x08] = "WRP0[15:0]", [0x0C] = "WRP1[15:0]", [0x10] = "WRP2[15:0]" } },
      open = { "RDP", 0xAA }, forever = { RDP = { [0xCC] = "read protection level 2" } },
      protects = { bits = { "WRP0", "WRP1", "WRP2" }, protected = 1, size = 4 * KB,
                   mark = "recalled" },
    },
  },
}

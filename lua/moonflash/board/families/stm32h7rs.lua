-- SPDX-License-Identifier: MIT
-- STM32H7R and H7S. Most of their programs are in external flash, with a boot loader of their own.
return {
  {
    name = "STM32H7R/S", covers = "STM32H7R3, H7R7, H7S3, H7S7",
    chip_id = { 0x485, "AN2606 table 226" }, versions = { { 0x0200 }, "survey 7527821263",
    "inferred" },
    roms = { { version = 0x0200, product = "DFU in FS Mode",
               "@Internal Flash   /0x08000000/8*08Kg",
               inferred = "the flash string was seen (7527821263)" } },
    flash = { { "8*8Kg" }, "stm32-data" }, unit = { 16, "stm32-data" },
    align = { 16, "AN2606 table 7" }, erased = { 0xFF, "probe-rs" },
    loader_id = { 0x1FF1FCFE, "AN2606" }, loaders = { 0xE3, 0xE4,
      0xE5 },
    uid = { { 0x08FFF800, 4, 8 }, "CMSIS" }, otp = { { 0x08FFF000, 1024 }, "CMSIS" },
    enter = { "BOOT0 high, then reset", "AN2606" },
    options = {
      source = "CMSIS", form = "registers", resets = false, mark = "inferred",
      readonly = "its states are changed at virtual addresses (AN2606 table 140)",
      { address = 0x52002200, words = { [0x00] = "NVSTATE[7:0]", [0x04] = "NVSTATE_P[7:0]" } },
      open = { "NVSTATE", 0xB4 },
      forever = { NVSTATE = { [0x51] = "non-volatile state closed" },
                  NVSTATE_P = { [0x51] = "non-volatile state closed" } },
    },
  },
}

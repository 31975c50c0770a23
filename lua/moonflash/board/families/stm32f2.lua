-- SPDX-License-Identifier: MIT
-- STM32F2. Silicon A, Z and B has no USB DFU in its ROM (AN2606 table 3). The strings are those of
-- the F405.
local KB = 1024
local FLASH = "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg"

return {
  {
    name = "STM32F2", covers = "STM32F205, F207, F215, F217",
    chip_id = { 0x411, "AN2606 table 226" },
    versions = { { 0x2100, 0x2200 }, "AN2606: ROMs V3.2, V3.3" },
    roms = {
      { version = 0x2100, product = "STM32  BOOTLOADER", FLASH,
        "@Option Bytes  /0x1FFFC000/01*016 g", "@OTP Memory /0x1FFF7800/01*512 g,01*016 g",
        "@Device Feature/0xFFFF0000/01*004 g", inferred = "as the F405" },
      { version = 0x2200, product = "STM32  BOOTLOADER", FLASH,
        "@Option Bytes  /0x1FFFC000/01*016 e", "@OTP Memory /0x1FFF7800/01*512 e,01*016 e",
        "@Device Feature/0xFFFF0000/01*004 e", inferred = "as the F405" },
    },
    flash = { { "4*16Kg,1*64Kg,7*128Kg", "4*16Kg,1*64Kg,3*128Kg", "4*16Kg,1*64Kg,1*128Kg",
                "4*16Kg,1*64Kg" }, "stm32-data" },
    unit = { 1, "AN2606: the ROM programs by bytes" }, align = { 4, "AN2606 table 7" },
    erased = { 0xFF, "probe-rs" },
    erase_ms = { { [16 * KB] = 400, [64 * KB] = 1200, [128 * KB] = 2000 },
                 "as the F405 (DS8626 table 40)", "inferred" },
    mass_ms = { 16000, "as the F405", "inferred" },
    write_us = { 16, "as the F405", "inferred" },
    early_poll = { true, "as the F405", "inferred" },
    connect_ms = { 270, "AN2606 table 229" },
    loader_id = { 0x1FFF77DE, "AN2606" }, loaders = { 0x33 },
    uid = { { 0x1FFF7A10, 4, 8 }, "CMSIS" }, size_at = { 0x1FFF7A22, "CMSIS" },
    otp = { { 0x1FFF7800, 528 }, "CMSIS" },
    enter = { "BOOT0 high and BOOT1 low, then reset. The ROM takes its USB clock from a crystal.",
              "AN2606" },
    faults = { { "poll-times", "the ROM V3.2 announces wrong poll times", "AN2606",
                 version = 0x2100 } },
    options = {
      source = "CMSIS FLASH_OPTCR; as the F405", form = "half", resets = true,
      { address = 0x1FFFC000, length = 16, words = {
        [0x00] = "BOR_LEV[3:2] WDG_SW[5] nRST_STOP[6] nRST_STDBY[7] RDP[15:8]",
        [0x08] = "nWRP[11:0]" } },
      open = { "RDP", 0xAA }, forever = { RDP = { [0xCC] = "read protection level 2" } },
      protects = { bits = { "nWRP" }, protected = 0, size = "sector" },
    },
  },
}

-- SPDX-License-Identifier: MIT
-- STM32F7.
local KB = 1024
local OLD = "STM32  BOOTLOADER"
local FEATURE = "@Device Feature/0xFFFF0000/01*004 e"
local FIRST = "BOR_LEV[3:2] WWDG_SW[4] IWDG_SW[5] nRST_STOP[6] nRST_STDBY[7] RDP[15:8]"

local function family(it)
  it.versions = { { 0x2200 }, "logs of dfu-util -l" }
  it.unit = { 1, "AN2606: the ROM programs by bytes, unless the Device Feature says otherwise" }
  it.align, it.erased = { 8, "AN2606 table 7" }, { 0xFF, "probe-rs" }
  it.write_us = { 16, "as the F405", "inferred" }
  it.poll_ms = { { erase = 100, write = 104, address = 104 }, "fwupd 2696" }
  it.early_poll = { true, "fwupd 2696" }
  it.enter = { "BOOT0 high, then reset, if BOOT_ADD1 points to the ROM (0x0040). The ROM takes its "
    .. "USB clock from a crystal.", "AN2606; CMSIS" }
  return it
end

-- Times by bytes. 32 KB and 128 KB: seen by fwupd; the rest as the F405.
local ERASE = { [16 * KB] = 400, [32 * KB] = 350, [64 * KB] = 1200, [128 * KB] = 2200,
                [256 * KB] = 4000 }
local ERASE_SOURCE = "fwupd 2696 (32 KB, 128 KB); the rest in proportion"

return {
  family {
    name = "STM32F72x/73x", covers = "STM32F722, F723, F730, F732, F733",
    simulated = { "f722" },
    chip_id = { 0x452, "AN2606 table 226" },
    roms = { { version = 0x2200, product = OLD,
               "@Internal Flash  /0x08000000/04*016Kg,01*64Kg,03*128Kg",
               "@Option Bytes  /0x1FFF0000/01*048 e", "@OTP Memory /0x1FF07800/01*528e", FEATURE,
               seen = "log 54950779257" } },
    flash = { { "4*16Kg,1*64Kg,3*128Kg", "4*16Kg,1*64Kg,1*128Kg", "4*16Kg" }, "stm32-data" },
    erase_ms = { ERASE, ERASE_SOURCE, "inferred" }, connect_ms = { 320, "AN2606 table 229" },
    loader_id = { 0x1FF0EDBE, "AN2606" }, loaders = { 0x90 },
    uid = { { 0x1FF07A10, 4, 8 }, "CMSIS" }, size_at = { 0x1FF07A22, "CMSIS" },
    otp = { { 0x1FF07800, 528 }, "CMSIS; layout string" },
    shared_serials = { { "STM32FxSTM32" }, "logs 8395007602, 54950779257" },
    options = {
      source = "CMSIS; length from dfu-util -l", form = "half", resets = true,
      { address = 0x1FFF0000, length = 48, words = {
        [0x00] = FIRST, [0x08] = "nWRP[7:0] IWDG_STDBY[14] IWDG_STOP[15]",
        [0x10] = "BOOT_ADD0[15:0]", [0x18] = "BOOT_ADD1[15:0]", [0x20] = "PCROP[7:0]",
        [0x28] = "PCROP_RDP[15]" }, recalled = { [0x20] = true, [0x28] = true } },
      open = { "RDP", 0xAA }, forever = { RDP = { [0xCC] = "read protection level 2" } },
      protects = { bits = { "nWRP" }, protected = 0, size = "sector" },
    },
  },
  family {
    name = "STM32F74x/75x", covers = "STM32F745, F746, F750, F756",
    simulated = { "f746" },
    chip_id = { 0x449, "AN2606 table 226" },
    roms = {
      { version = 0x2200, product = OLD, "@Internal Flash  /0x08000000/04*032Kg,01*128Kg,03*256Kg",
        "@Option Bytes  /0x1FFF0000/01*032 e", "@OTP Memory /0x1FF0F000/01*1024 e,01*016 e",
        FEATURE, inferred = "flash string seen; the rest from stlink config/chips and CMSIS" },
    },
    flash = { { "4*32Kg,1*128Kg,3*256Kg", "4*32Kg,1*128Kg,1*256Kg", "2*32Kg" }, "stm32-data" },
    erase_ms = { ERASE, ERASE_SOURCE, "inferred" },
    erase_max_ms = { { [32 * KB] = 800, [256 * KB] = 4000 }, "data sheet" },
    connect_ms = { 230, "AN2606 table 229" },
    loader_id = { 0x1FF0EDBE, "AN2606" }, loaders = { 0x70, 0x90 },
    uid = { { 0x1FF0F420, 4, 8 }, "CMSIS" }, size_at = { 0x1FF0F442, "CMSIS" },
    otp = { { 0x1FF0F000, 1040 }, "CMSIS" },
    faults = { { "level-2", "with read protection level 2 the ROM still starts, and knows only Get",
                 "AN2606" } },
    options = {
      source = "CMSIS; stlink config/chips; dump in community.st.com XkYXn", form = "half",
      resets = true,
      { address = 0x1FFF0000, length = 32, words = {
        [0x00] = FIRST, [0x08] = "nWRP[7:0] IWDG_STDBY[14] IWDG_STOP[15]",
        [0x10] = "BOOT_ADD0[15:0]", [0x18] = "BOOT_ADD1[15:0]" } },
      open = { "RDP", 0xAA }, forever = { RDP = { [0xCC] = "read protection level 2" } },
      protects = { bits = { "nWRP" }, protected = 0, size = "sector" },
    },
  },
  family {
    name = "STM32F76x/77x", covers = "STM32F765, F767, F769, F777, F779",
    simulated = { "f767", "f767db" },
    chip_id = { 0x451, "AN2606 table 226" }, two_banks = { true, "stm32-data" },
    roms = {
      { version = 0x2200, product = OLD, "@Internal Flash  /0x08000000/04*032Kg,01*128Kg,07*256Kg",
        "@Option Bytes  /0x1FFF0000/01*032 e", "@OTP Memory /0x1FF0F000/01*1024 e,01*016 e",
        FEATURE, inferred = "flash string seen; the rest from stlink config/chips and CMSIS" },
    },
    flash = { { "4*32Kg,1*128Kg,7*256Kg", "4*32Kg,1*128Kg,3*256Kg" }, "stm32-data" },
    erase_ms = { ERASE, ERASE_SOURCE, "inferred" },
    erase_max_ms = { { [32 * KB] = 800, [256 * KB] = 4000 }, "data sheet" },
    loader_id = { 0x1FF0EDBE, "AN2606" }, loaders = { 0x93 },
    uid = { { 0x1FF0F420, 4, 8 }, "CMSIS" }, size_at = { 0x1FF0F442, "CMSIS" },
    otp = { { 0x1FF0F000, 1040 }, "CMSIS" },
    -- In dual-bank mode the string does not change, and the sectors do.
    modes = { { field = "nDBANK", value = 0, name = "dual-bank mode",
                flash = { ["4*32Kg,1*128Kg,7*256Kg"] =
                  "4*16Kg,1*64Kg,7*128Kg,4*16Kg,1*64Kg,7*128Kg",
                  ["4*32Kg,1*128Kg,3*256Kg"] = "4*16Kg,1*64Kg,3*128Kg,4*16Kg,1*64Kg,3*128Kg" },
                source = "AN2606; dump in community.st.com XkYXn" } },
    faults = { { "bank2-erase-shifted", "in dual-bank mode the ROM erases the fourth sector after "
      .. "the one that it is told to, in the second bank", "AN2606 table 104", shift = 4,
      mode = "dual-bank mode" } },
    options = {
      source = "CMSIS; stlink config/chips; dump in community.st.com XkYXn", form = "half",
      resets = true,
      { address = 0x1FFF0000, length = 32, words = {
        [0x00] = FIRST, [0x08] = "nWRP[11:0] nDBOOT[12] nDBANK[13] IWDG_STDBY[14] IWDG_STOP[15]",
        [0x10] = "BOOT_ADD0[15:0]", [0x18] = "BOOT_ADD1[15:0]" } },
      open = { "RDP", 0xAA }, forever = { RDP = { [0xCC] = "read protection level 2" } },
      costs = { nDBANK = "All sector sizes change: the flash has to be written again." },
      protects = { bits = { "nWRP" }, protected = 0, size = "sector",
                   -- dual-bank mode: a bit for two sectors
                   modes = { ["dual-bank mode"] = 2 }, mark_modes = "recalled" },
    },
  },
}

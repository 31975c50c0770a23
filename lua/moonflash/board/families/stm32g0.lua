-- SPDX-License-Identifier: MIT
-- STM32G0. The G03x to G08x have no USB DFU in their ROM (AN2606 table 3). The ROM gives three
-- alternate settings the string of the flash, so option bytes and OTP can't be reached by name.
local FLASH = "@Internal Flash   /0x08000000/64*02Kg"
local FAULTS = {
  { "one-page", "in the second bank, one page can be erased at a time", "AN2606 table 112" },
  { "go-debug-off", "after leaving, the debug port is off", "AN2606 table 112" },
  { "empty-flag", "a reset with empty flash hangs until power-off", "AN2606 table 112" },
}

local function options(lock)
  return {
    source = "CMSIS; stlink config/chips", form = "word", resets = false, mark = "recalled",
    { address = 0x1FFF7800, length = 128, words = {
      [0x00] = "RDP[7:0] BOR_EN[8] BORR_LEV[10:9] BORF_LEV[12:11] nRST_STOP[13] nRST_STDBY[14] "
        .. "nRST_SHDW[15] IWDG_SW[16] IWDG_STOP[17] IWDG_STDBY[18] WWDG_SW[19] nSWAP_BANK[20] "
        .. "DUAL_BANK[21] RAM_PARITY_CHECK[22] nBOOT_SEL[24] nBOOT1[25] nBOOT0[26] "
        .. "NRST_MODE[28:27] IRHEN[29]" } },
    open = { "RDP", 0xAA },
    forever = { RDP = { [0xCC] = "read protection level 2" } },
    -- BOOT_LOCK is in this block, at a place that is not known
    hidden = lock and "it holds a boot lock, at a place that is not known" or nil,
  }
end

return {
  {
    name = "STM32G0B1/0C1", covers = "STM32G0B1, G0C1", chip_id = { 0x467, "AN2606 table 226" },
    simulated = { "g0b1" },
    versions = { { 0x0200 }, "field reports" },
    roms = { { version = 0x0200, product = "DFU in FS Mode", FLASH, FLASH, FLASH,
               inferred = "three settings with this string were seen; the product as the G4" } },
    flash = { { "256*2Kg", "128*2Kg", "64*2Kg" }, "stm32-data" }, two_banks = { true,
    "stm32-data" },
    unit = { 8, "stm32-data" }, align = { 4, "AN2606 table 7" }, erased = { 0xFF, "probe-rs" },
    erase_max_ms = { 40, "AN2606 table 108, of the G07x", "inferred" },
    connect_ms = { 300, "AN2606 table 229" },
    loader_id = { 0x1FFF9FFE, "AN2606" }, loaders = { 0x92 },
    uid = { { 0x1FFF7590, 4, 8 }, "CMSIS" }, size_at = { 0x1FFF75E0, "CMSIS" },
    otp = { { 0x1FFF7000, 1024 }, "CMSIS" },
    enter = { "BOOT0 high, then reset, if the option byte nBOOT_SEL is 0", "CMSIS", "inferred" },
    faults = FAULTS, options = options(true),
  },
  {
    name = "STM32G0B0", covers = "STM32G0B0", chip_id = { 0x467, "AN2606 table 226" },
    versions = { { 0x0200 }, "as the G0B1", "inferred" },
    flash = { { "256*2Kg" }, "stm32-data" }, two_banks = { true, "stm32-data" },
    unit = { 8, "stm32-data" }, align = { 4, "AN2606 table 7" }, erased = { 0xFF, "probe-rs" },
    erase_max_ms = { 40, "AN2606 table 108, of the G07x", "inferred" },
    loader_id = { 0x1FFF9FFE, "AN2606" }, loaders = { 0xD0 },
    uid = { { 0x1FFF7590, 4, 8 }, "CMSIS" }, size_at = { 0x1FFF75E0, "CMSIS" },
    otp = { { 0x1FFF7000, 1024 }, "CMSIS" },
    enter = { "BOOT0 high, then reset; with a crystal of 8 to 48 MHz, and not on LQFP32",
    "AN2606" },
    faults = FAULTS, options = options(false),
  },
}

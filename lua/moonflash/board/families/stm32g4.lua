-- SPDX-License-Identifier: MIT
-- STM32G4.
local KB = 1024
local NEW = "DFU in FS Mode"
local FIRST = "RDP[7:0] BOR_LEV[10:8] nRST_STOP[12] nRST_STDBY[13] nRST_SHDW[14] IWDG_SW[16] "
  .. "IWDG_STOP[17] IWDG_STDBY[18] WWDG_SW[19] nBOOT1[23] SRAM_PE[24] CCMSRAM_RST[25] "
  .. "nSWBOOT0[26] nBOOT0[27] NRST_MODE[29:28] IRHEN[30]"
local LOCK = { RDP = { [0xCC] = "read protection level 2" },
  BOOT_LOCK = { [1] = "boot lock: with read protection there is no way back" } }

local function family(it)
  it.versions = { { 0x0200 }, "logs of dfu-util -l" }
  it.unit, it.align = { 8, "stm32-data" }, { 8, "AN2606 table 7" }
  it.erased = { 0xFF, "probe-rs" }
  it.erase_ms, it.erase_max_ms = { 37, "measured" }, { 40, "data sheet" }
  it.write_us = { 81.7, "data sheet" }
  it.connect_ms = { 300, "AN2606 table 229" }
  it.uid, it.size_at = { { 0x1FFF7590, 4, 8 }, "CMSIS" }, { 0x1FFF75E0, "CMSIS" }
  it.otp = { { 0x1FFF7000, 1024 }, "CMSIS; layout string" }
  it.enter = { "BOOT0 high, then reset, if the option byte nSWBOOT0 is 1", "CMSIS", "inferred" }
  return it
end

local function protects(bank2)
  local areas = {
    { "WRP1A_STRT", "WRP1A_END", from = 0x08000000 }, { "WRP1B_STRT", "WRP1B_END",
    from = 0x08000000 },
  }
  if bank2 then
    areas[3] = { "WRP2A_STRT", "WRP2A_END", from = bank2 }
    areas[4] = { "WRP2B_STRT", "WRP2B_END", from = bank2 }
  end
  return { areas = areas, size = 2 * KB, mark = "recalled" }
end

local RECALLED = { [0x08] = true, [0x10] = true, [0x18] = true, [0x20] = true, [0x28] = true }

return {
  family {
    name = "STM32G431/441", covers = "STM32G431, G441", chip_id = { 0x468, "AN2606 table 226" },
    simulated = { "g431" },
    roms = { { version = 0x0200, product = NEW, "@Internal Flash   /0x08000000/64*02Kg",
               "@Option Bytes   /0x1FFF7800/01*40Be", "@OTP Memory   /0x1FFF7000/01*01Ke",
               seen = "log 37069675590" } },
    flash = { { "64*2Kg", "32*2Kg", "16*2Kg" }, "stm32-data" },
    loader_id = { 0x1FFF6FFE, "AN2606" }, loaders = { 0xD3, 0xD4 },
    options = {
      source = "CMSIS; length from dfu-util -l", form = "word", resets = false,
      { address = 0x1FFF7800, length = 40, words = {
        [0x00] = FIRST, [0x08] = "PCROP1_STRT[14:0]", [0x10] = "PCROP1_END[14:0] PCROP_RDP[31]",
        [0x18] = "WRP1A_STRT[6:0] WRP1A_END[22:16]", [0x20] = "WRP1B_STRT[6:0] WRP1B_END[22:16]" },
        recalled = RECALLED },
      open = { "RDP", 0xAA }, forever = LOCK, protects = protects(),
    },
  },
  family {
    name = "STM32G47x/48x", covers = "STM32G471, G473, G474, G483, G484",
    simulated = { "g474", "g474sb" },
    chip_id = { 0x469, "AN2606 table 226" }, two_banks = { true, "stm32-data" },
    roms = { { version = 0x0200, product = NEW, "@Internal Flash   /0x08000000/256*02Kg",
               "@Option Bytes   /0x1FFF7800/01*048 e/0x1FFFF800/01*048 e",
               "@OTP Memory   /0x1FFF7000/01*1024 e", seen = "log 36928290609" } },
    flash = { { "256*2Kg", "128*2Kg", "64*2Kg" }, "stm32-data" },
    modes = { { field = "DBANK", value = 0, name = "single-bank mode",
                flash = { ["256*2Kg"] = "128*4Kg", ["128*2Kg"] = "64*4Kg", ["64*2Kg"] = "32*4Kg" },
                source = "CMSIS, stm32-data", mark = "inferred" } },
    loader_id = { 0x1FFF6FFE, "AN2606" }, loaders = { 0xD3, 0xD5 },
    faults = { { "boots-bank-2", "V13.3 can't start a program from the second bank", "AN2606" } },
    options = {
      source = "CMSIS; lengths from dfu-util -l", form = "word", resets = false,
      { address = 0x1FFF7800, length = 48, words = {
        [0x00] = FIRST .. " BFB2[20] DBANK[22]", [0x08] = "PCROP1_STRT[14:0]",
        [0x10] = "PCROP1_END[14:0] PCROP_RDP[31]",
        [0x18] = "WRP1A_STRT[6:0] WRP1A_END[22:16]", [0x20] = "WRP1B_STRT[6:0] WRP1B_END[22:16]",
        [0x28] = "SEC_SIZE1[7:0] BOOT_LOCK[16]" }, recalled = RECALLED },
      { address = 0x1FFFF800, length = 48, words = {
        [0x08] = "PCROP2_STRT[14:0]", [0x10] = "PCROP2_END[14:0]",
        [0x18] = "WRP2A_STRT[6:0] WRP2A_END[22:16]", [0x20] = "WRP2B_STRT[6:0] WRP2B_END[22:16]",
        [0x28] = "SEC_SIZE2[7:0]" }, recalled = RECALLED },
      open = { "RDP", 0xAA }, forever = LOCK,
      costs = { DBANK = "All page sizes change: the flash has to be written again." },
      protects = protects(0x08040000),
    },
  },
  family {
    name = "STM32G491/4A1", covers = "STM32G491, G4A1", chip_id = { 0x479, "AN2606 table 226" },
    flash = { { "256*2Kg", "128*2Kg" }, "stm32-data" },
    loader_id = { 0x1FFF6FFE, "AN2606" }, loaders = { 0xD2 },
    options = {
      source = "CMSIS; the string was not seen", form = "word", resets = false, mark = "inferred",
      { address = 0x1FFF7800, words = { [0x00] = FIRST .. " PB4_PUPEN[22]" } },
      open = { "RDP", 0xAA }, forever = { RDP = LOCK.RDP },
      hidden = "it holds a boot lock, at a place that is not known",
    },
  },
}

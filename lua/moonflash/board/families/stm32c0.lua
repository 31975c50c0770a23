-- SPDX-License-Identifier: MIT
-- STM32C0. Only the C071 has USB DFU in its ROM (AN2606 table 3).
return {
  {
    name = "STM32C071", covers = "STM32C071", chip_id = { 0x493, "AN2606 table 226" },
    simulated = { "c071" },
    versions = { { 0x0200, 0x0220 }, "as the U073", "inferred" },
    roms = { { version = 0x0220, product = "DFU in FS Mode",
               "@Internal Flash    /0x08000000/64*02Kg", "@Option Bytes      /0x1FFF7800/01*128 e",
               "@ENGI Bytes        /0x1FFF7500/01*768 e",
               inferred = "flash and ENGI strings seen in a test's copy (70891811392); the option "
                 .. "bytes from stlink config/chips" } },
    flash = { { "64*2Kg", "32*2Kg" }, "stm32-data" }, unit = { 8, "stm32-data" },
    align = { 8, "AN2606 table 7" }, erased = { 0xFF, "probe-rs" },
    connect_ms = { 552, "AN2606 table 229" },
    loader_id = { 0x1FFF67FE, "AN2606" }, loaders = { 0xD1 },
    uid = { { 0x1FFF7550, 4, 8 }, "CMSIS" }, size_at = { 0x1FFF75A0, "CMSIS" },
    otp = { { 0x1FFF7000, 1024 }, "CMSIS" },
    enter = { "BOOT0 high, then reset, if the option byte nBOOT_SEL is 0", "CMSIS", "inferred" },
    faults = { { "empty-flag", "V13.1: a reset with empty flash hangs until power-off",
    "AN2606" } },
    options = {
      source = "CMSIS; stlink config/chips; the string was not seen", form = "word",
      resets = false, mark = "recalled",
      { address = 0x1FFF7800, length = 128, words = {
        [0x00] = "RDP[7:0] BOR_EN[8] BORR_LEV[10:9] BORF_LEV[12:11] nRST_STOP[13] nRST_STDBY[14] "
          .. "nRST_SHDW[15] IWDG_SW[16] IWDG_STOP[17] IWDG_STDBY[18] WWDG_SW[19] "
          .. "HSE_NOT_REMAPPED[21] RAM_PARITY_CHECK[22] SECURE_MUXING_EN[23] nBOOT_SEL[24] "
          .. "nBOOT1[25] nBOOT0[26] NRST_MODE[28:27] IRHEN[29]" } },
      hidden = "it holds a boot lock, at a place that is not known",
      open = { "RDP", 0xAA }, forever = { RDP = { [0xCC] = "read protection level 2" } },
    },
  },
}

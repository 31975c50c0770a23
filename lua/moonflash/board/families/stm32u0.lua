-- SPDX-License-Identifier: MIT
-- STM32U0. The U031 has no USB DFU in its ROM (AN2606 table 3).
return {
  {
    name = "STM32U073/083", covers = "STM32U073, U083", chip_id = { 0x489, "AN2606 table 226" },
    simulated = { "u083" },
    versions = { { 0x0220 }, "log 41656812698" },
    roms = { { version = 0x0220,
               "@Internal Flash    /0x08000000/128*02Kg",
               "@OB Bytes          /0x40022020/01*136 e",
               "@OTP Memory        /0x1FFF6800/01*1024 e",
               "@ENGI Bytes        /0x1FFF6C00/01*1024.e",
               seen = "log 41656812698" } },
    flash = { { "128*2Kg", "64*2Kg" }, "stm32-data" }, unit = { 8, "stm32-data" },
    align = { 8, "AN2606 table 7" }, erased = { 0xFF, "probe-rs" },
    connect_ms = { 241, "AN2606 table 229" },
    loader_id = { 0x1FFF67FE, "AN2606" }, loaders = { 0xD0 },
    uid = { { 0x1FFF6E50, 4, 8 }, "CMSIS" }, size_at = { 0x1FFF6EA0, "CMSIS" },
    otp = { { 0x1FFF6800, 1024 }, "CMSIS; layout string" },
    enter = { "BOOT0 high, then reset, if the option byte nBOOT_SEL is 0", "CMSIS", "inferred" },
    options = {
      source = "CMSIS; length from dfu-util -l", form = "registers", resets = false,
      readonly = "the block holds keys, which read as 0: writing it could set them",
      { address = 0x40022020, length = 136, words = {
        [0x00] = "RDP[7:0] BOR_EN[8] BOR_LEV[10:9] nRST_STOP[13] nRST_STDBY[14] nRST_SHDW[15] "
          .. "IWDG_SW[16] IWDG_STOP[17] IWDG_STDBY[18] WWDG_SW[19] BDRST[21] "
          .. "RAM_PARITY_CHECK[22] BKPSRAM_HW_ERASE[23] nBOOT_SEL[24] nBOOT1[25] nBOOT0[26] "
          .. "NRST_MODE[28:27] IRHEN[29]",
        [0x0C] = "WRP1A_STRT[6:0] WRP1A_END[22:16]", [0x10] = "WRP1B_STRT[6:0] WRP1B_END[22:16]",
        [0x60] = "HDP1_PEND[5:0] BOOT_LOCK[16] HDP1EN[31:24]" } },
      open = { "RDP", 0xAA }, forever = { RDP = { [0xCC] = "read protection level 2" },
        BOOT_LOCK = { [1] = "boot lock" } },
      keys = true,
      protects = { areas = { { "WRP1A_STRT", "WRP1A_END", from = 0x08000000 },
                             { "WRP1B_STRT", "WRP1B_END", from = 0x08000000 } },
                   size = 2048, mark = "recalled" },
    },
  },
}

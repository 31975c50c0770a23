-- SPDX-License-Identifier: MIT
-- STM32L5. Its layout strings were not found.
return {
  {
    name = "STM32L552/562", covers = "STM32L552, L562", chip_id = { 0x472, "AN2606 table 226" },
    versions = { { 0x0200 }, "AN2606: V2.2 of the newer code" }, two_banks = { true, "stm32-data" },
    flash = { { "256*2Kg", "128*2Kg", "128*4Kg", "64*4Kg" }, "stm32-data" },
    unit = { 8, "stm32-data" }, align = { 16, "AN2606 table 7" }, erased = { 0xFF, "probe-rs" },
    connect_ms = { 300, "AN2606 table 229" },
    loader_id = { 0x0BF97FFE, "AN2606" }, loaders = { 0xD0, 0x90,
      0x92 },
    uid = { { 0x0BFA0590, 4, 8 }, "CMSIS" }, size_at = { 0x0BFA05E0, "CMSIS" },
    otp = { { 0x0BFA0000, 512 }, "CMSIS" },
    enter = { "BOOT0 high, then reset, if the option byte nSWBOOT0 is 1", "CMSIS", "inferred" },
    faults = { { "leave", "V9.0 can't start a program, V13.0 not load option bytes, over USB",
                 "AN2606 table 180" } },
    options = {
      source = "CMSIS; the string was not seen", form = "registers", resets = false,
      mark = "inferred", readonly = "the setting of this ROM was not seen",
      { address = 0x40022040, words = {
        [0x00] = "RDP[7:0] BOR_LEV[10:8] nRST_STOP[12] nRST_STDBY[13] nRST_SHDW[14] IWDG_SW[16] "
          .. "IWDG_STOP[17] IWDG_STDBY[18] WWDG_SW[19] SWAP_BANK[20] DB256K[21] DBANK[22] "
          .. "SRAM2_PE[24] SRAM2_RST[25] nSWBOOT0[26] nBOOT0[27] PA15_PUPEN[28] TZEN[31]" } },
      open = { "RDP", 0xAA }, forever = { RDP = { [0xCC] = "read protection level 2" },
        TZEN = { [1] = "TrustZone: its way back is not documented for all ROMs" } },
    },
  },
}

-- SPDX-License-Identifier: MIT
-- STM32WB. The top of the flash belongs to the firmware of the radio. The WB10 and WB15 have no USB
-- DFU in their ROM (AN2606 table 3).
local RADIO = "it belongs to the firmware of the radio"

return {
  {
    name = "STM32WB30/35/50/55", covers = "STM32WB30, WB35, WB50, WB55",
    simulated = { "wb55" },
    chip_id = { 0x495, "AN2606 table 226" },
    versions = { { 0x0200 }, "AN2606: V2.2 of the newer code" },
    roms = { { version = 0x0200, product = "DFU in FS Mode",
               "@Internal Flash   /0x08000000/256*04Kg", "@Option Bytes   /0x1FFF8000/01*128 e",
               "@OTP Memory   /0x1FFF7000/01*1024 e",
               inferred = "the flash string from a log of a 1 MB chip (59221794143); the option "
                 .. "bytes from logs of STM32CubeProgrammer" } },
    flash = { { "256*4Kg", "160*4Kg", "128*4Kg", "64*4Kg" }, "stm32-data" },
    unit = { 8, "stm32-data" }, align = { 8, "AN2606 table 7" }, erased = { 0xFF, "probe-rs" },
    erase_max_ms = { 24.5, "data sheet" }, write_us = { 81.69, "as the L4", "inferred" },
    connect_ms = { 300, "AN2606 table 229" },
    loader_id = { 0x1FFF6FFE, "AN2606" }, loaders = { 0xD5 },
    uid = { { 0x1FFF7590, 4, 8 }, "CMSIS" }, size_at = { 0x1FFF75E0, "CMSIS" },
    otp = { { 0x1FFF7000, 1024 }, "CMSIS" },
    enter = { "BOOT0 high, then reset, if the option byte nSWBOOT0 is 1", "CMSIS", "inferred" },
    faults = {
      { "no-mass-erase", "there is no mass erase", "field reports; AN2606" },
      { "unprotect-at-power-up", "V13.5 removes the read protection at the next power-up",
        "AN2606 table 184" },
      { "radio", "the top sectors, from SFSA on, belong to the radio's firmware",
        "community.st.com 311243; CMSIS", field = "SFSA", size = 4096 },
    },
    options = {
      source = "logs of STM32CubeProgrammer; CMSIS; stlink config/chips", form = "word",
      resets = false,
      { address = 0x1FFF8000, length = 128, words = {
        [0x00] = "RDP[7:0] ESE[8] BOR_LEV[11:9] nRST_STOP[12] nRST_STDBY[13] nRST_SHDW[14] "
          .. "IWDG_SW[16] IWDG_STOP[17] IWDG_STDBY[18] WWDG_SW[19] nBOOT1[23] SRAM2PE[24] "
          .. "SRAM2RST[25] nSWBOOT0[26] nBOOT0[27] AGC_TRIM[31:29]",
        [0x08] = "PCROP1A_STRT[8:0]", [0x10] = "PCROP1A_END[8:0] PCROP_RDP[31]",
        [0x18] = "WRP1A_STRT[7:0] WRP1A_END[23:16]", [0x20] = "WRP1B_STRT[7:0] WRP1B_END[23:16]",
        [0x68] = "IPCCDBA[13:0]", [0x70] = "SFSA[7:0] FSD[8] DDS[12]",
        [0x78] = "SBRV[17:0] SBRSA[22:18] BRSD[23] SNBRSA[29:25] NBRSD[30] C2OPT[31]" },
        recalled = { [0x08] = true, [0x10] = true, [0x18] = true, [0x20] = true, [0x68] = true,
                     [0x70] = true, [0x78] = true } },
      open = { "RDP", 0xAA }, forever = { RDP = { [0xCC] = "read protection level 2" } },
      -- these belong to the firmware of the radio
      keep = { ESE = RADIO, IPCCDBA = RADIO, SFSA = RADIO, FSD = RADIO, DDS = RADIO, SBRV = RADIO,
               SBRSA = RADIO, BRSD = RADIO, SNBRSA = RADIO, NBRSD = RADIO, C2OPT = RADIO },
      hidden = "it holds words of the radio's firmware",
      protects = { areas = { { "WRP1A_STRT", "WRP1A_END", from = 0x08000000 },
                             { "WRP1B_STRT", "WRP1B_END", from = 0x08000000 } },
                   size = 4096, mark = "recalled" },
    },
  },
}

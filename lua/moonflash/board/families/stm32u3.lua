-- SPDX-License-Identifier: MIT
-- STM32U3. Its layout strings were not found.
local function family(it)
  it.versions = { { 0x0300 }, "AN2606 table 3" }
  it.two_banks = { true, "stm32-data" }
  it.unit, it.align = { 8, "stm32-data" }, { 8, "AN2606 table 7" }
  it.erased = { 0xFF, "probe-rs" }
  it.uid, it.size_at = { { 0x0BFA0700, 4, 8 }, "CMSIS" }, { 0x0BFA07A0, "CMSIS" }
  it.otp = { { 0x0BFA0000, 512 }, "CMSIS" }
  it.loader_id = { 0x0BF98FFE, "AN2606" }
  it.enter = { "BOOT0 high, then reset, if the option byte nSWBOOT0 is 1", "CMSIS", "inferred" }
  it.options = {
    source = "CMSIS; the string was not seen", form = "registers", resets = false,
    mark = "inferred",
    readonly = "the block holds keys, which read as 0: writing it could set them",
    keys = true,
    { address = 0x40022040, words = {
      [0x00] = "RDP[7:0] BOR_LEV[10:8] BDRST_POR[11] nRST_STOP[12] nRST_STDBY[13] nRST_SHDW[14] "
        .. "SRAM1_RST[15] IWDG_SW[16] IWDG_STOP[17] IWDG_STDBY[18] WWDG_SW[19] SWAP_BANK[20] "
        .. "DUALBANK[21] SRAM2_RST[25] nSWBOOT0[26] nBOOT0[27] TZEN[31]" } },
    open = { "RDP", 0xAA }, forever = { RDP = { [0xCC] = "read protection level 2" },
      TZEN = { [1] = "TrustZone" } },
  }
  return it
end

return {
  family {
    name = "STM32U375/385", covers = "STM32U375, U385", chip_id = { 0x454, "AN2606 table 226" },
    flash = { { "256*4Kg", "128*4Kg" }, "stm32-data" }, connect_ms = { 210, "AN2606 table 229" },
    loaders = { 0xE2 },
  },
  family {
    name = "STM32U3B5/3C5", covers = "STM32U3B5, U3C5", chip_id = { 0x42A, "AN2606 table 226" },
    flash = { { "512*4Kg" }, "stm32-data" }, loaders = { 0xE0 },
  },
}

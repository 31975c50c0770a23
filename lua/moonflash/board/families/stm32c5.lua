-- SPDX-License-Identifier: MIT
-- STM32C5. Its ROM has no setting for option bytes, and an invalid value there closes the chip
-- (RM0522 6.5.8).
local function family(it)
  it.versions = { { 0x0300 }, "AN2606 table 3" }
  it.unit, it.align = { 16, "stm32-data" }, { 16, "AN2606 table 7" }
  it.erased = { 0xFF, "probe-rs" }
  it.loader_id = { 0x0BF885FE, "AN2606" }
  it.connect_ms = { 140, "AN2606 table 229" }
  it.otp = { { 0x08FFE000, 4608 }, "ST's OpenBootloader" }
  it.enter = { "BOOT0 high, then reset", "AN2606" }
  it.faults = {
    { "clear-status", "CLRSTATUS outside of dfuERROR is refused", "betaflight-configurator" },
  }
  it.options = {
    source = "ST's OpenBootloader for the C562 (56012722826)", form = "registers", resets = false,
    mark = "inferred", readonly = "an invalid value closes the chip for ever",
    { address = 0x40022050, length = 432, words = {
      [0x00] = "IWDG_SW[3] WWDG_SW[4] NRST_STOP[6] NRST_STDBY[7] RDP_LEVEL[15:8] IWDG_STOP[20] "
        .. "IWDG_STDBY[21] BOOT_SEL[22] BOOT0[23] EDATA_EN[29] SINGLE_BANK[30] SWAP_BANK[31]" } },
    open = { "RDP_LEVEL", 0xED },
    -- Any value that is not valid counts as level 2; those of the levels between are not known.
    forever = { RDP_LEVEL = { [0x72] = "read protection level 2",
      [0xD1] = "read protection level 2 with boundary scan", only = { [0xED] = true } } },
  }
  return it
end

return {
  family {
    name = "STM32C53/542", covers = "STM32C53, C542", chip_id = { 0x44F, "AN2606 table 226" },
    flash = { { "32*8Kg", "16*8Kg" }, "stm32-data" },
  },
  family {
    name = "STM32C55/562", covers = "STM32C55, C562", chip_id = { 0x44E, "AN2606 table 226" },
    simulated = { "c562" },
    roms = { { version = 0x0300, product = "DFU in FS Mode",
               "@Internal Flash /0x08000000/64*08Kg", inferred = "betaflight-configurator" } },
    flash = { { "64*8Kg", "32*8Kg" }, "stm32-data" },
  },
  family {
    name = "STM32C59/5A3", covers = "STM32C59, C5A3", chip_id = { 0x45A, "AN2606 table 226" },
    flash = { { "128*8Kg", "64*8Kg" }, "stm32-data" },
  },
}

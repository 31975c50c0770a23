-- SPDX-License-Identifier: MIT
-- STM32WBA. The WBA5x has no USB DFU in its ROM (AN2606 table 3). The strings were not found.
local function family(it)
  it.versions = { { 0x0300 }, "AN2606 table 3" }
  it.unit, it.align = { 16, "stm32-data" }, { 16, "AN2606 table 7" }
  it.erased = { 0xFF, "probe-rs" }
  it.enter = { "BOOT0 high, then reset; the WBA6 with a crystal of 32 MHz", "AN2606" }
  it.options = {
    source = "CMSIS; the string was not seen", form = "registers", resets = false,
    mark = "inferred",
    readonly = "the block holds keys, which read as 0: writing it could set them",
    keys = true, { address = 0x40022040, words = { [0x00] = "RDP[7:0] TZEN[31]" } },
    open = { "RDP", 0xAA }, forever = { RDP = { [0xCC] = "read protection level 2" },
      TZEN = { [1] = "TrustZone" } },
  }
  return it
end

return {
  family {
    name = "STM32WBA6x", covers = "STM32WBA6x", chip_id = { 0x4B0, "AN2606 table 226" },
    flash = { { "256*8Kg", "128*8Kg" }, "stm32-data" }, connect_ms = { 69, "AN2606 table 229" },
    loaders = { 0xD2 }, otp = { { 0x0BFA0000, 512 }, "CMSIS" },
  },
  family {
    name = "STM32WBA2x", covers = "STM32WBA2x", chip_id = { 0x4B2, "AN2606 table 226" },
    flash = { { "64*8Kg" }, "stm32-data" }, loaders = { 0xD0 },
    otp = { { 0x0BF8D000, 512 }, "CMSIS" },
  },
}

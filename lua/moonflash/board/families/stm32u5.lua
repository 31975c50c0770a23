-- SPDX-License-Identifier: MIT
-- STM32U5.
local OPTIONS = "@Option Bytes   /0x40022040/01*64 e"
local OTP = "@OTP Memory   /0x0BFA0000/01*512 e"

local function row(flash, source)
  local it = { version = 0x0200, product = "DFU in FS Mode",
               "@Internal Flash   /0x08000000/" .. flash, OPTIONS, OTP }
  it[source.seen and "seen" or "inferred"] = source.seen or source.inferred
  return it
end

local function family(it)
  it.versions = { { 0x0200 }, "logs of dfu-util -l" }
  it.two_banks = { true, "stm32-data" }
  it.unit, it.align = { 16, "stm32-data" }, { 16, "AN2606 table 7" }
  it.erased = { 0xFF, "probe-rs" }
  it.loader_id = { 0x0BF99EFE, "AN2606" }
  it.uid, it.size_at = { { 0x0BFA0700, 4, 8 }, "CMSIS" }, { 0x0BFA07A0, "CMSIS" }
  it.otp = { { 0x0BFA0000, 512 }, "CMSIS; layout string" }
  it.enter = it.enter or { "BOOT0 high, then reset, if the option byte nSWBOOT0 is 1", "CMSIS",
                           "inferred" }
  it.options = {
    source = "CMSIS; length from dfu-util -l", form = "registers", resets = false,
    readonly = "the block holds keys, which read as 0: writing it could set them", keys = true,
    { address = 0x40022040, length = 64, words = {
      [0x00] = "RDP[7:0] BOR_LEV[10:8] nRST_STOP[12] nRST_STDBY[13] nRST_SHDW[14] SRAM1_RST[15] "
        .. "IWDG_SW[16] IWDG_STOP[17] IWDG_STDBY[18] WWDG_SW[19] SWAP_BANK[20] DUALBANK[21] "
        .. "BKPRAM_ECC[22] SRAM3_ECC[23] SRAM2_ECC[24] SRAM2_RST[25] nSWBOOT0[26] nBOOT0[27] "
        .. "PA15_PUPEN[28] IO_VDD_HSLV[29] IO_VDDIO2_HSLV[30] TZEN[31]",
      [0x04] = "NSBOOTADD0[31:7]", [0x08] = "NSBOOTADD1[31:7]", [0x0C] = "BOOT_LOCK[0]",
      [0x18] = it.wide and "WRP1A_STRT[7:0] WRP1A_END[23:16] WRP1A_UNLOCK[31]"
        or "WRP1A_STRT[6:0] WRP1A_END[22:16] WRP1A_UNLOCK[31]" } },
    open = { "RDP", 0xAA }, forever = { RDP = { [0xCC] = "read protection level 2" },
      BOOT_LOCK = { [1] = "boot lock" }, TZEN = { [1] = "TrustZone" } },
  }
  it.wide = nil
  return it
end

return {
  family {
    name = "STM32U575/585", covers = "STM32U575, U585", chip_id = { 0x482, "AN2606 table 226" },
    simulated = { "u575" },
    roms = { row("256*08Kg", { seen = "log 22734594" }), row("128*08Kg",
    { seen = "log 22734594" }) },
    flash = { { "256*8Kg", "128*8Kg" }, "stm32-data" }, connect_ms = { 300, "AN2606 table 229" },
    loaders = { 0x92, 0x93 },
  },
  family {
    name = "STM32U59x/5Ax", covers = "STM32U595, U599, U5A5, U5A9",
    chip_id = { 0x481, "AN2606 table 226" }, wide = true,
    roms = { row("512*08Kg", { seen = "log 58931375359" }) },
    flash = { { "512*8Kg", "256*8Kg" }, "stm32-data" }, loaders = { 0x92 },
    enter = { "BOOT0 high, then reset, if the option byte nSWBOOT0 is 1; with a crystal",
    "AN2606" },
  },
  family {
    name = "STM32U535/545", covers = "STM32U535, U545", chip_id = { 0x455, "AN2606 table 226" },
    flash = { { "64*8Kg", "32*8Kg", "16*8Kg" }, "stm32-data" }, loaders = { 0x91 },
  },
  family {
    name = "STM32U5Fx/5Gx", covers = "STM32U5F7, U5F9, U5G7, U5G9",
    chip_id = { 0x476, "AN2606 table 226" }, wide = true,
    flash = { { "512*8Kg" }, "stm32-data" }, loaders = { 0x90 },
  },
}

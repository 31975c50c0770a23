-- SPDX-License-Identifier: MIT
-- STM32F3. Of this line, the F303x6/8, F318, F328, F334, F358, F378 and F398 have no USB DFU in
-- their ROM (AN2606 table 3).
local KB = 1024
local OPTIONS = "@Option Bytes  /0x1FFFF800/01*016 e"

local function family(it)
  it.versions = { { 0x2200 }, "logs of dfu-util -l" }
  it.unit = { 8, "stm32-data; others say 2" }
  it.align, it.erased = { 4, "AN2606 table 7" }, { 0xFF, "probe-rs" }
  it.erase_ms, it.erase_max_ms = { 20, "data sheet" }, { 40, "data sheet" }
  it.uid, it.size_at = { { 0x1FFFF7AC, 4, 8 }, "CMSIS" }, { 0x1FFFF7CC, "CMSIS" }
  it.enter = { "BOOT0 high, then reset. The ROM takes its USB clock from a crystal.", "AN2606" }
  local mark = it.options_mark
  it.options_mark = nil
  it.options = {
    mark = mark, source = "CMSIS OB_TypeDef; length from dfu-util -l", form = "byte",
    resets = false,
    { address = 0x1FFFF800, length = 16, words = {
      [0x00] = "RDP[7:0] WDG_SW[16] nRST_STOP[17] nRST_STDBY[18] nBOOT1[20] VDDA_MONITOR[21] "
        .. "SRAM_PE[22]" .. (it.more or ""),
      [0x04] = "DATA0[7:0] DATA1[23:16]", [0x08] = "WRP0[7:0] WRP1[23:16]",
      [0x0C] = "WRP2[7:0] WRP3[23:16]" } },
    open = { "RDP", 0xAA }, forever = { RDP = { [0xCC] = "read protection level 2" } },
    protects = { bits = { "WRP0", "WRP1", "WRP2", "WRP3" }, protected = 0, size = 4 * KB,
                 rest = true, mark = "recalled" },
  }
  it.more = nil
  return it
end

return {
  family {
    name = "STM32F302/303xC", covers = "STM32F302xB/C, F303xB/C",
    simulated = { "f303" },
    chip_id = { 0x422, "AN2606 table 226" },
    roms = { { version = 0x2200, product = "STM32  BOOTLOADER",
               "@Internal Flash  /0x08000000/128*0002Kg", OPTIONS, seen = "log 1147295304" } },
    flash = { { "128*2Kg", "64*2Kg" }, "stm32-data" }, connect_ms = { 300, "AN2606 table 229" },
    loader_id = { 0x1FFFF796, "AN2606" }, loaders = { 0x41 },
  },
  family {
    name = "STM32F373", covers = "STM32F373", options_mark = "inferred",
    more = " SDADC12_VDD_MONITOR[23]", chip_id = { 0x432, "AN2606 table 226" },
    roms = { { version = 0x2200, product = "STM32  BOOTLOADER",
               "@Internal Flash  /0x08000000/128*0002Kg", OPTIONS, inferred = "as the F303xC" } },
    flash = { { "128*2Kg", "64*2Kg" }, "stm32-data" }, connect_ms = { 300, "AN2606 table 229" },
    loader_id = { 0x1FFFF7A6, "AN2606" }, loaders = { 0x41 },
  },
  family {
    options_mark = "inferred",
    name = "STM32F302/303xE", covers = "STM32F302xD/E, F303xD/E",
    chip_id = { 0x446, "AN2606 table 226" },
    roms = { { version = 0x2200, product = "STM32  BOOTLOADER",
               "@Internal Flash  /0x08000000/0256*0002Kg", OPTIONS, inferred = "as the F303xC" } },
    flash = { { "256*2Kg", "192*2Kg" }, "stm32-data" }, connect_ms = { 100, "AN2606 table 229" },
    loader_id = { 0x1FFFF796, "AN2606" }, loaders = { 0x40 },
  },
  family {
    options_mark = "inferred",
    name = "STM32F301/302x8", covers = "STM32F301, F302x6/8",
    chip_id = { 0x439, "AN2606 table 226" },
    flash = { { "32*2Kg", "16*2Kg" }, "stm32-data" }, connect_ms = { 300, "AN2606 table 229" },
    loader_id = { 0x1FFFF796, "AN2606" }, loaders = { 0x40 },
  },
}

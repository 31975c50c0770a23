-- SPDX-License-Identifier: MIT
-- STM32F0. Of this line, the F03x, F05x and F09x have no USB DFU in their ROM (AN2606 table 3).
local KB = 1024
local OPTIONS = "@Option Bytes  /0x1FFFF800/01*016 e"
local HUBS = { "host-controllers", "data transfers fail on some high-speed host controllers; a hub "
  .. "between board and computer helps", "AN2606 tables 38, 40, 42" }

-- wrp: the number of write protection bytes.
local function options(user, wrp)
  local bits = { "WRP0", "WRP1", "WRP2", "WRP3" }
  for i = wrp + 1, 4 do bits[i] = nil end
  return {
    source = "CMSIS OB_TypeDef; length from dfu-util -l", form = "byte", resets = true,
    { address = 0x1FFFF800, length = 16, words = {
      [0x00] = "RDP[7:0] WDG_SW[16] nRST_STOP[17] nRST_STDBY[18] " .. user,
      [0x04] = "DATA0[7:0] DATA1[23:16]",
      [0x08] = wrp == 1 and "WRP0[7:0]" or "WRP0[7:0] WRP1[23:16]",
      [0x0C] = wrp == 4 and "WRP2[7:0] WRP3[23:16]" or nil } },
    open = { "RDP", 0xAA }, forever = { RDP = { [0xCC] = "read protection level 2" } },
    protects = { bits = bits, protected = 0, size = 4 * KB, rest = wrp == 4, mark = "recalled" },
  }
end

return {
  {
    name = "STM32F042", covers = "STM32F042, F048, F070x6",
    simulated = { "f042" },
    chip_id = { 0x445, "AN2606 table 226" }, versions = { { 0x2200 }, "logs of dfu-util -l" },
    roms = { { version = 0x2200, product = "STM32  BOOTLOADER",
               "@Internal Flash  /0x08000000/032*0001Kg", OPTIONS, seen = "log 44820178453" } },
    flash = { { "32*1Kg" }, "stm32-data" }, unit = { 2, "stm32-data" },
    align = { 4, "AN2606 table 7" }, erased = { 0xFF, "probe-rs" },
    erase_ms = { 20, "data sheet" }, erase_max_ms = { 40, "data sheet" },
    connect_ms = { 350, "AN2606 table 229" }, poll_ms = { { erase = 40, write = 72, address = 72 },
      "capture of sigrok stm32_dfu_install" },
    loader_id = { 0x1FFFF6A6, "AN2606" }, loaders = { 0xA1, 0xA2 },
    uid = { { 0x1FFFF7AC, 4, 8 }, "CMSIS" }, size_at = { 0x1FFFF7CC, "CMSIS" },
    shared_serials = { { "FFFFFFFEFFFF" }, "logs of dfu-util -l" },
    enter = { "BOOT0 high, then reset or power. The F070x6 needs a crystal of 4 to 24 MHz.",
              "AN2606" },
    faults = { HUBS }, options = options("nBOOT0[19] nBOOT1[20] VDDA_MONITOR[21] "
      .. "RAM_PARITY_CHECK[22] BOOT_SEL[23]", 1),
  },
  {
    name = "STM32F072", covers = "STM32F071, F072, F078, F070xB",
    chip_id = { 0x448, "AN2606 table 226" }, versions = { { 0x2200 }, "logs of dfu-util -l" },
    roms = { { version = 0x2200, product = "STM32  BOOTLOADER",
               "@Internal Flash  /0x08000000/064*0002Kg", OPTIONS, seen = "log 770353002" } },
    flash = { { "64*2Kg" }, "stm32-data" }, unit = { 2, "stm32-data" },
    align = { 4, "AN2606 table 7" }, erased = { 0xFF, "probe-rs" },
    erase_ms = { 20, "data sheet" }, erase_max_ms = { 40, "data sheet" },
    connect_ms = { 320, "AN2606 table 229" },
    loader_id = { 0x1FFFF6A6, "AN2606" }, loaders = { 0xA1, 0xA3 },
    uid = { { 0x1FFFF7AC, 4, 8 }, "CMSIS" }, size_at = { 0x1FFFF7CC, "CMSIS" },
    shared_serials = { { "FFFFFFFEFFFF" }, "logs of dfu-util -l" },
    enter = { "BOOT0 high, then reset or power. The F070xB needs a crystal of 4 to 24 MHz.",
              "AN2606" },
    faults = { HUBS }, options = options("nBOOT1[20] VDDA_MONITOR[21] RAM_PARITY_CHECK[22]", 4),
  },
}

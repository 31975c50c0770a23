-- SPDX-License-Identifier: MIT
-- STM32F4. The F410 has no USB DFU in its ROM (AN2606 table 3).
local KB = 1024
local OLD = "STM32  BOOTLOADER" -- the product string
local FLASH_1M = "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg"
local FLASH_512K = "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,03*128Kg"
local OPTIONS = "@Option Bytes  /0x1FFFC000/01*016 e"
local OTP = "@OTP Memory /0x1FFF7800/01*512 e,01*016 e"
local FEATURE = "@Device Feature/0xFFFF0000/01*004 e"

local function row(flash, source, options)
  local it = { version = 0x2200, product = OLD, flash, options or OPTIONS, OTP, FEATURE }
  it[source.seen and "seen" or "inferred"] = source.seen or source.inferred
  return it
end

local function family(it)
  local own = it.wrp
  it.wrp = nil
  it.versions = it.versions or { { 0x2200 }, "logs of dfu-util -l" }
  it.unit = { 1, "AN2606: the ROM programs by bytes, unless the Device Feature says otherwise" }
  it.align, it.erased = { 4, "AN2606 table 7" }, { 0xFF, "probe-rs" }
  it.erase_ms = { { [16 * KB] = 400, [64 * KB] = 1200, [128 * KB] = 2000 },
                  "DS8626 table 40, by bytes" }
  it.erase_max_ms = { { [16 * KB] = 800, [64 * KB] = 2400, [128 * KB] = 4000 },
                      "DS8626 table 40, by bytes" }
  it.mass_ms = it.mass_ms or { 16000, "DS8626 table 40" }
  it.write_us = { 16, "DS8626 table 40" }
  it.poll_ms = { { erase = 100, write = 104, address = 104 }, "modm's log of an F401" }
  -- fwupd 2696, 6048, 6249; ST's own programmer polls at once (community.st.com 826688)
  it.early_poll = { true, "fwupd 2696, 6048, 6249" }
  it.uid, it.size_at = { { 0x1FFF7A10, 4, 8 }, "CMSIS" }, { 0x1FFF7A22, "CMSIS" }
  it.otp = { { 0x1FFF7800, 528 }, "CMSIS" }
  it.enter = { "BOOT0 high and BOOT1 low, then reset. The ROM takes its USB clock from a crystal.",
               "AN2606" }
  it.options = it.options or {
    source = "CMSIS FLASH_OPTCR; RM0090 tables 15 and 16", form = "half", resets = true,
    { address = 0x1FFFC000, length = 16, words = {
      [0x00] = "BOR_LEV[3:2] WDG_SW[5] nRST_STOP[6] nRST_STDBY[7] RDP[15:8]",
      [0x08] = "nWRP[" .. own - 1 .. ":0]" .. (it.sprmod and " SPRMOD[15]" or "") } },
    open = { "RDP", 0xAA }, forever = { RDP = { [0xCC] = "read protection level 2" } },
    protects = { bits = { "nWRP" }, protected = 0, size = "sector" },
  }
  it.sprmod = nil
  return it
end

-- The F42x and F469 have a second bank, and a second block of option bytes for it.
local function dual()
  return {
    source = "CMSIS FLASH_OPTCR, FLASH_OPTCR1; layout strings", form = "half", resets = true,
    { address = 0x1FFFC000, length = 16, words = {
      [0x00] = "BFB2[4] BOR_LEV[3:2] WDG_SW[5] nRST_STOP[6] nRST_STDBY[7] RDP[15:8]",
      [0x08] = "nWRP[11:0] DB1M[14] SPRMOD[15]" } },
    { address = 0x1FFEC000, length = 16, words = { [0x08] = "nWRP_2[11:0]" } },
    open = { "RDP", 0xAA }, forever = { RDP = { [0xCC] = "read protection level 2" } },
    costs = { DB1M = "All sectors of a chip with 1 MB change: it has to be written again." },
    protects = { bits = { "nWRP", "nWRP_2" }, protected = 0, size = "sector",
                 from = { 0x08000000, 0x08100000 },
                 from_in = { ["dual-bank mode"] = { 0x08000000, 0x08080000 } } },
  }
end

local DUAL_OPTIONS = "@Option Bytes  /0x1FFFC000/01*016 e/0x1FFEC000/01*016 e"
local FLASH_2M = "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg,04*016Kg,01*064Kg,"
  .. "07*128Kg"
local LAYOUTS_2M = { "4*16Kg,1*64Kg,7*128Kg,4*16Kg,1*64Kg,7*128Kg", "4*16Kg,1*64Kg,7*128Kg",
  "4*16Kg,1*64Kg,3*128Kg,4*16Kg,1*64Kg,3*128Kg" }
-- A chip with 1 MB is in dual-bank mode if DB1M is set. Whether its string changes is not known.
local DB1M = { { field = "DB1M", value = 1, name = "dual-bank mode",
  flash = { ["4*16Kg,1*64Kg,7*128Kg"] = "4*16Kg,1*64Kg,3*128Kg,4*16Kg,1*64Kg,3*128Kg" },
  source = "OpenOCD, probe-rs" } }

return {
  family {
    name = "STM32F405/407", covers = "STM32F405, F407, F415, F417",
    simulated = { "f407" },
    chip_id = { 0x413, "AN2606 table 226" }, wrp = 12,
    versions = { { 0x2100, 0x2200 }, "logs of dfu-util -l" },
    roms = {
      { version = 0x2100, product = OLD, FLASH_1M, "@Option Bytes  /0x1FFFC000/01*016 g",
        "@OTP Memory /0x1FFF7800/01*512 g,01*016 g", "@Device Feature/0xFFFF0000/01*004 g",
        seen = "dfu-util stm32f4discovery.lsusb" },
      row(FLASH_1M, { seen = "many logs of dfu-util -l" }),
    },
    flash = { { "4*16Kg,1*64Kg,7*128Kg", "4*16Kg,1*64Kg,3*128Kg" }, "RM0090" },
    connect_ms = { 250, "AN2606 table 229" }, loader_id = { 0x1FFF77DE, "AN2606" },
    loaders = { 0x31, 0x91 },
    serial = { "uid", "libopencm3 760" },
    faults = { { "poll-times", "the ROM V3.0 announces wrong poll times", "AN2606",
                 version = 0x2100 } },
  },
  family {
    name = "STM32F401", covers = "STM32F401", wrp = 8,
    chip_id = { { 0x423, 0x433 }, "AN2606 table 226" },
    roms = { row(FLASH_512K, { seen = "logs of dfu-util -l" }) },
    flash = { { "4*16Kg,1*64Kg,3*128Kg", "4*16Kg,1*64Kg,1*128Kg" }, "stm32-data" },
    connect_ms = { 250, "AN2606 table 229" }, loader_id = { 0x1FFF76DE, "AN2606" },
    loaders = { 0xD1 },
    faults = { { "announces-too-much", "a chip with 256 KB announces 512 KB",
                 "logs of dfu-util -l" } },
  },
  family {
    name = "STM32F411", covers = "STM32F411", chip_id = { 0x431, "AN2606 table 226" }, wrp = 8,
    simulated = { "f411" },
    roms = { row(FLASH_512K, { seen = "logs of dfu-util -l" }) },
    flash = { { "4*16Kg,1*64Kg,3*128Kg", "4*16Kg,1*64Kg,1*128Kg" }, "stm32-data" },
    connect_ms = { 250, "AN2606 table 229" }, loader_id = { 0x1FFF76DE, "AN2606" },
    loaders = { 0xD0 },
    shared_serials = { { "STM32FxSTM32" }, "TAStm32 71" },
    faults = { { "stalls", "requests are refused at random; they are sent again",
                 "qmk 17890, dfu-util ticket 140" } },
  },
  family {
    name = "STM32F412", covers = "STM32F412", chip_id = { 0x441, "AN2606 table 226" }, wrp = 12,
    roms = { row(FLASH_1M, { inferred = "field reports: the strings of the F405" }) },
    flash = { { "4*16Kg,1*64Kg,7*128Kg", "4*16Kg,1*64Kg,3*128Kg" }, "stm32-data" },
    connect_ms = { 380, "AN2606 table 229" }, loader_id = { 0x1FFF76DE, "AN2606" },
    loaders = { 0x91 },
  },
  family {
    name = "STM32F413", covers = "STM32F413, F423", chip_id = { 0x463, "AN2606 table 226" },
    wrp = 15,
    roms = { row("@Internal Flash  /0x08000000/04*016Kg,01*064Kg,11*128Kg",
                 { inferred = "as the F412" }) },
    flash = { { "4*16Kg,1*64Kg,11*128Kg", "4*16Kg,1*64Kg,7*128Kg" }, "stm32-data" },
    connect_ms = { 350, "AN2606 table 229" }, loader_id = { 0x1FFF76DE, "AN2606" },
    loaders = { 0x90 },
    serial = { "panda-f413", "commaai panda, python/dfu.py" },
  },
  family {
    sprmod = true,
    name = "STM32F446", covers = "STM32F446", chip_id = { 0x421, "AN2606 table 226" }, wrp = 8,
    simulated = { "f446" },
    roms = { row(FLASH_512K, { inferred = "field reports: the strings of the F401" }) },
    flash = { { "4*16Kg,1*64Kg,3*128Kg", "4*16Kg,1*64Kg,1*128Kg" }, "stm32-data" },
    connect_ms = { 200, "AN2606 table 229" }, loader_id = { 0x1FFF76DE, "AN2606" },
    loaders = { 0x90 },
    shared_serials = { { "STM32FxSTM32" }, "TAStm32 71" },
  },
  family {
    name = "STM32F42x/43x", covers = "STM32F427, F429, F437, F439",
    simulated = { "f429" },
    chip_id = { 0x419, "AN2606 table 226" }, two_banks = { true, "stm32-data" },
    roms = { row(FLASH_2M, { seen = "logs of dfu-util -l" }, DUAL_OPTIONS),
             row(FLASH_1M, { inferred = "as the 2 MB chips" }, DUAL_OPTIONS) },
    flash = { LAYOUTS_2M, "stm32-data, OpenOCD" }, modes = DB1M,
    mass_ms = { 32000, "twice the F405's", "inferred" },
    connect_ms = { 250, "AN2606 table 229" }, loader_id = { 0x1FFF76DE, "AN2606" },
    loaders = { 0x70, 0x90, 0x91 },
    faults = { { "bank2-erases-nothing", "in dual-bank mode the ROM does not erase sectors in the "
      .. "second bank", "AN2606 tables 90, 92", mode = "dual-bank mode", always = 0x200000 } },
    options = dual(),
  },
  family {
    name = "STM32F469/479", covers = "STM32F469, F479", chip_id = { 0x434, "AN2606 table 226" },
    two_banks = { true, "stm32-data" },
    roms = { row(FLASH_2M, { inferred = "as the F429" }, DUAL_OPTIONS) },
    flash = { LAYOUTS_2M, "stm32-data, OpenOCD" }, modes = DB1M,
    mass_ms = { 32000, "twice the F405's", "inferred" },
    connect_ms = { 270, "AN2606 table 229" }, loader_id = { 0x1FFF76DE, "AN2606" },
    loaders = { 0x90 }, options = dual(),
  },
}
